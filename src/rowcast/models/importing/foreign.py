"""A model that was made elsewhere: what is said of it, what it is converted to, and why it may not be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.schema import Feature, Kind
from rowcast.errors import InvalidInput
from rowcast.models.bundle.contents import Parity
from rowcast.models.bundle.lookups import Matrix
from rowcast.models.encode.inputs import Column, Labels
from rowcast.models.recipe import Problem
from rowcast.models.train.member import Member

PROBE_ROWS = 200
_SEED = 0


@dataclass(frozen=True)
class Foreign:
    """``features`` in the order that the model takes them, None where nobody said; ``rows`` are examples of them."""

    features: list[Feature] | None
    rows: list[dict[str, Any]] = field(default_factory=list)

    def named(self, names: Sequence[str] | None, width: int) -> list[Feature]:
        """The features of a model that takes so many columns, and calls them so itself: in its own order where the two
        agree on the names.

        Raises:
            InvalidInput: nobody says what they are, or there are more or fewer.
        """
        if self.features is None:
            if names is None:
                raise refused("signature_missing", "It has no signature: log it again with one.")
            return [Feature(name=name, kind=Kind.NUMBER) for name in names]
        if len(self.features) != width:
            raise refused("signature_wrong", f"Its signature has {len(self.features)} columns, the model {width}.")
        by_name = {feature.name: feature for feature in self.features}
        return [by_name[name] for name in names] if names and by_name.keys() == set(names) else self.features


@dataclass(frozen=True)
class Converted:
    """The model in the forms that a bundle has: ONNX, unless it was refused, and members where their library is ours.

    ``classes`` are empty for numbers; of two, the second is the positive one.
    """

    algorithm: str
    features: list[Feature]
    problem: Problem
    classes: list[str]
    graph: bytes | None
    parity: Parity
    members: list[Member] = field(default_factory=list)
    quicker: tuple[bytes, Matrix] | None = None


def refused(code: str, message: str) -> InvalidInput:
    """Why a model cannot be imported, and what to do."""
    return InvalidInput(code, message)


def probe(features: Sequence[Feature], rows: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    """Inputs to compare two forms of a model by: the examples, and others drawn around them."""
    rng = np.random.default_rng(_SEED)
    return {feature.name: _column(feature, [row.get(feature.name) for row in rows], rng) for feature in features}


def _column(feature: Feature, given: list[Any], rng: np.random.Generator) -> Column:
    if feature.kind is Kind.CATEGORY:
        texts = [str(cell) for cell in given if cell is not None] or ["a"]
        return Labels.of(np.array([texts[i % len(texts)] for i in range(PROBE_ROWS)], dtype=object))
    known = np.array([float(cell) for cell in given if cell is not None], dtype=np.float64)
    if feature.kind is Kind.FLAG:
        return rng.integers(0, 2, PROBE_ROWS).astype(np.float32)
    return _around(known[np.isfinite(known)], rng)


def _around(known: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """The values themselves, then others with their mean and spread: whole ones where these are whole."""
    center, spread = (known.mean(), known.std() or abs(known[0]) or 1.0) if len(known) else (0.0, 1.0)
    drawn = rng.normal(center, spread, PROBE_ROWS)
    if len(known) and np.array_equal(known, known.round()):
        drawn = drawn.round()
    drawn[: len(known)] = known[:PROBE_ROWS]
    return drawn.astype(np.float32)
