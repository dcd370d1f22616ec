"""Rows to predict, from a file, from stdin or from the command line, one at a time.

Cells of a CSV stay text: the server reads them with the model's own schema, as it read the training table. Encoding,
delimiter and header are found by the same functions that an upload goes through, so one file means one thing.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rowcast.datasets.reading.headers import clean_header
from rowcast.datasets.reading.ragged import RaggedRow
from rowcast.datasets.reading.sniffing import HEAD_BYTES, file_format, narrow_encoding, sniff_dialect, wide_encoding
from rowcast.errors import InvalidInput, Problem

SAMPLE_LETTERS = 256 * 1024
MOST_COLUMNS = 1_000_000
LONGEST_CELL = 2**20
BLOCK = 2**20

Row = dict[str, Any]


@dataclass(frozen=True)
class Unread:
    """What there is of a row that has more or fewer cells than the header, and what is wrong with it."""

    row: Row
    problem: Problem


@dataclass(frozen=True)
class Rows:
    """Rows as they come, the columns where the format names them first, and the delimiter of a CSV.

    ``typed`` is whether they were written by hand on the command line, where an unknown name is a slip of the pen.
    """

    rows: Iterator[Row | Unread]
    columns: list[str] | None = None
    delimiter: str = ","
    typed: bool = False


@contextmanager
def reading(source: str) -> Iterator[Rows]:
    """The rows of a CSV, JSON, JSON-lines or Parquet file, of ``-`` (stdin), or of JSON written out.

    Raises:
        InvalidInput: there is no such file, or it is not what its name says; also while the rows are read.
    """
    if source.lstrip()[:1] in ("{", "["):
        yield Rows(_objects(_parsed(source, "The JSON")), typed=True)
        return
    with ExitStack() as stack:
        if source == "-":
            yield _from_stream(stack.enter_context(_spooled()), "", stack)
        else:
            path = Path(source)
            yield _from_stream(stack.enter_context(_open(path)), path.suffix.lower(), stack)


def _spooled() -> IO[bytes]:
    """All of stdin, as a file that can be read twice."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    while block := sys.stdin.buffer.read(BLOCK):
        spool.write(block)
    spool.seek(0)
    return spool


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise InvalidInput("file_unreadable", f"{path}: {error.strerror}.") from None


def _from_stream(file: IO[bytes], suffix: str, stack: ExitStack) -> Rows:
    if not suffix:
        suffix = ".json" if file.read(4096).lstrip()[:1] in (b"{", b"[") else ".csv"
        file.seek(0)
    if suffix in (".json", ".jsonl", ".ndjson"):
        text = stack.enter_context(io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace"))
        return _json(text) if suffix == ".json" else Rows(_json_lines(text))
    return _csv(file, stack)


def encoding_of(file: IO[bytes]) -> str:
    """The encoding as an upload of the file would be read: UTF-8 when all of it is. Leaves the file at its start.

    Raises:
        InvalidInput: it is no text.
    """
    wide = wide_encoding(file.read(HEAD_BYTES))
    file.seek(0)
    if wide is not None:
        return "utf-8-sig" if wide == "utf-8" else wide
    decoder = codecs.getincrementaldecoder("utf-8")()
    block = b""
    try:
        while block := file.read(BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return narrow_encoding(b"\n".join(line for line in block.splitlines() if not line.isascii()))
    finally:
        file.seek(0)
    return "utf-8"


def _json(text: IO[str]) -> Rows:
    content = text.read()
    try:
        return Rows(_objects(json.loads(content)))
    except ValueError:
        lines = io.StringIO(content)  # several objects, one to a line, under the name of JSON
        return Rows(_json_lines(lines))


def _json_lines(text: IO[str]) -> Iterator[Row]:
    for number, line in enumerate(text, 1):
        if line.strip():
            yield from _objects([_parsed(line, f"Line {number}")], number)


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidInput("json_invalid", f"{what} cannot be read as JSON.") from None


def _objects(data: Any, first: int = 1) -> Iterator[Row]:
    rows = data if isinstance(data, list) else [data]
    for number, row in enumerate(rows, first):
        if not isinstance(row, dict):
            problem = Problem(code="row_not_object", message="must be an object of names and values", row=number)
            raise InvalidInput("row_not_object", "A row is not an object.", [problem])
        yield row


def _csv(file: IO[bytes], stack: ExitStack) -> Rows:
    if file_format(file.read(HEAD_BYTES)) == "parquet":
        file.seek(0)
        return _parquet(file)
    file.seek(0)
    text = stack.enter_context(io.TextIOWrapper(file, encoding=encoding_of(file), newline=""))
    sample = _guarded(text.read, SAMPLE_LETTERS)
    delimiter = sniff_dialect(sample, MOST_COLUMNS, is_whole_file=len(sample) < SAMPLE_LETTERS).delimiter
    text.seek(0)
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(text, delimiter=delimiter)
    header, _ = clean_header(_guarded(next, reader, []))
    return Rows(_csv_rows(reader, header), header, delimiter)


def _csv_rows(reader: Any, header: list[str]) -> Iterator[Row | Unread]:
    number, line = 0, reader.line_num + 1
    while (cells := _guarded(next, reader, None)) is not None:
        begins, line = line, reader.line_num + 1
        if not any(cell.strip() for cell in cells) and len(cells) <= 1:
            continue
        number += 1
        row = dict(zip(header, cells, strict=False))
        if len(cells) < len(header) or any(cell.strip() for cell in cells[len(header) :]):
            yield Unread(row, RaggedRow(number, begins, len(cells)).problem(len(header)))
        else:
            yield row
    if not number:
        raise InvalidInput("file_no_rows", "The file has a header but no rows.")


def _guarded(step: Callable[..., Any], *arguments: Any) -> Any:
    """What the step returns, with the complaints of reading as InvalidInput."""
    try:
        return step(*arguments)
    except csv.Error as error:
        raise InvalidInput("csv_unreadable", f"The file cannot be read as CSV: {error}.") from None
    except UnicodeDecodeError:
        raise InvalidInput("encoding_unreadable", "The encoding is not clear. Save the file as UTF-8.") from None


def _parquet(file: IO[bytes]) -> Rows:
    import polars

    try:
        frame = polars.read_parquet(file)
    except polars.exceptions.PolarsError:
        raise InvalidInput("parquet_unreadable", "The file cannot be read as Parquet.") from None
    # What a file calls "not a number" is a value that is not known, as an empty cell is.
    return Rows(frame.fill_nan(None).iter_rows(named=True), frame.columns)
