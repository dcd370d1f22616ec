"""Written dates to days, at the speed of whole columns."""

from __future__ import annotations

import re

import polars as pl

from rowcast.datasets.schema import Feature
from rowcast.datasets.values import read_date

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
# The years from 1700 to 2199 only: their microseconds are exact in a float.
_PARTS = {
    "%Y": "(?<Y>(?:1[789]|2[01])[0-9]{2})", "%y": "(?<y>[0-9]{2})", "%m": "(?<m>[0-9]{1,2})", "%d": "(?<d>[0-9]{1,2})",
    "%b": "(?<b>[A-Za-z]{3})", "%H": "(?<H>[0-9]{2})", "%M": "(?<M>[0-9]{2})", "%S": "(?<S>[0-9]{2})",
}  # fmt: skip
_ISO = (
    "^(?<Y>(?:1[789]|2[01])[0-9]{2})-(?<m>[0-9]{2})-(?<d>[0-9]{2})"
    "(?:[T ](?<H>[0-9]{2}):(?<M>[0-9]{2})(?::(?<S>[0-9]{2})(?:\\.(?<f>[0-9]{6}|[0-9]{3}))?)?)?$"
)


def read_dates(text: pl.Series, feature: Feature) -> pl.Series:
    """Days since 1970-01-01 (Float64) of written dates: usual forms at once, the rest by the scalar reading."""
    days = _read_usual_forms(text, feature)
    left = days.is_null() & text.is_not_null()
    if not left.any():
        return days
    places = left.arg_true()
    rest = [read_date(cell, feature) for cell in text.gather(places).to_list()]
    return days.scatter(places, pl.Series(rest, dtype=pl.Float64))


def _read_usual_forms(text: pl.Series, feature: Feature) -> pl.Series:
    """Days since 1970-01-01 (Float64) of the cells in a usual form, null for all that needs a closer look.

    A form is only tried on the cells that no earlier form has read, as the scalar reading does.
    """
    days = _read(text, _ISO, feature.century_pivot)
    for form in feature.date_formats:
        pattern = _pattern(form)
        unread = days.is_null() & text.is_not_null()
        if pattern is None or not unread.any():
            break  # a later form must not get ahead of one that only the scalar reading knows
        days = days.zip_with(~unread, _read(text, pattern, feature.century_pivot))
    return days


def _pattern(form: str) -> str | None:
    """The form as a regular expression with a group for each part; None when a part is not among the usual."""
    pieces = re.split(r"(%.)", form)
    if any(piece.startswith("%") and piece not in _PARTS for piece in pieces):
        return None
    return "^" + "".join(_PARTS.get(piece) or re.escape(piece) for piece in pieces) + "$"


def _read(text: pl.Series, pattern: str, pivot: int) -> pl.Series:
    """Days since 1970-01-01 of the cells that match the pattern and are a day of the calendar."""
    parts = text.str.extract_groups(pattern).struct.unnest()
    frame = parts.select(
        year=_year(parts.columns, pivot), month=_month(parts.columns), day=_whole(parts.columns, "d", default=1),
        hour=_whole(parts.columns, "H"), minute=_whole(parts.columns, "M"), second=_whole(parts.columns, "S"),
        fraction=_microseconds(parts.columns),
    )  # fmt: skip
    in_range = (
        pl.col("month").is_between(1, 12) & pl.col("day").is_between(1, 31)
        & (pl.col("hour") < 24) & (pl.col("minute") < 60) & (pl.col("second") < 60)
    )  # fmt: skip
    exists = in_range & (pl.col("day") <= _last_day_of_month())
    month = pl.col("month").clip(1, 12)  # polars makes every date, also those that are not asked for
    since_epoch = (
        pl.datetime("year", month, pl.lit(1)).cast(pl.Int64)
        + ((pl.col("day") - 1) * 86_400 + pl.col("hour") * 3_600 + pl.col("minute") * 60 + pl.col("second")) * 1_000_000
        + pl.col("fraction")
    )
    return days_of(frame.select(pl.when(exists).then(since_epoch)).to_series())


def days_of(microseconds: pl.Series) -> pl.Series:
    """Days (Float64) of microseconds since 1970-01-01, in numpy: polars multiplies by a rounded reciprocal instead."""
    days = microseconds.cast(pl.Float64).to_numpy() / 1e6 / 86_400
    return pl.Series(days, nan_to_null=True)


def _year(parts: list[str], pivot: int) -> pl.Expr:
    if "Y" in parts:
        return pl.col("Y").cast(pl.Int64)
    two_digits = pl.col("y").cast(pl.Int64)
    return two_digits + pl.when(two_digits <= pivot).then(2000).otherwise(1900)


def _month(parts: list[str]) -> pl.Expr:
    if "b" not in parts:
        return _whole(parts, "m")
    return pl.col("b").str.to_lowercase().replace_strict(_MONTHS, default=None, return_dtype=pl.Int64)


def _whole(parts: list[str], part: str, default: int = 0) -> pl.Expr:
    return pl.col(part).cast(pl.Int64).fill_null(default) if part in parts else pl.lit(default, pl.Int64)


def _microseconds(parts: list[str]) -> pl.Expr:
    if "f" not in parts:
        return pl.lit(0, pl.Int64)
    digits = pl.col("f").cast(pl.Int64)
    return pl.when(pl.col("f").str.len_bytes() == 3).then(digits * 1000).otherwise(digits).fill_null(0)


def _last_day_of_month() -> pl.Expr:
    year, month = pl.col("year"), pl.col("month")
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    thirty = month.is_in([4, 6, 9, 11])
    return pl.when(month == 2).then(pl.when(leap).then(29).otherwise(28)).when(thirty).then(30).otherwise(31)
