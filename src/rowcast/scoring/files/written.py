"""Answers beside the rows of a part, as bytes of CSV or Parquet, and parts put together to one file."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import polars as pl

from rowcast.datasets.ports import Storage
from rowcast.datasets.reading.delimited import sink
from rowcast.scoring.files.source import Chunk

ERROR_COLUMNS = ("row", "field", "code", "message")
"""Of the file that says what is wrong with rows."""

Format = Literal["csv", "parquet"]


class Writer(Protocol):
    """How the answers stand beside the rows."""

    def part(self, chunk: Chunk, answers: pl.DataFrame) -> bytes:
        """A part's rows with their answers."""
        ...

    def join(self, storage: Storage, parts: Iterable[str], answers: Sequence[str], target: Path) -> None:
        """The parts, by key and in order, as one file; ``answers`` are the names of the columns added."""
        ...


@dataclass(frozen=True, slots=True)
class AsWritten:
    """CSV whose rows stay as they came in, byte by byte, with the answers after them."""

    names: Sequence[str]
    delimiter: str

    def part(self, chunk: Chunk, answers: pl.DataFrame) -> bytes:
        assert chunk.lines is not None
        columns = [_written(column, self.delimiter).alias(str(place)) for place, column in enumerate(answers)]
        written = io.BytesIO()
        rows = pl.DataFrame([chunk.lines.alias("line"), *columns])
        rows.write_csv(written, include_header=False, separator=self.delimiter, quote_style="never")
        return written.getvalue()

    def join(self, storage: Storage, parts: Iterable[str], answers: Sequence[str], target: Path) -> None:
        join_text(storage, header([*self.names, *apart(answers, self.names)], self.delimiter), parts, target)


@dataclass(frozen=True, slots=True)
class AsCsv:
    """CSV of these columns and the answers."""

    columns: Sequence[str]

    def part(self, chunk: Chunk, answers: pl.DataFrame) -> bytes:
        texts = [_texts(column) if column.dtype.is_float() else column for column in answers]
        beside = pl.DataFrame(texts).rename(_renamed(answers.columns, self.columns))
        return chunk.frame.select(self.columns).hstack(beside).write_csv(include_header=False).encode()

    def join(self, storage: Storage, parts: Iterable[str], answers: Sequence[str], target: Path) -> None:
        join_text(storage, header([*self.columns, *apart(answers, self.columns)]), parts, target)


@dataclass(frozen=True, slots=True)
class AsParquet:
    """Parquet of these columns and the answers."""

    columns: Sequence[str]

    def part(self, chunk: Chunk, answers: pl.DataFrame) -> bytes:
        written = io.BytesIO()
        beside = answers.rename(_renamed(answers.columns, self.columns))
        frame = chunk.frame.select(self.columns).hstack(beside)
        frame.write_parquet(written, compression="zstd", compression_level=1, statistics=False)
        return written.getvalue()

    def join(self, storage: Storage, parts: Iterable[str], answers: Sequence[str], target: Path) -> None:
        with ExitStack() as stack:
            paths = [stack.enter_context(storage.local(part)) for part in parts]
            sink(pl.scan_parquet(paths, glob=False), target, len(self.columns) + len(answers))


def apart(answers: Iterable[str], names: Iterable[str]) -> list[str]:
    """The names of the answers' columns, told from those of the file."""
    taken, found = set(names), []
    for name in answers:
        while name in taken:
            name = f"rowcast_{name}"
        taken.add(name)
        found.append(name)
    return found


def header(names: Sequence[str], delimiter: str = ",") -> bytes:
    """A line of CSV with these names."""
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\n").writerow(names)
    return written.getvalue().encode()


def join_text(storage: Storage, first: bytes, parts: Iterable[str], target: Path) -> None:
    """The bytes of objects one after the other, behind a first line."""
    with target.open("wb") as file:
        file.write(first)
        for key in parts:
            with storage.open(key) as part:
                shutil.copyfileobj(part, file, 2**20)


def _renamed(answers: Sequence[str], names: Iterable[str]) -> dict[str, str]:
    return dict(zip(answers, apart(answers, names), strict=True))


def _written(column: pl.Series, delimiter: str) -> pl.Series:
    """The column's cells as CSV has them."""
    if column.dtype.is_float():
        return _texts(column)
    plain = column.drop_nulls().unique()
    quoted = [header([text], delimiter)[:-1].decode() for text in plain]
    return column.replace_strict(plain, quoted, default=None, return_dtype=pl.String)


def _texts(numbers: pl.Series) -> pl.Series:
    """Numbers as JSON and Python write them, nothing for null."""
    texts, sizes = numbers.cast(pl.String), numbers.abs()
    # The very small and very large ones have an exponent, which polars writes otherwise.
    unusual = (~((sizes >= 1e-4) & (sizes < 1e16)) & (sizes != 0)).arg_true()
    if not unusual.len():
        return texts
    return texts.scatter(unusual, [repr(number) for number in numbers.gather(unusual).to_list()])
