"""Delimited text to the stored Parquet table: every column as text, cells as written."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from rowcast.datasets.casts import column
from rowcast.datasets.reading.ragged import RaggedRow
from rowcast.datasets.reading.space import disk_full_is_unavailable
from rowcast.datasets.reading.survey import Survey
from rowcast.datasets.views import TableWarning
from rowcast.errors import InvalidInput, Problem

MOST_RAGGED = 100_000
"""Rows of another width than the header's: beyond, the file is no table."""

_SHOWN_ROWS = 5
_CELLS_PER_ROW_GROUP = 4_000_000
_MAX_ROW_GROUP = 250_000


def write_table(text: Path, target: Path, names: list[str], delimiter: str, found: Survey) -> None:
    """Parse UTF-8 text that the survey found regular into Parquet, as a stream."""
    rows = pl.scan_csv(
        text,
        separator=delimiter,
        has_header=True,
        new_columns=names,
        infer_schema=False,
        empty_string_is_null=False,
        glob=False,
    )
    if found.blank_records and len(names) > 1:
        rows = rows.filter(pl.any_horizontal(pl.all() != ""))
    sink(rows, target, len(names))


def sink(rows: pl.LazyFrame, target: Path, columns: int) -> None:
    """Write the stored table; row groups are small enough for many columns, large enough to compress."""
    group = max(1_000, min(_MAX_ROW_GROUP, _CELLS_PER_ROW_GROUP // max(columns, 1)))
    with disk_full_is_unavailable():
        rows.sink_parquet(target, compression="zstd", compression_level=1, row_group_size=group, statistics=False)


@dataclass
class _Ragged:
    """Rows that are not as wide as the header: those at fault, ``most`` of them, and those with nothing but empty cells
    too many."""

    most: int
    at_fault: list[RaggedRow] = dataclasses.field(default_factory=list)
    wider_by_one: int = 0
    padded: list[int] = dataclasses.field(default_factory=list)
    padded_count: int = 0
    rows: int = 0

    @property
    def enough(self) -> bool:
        """Whether more rows would tell no more of what is wrong."""
        return len(self.at_fault) >= self.most and self.wider_by_one < self.rows


def rewrite(text: Path, target: Path, names: list[str], delimiter: str, max_cell_bytes: int) -> list[TableWarning]:
    """Write the text again in plain CSV with commas under these names, reading quotes leniently and rows with care.

    The slow way, for files with quotes or widths out of order. Raises InvalidInput ``dataset_ragged`` naming the first
    rows that are not as wide as the header, ``dataset_open_quote`` for a quote that is never closed, and
    ``dataset_cell_too_long``. Rows that only have empty cells too many are cut, with a warning.
    """
    ragged = _rewrite(text, target, names, delimiter, max_cell_bytes, _SHOWN_ROWS)
    if ragged.at_fault:
        raise _ragged(ragged, len(names))
    return _cut(ragged)


def rewrite_all(text: Path, target: Path, names: list[str], delimiter: str, max_cell_bytes: int) -> list[RaggedRow]:
    """The same, but rows of another width are cut or filled up with empty cells, and come back, unless no row is as
    wide as the header or more than ``MOST_RAGGED`` are not."""
    ragged = _rewrite(text, target, names, delimiter, max_cell_bytes, MOST_RAGGED + 1)
    at_fault = len(ragged.at_fault)
    if at_fault and (at_fault == ragged.most or at_fault + ragged.padded_count == ragged.rows):
        raise _ragged(ragged, len(names))
    return ragged.at_fault


def _rewrite(text: Path, target: Path, names: list[str], delimiter: str, max_cell_bytes: int, most: int) -> _Ragged:
    ragged, width = _Ragged(most), len(names)
    with text.open(encoding="utf-8-sig", newline="") as read, target.open("w", encoding="utf-8", newline="") as write:
        writer = csv.writer(write, lineterminator="\n")
        for number, (line, record) in enumerate(_records(read, delimiter, max_cell_bytes)):
            writer.writerow([*record[:width], *[""] * (width - len(record))] if number else names)
            ragged.rows = number
            if number and len(record) != width:
                _note(ragged, number, line, record, width)
            if ragged.enough:
                break
    return ragged


def _records(lines: Iterator[str], delimiter: str, max_cell_bytes: int) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row but blank ones."""
    quotes = _QuoteCount(lines)
    reader = csv.reader(quotes, delimiter=delimiter)
    with _cell_limit(max_cell_bytes):
        number, line, last_is_open = 0, 1, False
        try:
            for record in reader:
                multi_line = reader.line_num > line
                if any(cell.strip() for cell in record) or len(record) > 1:
                    yield line, record
                    number += 1
                line = reader.line_num + 1
                last_is_open = multi_line and quotes.since_record % 2 == 1
                quotes.since_record = 0
        except csv.Error as error:
            raise cell_too_long(number, max_cell_bytes) from error
    if number and last_is_open:
        raise _open_quote(number - 1)


class _QuoteCount:
    """Passes lines on and counts the quotes in them: an odd number in the last record means that one is open."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.since_record = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.since_record += line.count('"')
            yield line


@contextmanager
def _cell_limit(max_bytes: int) -> Iterator[None]:
    before = csv.field_size_limit(max_bytes)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _note(ragged: _Ragged, number: int, line: int, record: list[str], width: int) -> None:
    if len(record) > width and not any(cell.strip() for cell in record[width:]):
        ragged.padded_count += 1
        if len(ragged.padded) < _SHOWN_ROWS:
            ragged.padded.append(number)
        return
    ragged.wider_by_one += len(record) == width + 1
    if len(ragged.at_fault) < ragged.most:
        ragged.at_fault.append(RaggedRow(number, line, len(record)))


def _ragged(ragged: _Ragged, width: int) -> InvalidInput:
    problems = [row.problem(width) for row in ragged.at_fault[:_SHOWN_ROWS]]
    if ragged.wider_by_one + ragged.padded_count == ragged.rows:
        advice = "Every row has one cell more than the header: give the first column a name in the header too."
    else:
        advice = "Correct the rows (a cell that holds the delimiter must be in quotes) and upload the file again."
    return InvalidInput("dataset_ragged", f"{problems[0].message} {advice}", problems, columns=width)


def _cut(ragged: _Ragged) -> list[TableWarning]:
    if not ragged.padded_count:
        return []
    message = f"{ragged.padded_count:,} rows have empty cells beyond the header's last column; these were dropped."
    return [
        TableWarning(code="ragged_rows", message=message, rows=ragged.padded, values={"count": ragged.padded_count})
    ]


def cell_too_long(row: int, max_bytes: int, field: str | None = None) -> InvalidInput:
    """The error for a cell beyond the limit."""
    return InvalidInput(
        "dataset_cell_too_long",
        f"Row {row:,} has a cell of more than {max_bytes:,} bytes: shorten it, or close the quote opened there.",
        [Problem(code="cell_too_long", message=f"At most {max_bytes:,} bytes fit in a cell.", row=row, field=field)],
    )


def _open_quote(row: int) -> InvalidInput:
    return InvalidInput(
        "dataset_open_quote",
        f"A quote is opened in row {row:,} and never closed. Close it, or remove it, and upload the file again.",
        [Problem(code="open_quote", message="A quote is opened here and never closed.", row=row)],
    )


def refuse_long_cells(rows: pl.LazyFrame, max_bytes: int) -> None:
    """InvalidInput ``dataset_cell_too_long`` naming the first row and column with a cell beyond the limit."""
    texts = [column(name) for name, dtype in rows.collect_schema().items() if dtype == pl.String]
    if not texts:
        return
    longest = rows.select(text.str.len_bytes().max() for text in texts).collect(engine="streaming").row(0, named=True)
    for name, size in longest.items():
        if (size or 0) > max_bytes:
            at = pl.arg_where(column(name).str.len_bytes() > max_bytes).first()
            raise cell_too_long(int(rows.select(at).collect(engine="streaming").item()) + 1, max_bytes, name)
