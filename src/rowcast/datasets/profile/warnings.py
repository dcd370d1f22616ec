"""What to know about a table before training on it, each in a sentence for a person."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rowcast.datasets.inference.cells import ColumnCells
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.datasets.views import ColumnProfile, TableWarning

CONSTANT_SHARE = 0.999
MOSTLY_MISSING = 0.8
NOTHING_LEFT = 0.99
MANY_CATEGORIES = 200
IMBALANCED_SHARE = 0.1
RARE_CLASS_ROWS = 10
_CODE_SET_SIZE = 60
_STRAY_SHARE = 0.01
_EVIDENT_SHARE = 0.5
_SHOWN = 5
_PAIRS = (frozenset({"y", "n"}), frozenset({"yes", "no"}), frozenset({"true", "false"}), frozenset({"t", "f"}))


@dataclass(frozen=True)
class Evidence:
    """What the warnings need of a column besides its profile: its values with counts, and the cells not of its kind."""

    values: tuple[tuple[str, int], ...]
    known_count: int
    unreadable_rows: tuple[int, ...]
    unreadable_examples: tuple[str, ...]

    @staticmethod
    def of(cells: ColumnCells, rows: Sequence[int], examples: Sequence[str]) -> Evidence:
        values = tuple(cells.known.head(MANY_CATEGORIES).iter_rows())
        return Evidence(values, cells.known_count, tuple(rows), tuple(examples))

    @property
    def share_of_most_frequent(self) -> float:
        return self.values[0][1] / self.known_count if self.values else 0.0


def column_warnings(
    schema: FeatureSchema, columns: Sequence[ColumnProfile], evidence: Mapping[str, Evidence]
) -> list[TableWarning]:
    """Warnings about single columns, whatever is to be predicted."""
    found: list[TableWarning] = []
    for feature, column in zip(schema.features, columns, strict=True):
        found.extend(_about(feature, column, evidence[column.name]))
    return found


def _about(feature: Feature, column: ColumnProfile, evidence: Evidence) -> Iterator[TableWarning]:
    if column.missing - column.unreadable == column.count:
        message = f"{column.name} is empty in every row; training leaves it out."
        yield TableWarning(code="all_missing", column=column.name, message=message, exclude=True)
        return
    if column.unreadable:
        yield _unreadable(feature, column, evidence)
    if (constant := _constant(column, evidence)) is not None:
        yield constant
        return
    if column.missing >= MOSTLY_MISSING * column.count:
        yield _mostly_missing(column)
    yield from _about_kind(feature, column)
    if feature.kind is Kind.CATEGORY and (stray := _stray_values(column, evidence)) is not None:
        yield stray


def _about_kind(feature: Feature, column: ColumnProfile) -> Iterator[TableWarning]:
    if feature.kind is Kind.IDENTIFIER:
        message = f"{column.name} tells rows apart and nothing else ({feature.reason}); training leaves it out."
        values = {"distinct": column.distinct, "known": column.count - column.missing}
        yield TableWarning(code="identifier", column=column.name, message=message, exclude=True, values=values)
    if feature.kind is Kind.TEXT:
        message = f"{column.name} is {feature.reason}; training leaves it out."
        values = {"distinct": column.distinct, "known": column.count - column.missing}
        yield TableWarning(code="free_text", column=column.name, message=message, exclude=True, values=values)
    if feature.kind is Kind.CATEGORY and column.distinct > MANY_CATEGORIES:
        message = f"{column.name} has {column.distinct:,} different categories; most are too rare to learn much from."
        values = {"distinct": column.distinct}
        yield TableWarning(code="high_cardinality", column=column.name, message=message, values=values)


def _unreadable(feature: Feature, column: ColumnProfile, evidence: Evidence) -> TableWarning:
    rows = ", ".join(f"{row:,}" for row in evidence.unreadable_rows)
    message = (
        f"{column.unreadable:,} cells of {column.name} do not read as a {feature.kind} and count as missing "
        f"(first in rows {rows})."
    )
    return TableWarning(
        code="unreadable_values", column=column.name, message=message,
        rows=list(evidence.unreadable_rows), examples=list(evidence.unreadable_examples),
        values={"count": column.unreadable, "kind": feature.kind.value, "rows": rows},
    )  # fmt: skip


def _constant(column: ColumnProfile, evidence: Evidence) -> TableWarning | None:
    """The same value in nearly every row. A value against blanks is none: being filled may mean something."""
    blanks = column.missing / column.count
    if evidence.share_of_most_frequent < CONSTANT_SHARE or blanks > 1 - CONSTANT_SHARE:
        return None
    different = column.count - column.missing - evidence.values[0][1]
    but = "" if column.distinct <= 1 else f" but for {max(different, 1):,}"
    message = f"{column.name} has the same value in every row{but}; training leaves it out."
    values = {"how": "almost", "other": max(different, 1)} if but else {"how": "all"}
    return TableWarning(code="constant", column=column.name, message=message, exclude=True, values=values)


def _mostly_missing(column: ColumnProfile) -> TableWarning:
    share = column.missing / column.count
    exclude = share >= NOTHING_LEFT
    consequence = "; training leaves it out." if exclude else "."
    message = f"{column.name} is not known in {share:.1%} of the rows{consequence}"
    values = {"how": "left_out" if exclude else "kept", "share": share}
    return TableWarning(code="mostly_missing", column=column.name, message=message, exclude=exclude, values=values)


def _stray_values(column: ColumnProfile, evidence: Evidence) -> TableWarning | None:
    if not 3 <= column.distinct <= _CODE_SET_SIZE:
        return None
    stray = _beside_yes_and_no(evidence) or _of_other_shape(evidence)
    if not stray:
        return None
    named = ", ".join(f"{value!r} ({count:,})" for value, count in stray[:_SHOWN])
    more = f" and {len(stray) - _SHOWN} more" if len(stray) > _SHOWN else ""
    message = f"{column.name} has values outside its evident set of codes: {named}{more}."
    return TableWarning(
        code="stray_values", column=column.name, message=message, examples=[value for value, _ in stray[:_SHOWN]],
        values={"how": "more" if more else "all", "named": named, "other": max(0, len(stray) - _SHOWN)},
    )  # fmt: skip


def _beside_yes_and_no(evidence: Evidence) -> list[tuple[str, int]]:
    """Everything else in a column that mostly says yes and no."""
    seen = {value.casefold() for value, _ in evidence.values}
    pair = next((pair for pair in _PAIRS if pair <= seen), None)
    if pair is None:
        return []
    other = [(value, count) for value, count in evidence.values if value.casefold() not in pair]
    return other if sum(count for _, count in other) < _EVIDENT_SHARE * evidence.known_count else []


def _of_other_shape(evidence: Evidence) -> list[tuple[str, int]]:
    """Rare values that are written unlike the others, such as a digit among pairs of letters."""
    shapes: dict[str, int] = {}
    for value, count in evidence.values:
        shapes[_shape(value)] = shapes.get(_shape(value), 0) + count
    usual = max(shapes, key=lambda shape: shapes[shape])
    other = [(value, count) for value, count in evidence.values if _shape(value) != usual]
    is_code = len(usual) <= 4 and shapes[usual] >= (1 - _STRAY_SHARE) * evidence.known_count
    return other if is_code else []


def _shape(value: str) -> str:
    return re.sub(r"[0-9]", "9", re.sub(r"[^\W\d_]", "a", value))


def about_target(target: Feature, column: ColumnProfile, evidence: Evidence) -> Iterator[TableWarning]:
    """Warnings about the column to be predicted."""
    if column.missing:
        message = f"The target {column.name} is not known in {column.missing:,} rows; training leaves these rows out."
        yield TableWarning(code="missing_target", column=column.name, message=message, values={"count": column.missing})
    if target.kind not in (Kind.CATEGORY, Kind.FLAG) or not evidence.values:
        return
    value, count = evidence.values[-1]
    if len(evidence.values) == 2 and count < IMBALANCED_SHARE * evidence.known_count:
        share = count / evidence.known_count
        message = f"Only {share:.1%} of the rows have {value!r} as {column.name}: accuracy says little, PR AUC more."
        values: dict[str, str | int | float] = {"share": share, "value": value}
        yield TableWarning(code="imbalance", column=column.name, message=message, examples=[value], values=values)
    rare = [name for name, rows in evidence.values if rows < RARE_CLASS_ROWS]
    if rare:
        message = f"{len(rare)} classes of {column.name} have fewer than {RARE_CLASS_ROWS} rows: too few to learn."
        values = {"count": len(rare), "rows": RARE_CLASS_ROWS}
        yield TableWarning(
            code="rare_classes", column=column.name, message=message, examples=rare[:_SHOWN], values=values
        )
