"""Prediction intervals: how far a predicted number may be off, from the errors on held-out rows.

Split conformal prediction (Vovk, Gammerman and Shafer 2005, "Algorithmic learning in a random world"; Lei, G'Sell,
Rinaldo, Tibshirani and Wasserman 2018, "Distribution-free predictive inference for regression", JASA 113), with the
cross-validated errors in place of those of one split. Where errors grow with the prediction they are first divided by
their usual size there (Lei et al., section 5.2).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Floats = NDArray[np.float64]

LEVELS = (0.5, 0.8, 0.9, 0.95)
ANSWERED_LEVEL = 0.9
"""The level of the interval that goes with a prediction."""
_BINS = 10
_ROWS_PER_BIN = 50
_PARTS = 5
_LEAST_SIZE = 0.05
"""Share of the mean error below which the usual size of errors is never taken."""
_WORTH = 0.01
"""Share of the interval score that scaled errors must gain over plain ones."""


class PredictionIntervals(BaseModel):
    """A prediction plus and minus ``half_widths[level]``, times the usual ``size`` of errors ``at`` it if scaled.

    ``coverage`` is the share of held-out rows inside, each judged by the errors of other rows.
    """

    model_config = ConfigDict(frozen=True)

    method: Literal["absolute", "scaled"]
    half_widths: dict[str, float] = Field(description="By level, such as 0.9.")
    at: list[float] = []
    size: list[float] = []
    coverage: dict[str, float] = {}

    def half_width(self, predicted: Floats, level: float = ANSWERED_LEVEL) -> Floats:
        """How far [N] the interval of each prediction [N] reaches to either side."""
        wide = np.full(len(predicted), self.half_widths[str(level)])
        return wide if self.method == "absolute" else wide * np.interp(predicted, self.at, self.size)

    def ends(self, outputs: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Lower and upper ends [N] of the intervals that go with outputs [N,1]."""
        predicted = outputs[:, 0].astype(np.float64)
        reach = self.half_width(predicted)
        return (predicted - reach).astype(np.float32), (predicted + reach).astype(np.float32)


def fit_intervals(y: NDArray[Any], predicted: Floats, seed: int) -> PredictionIntervals:
    """Intervals from held-out predictions [N] of ``y`` [N]: scaled errors where cross-fitting says that they do better.

    Their score is that of Gneiting and Raftery 2007 ("Strictly proper scoring rules, prediction, and estimation", JASA
    102): the width, plus what lies outside, weighed so that the right width does best.
    """
    error = np.abs(np.asarray(y, dtype=np.float64) - predicted)
    part = np.random.default_rng(seed).permutation(len(error)) % _PARTS
    plain = _cross_fitted(predicted, error, part, scaled=False)
    chosen = plain
    if len(error) >= 2 * _PARTS * _ROWS_PER_BIN:
        scaled = _cross_fitted(predicted, error, part, scaled=True)
        if _score(error, scaled[ANSWERED_LEVEL]) < (1 - _WORTH) * _score(error, plain[ANSWERED_LEVEL]):
            chosen = scaled
    fitted = _fit(predicted, error, scaled=chosen is not plain)
    coverage = {str(level): float(np.mean(error <= reach)) for level, reach in chosen.items()}
    return fitted.model_copy(update={"coverage": coverage})


def _cross_fitted(predicted: Floats, error: Floats, part: NDArray[np.int64], *, scaled: bool) -> dict[float, Floats]:
    """By level the half-width for every row, from the errors of the rows of other parts."""
    reach = {level: np.empty(len(error)) for level in LEVELS}
    for number in np.unique(part):
        inside = part == number
        fitted = _fit(predicted[~inside], error[~inside], scaled=scaled)
        for level, widths in reach.items():
            widths[inside] = fitted.half_width(predicted[inside], level)
    return reach


def _fit(predicted: Floats, error: Floats, *, scaled: bool) -> PredictionIntervals:
    if not scaled:
        return PredictionIntervals(method="absolute", half_widths=_quantiles(error))
    at, size = _sizes(predicted, error)
    ratio = error / np.interp(predicted, at, size)
    return PredictionIntervals(method="scaled", half_widths=_quantiles(ratio), at=at.tolist(), size=size.tolist())


def _sizes(predicted: Floats, error: Floats) -> tuple[Floats, Floats]:
    """The mean error in bins of equal count by prediction, at the bins' mean predictions."""
    order = np.argsort(predicted, kind="stable")
    bins = np.array_split(order, max(1, min(_BINS, len(order) // _ROWS_PER_BIN)))
    at, places = np.unique([predicted[rows].mean() for rows in bins], return_index=True)
    size = np.array([error[rows].mean() for rows in bins])[places]
    return at, np.maximum(size, max(_LEAST_SIZE * float(error.mean()), float(np.finfo(np.float32).tiny)))


def _quantiles(errors: Floats) -> dict[str, float]:
    """By level the error that so many of the rows, and of one more, stay within."""
    ascending = np.sort(errors)
    ranks = {level: min(math.ceil((len(errors) + 1) * level), len(errors)) for level in LEVELS}
    return {str(level): float(ascending[rank - 1]) for level, rank in ranks.items()}


def _score(error: Floats, reach: Floats) -> float:
    outside = np.maximum(error - reach, 0.0)
    return float(np.mean(reach + outside / (1 - ANSWERED_LEVEL)))
