"""Tables in figures: what is in each column, what it says about the target, and what to know before training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from rowcast.datasets.casts import column, typed, written
from rowcast.datasets.inference.cells import ColumnCells, gather
from rowcast.datasets.objects import table_key
from rowcast.datasets.ports import Progress, Report, Storage
from rowcast.datasets.profile.associations import associate
from rowcast.datasets.profile.distributions import Distribution, histogram, moments, quantiles
from rowcast.datasets.profile.duplicates import duplicate_warnings
from rowcast.datasets.profile.leaks import leak_warnings
from rowcast.datasets.profile.warnings import Evidence, about_target, column_warnings
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.datasets.table import scan_raw
from rowcast.datasets.views import ColumnProfile, TableProfile, TableWarning, TopValue
from rowcast.errors import InvalidInput, Problem

TOP_VALUES = 20
_SHOWN = 5


def profile_table(
    storage: Storage, report: Report, *, content_hash: str, schema: dict[str, Any], target: str | None
) -> dict[str, Any]:
    """Job: the TableProfile (as JSON) of a stored table, with associations when a target is given."""
    table_schema = FeatureSchema.model_validate(schema)
    _refuse_unknown(table_schema, target)
    with storage.local(table_key(content_hash)) as path:
        report(Progress(fraction=0.05, stage="profile", message="Reading the columns"))
        found = profile(path, table_schema, target, report)
    report(Progress(fraction=1.0, stage="profile", message="Profile complete"))
    return found.model_dump(mode="json")


def profile(path: Path, schema: FeatureSchema, target: str | None = None, report: Report | None = None) -> TableProfile:
    """The profile of the table at ``path``; with a target also how well each column predicts it, and likely leaks."""
    _refuse_unknown(schema, target)
    measured = []
    for position, cells in enumerate(gather(path, schema.missing_tokens, schema.names), 1):
        measured.append(measure(path, _known(schema, cells.name), cells, schema.missing_tokens))
        _tell(report, position, len(schema.features), 0.8)
    return summarise(path, schema, measured, target)


@dataclass(frozen=True)
class Measured:
    """One column's figures, with what the warnings need besides."""

    profile: ColumnProfile
    evidence: Evidence
    typical: float | None = None


def measure(path: Path, feature: Feature, cells: ColumnCells, missing_tokens: Sequence[str]) -> Measured:
    """The figures of one column: exact from its distinct cells, or by another pass over the rows when it has many."""
    typical = None
    if feature.kind in (Kind.NUMBER, Kind.DATE):
        figures, typical = _measure_numbers(path, feature, cells, missing_tokens)
    else:
        figures = _measure_words(path, feature, cells, missing_tokens)
    unreadable = _unreadable(path, feature, missing_tokens) if figures.unreadable else ([], [])
    return Measured(figures, Evidence.of(cells, *unreadable), typical)


def summarise(
    path: Path, schema: FeatureSchema, measured: Sequence[Measured], target: str | None = None
) -> TableProfile:
    """The profile of a table whose columns have been measured."""
    columns = [one.profile for one in measured]
    evidence = {one.profile.name: one.evidence for one in measured}
    found = TableProfile(row_count=columns[0].count if columns else 0, columns=columns, target=target)
    warnings = column_warnings(schema, columns, evidence)
    useless = {warning.column for warning in warnings if warning.exclude and warning.column is not None}
    if target is not None:
        found, warnings = _with_target(path, schema, found, warnings, evidence, target)
    twins = duplicate_warnings(path, schema, found.row_count, useless | {target or ""})
    return found.model_copy(update={"warnings": [*warnings, *twins]})


def _with_target(
    path: Path,
    schema: FeatureSchema,
    found: TableProfile,
    warnings: list[TableWarning],
    evidence: dict[str, Evidence],
    target: str,
) -> tuple[TableProfile, list[TableWarning]]:
    """The profile with associations, and the warnings with those about the target and about leaks first."""
    found, sample = associate(path, schema, found, target)
    figures = next(figures for figures in found.columns if figures.name == target)
    ahead = list(about_target(_known(schema, target), figures, evidence[target]))
    if sample is not None:
        ahead += leak_warnings(sample, found.columns, target)
    others = [warning for warning in warnings if warning.column != target or warning.code == "unreadable_values"]
    return found, [*ahead, *others]


def with_ranges(feature: Feature, measured: Measured) -> Feature:
    """The feature with what its figures tell: whether it may be missing, its range, a typical value."""
    update: dict[str, Any] = {"may_be_missing": measured.profile.missing > 0}
    low, high = (measured.profile.quantiles.get(at) for at in ("0", "1"))
    if low is not None and high is not None and measured.typical is not None:
        show = iso if feature.kind is Kind.DATE else float
        update |= {"minimum": show(low), "maximum": show(high), "example": show(measured.typical)}
    return feature.model_copy(update=update)


def iso(days: float) -> str:
    """ISO 8601 of days since 1970-01-01; without a time at midnight."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=round(days * 86_400))
    at_midnight = moment.time() == datetime.min.time()
    return moment.date().isoformat() if at_midnight else moment.replace(tzinfo=None).isoformat()


def _measure_numbers(
    path: Path, feature: Feature, cells: ColumnCells, missing_tokens: Sequence[str]
) -> tuple[ColumnProfile, float | None]:
    """The figures, and the middle one of the values as the typical one."""
    if cells.sampled:
        rows, missing, unreadable = _all_values(path, feature, missing_tokens)
    else:
        values, counts = cells.values(feature, missing_tokens), pl.Series(cells.counts)
        rows = Distribution.of(values, counts)
        missing = int(counts.filter(cells.text.is_null()).sum())
        unreadable = cells.row_count - missing - rows.size
    mean, std = moments(rows)
    figures = ColumnProfile(
        name=feature.name, kind=feature.kind, count=cells.row_count, missing=missing + unreadable,
        unreadable=unreadable, distinct=cells.distinct if cells.sampled else rows.distinct, mean=mean, std=std,
        quantiles=quantiles(rows), histogram=histogram(rows), top=_top(cells),
    )  # fmt: skip
    return figures, rows.middle


def _all_values(path: Path, feature: Feature, missing_tokens: Sequence[str]) -> tuple[Distribution, int, int]:
    """The values of every row of a column with many distinct ones, the missing cells, and the unreadable ones."""
    raw = scan_raw(path, [feature.name])
    values = raw.select(typed(feature, missing_tokens)).collect(engine="streaming").to_series()
    missing = _count_missing(path, feature.name, missing_tokens)
    unreadable = values.null_count() - missing
    return Distribution.of(values), missing, unreadable


def _count_missing(path: Path, name: str, missing_tokens: Sequence[str]) -> int:
    is_missing = column(name).map_batches(
        lambda cells: written(cells, missing_tokens).is_null(), return_dtype=pl.Boolean, is_elementwise=True
    )
    return int(scan_raw(path, [name]).select(is_missing.sum()).collect(engine="streaming").item())


def _measure_words(path: Path, feature: Feature, cells: ColumnCells, missing_tokens: Sequence[str]) -> ColumnProfile:
    unreadable = 0
    if cells.sampled:
        missing = _count_missing(path, feature.name, missing_tokens)
    else:
        counts = pl.Series(cells.counts)
        missing = int(counts.filter(cells.text.is_null()).sum())
        unread = cells.values(feature, missing_tokens).is_null() & cells.text.is_not_null()
        unreadable = int(counts.filter(unread).sum())
    return ColumnProfile(
        name=feature.name, kind=feature.kind, count=cells.row_count, missing=missing + unreadable,
        unreadable=unreadable, distinct=cells.distinct, top=_top(cells),
    )  # fmt: skip


def _top(cells: ColumnCells) -> list[TopValue]:
    """The most frequent cells. Of a sample the counts are scaled up, and values seen once are left out."""
    known = cells.known.head(TOP_VALUES)
    if not cells.sampled:
        return [TopValue(value=_shown(text), count=count) for text, count in known.iter_rows()]
    scale = cells.row_count / max(int(cells.counts.sum()), 1)
    repeated = known.filter(pl.col("count") > 1)
    return [TopValue(value=_shown(text), count=round(count * scale)) for text, count in repeated.iter_rows()]


def _unreadable(path: Path, feature: Feature, missing_tokens: Sequence[str]) -> tuple[list[int], list[str]]:
    """Numbers of the first rows whose cell is not of the column's kind, counted from 1, and these cells."""
    name = feature.name
    text = column(name).map_batches(
        lambda cells: written(cells, missing_tokens), return_dtype=pl.String, is_elementwise=True
    )
    numbered = scan_raw(path, [name]).select(text.alias("text"), typed(feature, missing_tokens).alias("value"))
    at_fault = pl.col("value").is_null() & pl.col("text").is_not_null()
    found = numbered.with_row_index("row", offset=1).filter(at_fault).head(_SHOWN).collect(engine="streaming")
    return found["row"].to_list(), [_shown(cell) for cell in found["text"].unique(maintain_order=True)]


def _shown(text: str) -> str:
    return text if len(text) <= 100 else text[:99] + "…"


def _known(schema: FeatureSchema, name: str) -> Feature:
    feature = schema.feature(name)
    if feature is None:
        raise LookupError(name)
    return feature


def _refuse_unknown(schema: FeatureSchema, target: str | None) -> None:
    if target is not None and schema.feature(target) is None:
        message = f"The table has no column {target!r} to predict. Name one of its columns."
        raise InvalidInput("unknown_target", message, [Problem(code="unknown_column", message=message, field="target")])


def _tell(report: Report | None, done: int, total: int, share: float) -> None:
    if report is not None:
        message = f"Profiled {done:,} of {total:,} columns"
        report(Progress(fraction=0.05 + share * done / total, stage="profile", message=message))
