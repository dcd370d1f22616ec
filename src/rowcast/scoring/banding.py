"""Bands in memory: which held-out rows were scored like the one that is explained, and what became of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from rowcast.models.bundle.contents import EVALUATION, Bundle, evaluation


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
