"""The stored table as typed columns: what training learns from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from rowcast.datasets.casts import column, typed
from rowcast.datasets.schema import FeatureSchema

Source = Path | pl.DataFrame
"""A stored table, or some of its rows as they were written."""


def scan(source: Source, schema: FeatureSchema, columns: list[str] | None = None, every: int = 1) -> pl.LazyFrame:
    """The table's columns as values: Float64 (numbers, flags as 1 and 0, dates as days since 1970-01-01) or String.

    Null is "not known". Rows keep their order; of each ``every`` rows the first is taken. ``columns`` picks some of the
    schema's columns, in the order given; all by default.
    """
    chosen = schema if columns is None else schema.select(columns)
    raw = scan_raw(source, chosen.names)
    sampled = raw if every == 1 else raw.gather_every(every)
    return sampled.select(typed(feature, schema.missing_tokens) for feature in chosen.features)


def scan_raw(source: Source, columns: Iterable[str] | None = None) -> pl.LazyFrame:
    """The table's columns as they were written."""
    raw = source.lazy() if isinstance(source, pl.DataFrame) else pl.scan_parquet(source, glob=False)
    return raw if columns is None else raw.select(column(name) for name in columns)


def row_count(path: Path) -> int:
    """Rows of the table, from the file's own figures."""
    return int(scan_raw(path).select(pl.len()).collect().item())
