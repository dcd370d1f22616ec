"""The ways to read a file: the fast one first, with more care where its rows, quotes or characters are out of order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rowcast.datasets.names import nearest
from rowcast.datasets.ports import Progress, Report, Storage
from rowcast.datasets.reading import sniffing
from rowcast.datasets.reading.columnar import write_table_from_parquet
from rowcast.datasets.reading.delimited import rewrite_all
from rowcast.datasets.reading.limits import Limits
from rowcast.datasets.reading.survey import Survey, survey
from rowcast.datasets.reading.textfile import TextFile, as_utf8, head_of, open_text
from rowcast.errors import Conflict, InvalidInput, Problem
from rowcast.scoring.files.objects import parts_key
from rowcast.scoring.files.parts import Parts
from rowcast.scoring.files.source import Irregular, Source, TableSource, TextSource
from rowcast.scoring.files.written import AsCsv, AsParquet, AsWritten, Writer

T = TypeVar("T")
Through = Callable[[Source, Parts, str], T]
"""Goes through a source, whose finished parts are these, for an output of that format. May raise Irregular."""


@dataclass(frozen=True)
class Ways:
    """One file of a task, which rewritten copies in ``folder`` stand for where it cannot be read as it is. ``output``
    is csv or parquet, None for the format of the file."""

    storage: Storage
    task_id: str
    content_hash: str
    limits: Limits
    output: str | None
    folder: Path
    report: Report

    def read(self, path: Path, through: Through[T], *, is_table: bool) -> T:
        """What going through it gave; ``is_table`` tells a stored table from an upload.

        Raises:
            Conflict: an upload is not the one that was sent.
            InvalidInput, TooLarge: it is no table, or beyond what a table may hold.
        """
        if is_table:
            return through(TableSource(path), self.parts("table"), self.output or "csv")
        self._check(path)
        if sniffing.file_format(head_of(path)) == "parquet":
            table = self.folder / "table.parquet"
            write_table_from_parquet(path, table, self.limits)
            return through(TableSource(table), self.parts("table"), self.output or "parquet")
        return self._text(path, through)

    def parts(self, way: str) -> Parts:
        """The finished parts of the file, read in that way."""
        return Parts(self.storage, f"{parts_key(self.task_id)}/{way}", self.content_hash)

    def _text(self, path: Path, through: Through[T]) -> T:
        way, text = "written", open_text(path, self.folder, self.limits.max_columns, self._say)
        source = TextSource(text, self.limits)
        while True:
            try:
                return through(source, self.parts(way), self.output or "csv")
            except Irregular as irregular:
                self.parts(way).clear()
                way, source = self._with_more_care(way, source.text, irregular.survey)

    def _with_more_care(self, way: str, text: TextFile, found: Survey | None) -> tuple[str, TextSource]:
        """The same text in UTF-8 where it was not, else written again in plain CSV."""
        limits = self.limits
        found = found or survey(text.path, text.dialect.delimiter, limits.max_line_bytes)
        if found.not_utf8_at is not None:
            text = as_utf8(text, found.not_utf8_at, self.folder, limits.max_columns, self._say)
            return "utf-8", TextSource(text, limits)
        if way == "plain":
            raise InvalidInput(
                "dataset_unreadable", "The rows cannot be read. Save the table as plain CSV (UTF-8) and upload that."
            )
        self._say("Reading row by row: some rows or quotes are irregular")
        names, plain = TextSource(text, limits).names, self.folder / "plain.csv"
        ragged = rewrite_all(text.path, plain, names, text.dialect.delimiter, limits.max_cell_bytes)
        return "plain", TextSource(TextFile(plain, sniffing.Dialect(",", tuple(names))), limits, ragged)

    def _check(self, upload: Path) -> None:
        """Pass when the file is the one that was sent, which is looked at when an earlier attempt left parts of it."""
        if next(iter(self.storage.list(parts_key(self.task_id))), None) is None:
            return
        with upload.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.content_hash:
            raise Conflict(
                "upload_damaged", "The file at the server is no longer the one that was sent: send it again."
            )

    def _say(self, message: str) -> None:
        self.report(Progress(fraction=0.01, stage="read", message=message))


def writer_of(names: Sequence[str], delimiter: str | None, output: str, columns: list[str] | None) -> Writer:
    """How the answers are to stand beside the rows of a text with that delimiter, or of a table, which has none.

    Raises:
        InvalidInput: the file lacks a column that was asked for.
    """
    if output == "csv" and columns is None and delimiter is not None:
        return AsWritten(names, delimiter)
    chosen = names if columns is None else columns
    known = set(names)
    problems = [
        Problem(code="column_unknown", message=_unknown(name, names), field=name)
        for name in chosen
        if name not in known
    ]
    if problems:
        raise InvalidInput("column_unknown", problems[0].message, problems)
    return AsParquet(chosen) if output == "parquet" else AsCsv(chosen)


def _unknown(name: str, names: Sequence[str]) -> str:
    meant = nearest(name, names)
    hint = f"did you mean '{meant}'?" if meant else "see its header for those it has."
    return f"The file has no such column; {hint}"
