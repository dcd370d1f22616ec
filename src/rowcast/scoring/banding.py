"""Held-out rows in memory: which were scored like the one that is explained, and what became of them.

A band is one of ten fixed parts, and the outermost ones are wide: what is true of a whole one need not be true of a row
at its edge. So beside the band stand the rows that were scored closest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from rowcast.models.bundle.contents import EVALUATION, HELD_OUT, Bundle, evaluation
from rowcast.models.decide.held_out import HeldOut
from rowcast.models.evaluate.intervals import wilson
from rowcast.models.recipe import Problem

MOST_KEPT = 20_000
"""Held-out rows that are kept in memory: with more, every so many-th by score."""
_FEWEST, _MOST = 100, 500
_ONE_IN = 20
"""Rows are similar when they are among so many of all, as far as that gives enough and not too many."""
_AT_THE_END = 50


class Band(msgspec.Struct, omit_defaults=True):
    """``views.Band``."""

    position: int
    bands: int
    count: int
    observed: float
    observed_low: float
    observed_high: float
    new_low: float
    new_high: float
    low: float | None = None
    high: float | None = None
    inside: float | None = None


class Similar(msgspec.Struct):
    """``views.Similar``."""

    count: int
    low: float
    high: float
    observed: float
    observed_low: float
    observed_high: float


class Outcomes:
    """The scores of held-out rows with what became of them, by score."""

    def __init__(self, score: npt.NDArray[np.float32], positive: npt.NDArray[np.bool_]) -> None:
        order = np.argsort(score, kind="stable")
        kept = order[:: max(1, -(-len(order) // MOST_KEPT))]
        if len(order) and kept[-1] != order[-1]:
            kept = np.append(kept, order[-1])  # whoever is beyond the last is beyond all
        self._score = score[kept]
        self._hits = np.concatenate([[0], np.cumsum(positive[kept])])

    def near(self, score: float) -> Similar | None:
        """The rows whose scores are closest in rank: as many above as below, fewer near the ends, with all that are
        equal. None where there are too few for a word about them."""
        count = len(self._score)
        if count < _AT_THE_END:
            return None
        place = int(np.searchsorted(self._score, np.float32(score)))
        reach = min(_MOST, max(_FEWEST, count // _ONE_IN)) // 2
        reach = min(reach, max(_AT_THE_END // 2, min(place, count - place)))
        first = min(max(0, place - reach), count - 2 * reach)
        low, high = self._score[first], self._score[first + 2 * reach - 1]
        start, end = int(np.searchsorted(self._score, low)), int(np.searchsorted(self._score, high, "right"))
        hits, rows = int(self._hits[end] - self._hits[start]), end - start
        least, most = wilson(hits, rows)
        return Similar(rows, float(low), float(high), hits / rows, float(least), float(most))


def outcomes_of(bundle: Bundle) -> Outcomes | None:
    """Those of a model of two classes that keeps its held-out predictions."""
    if bundle.manifest.problem is not Problem.BINARY or HELD_OUT not in bundle.manifest.files:
        return None
    held_out = HeldOut.unpacked((bundle.folder / HELD_OUT).read_bytes())
    return Outcomes(held_out.predicted[:, 1], held_out.codes == 1)


def bands_of(bundle: Bundle) -> list[Band]:
    """The bands that the bundle's evaluation has, lowest first; none of a model of several classes."""
    listed = evaluation(bundle).get("bands", []) if EVALUATION in bundle.manifest.files else []
    return [
        msgspec.convert({**band, "position": place, "bands": len(listed)}, Band) for place, band in enumerate(listed, 1)
    ]


def band_at(bands: Sequence[Band], score: float) -> Band | None:
    """The band that a score falls into; None where there are none."""
    if not bands:
        return None
    return bands[bisect_right(bands[1:], score, key=_begins)]


def _begins(band: Band) -> float:
    assert band.low is not None, "only the first band may be open below"
    return band.low
