"""Moments, quantiles and histograms of numbers, each with the number of rows that hold it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from rowcast.datasets.views import Histogram

QUANTILES = ("0", "0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99", "1")
_BINS = 20
_HEAVY_TAILS = 3.0

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Distribution:
    """Distinct values in ascending order with their counts."""

    values: Floats
    counts: Counts

    @staticmethod
    def of(values: pl.Series, counts: pl.Series | None = None) -> Distribution:
        """The distribution of values (nulls are left out), each counted once or as often as ``counts`` says."""
        weights = counts if counts is not None else pl.Series([1], dtype=pl.Int64).new_from_index(0, values.len())
        frame = pl.DataFrame({"value": values, "count": weights}).drop_nulls("value")
        if counts is None:
            grouped = frame["value"].sort().rle().struct.unnest()
            return Distribution(grouped["value"].to_numpy(), grouped["len"].cast(pl.Int64).to_numpy())
        grouped = frame.group_by("value").agg(pl.col("count").sum()).sort("value")
        return Distribution(grouped["value"].to_numpy(), grouped["count"].cast(pl.Int64).to_numpy())

    @property
    def size(self) -> int:
        return int(self.counts.sum())

    @property
    def distinct(self) -> int:
        return self.values.size

    @property
    def middle(self) -> float | None:
        """The value in the middle: the lower of two, so that it is one that was seen."""
        if not self.size:
            return None
        return float(self.values[np.searchsorted(np.cumsum(self.counts), (self.size - 1) // 2, side="right")])

    def quantile(self, shares: Floats) -> Floats:
        """Quantiles by linear interpolation, as numpy's of the values one by one."""
        places = shares * (self.size - 1)
        upto = np.cumsum(self.counts)
        below = self.values[np.searchsorted(upto, np.floor(places), side="right")]
        above = self.values[np.searchsorted(upto, np.ceil(places), side="right")]
        return np.asarray(below + (above - below) * (places - np.floor(places)))


def moments(rows: Distribution) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation; None where there are too few values or they overflow."""
    if not rows.size:
        return None, None
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(np.average(rows.values, weights=rows.counts))
        squares = float(np.sum(rows.counts * (rows.values - mean) ** 2))
        std = math.sqrt(squares / (rows.size - 1)) if rows.size > 1 and math.isfinite(squares) else None
    return (mean if math.isfinite(mean) else None), std


def quantiles(rows: Distribution) -> dict[str, float]:
    """The quantiles that profiles show; empty without values."""
    if not rows.size:
        return {}
    found = rows.quantile(np.array([float(share) for share in QUANTILES]))
    return dict(zip(QUANTILES, found.tolist(), strict=True))


def histogram(rows: Distribution) -> Histogram | None:
    """About twenty equal bins; with heavy tails, between the 1st and 99th percentile and a bin for each tail."""
    if not rows.size:
        return None
    low, first, last, high = rows.quantile(np.array([0.0, 0.01, 0.99, 1.0])).tolist()
    if low == high:
        return Histogram(edges=[low, high], counts=[rows.size])
    if not math.isfinite(high - low):
        return None
    if high - low > _HEAVY_TAILS * (last - first) and last > first:
        inner = np.linspace(first, last, _BINS - 1)
        edges = np.unique(np.concatenate([[low], inner, [high]]))
    else:
        edges = np.linspace(low, high, _BINS + 1)
    counts, edges = np.histogram(rows.values, bins=edges, weights=rows.counts)
    return Histogram(edges=edges.tolist(), counts=counts.astype(int).tolist())
