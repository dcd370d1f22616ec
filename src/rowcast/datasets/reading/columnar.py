"""An uploaded Parquet file to the stored table: flat columns in their own types."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rowcast.datasets.casts import column
from rowcast.datasets.reading.delimited import refuse_long_cells, sink
from rowcast.datasets.reading.headers import clean_header
from rowcast.datasets.reading.limits import Limits
from rowcast.datasets.reading.sniffing import no_rows, refuse_long, refuse_wide
from rowcast.datasets.views import TableWarning
from rowcast.errors import InvalidInput, Problem

_BLOCK_CELLS = 16_000_000
_PLAIN = (pl.String, pl.Boolean, pl.Date, pl.Decimal, pl.Null)


def write_table_from_parquet(source: Path, target: Path, limits: Limits) -> list[TableWarning]:
    """Copy the file's columns with cleaned names; InvalidInput for nested columns and for files that cannot be read."""
    try:
        rows = pl.scan_parquet(source, glob=False, hive_partitioning=False)
        schema = rows.collect_schema()
        if not schema:
            raise no_rows()
        refuse_wide(len(schema), limits.max_columns)
        count = int(rows.select(pl.len()).collect().item())
        refuse_long(count, limits.max_rows)
        rows = _in_blocks(rows, count, len(schema))
        names, warnings = clean_header(schema.names())
        columns = [_flat(old, dtype).alias(new) for (old, dtype), new in zip(schema.items(), names, strict=True)]
        # Before it is copied: a long cell that a thousand rows have is in the file only once.
        refuse_long_cells(rows, limits.max_cell_bytes)
        sink(rows.select(columns), target, len(columns))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise InvalidInput(
            "dataset_unreadable", "The Parquet file is damaged or not complete. Write it again and upload it again."
        ) from error
    return warnings


def _in_blocks(rows: pl.LazyFrame, count: int, columns: int) -> pl.LazyFrame:
    """The same rows, read a block after the other: a row group is in memory at once, and a few bytes can say that a
    hundred million rows of one group are all the same."""
    step = max(1_000, _BLOCK_CELLS // columns)
    if count <= step:
        return rows
    return pl.concat([rows.slice(start, step) for start in range(0, count, step)])


def _flat(name: str, dtype: pl.DataType) -> pl.Expr:
    cells = column(name)
    if isinstance(dtype, _PLAIN) or dtype.is_numeric():
        return cells.cast(pl.String) if dtype == pl.Null else cells
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return cells.cast(pl.String)
    if isinstance(dtype, pl.Datetime):
        return cells.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else cells
    message = f"Column {name} holds {_plain_name(dtype)}; a table's columns hold numbers, text, dates or yes and no."
    problem = Problem(code="unsupported_type", message=message, field=name)
    advice = "Leave the column out or write it as plain columns, and upload the file again."
    raise InvalidInput("dataset_unsupported_type", f"{message} {advice}", [problem])


def _plain_name(dtype: pl.DataType) -> str:
    if dtype.is_nested():
        return "nested values (lists or records)"
    return f"values of type {dtype.base_type().__name__.lower()}"
