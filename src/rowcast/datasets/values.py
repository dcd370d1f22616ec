"""How one written cell becomes a value: the scalar reading that requests, golden rows and examples go through.

``datasets/casts.py`` says the same for whole columns; a test feeds both the same cells and compares.
Values of a model's inputs are: number -> float, flag -> 1.0 or 0.0, date -> days since 1970-01-01 as float (with the
time of day as the fraction), category -> str. None is "not known".
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from rowcast.datasets.schema import Feature

# What Python's str.strip removes, spelled out so that whole columns can be stripped of exactly the same.
WHITESPACE = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
# Everything that may surround the digits of a number: currency signs, spaces (also no-break), grouping.
NOISE = f"[{WHITESPACE}'’_$€£¥₽₹%]"
# A number in full, by decimal mark. Groups are of two (as in India) or three digits and end in three, so that "3,14"
# is no number where the decimal mark is a point, rather than 314.
NUMBER = {
    ".": r"[+-]?(?:(?:[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?",
    ",": r"[+-]?(?:(?:[0-9]{1,3}(?:\.[0-9]{2,3})*\.[0-9]{3}|[0-9]+)(?:,[0-9]*)?|,[0-9]+)(?:[eE][+-]?[0-9]+)?",
}
_NOISE = re.compile(NOISE)
_NUMBER = {mark: re.compile(pattern) for mark, pattern in NUMBER.items()}
_EPOCH = datetime(1970, 1, 1)
_TRUE = frozenset({"true", "yes", "y", "t", "1", "1.0"})
_FALSE = frozenset({"false", "no", "n", "f", "0", "0.0"})


def read_number(cell: str, decimal_mark: str = ".") -> float | None:
    """The number that a cell such as ``"$60,000.00 "``, ``"(1.234,5)"`` or ``"12 %"`` writes; None when it writes none.

    A percentage keeps its written size (``12.5 %`` -> 12.5). Parentheses mean negative. NaN and infinity are no
    numbers here.
    """
    text = _NOISE.sub("", cell)
    negative = text.startswith("(") and text.endswith(")")
    if negative:
        text = text[1:-1]
    if not _NUMBER[decimal_mark].fullmatch(text):
        return None
    number = float(text.replace(".", "").replace(",", ".") if decimal_mark == "," else text.replace(",", ""))
    if number in (float("inf"), float("-inf")):
        return None
    return -number if negative else number


def read_date(cell: str, feature: Feature) -> float | None:
    """Days since 1970-01-01 of a cell in ISO 8601 or one of the feature's own forms; None when it is in neither."""
    text = cell.strip()
    moment = _iso(text)
    for form in feature.date_formats:
        if moment is not None:
            break
        moment = _in_form(text, form, feature.century_pivot)
    return None if moment is None else (moment - _EPOCH).total_seconds() / 86400


def _iso(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):  # the second where the time zone moves it out of the years 1 to 9999
        return None


def _in_form(text: str, form: str, pivot: int) -> datetime | None:
    try:
        moment = datetime.strptime(text, form)
    except ValueError:
        return None
    if "%y" not in form:
        return moment
    two_digits = moment.year % 100
    try:
        return moment.replace(year=2000 + two_digits if two_digits <= pivot else 1900 + two_digits)
    except ValueError:  # 29 February of a year that is a leap year in one century only
        return None


def read_flag(cell: str, feature: Feature) -> float | None:
    """1.0 for a spelling of yes, 0.0 for one of no (the feature's own, then the usual); None for anything else."""
    text = cell.strip().casefold()
    if text in {spelling.casefold() for spelling in feature.true_values}:
        return 1.0
    if text in {spelling.casefold() for spelling in feature.false_values}:
        return 0.0
    if text in _TRUE:
        return 1.0
    return 0.0 if text in _FALSE else None


def days(value: date | datetime) -> float:
    """Days since 1970-01-01 of a date or naive moment."""
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
    return (moment - _EPOCH).total_seconds() / 86400
