"""Recognises the forms that a column of dates is written in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial

import polars as pl

from rowcast.datasets.dateforms import read_dates
from rowcast.datasets.inference.cells import ColumnCells
from rowcast.datasets.schema import Feature, Kind
from rowcast.datasets.values import days

DAYS = (
    "%d-%b-%y", "%d-%b-%Y", "%d %b %Y", "%d %b %y", "%d %B %Y", "%d-%B-%Y", "%d%b%Y", "%d%b%y", "%d/%b/%Y", "%d/%b/%y",
    "%b %d, %Y", "%B %d, %Y", "%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%m/%d/%y", "%d/%m/%Y", "%d/%m/%y",
    "%m-%d-%Y", "%m-%d-%y", "%d-%m-%Y", "%d-%m-%y", "%Y/%m/%d", "%Y.%m.%d", "%b-%y", "%b-%Y", "%Y-%m", "%m/%Y",
)  # fmt: skip
TIMES = ("", " %H:%M:%S", " %H:%M", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", ":%H:%M:%S")
"""A date and a time of day that columns are recognised by; ISO 8601 always comes first."""

_SWAPPED = {"%m/%d": "%d/%m", "%d/%m": "%m/%d", "%m-%d-": "%d-%m-", "%d-%m-": "%m-%d-"}
_SOUGHT_CELLS = 500
_FIRST_LOOK = 20
_MAX_FORMS = 3
_NO_DATE = r"[$€£¥₽₹%]|^[-+]?[0-9]*[.,]?[0-9]*$"
_EIGHT_DIGITS = r"^[0-9]{8}$"


@dataclass(frozen=True)
class Recognised:
    """Forms that a column's dates are written in, the share of its cells in them, and what settled the order of day and
    month: its name and, for the reason, words."""

    forms: tuple[str, ...]
    share: float
    order: str = "plain"
    note: str = ""


def century_pivot(today: date | None = None) -> int:
    """Two-digit years up to ten years from now are of this century: 62 is 1962."""
    return ((today or datetime.now(UTC).date()).year + 10) % 100


def recognise(cells: ColumnCells, enough: float, *, day_first: bool) -> Recognised | None:
    """The forms of a column of dates, or None when fewer than ``enough`` of its cells are dates.

    Forms are sought on the most frequent cells and then tried on all. Where 03/04/2020 could be either day, the order
    that reads more cells wins, and ``day_first`` when both read the same.
    """
    if not _may_be_dates(cells, enough):
        return None
    orders = dict.fromkeys(_sought(cells, order) for order in (day_first, not day_first))
    tried = [(cells.share(partial(read_dates, feature=_feature(forms))), forms) for forms in orders]
    share, forms = max(tried, key=lambda pair: pair[0])
    return Recognised(forms, share, *_order(cells, forms)) if share >= enough else None


def _may_be_dates(cells: ColumnCells, enough: float) -> bool:
    """A quick look, so that plain numbers and words cost nothing."""
    numbers = cells.share(lambda text: text.str.contains(_NO_DATE) & ~text.str.contains(_EIGHT_DIGITS))
    digits = cells.share(lambda text: text.str.contains("[0-9].*[0-9]") & text.str.len_chars().is_between(5, 40))
    return digits >= enough and 1 - numbers >= enough and _plausible_years(cells)


def _plausible_years(cells: ColumnCells) -> bool:
    """Eight digits are only taken for dates when they are of our times; a code seldom is."""
    eight = cells.known.filter(pl.col("text").str.contains(_EIGHT_DIGITS))
    if eight.is_empty():
        return True
    read = read_dates(eight["text"].head(_SOUGHT_CELLS), _feature(()))
    return bool(read.is_between(days(date(1900, 1, 1)), days(date(2100, 1, 1))).fill_null(False).mean() == 1)


def _sought(cells: ColumnCells, day_first: bool) -> tuple[str, ...]:
    """Forms that together read the most frequent cells, the best first; at most three, none when ISO 8601 reads all."""
    forms: tuple[str, ...] = ()
    left = _left(cells.known.head(_SOUGHT_CELLS), ())
    while left.height and len(forms) < _MAX_FORMS:
        best = _best(left, forms, day_first)
        rest = left if best is None else _left(left, (best,))
        if best is None or rest.height == left.height:
            break
        forms, left = (*forms, best), rest
    return forms


def _left(cells: pl.DataFrame, forms: tuple[str, ...]) -> pl.DataFrame:
    return cells.filter(read_dates(cells["text"], _feature(forms)).is_null())


def _best(left: pl.DataFrame, taken: tuple[str, ...], day_first: bool) -> str | None:
    """The form that reads most of the cells that are left; None when there is none that reads one of the first.

    A column has one order of day and month: a form is not taken together with its counterpart.
    """
    look = left["text"].head(_FIRST_LOOK).to_list()
    usable = (form for form in _candidates(day_first) if _swap(form) not in taken)
    viable = [form for form in usable if any(_is_written(text, form) for text in look)]
    score = {form: left.height - _left(left, (form,)).height for form in viable}
    return max(viable, key=lambda form: score[form]) if viable else None


def _candidates(day_first: bool) -> Iterator[str]:
    for time in TIMES:
        for day in DAYS:
            yield (_swap(day) or day if day_first else day) + time


def _swap(form: str) -> str | None:
    """The form with day and month the other way round; None when no one would write it so."""
    return next((form.replace(old, new) for old, new in _SWAPPED.items() if form.startswith(old)), None)


def _is_written(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def _order(cells: ColumnCells, forms: tuple[str, ...]) -> tuple[str, str]:
    for form in forms:
        swapped = _swap(form)
        if swapped is None:
            continue
        first = "day" if form.startswith("%d") else "month"
        if _left(cells.known.head(_SOUGHT_CELLS), (swapped,)).height:
            return f"{first}_first", f", the {first} first"
        return f"{first}_taken", f", taken with the {first} first: no day above 12 tells which"
    return "plain", ""


def _feature(forms: tuple[str, ...]) -> Feature:
    return Feature(name="", kind=Kind.DATE, date_formats=forms, century_pivot=century_pivot())
