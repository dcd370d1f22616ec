"""The report put together: one HTML page with all that it needs in it, which runs nothing and fetches nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rowcast import __version__
from rowcast.datasets.report import shapes
from rowcast.datasets.schema import Feature, Kind
from rowcast.datasets.views import ColumnProfile, DatasetVersionDetail, TableProfile, TableWarning

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What browsers let the page do, also from a disk: show itself. It stands in the page."""

MOST_COLUMNS = 300
"""Columns that have a section of their own; the tables above name all of them."""

MOST_VALUES = 10
_NO_USE = 0.5


def report(version: DatasetVersionDetail, profile: TableProfile, *, description: str | None, made_at: datetime) -> str:
    """The page about a version of a dataset and its profile, which may be one for a target.

    What comes from the table, such as the names of its columns, is escaped wherever it stands.
    """
    left_out = {warning.column for warning in profile.warnings if warning.exclude}
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "figure": shapes.figure,
        "share": shapes.share,
        "bar": shapes.bar,
        "sides": shapes.bar_about_zero,
    }
    return environment.get_template("report.html").render(
        version=version,
        profile=profile,
        description=description,
        made_at=made_at,
        rowcast=__version__,
        policy=POLICY,
        kinds=_kinds(profile.columns),
        left_out=[warning for warning in profile.warnings if warning.exclude],
        others=[warning for warning in profile.warnings if warning.column not in left_out],
        associations=_associations(version, profile, left_out),
        missing=sorted((each for each in profile.columns if each.missing), key=lambda each: -each.missing),
        sections=_sections(version, profile),
        most_columns=MOST_COLUMNS,
    )


def _kinds(columns: Sequence[ColumnProfile]) -> list[tuple[Kind, int]]:
    """How many columns there are of each kind."""
    found = [(kind, sum(column.kind is kind for column in columns)) for kind in Kind]
    return [(kind, count) for kind, count in found if count]


def _associations(
    version: DatasetVersionDetail, profile: TableProfile, left_out: set[str | None]
) -> dict[str, Any] | None:
    """The columns by how well each alone predicts the target, best first; None where that is not known."""
    columns = sorted(
        (column for column in profile.columns if column.association is not None),
        key=lambda column: -(column.association or 0.0),
    )
    target = version.table_schema.feature(profile.target or "")
    if target is None or not columns:
        return None
    of_number = target.kind in (Kind.NUMBER, Kind.DATE)
    floor = 0.0 if of_number else _NO_USE
    rows = [(column, ((column.association or 0.0) - floor) / (1.0 - floor)) for column in columns]
    return {
        "measure": "R²" if of_number else "ROC AUC",
        "of_number": of_number,
        "rows": rows,
        "left_out": left_out,
        "correlated": any(column.correlation is not None for column in columns),
    }


def _sections(version: DatasetVersionDetail, profile: TableProfile) -> list[dict[str, Any]]:
    """What the section of each column tells, in the order of the table."""
    told: defaultdict[str | None, list[TableWarning]] = defaultdict(list)
    for warning in profile.warnings:
        told[warning.column].append(warning)
    return [
        {
            "feature": version.table_schema.feature(column.name) or Feature(name=column.name, kind=column.kind),
            "column": column,
            "warnings": told[column.name],
            "bars": shapes.bars(column),
            "quantiles": [
                (at, shapes.value_of(column, column.quantiles[at])) for at in sorted(column.quantiles, key=float)
            ],
            "mean": shapes.value_of(column, column.mean) if column.mean is not None else None,
            "top": [] if column.histogram else [top for top in column.top[:MOST_VALUES] if top.count > 1],
        }
        for column in profile.columns[:MOST_COLUMNS]
    ]
