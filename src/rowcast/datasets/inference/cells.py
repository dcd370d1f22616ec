"""The cells of each column as distinct values with counts: what kinds, profiles and warnings are judged on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from rowcast.datasets.casts import column, read_cells, written
from rowcast.datasets.schema import Feature
from rowcast.datasets.table import scan_raw

EXACT_DISTINCT = 100_000
"""Columns with more distinct cells are judged on a sample of their rows, their figures on all rows."""

_SAMPLE_ROWS = 200_000
_GLANCE_ROWS = 2_000
_MARGIN = 0.9  # the estimate of distinct cells is off by up to a tenth
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ColumnCells:
    """Distinct cells of one column. When ``sampled``, the counts are of a sample and ``distinct`` is approximate."""

    name: str
    cells: pl.Series
    text: pl.Series
    counts: Counts
    distinct: int
    row_count: int
    sampled: bool

    @cached_property
    def known(self) -> pl.DataFrame:
        """Distinct cells that say something, as ``text`` and ``count``, most frequent first (ties by text)."""
        frame = pl.DataFrame({"text": self.text, "count": self.counts}).drop_nulls("text")
        return frame.group_by("text").agg(pl.col("count").sum()).sort(["count", "text"], descending=[True, False])

    @cached_property
    def known_count(self) -> int:
        """How many of the cells that were counted say something."""
        return int(self.known["count"].sum())

    @property
    def dtype(self) -> pl.DataType:
        return self.cells.dtype

    def share(self, read: Callable[[pl.Series], pl.Series]) -> float:
        """The share of cells, among those that say something, for which ``read`` gives a value or True."""
        if not self.known_count:
            return 0.0
        values = read(self.known["text"])
        good = values.fill_null(False) if values.dtype == pl.Boolean else values.is_not_null()
        return float(self.known["count"].filter(good).sum() / self.known_count)

    def values(self, feature: Feature, missing_tokens: Sequence[str]) -> pl.Series:
        """The typed value of each distinct cell, in the order of ``counts``."""
        return read_cells(self.cells, feature, missing_tokens)


def gather(path: Path, missing_tokens: Sequence[str], columns: Sequence[str] | None = None) -> Iterator[ColumnCells]:
    """The cells of every column in turn, with memory for one column at a time."""
    raw = scan_raw(path, columns)
    rows = int(raw.select(pl.len()).collect().item())
    estimates = raw.select(pl.all().approx_n_unique()).collect(engine="streaming").row(0, named=True)
    for name, distinct in estimates.items():
        sampled = distinct > EXACT_DISTINCT * _MARGIN and rows > _SAMPLE_ROWS
        counted = _sample(raw, name, rows) if sampled else raw.group_by(column(name)).agg(pl.len())
        yield _cells(name, counted, missing_tokens, rows, distinct if sampled else None)


def glance(path: Path, missing_tokens: Sequence[str]) -> Iterator[ColumnCells]:
    """The cells of some rows of every column: a quick look at the table as a whole."""
    raw = scan_raw(path)
    rows = int(raw.select(pl.len()).collect().item())
    frame = raw.gather_every(max(1, rows // _GLANCE_ROWS)).collect(engine="streaming")
    for name in frame.columns:
        yield _cells(name, frame.lazy().group_by(column(name)).agg(pl.len()), missing_tokens, rows, None)


def _sample(raw: pl.LazyFrame, name: str, rows: int) -> pl.LazyFrame:
    return raw.select(column(name)).gather_every(max(1, rows // _SAMPLE_ROWS)).group_by(pl.all()).agg(pl.len())


def _cells(
    name: str, counted: pl.LazyFrame, missing_tokens: Sequence[str], rows: int, distinct: int | None
) -> ColumnCells:
    frame = counted.collect(engine="streaming")
    cells, counts = frame.to_series(0), frame.to_series(1).cast(pl.Int64).to_numpy()
    text = written(cells, missing_tokens)
    exact = text.drop_nulls().n_unique()
    return ColumnCells(
        name=name, cells=cells, text=text, counts=counts, distinct=exact if distinct is None else max(exact, distinct),
        row_count=rows, sampled=distinct is not None,
    )  # fmt: skip
