"""Kinds of columns as a person would see them, with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from rowcast.datasets.inference.cells import gather, glance
from rowcast.datasets.inference.dates import century_pivot
from rowcast.datasets.inference.inference import hints_of, infer
from rowcast.datasets.schema import MISSING_TOKENS, Feature, Kind


def guess(folder: Path, cells: Sequence[str], name: str = "x", delimiter: str = ",") -> Feature:
    path = folder / "table.parquet"
    pl.DataFrame({name: cells}, schema={name: pl.String}).write_parquet(path)
    hints = hints_of(glance(path, MISSING_TOKENS), delimiter)
    return infer(next(gather(path, MISSING_TOKENS)), hints, is_first=True)


@pytest.mark.parametrize(
    ("cells", "unit", "mark"),
    [
        (["1", "2.5", "-3e2", "NA"], None, "."),
        (["$1,234.00 ", "$5.00", "($7.10)"], "$", "."),
        (["1.234,56 €", "3,14 €"], "€", ","),
        (["12 %", "3.5%"], "%", "."),
        (["3,14", "2,7"], None, ","),
        (["1 234,5", "12 000,0"], None, ","),
        (["0.5"] * 99 + ["unknown"], None, "."),
    ],
)
def test_numbers(tmp_path: Path, cells: list[str], unit: str | None, mark: str) -> None:
    feature = guess(tmp_path, cells)
    assert (feature.kind, feature.unit, feature.decimal_mark) == (Kind.NUMBER, unit, mark)
    assert "% of the cells look like" in feature.reason


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        (["unknown"] * 2 + [f"{n}.5" for n in range(198)], "0.5"),
        (["99/99/9999"] * 2 + [f"{n % 28 + 1:02}/12/{n + 1800}" for n in range(198)], "01/12/1800"),
    ],
)
def test_the_reason_shows_a_cell_that_reads_as_the_kind(tmp_path: Path, cells: list[str], shown: str) -> None:
    reason = guess(tmp_path, cells).reason
    assert f"99 % of the cells look like {shown}" in reason


def test_a_comma_that_could_be_either_follows_the_delimiter(tmp_path: Path) -> None:
    assert guess(tmp_path, ["1,234", "2,500"], delimiter=",").decimal_mark == "."
    assert guess(tmp_path, ["1,234", "2,500"], delimiter=";").decimal_mark == ","


@pytest.mark.parametrize(
    ("cells", "forms"),
    [
        (["1997-02-28", "2001-12-01"], ()),
        (["20200131", "19991231"], ()),
        (["28-Feb-97", "8-Jul-62"], ("%d-%b-%y",)),
        (["28 Feb 1997", "1 Mar 2001"], ("%d %b %Y",)),
        (["28.02.1997", "01.03.2001"], ("%d.%m.%Y",)),
        (["28/02/1997", "01/03/2001"], ("%d/%m/%Y",)),
        (["02/28/1997", "03/01/2001"], ("%m/%d/%Y",)),
        (["02/03/1997", "03/01/2001"], ("%m/%d/%Y",)),
        (["02/28/97 14:05", "03/01/01 00:00"], ("%m/%d/%y %H:%M",)),
        (["Feb 28, 1997", "Mar 1, 2001"], ("%b %d, %Y",)),
        (["1997-02-28T10:00:00Z", "1997-02-28 10:00"], ()),
    ],
)
def test_dates(tmp_path: Path, cells: list[str], forms: tuple[str, ...]) -> None:
    feature = guess(tmp_path, cells)
    assert (feature.kind, feature.date_formats) == (Kind.DATE, forms)


def test_two_digit_years_reach_ten_years_ahead() -> None:
    from datetime import date

    assert century_pivot(date(2026, 1, 1)) == 36


@pytest.mark.parametrize(
    "pair", [("Y", "N"), ("yes", "no"), ("TRUE", "FALSE"), ("t", "f"), ("1", "0"), ("1.0", "0.0"), ("да", "нет")]
)
def test_flags_are_spelled_as_in_the_table(tmp_path: Path, pair: tuple[str, str]) -> None:
    feature = guess(tmp_path, [*pair, pair[0], ""])
    assert (feature.kind, feature.true_values, feature.false_values) == (Kind.FLAG, pair[:1], pair[1:])
    assert feature.example is True


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("Zip", ["12345", "90210", "10001"]),
        ("FranchiseCode", ["0", "1", "78760"]),
        ("shop", ["007", "012", "100"]),
        ("article", ["7300123", "7300456", "7311987", "7300123"] * 30),
        ("zone", ["1", "2", "3"] * 30),
        ("NewExist", ["1.0", "2.0", "0.0"] * 30),
    ],
)
def test_codes_are_categories(tmp_path: Path, name: str, cells: list[str]) -> None:
    feature = guess(tmp_path, cells, name)
    assert feature.kind is Kind.CATEGORY
    assert feature.reason.startswith("codes")


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("n", [str(n) for n in range(40)]),
        ("income", [str(15_000 + 137 * n) for n in range(500)]),
        ("year", [str(1990 + n % 30) for n in range(300)]),
        ("x", ["1", "2", "3"]),
        ("hours", [str(n) for n in range(200)]),
    ],
)
def test_quantities_stay_numbers(tmp_path: Path, name: str, cells: list[str]) -> None:
    assert guess(tmp_path, cells, name).kind is Kind.NUMBER


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("LoanNr", [str(1_000_000_007 + 9_973 * n) for n in range(100)]),
        ("customer_id", [str(n) for n in range(100)]),
        ("Unnamed: 0", [str(n) for n in range(100)]),
        ("token", [f"{n * 2654435761 % 2**32:08x}f" for n in range(100)]),
    ],
)
def test_identifiers(tmp_path: Path, name: str, cells: list[str]) -> None:
    assert guess(tmp_path, cells, name).kind is Kind.IDENTIFIER


def test_prose_is_text_and_words_are_categories(tmp_path: Path) -> None:
    prose = [f"the customer called {n} times about the late delivery" for n in range(60)]
    assert guess(tmp_path, prose).kind is Kind.TEXT
    colours = guess(tmp_path, ["red", "green", "red", "", "blue"])
    assert (colours.kind, colours.categories, colours.example) == (Kind.CATEGORY, ("red", "blue", "green"), "red")


def test_nothing_known_is_a_category_without_categories(tmp_path: Path) -> None:
    feature = guess(tmp_path, ["", "NA", " - "])
    assert (feature.kind, feature.categories, feature.example) == (Kind.CATEGORY, (), None)
