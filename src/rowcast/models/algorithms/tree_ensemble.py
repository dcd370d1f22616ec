"""Decision trees as flat arrays, and as the one ONNX node that runs them.

The libraries' own text or JSON is read instead of going through their converters: those need their own imports of
seconds and are silently wrong about missing values for some of them. Every export is compared with the native model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rowcast.models.encode.inputs import Floats
from rowcast.models.encode.onnx_graph import ML, OnnxGraph

Comparison = Literal["BRANCH_LEQ", "BRANCH_LT"]


@dataclass(frozen=True)
class Tree:
    """Nodes 0..M-1, the root first. ``yes`` is followed when the comparison holds, and is -1 at leaves.

    ``missing_yes`` says where NaN goes; ``values`` [M,width] counts at leaves and is added to the outputs from
    ``output`` on.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.floating[Any]]
    yes: NDArray[np.int64]
    no: NDArray[np.int64]
    missing_yes: NDArray[np.bool_]
    values: NDArray[np.float64]
    output: int = 0


@dataclass(frozen=True)
class TreeEnsemble:
    trees: list[Tree]
    comparison: Comparison
    base: list[float]
    """Where the sum of every output starts."""

    def nodes(self, graph: OnnxGraph, matrix: str) -> str:
        """Append the sums of all trees, float32 [N,len(base)]."""
        return graph.add("TreeEnsembleRegressor", matrix, domain=ML, **self._attributes())

    def sums(self, x: Floats) -> NDArray[np.float64]:
        """The sums of all trees [N,len(base)] in float64."""
        sizes = [len(tree.feature) for tree in self.trees]
        start = np.repeat(np.cumsum([0, *sizes[:-1]]), sizes)
        feature, threshold, missing_yes = (self._all(name) for name in ("feature", "threshold", "missing_yes"))
        yes, no = self._all("yes"), self._all("no")
        node = np.tile(np.unique(start), (len(x), 1))
        rows = np.arange(len(x))[:, None]
        while (inner := yes[node] >= 0).any():
            value = x[rows, feature[node]]
            holds = value <= threshold[node] if self.comparison == "BRANCH_LEQ" else value < threshold[node]
            chosen = np.where(np.where(np.isnan(value), missing_yes[node], holds), yes[node], no[node])
            node = np.where(inner, start[node] + chosen, node)
        return self._added(node)

    def _added(self, leaves: NDArray[np.int64]) -> NDArray[np.float64]:
        """``base`` plus the values of the leaves [N,trees], counted over all trees."""
        values = np.concatenate([tree.values for tree in self.trees])
        total = np.tile(np.array(self.base, dtype=np.float64), (len(leaves), 1))
        for number, tree in enumerate(self.trees):
            total[:, tree.output : tree.output + values.shape[1]] += values[leaves[:, number]]
        return total

    def _all(self, name: str) -> NDArray[Any]:
        return np.concatenate([getattr(tree, name) for tree in self.trees])

    def used(self, width: int) -> NDArray[np.bool_]:
        """Columns that some node compares."""
        chosen = np.zeros(width, dtype=np.bool_)
        for tree in self.trees:
            chosen[tree.feature[tree.yes >= 0]] = True
        return chosen

    def _attributes(self) -> dict[str, Any]:
        sizes = [len(tree.feature) for tree in self.trees]
        leaf = np.concatenate([tree.yes < 0 for tree in self.trees])
        numbers = np.repeat(np.arange(len(self.trees)), sizes)
        positions = np.concatenate([np.arange(size) for size in sizes])
        threshold = np.concatenate([tree.threshold for tree in self.trees])
        names = np.where(leaf, b"LEAF", self.comparison.encode())
        return {
            "n_targets": len(self.base),
            "base_values": np.array(self.base, dtype=np.float32),
            "nodes_treeids": numbers,
            "nodes_nodeids": positions,
            "nodes_featureids": self._joined("feature", leaf),
            "nodes_values": float32_at_most(np.where(leaf, threshold.dtype.type(0), threshold)),
            "nodes_modes": names.tolist(),
            "nodes_truenodeids": self._joined("yes", leaf),
            "nodes_falsenodeids": self._joined("no", leaf),
            "nodes_missing_value_tracks_true": self._joined("missing_yes", leaf),
            **self._targets(leaf, numbers, positions),
        }

    def _joined(self, name: str, leaf: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.where(leaf, 0, np.concatenate([getattr(tree, name) for tree in self.trees])).astype(np.int64)

    def _targets(
        self, leaf: NDArray[np.bool_], numbers: NDArray[np.int64], positions: NDArray[np.int64]
    ) -> dict[str, Any]:
        width = self.trees[0].values.shape[1]
        values = np.concatenate([tree.values for tree in self.trees])[leaf]
        first = np.repeat([tree.output for tree in self.trees], [int((tree.yes < 0).sum()) for tree in self.trees])
        return {
            "target_treeids": np.repeat(numbers[leaf], width),
            "target_nodeids": np.repeat(positions[leaf], width),
            "target_ids": (first[:, None] + np.arange(width)).ravel(),
            "target_weights": values.ravel().astype(np.float32),
        }


def float32_at_most(values: NDArray[np.floating[Any]]) -> Floats:
    """The largest float32 not above each value: for float32 x, ``x <= value`` holds with either."""
    if values.dtype == np.float32:
        return values.astype(np.float32)
    with np.errstate(over="ignore"):  # LightGBM writes 1e308 for "all that is not missing"
        rounded = values.astype(np.float32)
        below = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded.astype(np.float64) > values, below, rounded)


def ensemble(trees: Iterable[Tree], comparison: Comparison, base: list[float]) -> TreeEnsemble:
    """An ensemble with at least one tree, as ONNX demands."""
    listed = list(trees)
    return TreeEnsemble(listed or [_nothing()], comparison, base)


def _nothing() -> Tree:
    none = np.array([-1])
    return Tree(none * 0, np.zeros(1), none, none, np.zeros(1, dtype=np.bool_), np.zeros((1, 1)))
