"""Raw columns to typed values: ``values.py`` for whole columns, cell by cell the same.

Exactness by construction: the fast paths only read forms whose reading is beyond doubt; a cell that they leave is read
by the scalar function itself, once for each distinct cell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import polars as pl
import polars.selectors as cs

from rowcast.datasets import values
from rowcast.datasets.dateforms import days_of, read_dates
from rowcast.datasets.schema import Feature, Kind

VALUE_TYPES: dict[Kind, type[pl.DataType]] = {
    Kind.NUMBER: pl.Float64,
    Kind.FLAG: pl.Float64,
    Kind.DATE: pl.Float64,
    Kind.CATEGORY: pl.String,
    Kind.TEXT: pl.String,
    Kind.IDENTIFIER: pl.String,
}

_SIGNS = "$€£¥₽₹"
_USUAL = {
    ".": rf"^[{_SIGNS}]?[0-9]{{1,3}}(?:,[0-9]{{3}})*(?:\.[0-9]+)?$",
    ",": rf"^[{_SIGNS}]?[0-9]{{1,3}}(?:\.[0-9]{{3}})*(?:,[0-9]+)?$",
}
"""By decimal mark the way in which most amounts are written: a few of all that ``values.NUMBER`` allows."""


def column(name: str) -> pl.Expr:
    """The column of exactly that name; ``pl.col`` would take ``^.*$`` for a pattern."""
    return cs.by_name(name).as_expr()


def typed(feature: Feature, missing_tokens: Sequence[str]) -> pl.Expr:
    """The column of that name as typed values: Float64 or String, null where the value is not known."""
    read = partial(read_cells, feature=feature, missing_tokens=missing_tokens)
    return column(feature.name).map_batches(read, return_dtype=VALUE_TYPES[feature.kind], is_elementwise=True)


def read_cells(cells: pl.Series, feature: Feature, missing_tokens: Sequence[str]) -> pl.Series:
    """Raw cells (String, or a Parquet column's own type) as values of the feature's kind."""
    native = _native(cells, feature.kind)
    if native is not None:
        return native
    text = written(cells, missing_tokens)
    match feature.kind:
        case Kind.NUMBER:
            return _numbers(text, feature.decimal_mark)
        case Kind.DATE:
            return _by_distinct(text, partial(read_dates, feature=feature))
        case Kind.FLAG:
            return _by_distinct(text, partial(_scalars, read=partial(values.read_flag, feature=feature)))
        case _:
            return text


def written(cells: pl.Series, missing_tokens: Sequence[str]) -> pl.Series:
    """Cells as they are written, without surrounding space; null where they say "not known"."""
    text = cells if cells.dtype == pl.String else cells.cast(pl.String)
    text = text.str.strip_chars(values.WHITESPACE)
    missing = text.is_in(pl.Series(missing_tokens, dtype=pl.String).implode())
    return text.zip_with(~missing, pl.Series([None], dtype=pl.String))


def _native(cells: pl.Series, kind: Kind) -> pl.Series | None:
    """Values of a column whose Parquet type already is of the kind; None where its written form must be read."""
    is_number = cells.dtype.is_numeric() or cells.dtype == pl.Boolean
    if (kind is Kind.NUMBER and is_number) or (kind is Kind.FLAG and cells.dtype == pl.Boolean):
        return _finite(cells.cast(pl.Float64))
    if kind is Kind.DATE and cells.dtype in (pl.Date, pl.Datetime):
        return days_of(cells.cast(pl.Datetime("us")).cast(pl.Int64))
    return None


def _finite(numbers: pl.Series) -> pl.Series:
    return numbers.zip_with(numbers.is_finite(), pl.Series([None], dtype=pl.Float64))


def _numbers(text: pl.Series, decimal_mark: str) -> pl.Series:
    """Plain numbers at once; the others (with a currency, grouping, parentheses) through their cleaned form."""
    if decimal_mark == ",":
        return _by_distinct(text, partial(_cleaned_numbers, decimal_mark=","))
    plain = _finite(text.cast(pl.Float64, strict=False))
    left = plain.is_null() & text.is_not_null()
    if not left.any():
        return plain
    if left.all():
        return _by_distinct(text, partial(_cleaned_numbers, decimal_mark="."))
    places = left.arg_true()
    return plain.scatter(places, _by_distinct(text.gather(places), partial(_cleaned_numbers, decimal_mark=".")))


def _cleaned_numbers(text: pl.Series, decimal_mark: str) -> pl.Series:
    """Amounts such as "$60,000.00" at once; the others as ``values.read_number`` cleans them."""
    usual = text.str.contains(_USUAL[decimal_mark]).fill_null(False)
    digits = _digits(text.str.strip_chars_start(_SIGNS), decimal_mark)
    numbers = _finite(digits.zip_with(usual, pl.Series([None], dtype=pl.String)).cast(pl.Float64, strict=False))
    places = (~usual & text.is_not_null()).arg_true()
    return numbers.scatter(places, _any_numbers(text.gather(places), decimal_mark)) if places.len() else numbers


def _any_numbers(text: pl.Series, decimal_mark: str) -> pl.Series:
    bare = text.str.replace_all(values.NOISE, "")
    negative = bare.str.starts_with("(") & bare.str.ends_with(")") & (bare.str.len_bytes() > 1)
    bare = bare.str.slice(1, (bare.str.len_chars().cast(pl.Int64) - 2).clip(0)).zip_with(negative, bare)
    is_number = bare.str.contains(f"^(?:{values.NUMBER[decimal_mark]})$") & ~bare.str.ends_with("\n")
    digits = _digits(bare, decimal_mark).zip_with(is_number, pl.Series([None], dtype=pl.String))
    numbers = _finite(digits.cast(pl.Float64, strict=False))
    return (-numbers).zip_with(negative.fill_null(False), numbers)


def _digits(numbers: pl.Series, decimal_mark: str) -> pl.Series:
    """Without grouping, and with a decimal point."""
    if decimal_mark == ".":
        return numbers.str.replace_all(",", "", literal=True)
    return numbers.str.replace_all(".", "", literal=True).str.replace_all(",", ".", literal=True)


def _scalars(text: pl.Series, read: Callable[[str], float | None]) -> pl.Series:
    cells = [None if cell is None else read(cell) for cell in text.to_list()]
    return pl.Series(cells, dtype=pl.Float64)


def _by_distinct(text: pl.Series, read: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Read each distinct cell once: most columns repeat themselves."""
    if mostly_distinct(text):
        return read(text)
    distinct = text.unique()
    return text.replace_strict(distinct, read(distinct), return_dtype=pl.Float64)


def mostly_distinct(cells: pl.Series) -> bool:
    """Whether hardly a cell is met twice, so that looking for distinct ones saves nothing."""
    count = cells.approx_n_unique()
    return isinstance(count, int) and count * 2 > cells.len()
