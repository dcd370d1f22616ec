"""Intervals: how far a figure from N rows may lie from the truth.

Rows are resampled by the bootstrap (Efron 1979, "Bootstrap methods: another look at the jackknife", Annals of
Statistics 7) in its Poisson form (Hanley and MacGibbon 2006, "Creating non-parametric bootstrap samples using Poisson
frequencies", Computer Methods and Programs in Biomedicine 83): a resample is a Poisson(1) count per row, so rows that
count alike can be drawn together and a resample of a million rows costs no more than one of eight thousand.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Z = 1.959963984540054
"""Quantile of the standard normal distribution that leaves 2.5 % on either side."""

UNITS = 8192
"""The most units that are resampled; beyond it rows are drawn in groups."""

DRAWS = 2_000_000
BLOCK = 500_000


def resample_count(units: int) -> int:
    """How many resamples to draw of so many units: 1,000 of small tables, never fewer than 200."""
    return int(np.clip(DRAWS // max(units, 1), 200, 1000))


def blocks(count: int, width: int) -> Iterator[int]:
    """Sizes that add up to ``count``, each small enough that a [size, width] array of floats stays near 4 MB."""
    step = max(1, BLOCK // max(width, 1))
    for start in range(0, count, step):
        yield min(step, count - start)


def resampled_totals(totals: Floats, squares: Floats, size: int, rng: np.random.Generator) -> Floats:
    """Resampled sums of weights in cells of exchangeable rows.

    ``totals`` [...] holds the sum of the rows' weights in each cell, ``squares`` [...] the sum of their squares.
    Returns [size, ...]: Poisson counts scaled so that mean and variance are those of drawing every row on its own,
    which they equal exactly when the rows of a cell weigh alike.
    """
    scale = np.divide(squares, totals, out=np.ones_like(totals), where=squares > 0)
    return np.multiply(rng.poisson(totals / scale, size=(size, *totals.shape)), scale)


def resampled_sums(columns: Floats, rng: np.random.Generator) -> Floats:
    """Sums over rows of ``columns`` [N, M] in R resamples of the rows: [R, M].

    More than ``UNITS`` rows are first added up in that many groups, formed at random, and the groups are resampled.
    Ratios of the sums, and sums of a column whose mean is 0, then vary as much as with single rows, up to a relative
    error near sqrt(1 / (2 UNITS)), under 1 %; sums of other columns vary more and mean nothing by themselves.
    """
    units = _random_groups(columns, rng)
    count = resample_count(len(units))
    sizes = blocks(count, len(units))
    return np.concatenate([rng.poisson(1.0, size=(size, len(units))).astype(float) @ units for size in sizes])


def _random_groups(columns: Floats, rng: np.random.Generator) -> Floats:
    rows = len(columns)
    if rows <= UNITS:
        return columns
    starts = np.arange(UNITS) * rows // UNITS
    groups: Floats = np.add.reduceat(columns[rng.permutation(rows)], starts, axis=0)
    return groups


def percentile_interval(
    value: float, replicates: Floats, least: float = -np.inf, most: float = np.inf, corrected: bool = False
) -> tuple[float, float] | None:
    """The 95 % percentile interval of ``replicates`` [R], within [least, most] and never without ``value``.

    Undefined replicates (NaN) are left out; None when they are half or more, for then nothing can be said.
    ``corrected`` gives the bias-corrected interval, for a statistic that resampling inflates, as it does a maximum.
    """
    defined = replicates[np.isfinite(replicates)]
    if len(defined) * 2 <= len(replicates):
        return None
    ranks = _corrected_ranks(value, defined) if corrected else [2.5, 97.5]
    low, high = np.clip(np.percentile(defined, ranks), least, most)
    return min(float(low), value), max(float(high), value)


def _corrected_ranks(value: float, replicates: Floats) -> list[float]:
    """Percentiles moved by twice the bias of the median (Efron 1981, "Nonparametric standard errors and confidence
    intervals", Canadian Journal of Statistics 9)."""
    share = float(np.mean(replicates < value) + np.mean(replicates == value) / 2)
    edge = 0.5 / len(replicates)
    bias = NormalDist().inv_cdf(min(max(share, edge), 1 - edge))
    return [100 * NormalDist().cdf(2 * bias + side * Z) for side in (-1, 1)]


def wilson(successes: Any, trials: Any) -> tuple[Floats, Floats]:
    """Low and high ends of the 95 % score interval of a proportion, elementwise; (0, 1) for no trials.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    hits, count = np.asarray(successes, dtype=float), np.asarray(trials, dtype=float)
    rate = np.divide(hits, count, out=np.full(np.broadcast(hits, count).shape, 0.5), where=count > 0)
    centre = (rate * count + Z**2 / 2) / (count + Z**2)
    reach = Z * np.sqrt(rate * (1 - rate) * count + Z**2 / 4) / (count + Z**2)
    low = np.where((hits <= 0) | (count <= 0), 0.0, centre - reach)
    high = np.where((hits >= count) | (count <= 0), 1.0, centre + reach)
    return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)


def weighted_median(ordered: Floats, weights: Floats) -> float:
    """Median of ``ordered`` values [N, ascending, at least 0] of ``weights`` [N]; the mean of both middles where they
    part."""
    reached = np.cumsum(weights)
    half = reached[-1] / 2
    low, high = _at(reached, half, "left"), _at(reached, half, "right")
    return float(ordered[low] + (ordered[high] - ordered[low]) / 2)  # of the smallest floats the halves are 0


def median_interval(ordered: Floats, weights: Floats) -> tuple[float, float] | None:
    """The 95 % bootstrap interval of the median, in closed form; None below 6 rows, which cannot give one.

    A resampled median exceeds the k-th value when fewer than half of the draws fall up to it, which has a binomial
    probability (Efron 1979, section 3). So the ends are the values at half of the weight, plus and minus Z / 2 times
    the root of the sum of squared weights.
    """
    if len(ordered) < 6:
        return None
    reached = np.cumsum(weights)
    reach = Z / 2 * float(np.sqrt(np.sum(weights**2)))
    half = reached[-1] / 2
    return float(ordered[_at(reached, half - reach, "left")]), float(ordered[_at(reached, half + reach, "left")])


def _at(reached: Floats, weight: float, side: Any) -> int:
    return min(int(np.searchsorted(reached, weight, side)), len(reached) - 1)
