"""Where the rows come from: text or a stored table, a part at a time, parts cut the same at every attempt."""

from __future__ import annotations

import codecs
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from rowcast.datasets.reading.delimited import cell_too_long
from rowcast.datasets.reading.headers import clean_header
from rowcast.datasets.reading.limits import Limits
from rowcast.datasets.reading.ragged import RaggedRow
from rowcast.datasets.reading.sniffing import Dialect, refuse_long
from rowcast.datasets.reading.survey import Ends, Mask, Survey, survey
from rowcast.datasets.reading.textfile import TextFile
from rowcast.datasets.table import row_count, scan_raw
from rowcast.scoring.files.cells import Fault

PART_BYTES = 8 * 2**20
PART_CELLS = 2_000_000
"""A part of a table ends after so many cells, a part of a text after so many bytes or cells, with the row's end."""

NARROWEST = 20
"""A narrower table counts as having so many columns: its rows are scored with all that the model has."""


class Part(BaseModel):
    """Some of a source's rows: from ``start`` to ``end``, in bytes of a text or rows of a table."""

    model_config = ConfigDict(frozen=True)

    number: int
    start: int
    end: int
    first_row: int
    """The number of its first row; the table's first is 1."""
    row_count: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """The rows of a part: as columns, and of a text also as they are written, without line ends. ``faults`` are of rows
    that could not be read as the table has them."""

    frame: pl.DataFrame
    lines: pl.Series | None = None
    faults: Sequence[Fault] = ()


OnPart = Callable[[Part], None]


class Rows(Protocol):
    """What is read in parts."""

    @property
    def names(self) -> list[str]: ...

    def read(self, part: Part) -> Chunk:
        """The rows of a part; called from any thread.

        Raises:
            Irregular: a text has rows or quotes out of order, or is not UTF-8; the parts so far are worth nothing.
            InvalidInput: a cell is too long.
        """
        ...


class Source(Rows, Protocol):
    """A file here that is cut into parts. ``size`` is in the unit of a part's ``start`` and ``end``; a table has no
    delimiter."""

    @property
    def path(self) -> Path: ...

    @property
    def delimiter(self) -> str | None: ...

    @property
    def size(self) -> int: ...

    def cut(self, on_part: OnPart) -> None:
        """Hand all parts over, in order.

        Raises:
            Irregular: as above.
            InvalidInput, TooLarge: it is no table, or beyond what a table may hold.
        """
        ...


class Irregular(Exception):
    """The text cannot be read the fast way; ``survey`` is what all of it shows, where that is known."""

    def __init__(self, found: Survey | None = None) -> None:
        super().__init__("the text is irregular")
        self.survey = found


class TextRows:
    """Rows of delimited text that stay as they are written; ``ragged`` are those whose cells are not. ``content`` gives
    the text's bytes from one place to another."""

    def __init__(
        self, dialect: Dialect, limits: Limits, ragged: Sequence[RaggedRow], content: Callable[[int, int], bytes]
    ) -> None:
        self.names, _ = clean_header(dialect.header)
        self.delimiter = dialect.delimiter
        self.ragged = ragged
        self._limits = limits
        self._content = content

    def read(self, part: Part) -> Chunk:
        content = self._content(part.start, part.end)
        try:
            lines, plain = self._lines(content, part.row_count)
            frame = _cells(plain, self.delimiter, self.names)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, UnicodeDecodeError) as error:
            raise Irregular from error
        if frame.height != part.row_count or lines.len() != part.row_count or frame.columns != self.names:
            raise Irregular
        if (lines.str.len_bytes() > self._limits.max_cell_bytes).any():
            _refuse_long_cells(frame, part, self._limits.max_cell_bytes)
        return Chunk(frame, lines, self._faults(part))

    def _faults(self, part: Part) -> list[Fault]:
        """The ragged rows of a part."""
        first, end = (bisect_left(self.ragged, part.first_row + count, key=_number) for count in (0, part.row_count))
        rows = self.ragged[first:end]
        problems = [row.problem(len(self.names)) for row in rows]
        places = [np.array([row.number - part.first_row]) for row in rows]
        return [Fault("", found.code, found.message, place) for found, place in zip(problems, places, strict=True)]

    def _lines(self, content: bytes, rows: int) -> tuple[pl.Series, bytes]:
        """The rows as written, without line ends and blank lines, and the text that holds no others."""
        found = _cells(content, "\0", ["line"], quotes=False)["line"]
        if found.len() == rows and not content.startswith(codecs.BOM_UTF8):  # which is taken for the text's own
            return found, content
        written = [content[start:end].removesuffix(b"\r") for start, end in _records(content)]
        lines = written if len(self.names) == 1 else [line for line in written if line]
        plain = content if len(written) == len(lines) else b"\n".join(lines)
        return pl.Series([line.decode() for line in lines], dtype=pl.String), plain


class TextSource(TextRows):
    """A file of delimited text."""

    def __init__(self, text: TextFile, limits: Limits, ragged: Sequence[RaggedRow] = ()) -> None:
        super().__init__(text.dialect, limits, ragged, self._bytes)
        self.text = text
        self.path = text.path
        self.size = text.path.stat().st_size

    def cut(self, on_part: OnPart) -> None:
        cutter = _Cutter(self._within(on_part), _part_rows(self.names), keep_blank=len(self.names) == 1)
        found = survey(self.path, self.delimiter, self._limits.max_line_bytes, cutter.take)
        if found.not_utf8_at is not None or not found.is_regular(len(self.names)):
            raise Irregular(found)
        cutter.finish()

    def _within(self, on_part: OnPart) -> OnPart:
        """The same for the parts of a table that has no more rows than it may."""

        def within(part: Part) -> None:
            refuse_long(part.first_row - 1 + part.row_count, self._limits.max_rows)
            on_part(part)

        return within

    def _bytes(self, start: int, end: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)


class TableSource:
    """A stored table, or a Parquet file made one."""

    def __init__(self, path: Path) -> None:
        self.names = scan_raw(path).collect_schema().names()
        self.size = row_count(path)
        self.delimiter: str | None = None
        self.path = path

    def cut(self, on_part: OnPart) -> None:
        rows = _part_rows(self.names)
        for number, start in enumerate(range(0, self.size, rows)):
            end = min(start + rows, self.size)
            on_part(Part(number=number, start=start, end=end, first_row=start + 1, row_count=end - start))

    def read(self, part: Part) -> Chunk:
        return Chunk(scan_raw(self.path).slice(part.start, part.row_count).collect())


def _part_rows(names: Sequence[str]) -> int:
    return max(1, PART_CELLS // max(NARROWEST, len(names)))


def _number(row: RaggedRow) -> int:
    return row.number


class _Cutter:
    """Gathers records into parts. The first record that is not blank is the header."""

    def __init__(self, on_part: OnPart, most_rows: int, *, keep_blank: bool) -> None:
        self._on_part = on_part
        self._most_rows = most_rows
        self._keep_blank = keep_blank
        self._start: int | None = None
        self._end = 0
        self._number, self._first_row, self._rows = 0, 1, 0

    def take(self, ends: Ends, blank: Mask) -> None:
        if self._start is None:
            (written,) = np.nonzero(~blank)
            if not len(written):
                return
            self._start = self._end = int(ends[written[0]])
            ends, blank = ends[written[0] + 1 :], blank[written[0] + 1 :]
        while len(ends):
            ends, blank = self._take_some(self._start, ends, blank)

    def finish(self) -> None:
        """The last part."""
        self._cut()

    def _take_some(self, start: int, ends: Ends, blank: Mask) -> tuple[Ends, Mask]:
        """Take records up to the end of a part; the others come back."""
        rows = np.cumsum(np.ones_like(blank) if self._keep_blank else ~blank) + self._rows
        full = (ends >= start + PART_BYTES) | (rows >= self._most_rows)
        count = int(full.argmax()) + 1 if full.any() else len(ends)
        self._rows, self._end = int(rows[count - 1]), int(ends[count - 1])
        if full.any():
            self._cut()
        return ends[count:], blank[count:]

    def _cut(self) -> None:
        if self._start is None or not self._rows:
            return
        part = Part(
            number=self._number, start=self._start, end=self._end, first_row=self._first_row, row_count=self._rows
        )
        self._number, self._first_row = self._number + 1, self._first_row + self._rows
        self._start, self._rows = self._end, 0
        self._on_part(part)


def _records(content: bytes) -> Iterator[tuple[int, int]]:
    """Where the records of a text begin and end, line ends not counted; line breaks within quotes end none."""
    codes = np.frombuffer(content, np.uint8)
    breaks, quotes = np.flatnonzero(codes == ord("\n")), np.flatnonzero(codes == ord('"'))
    ends = breaks[np.searchsorted(quotes, breaks) % 2 == 0].tolist()
    if not ends or ends[-1] != len(content) - 1:
        ends.append(len(content))
    return zip([0, *(end + 1 for end in ends[:-1])], ends, strict=True)


def _cells(content: bytes, delimiter: str, names: list[str], *, quotes: bool = True) -> pl.DataFrame:
    """Text as columns of cells as written. Zero bytes, of which a survey leaves none, delimit nothing."""
    return pl.read_csv(
        content,
        separator=delimiter,
        quote_char='"' if quotes else None,
        has_header=False,
        new_columns=names,
        infer_schema=False,
        empty_string_is_null=False,
    )


def _refuse_long_cells(frame: pl.DataFrame, part: Part, max_bytes: int) -> None:
    for column in frame:
        too_long = (column.str.len_bytes() > max_bytes).arg_true()
        if len(too_long):
            raise cell_too_long(part.first_row + too_long[0], max_bytes, column.name)
