"""Whole columns read as single cells do."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.datasets.casts import read_cells, typed
from rowcast.datasets.schema import MISSING_TOKENS, Feature, Kind
from rowcast.datasets.values import read_date, read_flag, read_number

FORMS = ("%d-%b-%y", "%d/%m/%Y", "%m/%d/%y", "%d %b %Y %H:%M", "%d.%m.%Y %H:%M:%S", "%B %d, %Y",
         "%m/%d/%Y %I:%M %p", "%Y-%m")  # fmt: skip

NUMBERS = [
    "$60,000.00 ", "(1.234,5)", "12 %", "1,234", "1.234", "3,14", "3.14", "1,2,3", "12,34,567", "1 234,5", "1'234.50",
    "+5", "-5", "--5", "(-5)", "()", "(", ")", "5.", ".5", ".", "1e5", "1e400", "-1e400", "1e", "nan", "inf",
    "Infinity",
    "0x10", "1_000", "١٢", "€ 5", "5 €", "₽5", "\u00a05\u202f", "\x1c7\x1f", "5\n", "\n5\n6", "", " ", "NA",
    " NA ", "-", "?",
    "007", "0.1e-3", "12abc", "1.2.3", "1,234.5.6", "(0)", "1.234.567,89", "99999999999999999999", "5%%", "$",
    "1,", ",5",
    "$1,234", "€1.234", "$1,234.", "$1,234.567", "₹12,34,567", "$$5", "$-5", "-$5", "$1234", "$1,2345", "$12,345,67",
    "$1,23", "$.5", "$0", "0,5", "¥123.456.789,01", "$999,999,999,999,999,999.99",
]  # fmt: skip

DATES = [
    "1997-02-28", "1997-2-8", "1997-02-30", "2000-02-29", "1900-02-29", "19970228", "1997-W09-5", "1997-02-28T10:30",
    "1997-02-28 10:30:15", "1997-02-28 10:30:15.250", "1997-02-28 10:30:15.250001", "1997-02-28T10:30:15Z",
    "1997-02-28 24:00",
    "1997-02-28T10:30:15+03:00", "0001-01-01", "0001-01-01T00:00+05:00", "9999-12-31", "2300-01-01 00:00:00.333333",
    "28-Feb-97", "28-FEB-97", "8-feb-62", " 8-Feb-07 ", "29-Feb-00", "29-Feb-23", "31-Apr-99", "28-Fev-97",
    "28/02/1997",
    "02/28/97", "28 Feb 1997 09:05", "28 Feb 1997 9:05", "28.02.1997 09:05:59", "28.02.1997 09:05:60",
    "February 28, 1997",
    "02/28/1997 11:05 PM", "1997-02", "", "NA", "28", "yesterday", "28/02/1997x", "x28/02/1997", "28/02/1997\n",
    "28/13/1997",
    "13/13/97", "00/10/1997", "10/00/1997", "28/02/97", "02/30/97", "28.13.1997 09:05:59", "1997-13-01", "1997-00-10",
]  # fmt: skip


def scalar(cell: str, feature: Feature) -> float | str | None:
    text = cell.strip()
    if text in MISSING_TOKENS:
        return None
    match feature.kind:
        case Kind.NUMBER:
            return read_number(text, feature.decimal_mark)
        case Kind.DATE:
            return read_date(text, feature)
        case Kind.FLAG:
            return read_flag(text, feature)
        case _:
            return text


def assert_agree(cells: list[str], feature: Feature) -> None:
    column = read_cells(pl.Series("x", cells, dtype=pl.String), feature, MISSING_TOKENS).to_list()
    assert list(map(repr, column)) == [repr(scalar(cell, feature)) for cell in cells]


@pytest.mark.parametrize("mark", [".", ","])
def test_nasty_numbers(mark: str) -> None:
    assert_agree(NUMBERS, Feature(name="x", kind=Kind.NUMBER, decimal_mark=mark))
    assert_agree(NUMBERS * 5, Feature(name="x", kind=Kind.NUMBER, decimal_mark=mark))


@pytest.mark.parametrize("pivot", [0, 36, 68, 99])
def test_nasty_dates(pivot: int) -> None:
    assert_agree(DATES, Feature(name="x", kind=Kind.DATE, date_formats=FORMS, century_pivot=pivot))
    assert_agree(DATES * 5, Feature(name="x", kind=Kind.DATE, date_formats=FORMS[::-1], century_pivot=pivot))


def test_nasty_flags_and_words() -> None:
    cells = ["Y", "n", " yes ", "TRUE", "0", "1.0", "T", "oui", "Non", "", "NA", "2", "ſ", "İ"]
    assert_agree(cells, Feature(name="x", kind=Kind.FLAG, true_values=("oui",), false_values=("NON", "1")))
    for kind in (Kind.CATEGORY, Kind.TEXT, Kind.IDENTIFIER):
        assert_agree(cells + NUMBERS + DATES, Feature(name="x", kind=kind))


_odd_numbers = st.text(alphabet="0123456789.,()+-eE $%'\u00a0\x1c\n_١inf", max_size=9)
_money = st.from_regex(
    r"\A *[$€]?\(?[+-]?[0-9]{1,3}([,.' ][0-9]{2,3}){0,3}([.,][0-9]{0,3})?([eE][+-]?[0-9]{1,3})?\)?[ %]?\Z"
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(_odd_numbers, _money, st.floats().map(repr)), min_size=1, max_size=10), st.sampled_from(".,"))
def test_any_numbers(cells: list[str], mark: str) -> None:
    assert_agree(cells, Feature(name="x", kind=Kind.NUMBER, decimal_mark=mark))


@st.composite
def _dates(draw: st.DrawFn) -> str:
    iso = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y%m%d", "%Y-%m-%dT%H:%M:%S+03:00"]
    written = draw(st.datetimes(min_value=datetime(1, 1, 1))).strftime(draw(st.sampled_from([*FORMS, *iso])))
    place, sign = draw(st.integers(0, len(written))), draw(st.sampled_from("09 -/.Zx"))
    return draw(st.sampled_from([written, written, written[:place] + sign + written[place + 1 :], f" {written}"]))


@settings(max_examples=150, deadline=None)
@given(st.lists(_dates(), min_size=1, max_size=10), st.lists(st.sampled_from(FORMS), max_size=3), st.integers(0, 99))
def test_any_dates(cells: list[str], forms: list[str], pivot: int) -> None:
    assert_agree(cells, Feature(name="x", kind=Kind.DATE, date_formats=tuple(forms), century_pivot=pivot))


@given(amounts=st.lists(st.integers(0, 10**20), max_size=30), sign=st.sampled_from(["", "$", "€", "₽ "]),
       digits=st.integers(0, 4), mark=st.sampled_from([".", ","]))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_any_amounts(amounts: list[int], sign: str, digits: int, mark: str) -> None:
    cells = [f"{sign}{amount / 10**digits:,.{digits}f}" for amount in amounts]
    if mark == ",":
        cells = [cell.translate({ord(","): ".", ord("."): ","}) for cell in cells]
    assert_agree([*cells, "", *cells, " 5 "], Feature(name="x", kind=Kind.NUMBER, decimal_mark=mark))


def test_columns_named_like_patterns_are_columns() -> None:
    frame = pl.DataFrame({"^.*$": ["1"], "*": ["2"]})
    features = [Feature(name=name, kind=Kind.NUMBER) for name in frame.columns]
    assert frame.select(typed(feature, MISSING_TOKENS) for feature in features).row(0) == (1.0, 2.0)
