"""Job: an uploaded file becomes a stored table with its schema and profile."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from rowcast.datasets.inference.cells import gather, glance
from rowcast.datasets.inference.inference import check_kinds, hints_of, infer
from rowcast.datasets.objects import preview_key, source_key, table_key
from rowcast.datasets.ports import Progress, Report, Storage
from rowcast.datasets.profile.profiling import measure, summarise, with_ranges
from rowcast.datasets.reading import sniffing
from rowcast.datasets.reading.columnar import write_table_from_parquet
from rowcast.datasets.reading.delimited import refuse_long_cells, rewrite, write_table
from rowcast.datasets.reading.headers import clean_header
from rowcast.datasets.reading.space import disk_full_is_unavailable
from rowcast.datasets.reading.survey import Survey, survey
from rowcast.datasets.reading.transcoding import transcode
from rowcast.datasets.schema import MISSING_TOKENS, FeatureSchema
from rowcast.datasets.table import row_count, scan_raw
from rowcast.datasets.views import Preview, TableProfile, TableWarning
from rowcast.errors import InvalidInput, NotFound

_PREVIEW_ROWS = 100
_PREVIEW_CHARACTERS = 500
_LINE_CELLS = 100
"""A line may be as long as this many cells of the longest kind."""


@dataclass(frozen=True)
class Limits:
    """What one table may hold at most."""

    max_columns: int
    max_cell_bytes: int

    @property
    def max_line_bytes(self) -> int:
        return _LINE_CELLS * self.max_cell_bytes


def import_table(
    storage: Storage,
    report: Report,
    *,
    source_key: str,
    content_hash: str,
    filename: str,
    kinds: dict[str, str],
    limits: dict[str, Any],
) -> dict[str, Any]:
    """Read the uploaded bytes, store them as ``datasets/<content_hash>/``, and say what they hold.

    Returns ``row_count``, ``size_bytes`` and, as JSON, ``schema`` and ``profile``. The uploaded object moves to
    ``datasets/<content_hash>/source``; a second run finds it there. After a failure only what was there before is left.
    """
    source = _find_source(storage, source_key, content_hash)
    bounds = Limits(max_columns=int(limits["max_columns"]), max_cell_bytes=int(limits["max_cell_bytes"]))
    size = storage.size(source)
    with tempfile.TemporaryDirectory(prefix="rowcast-import-") as folder, disk_full_is_unavailable():
        table = Path(folder) / "table.parquet"
        report(Progress(fraction=0.02, stage="read", message="Looking at the file"))
        with storage.local(source) as path:
            written = _Importer(path, Path(folder), bounds, report).write(table)
        schema, profile = _describe(table, kinds, written, report)
        report(Progress(fraction=0.95, stage="store", message="Storing the table"))
        _store(storage, table, source, content_hash)
    report(Progress(fraction=1.0, stage="store", message=f"Imported {profile.row_count:,} rows"))
    return {
        "row_count": profile.row_count,
        "size_bytes": size,
        "schema": schema.model_dump(mode="json"),
        "profile": profile.model_dump(mode="json"),
    }


@dataclass(frozen=True)
class _Written:
    """What reading the file has shown besides the table itself."""

    warnings: list[TableWarning]
    delimiter: str | None


class _Importer:
    """One uploaded file on its way to a Parquet table, with temporary files in a folder of its own."""

    def __init__(self, source: Path, folder: Path, limits: Limits, report: Report) -> None:
        self._source = source
        self._folder = folder
        self._limits = limits
        self._report = report

    def write(self, table: Path) -> _Written:
        head = _head(self._source)
        if sniffing.file_format(head) == "parquet":
            self._say(0.1, "Reading the Parquet file")
            written = _Written(write_table_from_parquet(self._source, table, self._limits.max_columns), None)
        else:
            written = self._write_text(head, table)
        if row_count(table) == 0:
            raise sniffing.no_rows()
        return written

    def _write_text(self, head: bytes, table: Path) -> _Written:
        text = self._as_lines_of_bytes(head)
        dialect = self._dialect(text)
        self._say(0.1, "Checking rows and quotes")
        found = survey(text, dialect.delimiter, self._limits.max_line_bytes)
        if found.not_utf8_at is not None:
            encoding = sniffing.narrow_encoding(_sample(text, found.not_utf8_at))
            self._say(0.15, f"Reading the text as {encoding.upper()}")
            text = self._transcoded(text, encoding)
            dialect = self._dialect(text)
        names, warnings = clean_header(dialect.header)
        warnings += self._parse(text, table, names, dialect.delimiter, found)
        if found.longest_record > self._limits.max_cell_bytes:
            refuse_long_cells(table, self._limits.max_cell_bytes)
        return _Written(warnings, dialect.delimiter)

    def _as_lines_of_bytes(self, head: bytes) -> Path:
        """The text in an encoding of which ASCII is a part, with line ends that the parser knows."""
        encoding = sniffing.wide_encoding(head)
        if encoding is None:
            sniffing.refuse_junk(head)
        sniffing.refuse_endless_line(head, encoding)
        lone_returns = sniffing.cr_ends_lines(head, encoding)
        if encoding in (None, "utf-8") and not lone_returns:
            return self._source
        self._say(0.05, "Rewriting the text as UTF-8")
        return self._transcoded(self._source, encoding or "latin-1", cr_ends_lines=lone_returns)

    def _transcoded(self, text: Path, encoding: str, *, cr_ends_lines: bool = False) -> Path:
        target = self._folder / f"text-{encoding}.csv"
        transcode(text, target, encoding, cr_ends_lines=cr_ends_lines)
        return target

    def _dialect(self, text: Path) -> sniffing.Dialect:
        head = _head(text)
        is_whole = len(head) < sniffing.HEAD_BYTES
        return sniffing.sniff_dialect(sniffing.as_text(head), self._limits.max_columns, is_whole_file=is_whole)

    def _parse(self, text: Path, table: Path, names: list[str], delimiter: str, found: Survey) -> list[TableWarning]:
        """Fast when the survey found nothing odd and the parser agrees; else with care, row by row."""
        self._say(0.2, f"Reading {found.records:,} rows")
        if found.is_regular(len(names)):
            try:
                write_table(text, table, names, delimiter, found)
                return []
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
                self._say(0.25, "Reading row by row: the parser found a row out of order")
        else:
            self._say(0.25, "Reading row by row: some rows or quotes are irregular")
        return self._parse_with_care(text, table, names, delimiter)

    def _parse_with_care(self, text: Path, table: Path, names: list[str], delimiter: str) -> list[TableWarning]:
        plain = self._folder / "plain.csv"
        warnings = rewrite(text, plain, names, delimiter, self._limits.max_cell_bytes)
        try:
            write_table(plain, table, names, ",", survey(plain, ",", 2 * self._limits.max_line_bytes))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise InvalidInput(
                "dataset_unreadable", "The rows cannot be read. Save the table as plain CSV (UTF-8) and upload that."
            ) from error
        return warnings

    def _say(self, fraction: float, message: str) -> None:
        self._report(Progress(fraction=fraction, stage="read", message=message))


def _describe(
    table: Path, kinds: Mapping[str, str], written: _Written, report: Report
) -> tuple[FeatureSchema, TableProfile]:
    """Schema and profile of the written table, column by column."""
    names = scan_raw(table).collect_schema().names()
    told = check_kinds(kinds, names)
    report(Progress(fraction=0.5, stage="profile", message=f"Looking at {len(names):,} columns"))
    hints = hints_of(glance(table, MISSING_TOKENS), written.delimiter)
    features, measured = [], []
    for position, cells in enumerate(gather(table, MISSING_TOKENS)):
        guess = infer(cells, hints, told.get(cells.name), is_first=position == 0)
        measured.append(measure(table, guess, cells, MISSING_TOKENS))
        features.append(with_ranges(guess, measured[-1]))
        message = f"Profiled {position + 1:,} of {len(names):,} columns"
        report(Progress(fraction=0.55 + 0.38 * (position + 1) / len(names), stage="profile", message=message))
    schema = FeatureSchema(features=tuple(features))
    profile = summarise(table, schema, measured)
    return schema, profile.model_copy(update={"warnings": [*written.warnings, *profile.warnings]})


def _find_source(storage: Storage, key: str, content_hash: str) -> str:
    for candidate in (key, source_key(content_hash)):
        if storage.exists(candidate):
            return candidate
    raise NotFound("upload_not_found", "The uploaded file is gone. Upload it again.")


def _store(storage: Storage, table: Path, source: str, content_hash: str) -> None:
    """Put the table and its preview, then move the source; when that fails, what was not there before goes again."""
    keys = table_key(content_hash), preview_key(content_hash)
    new = [key for key in keys if not storage.exists(key)]
    try:
        storage.put(preview_key(content_hash), _preview(table).model_dump_json().encode())
        storage.put_file(table_key(content_hash), table, move=True)
        if source != source_key(content_hash):
            storage.move(source, source_key(content_hash))
    except BaseException:
        for key in new:
            storage.delete(key)
        raise


def _preview(table: Path) -> Preview:
    """The first rows as they were written, very long cells cut; what Parquet types is written as polars writes it."""
    first = scan_raw(table).head(_PREVIEW_ROWS).collect().cast(pl.String).select(pl.all().str.head(_PREVIEW_CHARACTERS))
    return Preview(columns=first.columns, rows=[list(row) for row in first.rows()], row_count=row_count(table))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(sniffing.HEAD_BYTES)


def _sample(path: Path, place: int) -> bytes:
    """Bytes around a place, enough to guess an encoding by."""
    with path.open("rb") as file:
        file.seek(max(0, place - 2**16))
        return file.read(2**18)
