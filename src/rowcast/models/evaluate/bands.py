"""Bands: intervals of the score with what happened to the held-out rows in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.evaluate.conformal import PredictionIntervals
from rowcast.models.evaluate.intervals import Z, wilson

MOST_BANDS = 10
_ROWS_PER_BAND = 50
_NEW_ROWS = 5
"""New rows are one in so many."""


def bands(score: NDArray[np.floating[Any]], positive: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """At most ten intervals of the probability [N] with about as many rows each, lowest first, from 0 to 1.

    Each has ``low`` (inclusive) and ``high`` (exclusive, but for the last), ``count``, the ``observed`` rate of the
    positive class and its 95 % Wilson interval ``observed_low`` to ``observed_high``: where the true rate lies. What is
    observed in new rows varies more, for they vary as well: ``new_low`` to ``new_high`` is where 95 % of the rates of
    a fifth as many new rows lie, a prediction interval. Equal scores stay together.
    """
    order, starts = _equal_parts(score)
    if not len(order):
        return []
    ascending = score[order].astype(np.float64)
    counts = np.diff(np.append(starts, len(order)))
    hits = np.add.reduceat(positive[order].astype(np.int64), starts)
    low, high = wilson(hits, counts)
    new_low, new_high = _of_new_rows(hits, counts)
    edges = [0.0, *_between(ascending, starts), 1.0]
    figures = {
        "observed": hits / counts, "observed_low": low, "observed_high": high, "new_low": new_low, "new_high": new_high
    }  # fmt: skip
    return _listed(edges, counts, figures)


def number_bands(
    predicted: NDArray[np.float64], y: NDArray[np.float64], intervals: PredictionIntervals
) -> list[dict[str, Any]]:
    """At most ten intervals of the predicted number [N] with about as many rows each, lowest first, open at both ends.

    As ``bands``, but ``observed`` is the mean of the true numbers ``y`` [N], with the normal 95 % intervals of the mean
    (``observed_low`` to ``observed_high``) and of the mean of a fifth as many new rows (``new_low`` to ``new_high``);
    ``inside`` is the share of rows whose 90 % interval holds the true number.
    """
    order, starts = _equal_parts(predicted)
    if not len(order):
        return []
    ascending, true = predicted[order], y[order]
    counts = np.diff(np.append(starts, len(order)))
    mean = np.add.reduceat(true, starts) / counts
    deviation = np.sqrt(np.add.reduceat((true - np.repeat(mean, counts)) ** 2, starts) / np.maximum(counts - 1, 1))
    reach = Z * deviation / np.sqrt(counts)
    further = reach * np.sqrt(1 + _NEW_ROWS)  # the mean varies by 1 / n, that of n / 5 new rows by 5 / n
    inside = np.add.reduceat((np.abs(true - ascending) <= intervals.half_width(ascending)).astype(float), starts)
    edges = [None, *_between(ascending, starts), None]
    figures = {
        "observed": mean, "observed_low": mean - reach, "observed_high": mean + reach,
        "new_low": mean - further, "new_high": mean + further, "inside": inside / counts,
    }  # fmt: skip
    return _listed(edges, counts, figures)


def _of_new_rows(hits: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[Any, Any]:
    """Quantiles of 2.5 % and 97.5 % of the rate in new rows, of which the number of hits is beta-binomial by what was
    seen and Jeffreys' prior (Brown, Cai and DasGupta 2001, "Interval estimation for a binomial proportion", Statistical
    Science 16, for the prior). Only rates that so many rows can have are ends: of few rows none may well be a hit."""
    from scipy.stats import betabinom

    new = np.maximum(counts // _NEW_ROWS, 1)
    seen = betabinom(new, hits + 0.5, counts - hits + 0.5)
    return seen.ppf(0.025) / new, seen.ppf(0.975) / new


def _equal_parts(score: NDArray[np.floating[Any]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows by score, lowest first, and where parts of about equal count begin; equal scores stay together."""
    order = np.argsort(score, kind="stable")
    if not len(order):
        return order, order
    ascending = score[order]
    parts = max(1, min(MOST_BANDS, len(order) // _ROWS_PER_BAND))
    wanted = np.linspace(0, len(order), parts + 1)[:-1].astype(np.int64)
    return order, np.unique(np.searchsorted(ascending, ascending[wanted], "left"))


def _between(ascending: NDArray[np.floating[Any]], starts: NDArray[np.int64]) -> list[float]:
    """The middles between the last score of each part and the first of the next."""
    return [float(ascending[start] + ascending[start - 1]) / 2 for start in starts[1:]]


def _listed(
    edges: Sequence[float | None], counts: NDArray[np.int64], figures: dict[str, NDArray[np.float64]]
) -> list[dict[str, Any]]:
    """The bands as data: between which edges, how many rows, and the figures of each."""
    return [
        {"low": edges[number], "high": edges[number + 1], "count": int(count)}
        | {name: float(values[number]) for name, values in figures.items()}
        for number, count in enumerate(counts)
    ]
