"""FeatureSchema of a raw table: what each column holds, with the reason in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import polars as pl

from rowcast.datasets.casts import read_cells
from rowcast.datasets.inference.cells import ColumnCells
from rowcast.datasets.inference.codes import code_reason, identifier_reason, text_reason
from rowcast.datasets.inference.dates import century_pivot, recognise
from rowcast.datasets.inference.reasons import Reason, Value, because
from rowcast.datasets.schema import MAX_CATEGORIES, Feature, Kind
from rowcast.datasets.values import NUMBER
from rowcast.errors import InvalidInput, Problem

ENOUGH = 0.98
"""A column is of a kind when this share of its filled cells reads as it; the others count as missing."""

ENOUGH_WHEN_TOLD = 0.5
"""What is asked of a column whose kind a person has set."""

_FLAGS = (("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("1", "0"), ("1.0", "0.0"), ("да", "нет"))
_UNITS = ("$", "€", "£", "¥", "₽", "₹", "%")


@dataclass(frozen=True)
class Hints:
    """What the file as a whole says about cells that can be read in two ways."""

    decimal_comma: bool = False


def hints_of(columns: Iterable[ColumnCells], delimiter: str | None) -> Hints:
    """Decimal commas are likelier where commas do not separate cells, and where other columns leave no doubt."""
    votes = [vote for cells in columns if (vote := _comma_vote(cells)) != 0]
    if votes:
        return Hints(decimal_comma=sum(votes) > 0)
    return Hints(decimal_comma=delimiter is not None and delimiter != ",")


def infer(cells: ColumnCells, hints: Hints, kind: Kind | None = None, *, is_first: bool = False) -> Feature:
    """The column's feature; ``kind`` is what a person has said it is.

    Range and whether it may be missing are for the profile to fill in. Raises InvalidInput ``impossible_kind``.
    """
    feature = _guess(cells, hints, is_first=is_first) if kind is None else _as_told(cells, hints, kind)
    return _with_values(feature, cells)


def _guess(cells: ColumnCells, hints: Hints, *, is_first: bool) -> Feature:
    if not cells.known_count:
        return _feature(cells, Kind.CATEGORY, Reason("empty", "no cell is filled"))
    native = _by_type(cells)
    if native is not None:
        return native
    guess = _as_flag(cells) or _as_date(cells, hints, ENOUGH)
    if guess is not None:
        return guess
    number = _as_number(cells, hints, ENOUGH)
    reason = identifier_reason(cells, is_number=number is not None, is_first=is_first)
    if reason is not None:
        return _feature(cells, Kind.IDENTIFIER, reason)
    if number is not None:
        reason = None if number.unit else code_reason(cells)
        return number if reason is None else _feature(cells, Kind.CATEGORY, reason)
    reason = text_reason(cells)
    if reason is not None:
        return _feature(cells, Kind.TEXT, reason)
    distinct = Reason("distinct", f"{_counted(cells.distinct)} different values", {"count": cells.distinct})
    return _feature(cells, Kind.CATEGORY, distinct)


def _by_type(cells: ColumnCells) -> Feature | None:
    """What the type of a Parquet column settles by itself."""
    if cells.dtype == pl.Boolean:
        by_type = Reason("flag_type", "true or false by type")
        return _feature(cells, Kind.FLAG, by_type, true_values=("true",), false_values=("false",))
    if cells.dtype in (pl.Date, pl.Datetime):
        return _feature(cells, Kind.DATE, Reason("date_type", "a date by type"), century_pivot=century_pivot())
    if cells.dtype.is_float() or cells.dtype.is_decimal():
        whole = cells.share(lambda text: text.str.contains(r"^-?[0-9]+(\.0)?$"))
        return None if whole == 1 else _feature(cells, Kind.NUMBER, Reason("number_type", "a number by type"))
    return None


def _as_told(cells: ColumnCells, hints: Hints, kind: Kind) -> Feature:
    reason = Reason("set", "set by a person")
    match kind:
        case Kind.NUMBER:
            feature = _as_number(cells, hints, ENOUGH_WHEN_TOLD) if cells.dtype not in (pl.Date, pl.Datetime) else None
        case Kind.DATE if cells.dtype in (pl.Date, pl.Datetime):
            feature = _feature(cells, Kind.DATE, reason, century_pivot=century_pivot())
        case Kind.DATE:
            feature = _as_date(cells, hints, ENOUGH_WHEN_TOLD)
        case Kind.FLAG:
            feature = _as_flag(cells, strict=False)
        case _:
            feature = _feature(cells, kind, reason)
    if feature is None:
        raise _impossible(cells.name, kind)
    return because(feature, reason)


def _as_number(cells: ColumnCells, hints: Hints, enough: float) -> Feature | None:
    point, comma = (_number_share(cells, mark) for mark in ".,")
    mark = "," if comma > point or (comma == point and hints.decimal_comma and _comma_needed(cells)) else "."
    share = max(point, comma)
    if share < enough:
        return None
    unit = _unit(cells)
    return _feature(cells, Kind.NUMBER, _number_reason(cells, share, unit, mark), unit=unit, decimal_mark=mark)


def _number_share(cells: ColumnCells, mark: str) -> float:
    feature = Feature(name=cells.name, kind=Kind.NUMBER, decimal_mark=mark)
    return cells.share(lambda text: read_cells(text, feature, ()))


def _comma_needed(cells: ColumnCells) -> bool:
    """Whether the decimal mark makes a difference; plain whole numbers read the same either way."""
    return cells.share(lambda text: text.str.contains("[.,]")) > 0


def _comma_vote(cells: ColumnCells) -> int:
    if cells.dtype != pl.String or not cells.known_count:
        return 0
    sample = cells.known["text"].head(1000)
    point, comma = (sample.str.contains(f"^(?:{NUMBER[mark]})$").sum() for mark in ".,")
    return 0 if max(point, comma) < ENOUGH * sample.len() or point == comma else (1 if comma > point else -1)


def _unit(cells: ColumnCells) -> str | None:
    shares = {unit: cells.share(partial(_holds, sign=unit)) for unit in _UNITS}
    unit = max(shares, key=lambda sign: shares[sign])
    return unit if shares[unit] > 0.5 else None


def _holds(text: pl.Series, sign: str) -> pl.Series:
    return text.str.contains(sign, literal=True)


def _number_reason(cells: ColumnCells, share: float, unit: str | None, mark: str) -> Reason:
    what = "numbers" if unit is None else "percentages" if unit == "%" else "money"
    comma = " with decimal commas" if mark == "," else ""
    readable = _first_readable(cells, Feature(name=cells.name, kind=Kind.NUMBER, decimal_mark=mark))
    text = f"{what}: {_percent(share)} of the cells look like {readable}{comma}"
    how = "comma" if comma else "point"
    return Reason(what, text, {"how": how, "share": _floored(share), "example": readable})


def _first_readable(cells: ColumnCells, feature: Feature) -> str:
    """The most frequent cell that reads as the kind: a stray one may well be more frequent."""
    values = read_cells(cells.known["text"], feature, ())
    return _shown(cells.known["text"].filter(values.is_not_null())[0])


def _as_date(cells: ColumnCells, hints: Hints, enough: float) -> Feature | None:
    found = recognise(cells, enough, day_first=hints.decimal_comma)
    if found is None:
        return None
    feature = Feature(name=cells.name, kind=Kind.DATE, date_formats=found.forms, century_pivot=century_pivot())
    readable = _first_readable(cells, feature)
    text = f"dates: {_percent(found.share)} of the cells look like {readable}{found.note}"
    values: dict[str, Value] = {"how": found.order, "share": _floored(found.share), "example": readable}
    return because(feature, Reason("dates", text, values))


def _as_flag(cells: ColumnCells, *, strict: bool = True) -> Feature | None:
    """Yes and no, both seen; strictly, and nothing else, so that stray values stay visible as categories."""
    spelled = {text.casefold(): text for text in cells.known["text"].head(100).to_list()}
    for yes, no in _FLAGS:
        seen = {yes, no} & spelled.keys()
        evident = len(spelled) == len(seen) == 2 if strict else bool(seen)
        if evident and cells.share(partial(_is_one_of, words=(yes, no))) >= ENOUGH_WHEN_TOLD:
            pair = spelled.get(yes, yes), spelled.get(no, no)
            reason = Reason("flag", f"only {pair[0]} and {pair[1]}", {"yes": pair[0], "no": pair[1]})
            return _feature(cells, Kind.FLAG, reason, true_values=pair[:1], false_values=pair[1:])
    return None


def _is_one_of(text: pl.Series, words: tuple[str, ...]) -> pl.Series:
    return text.str.to_lowercase().is_in(words)


def _with_values(feature: Feature, cells: ColumnCells) -> Feature:
    """The feature with its categories and a typical example that reads as the kind."""
    known = cells.known["text"]
    if known.is_empty():
        return feature
    if feature.kind is Kind.CATEGORY:
        categories = tuple(known.head(MAX_CATEGORIES).to_list())
        return feature.model_copy(update={"categories": categories, "example": known[0]})
    if feature.kind is Kind.FLAG:
        return feature.model_copy(update={"example": _first_flag(feature, cells)})
    return feature if feature.kind in (Kind.NUMBER, Kind.DATE) else feature.model_copy(update={"example": known[0]})


def _first_flag(feature: Feature, cells: ColumnCells) -> bool | None:
    value = read_cells(cells.known["text"], feature, ()).drop_nulls().first()
    return None if value is None else bool(value)


def check_kinds(kinds: Mapping[str, str], columns: Iterable[str]) -> dict[str, Kind]:
    """Kinds set by a person, by column; InvalidInput ``invalid_kinds`` naming each unknown column or kind."""
    known = set(columns)
    problems = [_unknown_column(name) for name in kinds if name not in known]
    problems += [_unknown_kind(name) for name, kind in kinds.items() if kind not in set(Kind) and name in known]
    if problems:
        raise InvalidInput("invalid_kinds", problems[0].message, problems)
    return {name: Kind(kind) for name, kind in kinds.items()}


def _unknown_column(name: str) -> Problem:
    return Problem(code="unknown_column", message=f"The table has no column {name!r}.", field=name)


def _unknown_kind(name: str) -> Problem:
    message = f"The kind of column {name!r} must be one of {', '.join(Kind)}."
    return Problem(code="unknown_kind", message=message, field=name)


def _impossible(name: str, kind: Kind) -> InvalidInput:
    message = f"Column {name!r} cannot be a {kind}: more than half of its cells do not read as one."
    return InvalidInput("impossible_kind", message, [Problem(code="impossible_kind", message=message, field=name)])


def _feature(cells: ColumnCells, kind: Kind, reason: Reason, **details: object) -> Feature:
    return Feature.model_validate({"name": cells.name, "kind": kind, **reason.fields(), **details})


def _percent(share: float) -> str:
    return f"{100 * _floored(share):g} %"


def _floored(share: float) -> float:
    """To a thousandth: nearly all is not all."""
    return int(share * 1000) / 1000


def _counted(number: int) -> str:
    return f"{number:,}"


def _shown(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
