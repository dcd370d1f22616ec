"""Random forest of scikit-learn, kept as skops with an allow-list fixed here."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.algorithms.learner import ONE_HOT, FittedModel, Lesson, Link, as_columns, in_all_classes
from rowcast.models.algorithms.tree_ensemble import Tree, TreeEnsemble, ensemble
from rowcast.models.encode.encoder import Style
from rowcast.models.encode.inputs import Floats
from rowcast.models.encode.onnx_graph import OnnxGraph
from rowcast.models.recipe import Problem
from rowcast.models.views import Algorithm, Hyperparameter

_FILE = "model.skops"
_ALLOWED = ("sklearn.tree._tree.Tree",)
"""What a forest needs beyond what skops trusts by itself. Never the list that a file asks for."""
_MOST_SAMPLES = 100_000


@dataclass(frozen=True)
class RandomForest:
    style = Style.FOREST
    stops_early = False
    explains = False
    shared = False

    def describe(self) -> Algorithm:
        return Algorithm(
            name="random_forest",
            title="Random forest",
            description="Many deep trees on random parts of the rows and columns, averaged. "
            f"Each tree sees at most {_MOST_SAMPLES:,} rows.",
            problems=list(Problem),
            hyperparameters=[
                Hyperparameter(
                    name="n_estimators", type="integer", default=200, minimum=1, maximum=5000, description="Trees."
                ),
                Hyperparameter(
                    name="max_depth", type="integer", default=None, minimum=1, maximum=64,
                    description="Most splits from root to leaf; no limit by default.",
                ),
                Hyperparameter(
                    name="min_samples_leaf", type="integer", default=None, minimum=1, maximum=100_000,
                    description="Fewest rows in a leaf; by default 5, and more for large tables.",
                ),
                Hyperparameter(
                    name="max_features", type="number", default=None, minimum=0.001, maximum=1.0,
                    description="Share of the columns tried at every split; by default the square root of their "
                    "number for classes and a third for numbers.",
                ),
                Hyperparameter(
                    name="extra_trees", type="boolean", default=False,
                    description="Try one random threshold per column at every split, and show each tree all rows: "
                    "extremely randomised trees.",
                ),
                ONE_HOT,
            ],
        )  # fmt: skip

    def automatic(self, rows: int) -> dict[str, Any]:
        return {"min_samples_leaf": max(5, min(rows, _MOST_SAMPLES) // 5000)}

    def fit(self, lesson: Lesson) -> FittedModel:
        given = dict(lesson.hyperparameters)
        numbers = lesson.problem is Problem.REGRESSION
        kind = _kind(given.pop("extra_trees"), numbers)
        del given["one_hot"]
        given["max_features"] = given["max_features"] or (1 / 3 if numbers else "sqrt")
        rows = len(lesson.training.y)
        sampled = {"bootstrap": True, "max_samples": _MOST_SAMPLES} if rows > _MOST_SAMPLES else {}
        forest = kind(
            **given,
            **sampled,
            n_jobs=lesson.threads,
            random_state=lesson.seed,
        )
        forest.fit(lesson.training.x, lesson.training.y, sample_weight=lesson.training.weights)
        return Forest(lesson.problem, lesson.class_count, forest)

    def load(self, folder: Path, threads: int) -> FittedModel:
        from skops.io import load

        meaning = json.loads((folder / "model.json").read_bytes())
        forest = load(folder / _FILE, trusted=list(_ALLOWED))
        forest.n_jobs = threads
        return Forest(Problem(meaning["problem"]), meaning["class_count"], forest)


@dataclass(frozen=True)
class Forest:
    problem: Problem
    class_count: int
    forest: Any
    rounds: int | None = None

    @property
    def link(self) -> Link:
        return Link.NUMBER if self.problem is Problem.REGRESSION else Link.PROBABILITY

    def score(self, x: Floats) -> NDArray[np.float64]:
        if self.problem is Problem.REGRESSION:
            return as_columns(self.forest.predict(x))
        shares = in_all_classes(self.forest.predict_proba(x), self.forest.classes_, self.class_count)
        return shares[:, 1:] if self.problem is Problem.BINARY else shares

    def contributions(self, x: Floats) -> None:
        return None

    def used(self, width: int) -> NDArray[np.bool_]:
        return self._trees().used(width)

    def nodes(self, graph: OnnxGraph, matrix: str) -> str:
        return self._trees().nodes(graph, matrix)

    def save(self, folder: Path) -> None:
        from skops.io import dump

        # The quickest compression: the best takes as long as the fit, for a fifth less.
        dump(self.forest, folder / _FILE, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
        meaning = {"problem": self.problem, "class_count": self.class_count}
        (folder / "model.json").write_text(json.dumps(meaning))

    def _trees(self) -> TreeEnsemble:
        grown = [estimator.tree_ for estimator in self.forest.estimators_]
        outputs = self.class_count if self.problem is Problem.MULTICLASS else 1
        trees = (_tree(tree, self._values(tree) / len(grown)) for tree in grown)
        return ensemble(trees, "BRANCH_LEQ", [0.0] * outputs)

    def _values(self, tree: Any) -> NDArray[np.float64]:
        values: NDArray[np.float64] = tree.value[:, 0, :]
        if self.problem is Problem.REGRESSION:
            return values
        shares = values / values.sum(axis=1, keepdims=True)
        full = np.zeros((len(values), self.class_count))
        full[:, self.forest.classes_.astype(np.int64)] = shares
        return full[:, 1:] if self.problem is Problem.BINARY else full


def _kind(extra: bool, numbers: bool) -> Any:
    """The class of a random forest (Breiman 2001) or of extremely randomised trees (Geurts et al. 2006)."""
    from sklearn import ensemble

    if extra:
        return ensemble.ExtraTreesRegressor if numbers else ensemble.ExtraTreesClassifier
    return ensemble.RandomForestRegressor if numbers else ensemble.RandomForestClassifier


def _tree(tree: Any, values: NDArray[np.float64]) -> Tree:
    # No NaN reaches a forest (the encoder fills them), so where it would go does not matter.
    nowhere = np.zeros(tree.node_count, dtype=np.bool_)
    return Tree(tree.feature, tree.threshold, tree.children_left, tree.children_right, nowhere, values)
