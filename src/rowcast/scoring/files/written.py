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

Format = Literal["csv", "parquet"]


class Writer(Protocol):
    """How the answers stand beside the rows."""

    def part(self, chunk: Chunk, answers: pl.DataFrame) -> bytes:
        """A part's rows with their answers."""
        ...

    def join(self, storage: Storage, parts: Sequence[str], answers: Sequence[str], target: Path) -> None:
        """The parts, by key and in order, as one file; ``answers`` are the names of the columns added."""
        ...


@dataclass(frozen=True, slots=True)
class AsWritten:
    """CSV whose rows stay as they came in, byte by byte, with the answers after them."""

    names: Sequence[str]
    delimiter: str

    def part(self, chunk: Chunk, answers: pl.DataFrame) -> bytes:
        assert chunk.lines is not None
        columns = [_cells(column, self.delimiter) for column in answers]
        rows = map(self.delimiter.encode().join, zip(chunk.lines, *columns, strict=True))
        return b"\n".join(rows) + b"\n"

    def join(self, storage: Storage, parts: Sequence[str], answers: Sequence[str], target: Path) -> None:
        join_text(storage, header([*self.names, *apart(answers, self.names)], self.delimiter), parts, target)


@dataclass(frozen=True, slots=True)
class AsCsv:
    """CSV of these columns and the answers."""

    columns: Sequence[str]

    def part(self, chunk: Chunk, answers: pl.DataFrame) -> bytes:
        texts = [pl.Series(column.name, _texts(column)) if column.dtype.is_float() else column for column in answers]
        beside = pl.DataFrame(texts).rename(_renamed(answers.columns, self.columns))
        return chunk.frame.select(self.columns).hstack(beside).write_csv(include_header=False).encode()

    def join(self, storage: Storage, parts: Sequence[str], answers: Sequence[str], target: Path) -> None:
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

    def join(self, storage: Storage, parts: Sequence[str], answers: Sequence[str], target: Path) -> None:
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


def _cells(column: pl.Series, delimiter: str) -> list[bytes]:
    """The column's cells as CSV has them."""
    if column.dtype.is_float():
        return list(map(str.encode, _texts(column)))
    quoted = {text: header([text], delimiter)[:-1] for text in column.unique().drop_nulls()} | {None: b""}
    return [quoted[text] for text in column.to_list()]


def _texts(numbers: pl.Series) -> list[str]:
    """Numbers as JSON and Python write them, nothing for null."""
    if not numbers.null_count():
        return list(map(repr, numbers.to_list()))
    return ["" if number is None else repr(number) for number in numbers.to_list()]
