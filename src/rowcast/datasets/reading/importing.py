"""Job: an uploaded file becomes a stored table with its schema and profile."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
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
from rowcast.datasets.reading.limits import Limits
from rowcast.datasets.reading.space import disk_full_is_unavailable
from rowcast.datasets.reading.survey import Survey, survey
from rowcast.datasets.reading.textfile import as_utf8, head_of, open_text
from rowcast.datasets.schema import MISSING_TOKENS, FeatureSchema
from rowcast.datasets.table import row_count, scan_raw
from rowcast.datasets.views import Preview, TableProfile, TableWarning
from rowcast.errors import InvalidInput, NotFound

_PREVIEW_ROWS = 100
_PREVIEW_CHARACTERS = 500


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
    bounds = Limits.of(limits)
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
        if sniffing.file_format(head_of(self._source)) == "parquet":
            self._say(0.1, "Reading the Parquet file")
            written = _Written(write_table_from_parquet(self._source, table, self._limits), None)
        else:
            written = self._write_text(table)
        if row_count(table) == 0:
            raise sniffing.no_rows()
        return written

    def _write_text(self, table: Path) -> _Written:
        columns = self._limits.max_columns
        text = open_text(self._source, self._folder, columns, partial(self._say, 0.05))
        self._say(0.1, "Checking rows and quotes")
        found = survey(text.path, text.dialect.delimiter, self._limits.max_line_bytes)
        sniffing.refuse_long(found.records - 1, self._limits.max_rows)
        if found.not_utf8_at is not None:
            text = as_utf8(text, found.not_utf8_at, self._folder, columns, partial(self._say, 0.15))
        names, warnings = clean_header(text.dialect.header)
        warnings += self._parse(text.path, table, names, text.dialect.delimiter, found)
        if found.longest_record > self._limits.max_cell_bytes:
            refuse_long_cells(scan_raw(table), self._limits.max_cell_bytes)
        return _Written(warnings, text.dialect.delimiter)

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
