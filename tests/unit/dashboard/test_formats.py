"""Numbers, amounts and moments in two languages."""

from datetime import UTC, date, datetime

import pytest

from rowcast.entrypoints.dashboard.formats import Formats

EN, RU = Formats("en"), Formats("ru", "Europe/Moscow")


@pytest.mark.parametrize(
    ("value", "english", "russian"),
    [(1234567, "1,234,567", "1\u202f234\u202f567"), (-0.5, "−0.5", "−0,5"), (0.123456, "0.1235", "0,1235"),
     (1234.56, "1,235", "1\u202f235"), (12.346, "12.35", "12,35"), (0, "0", "0"), (-0.0, "0", "0"),
     (1e-9, "0", "0"), (None, "—", "—"), (float("nan"), "—", "—")],
)  # fmt: skip
def test_a_number_has_the_marks_of_its_language(value, english, russian):
    assert EN.number(value) == english
    assert RU.number(value) == russian


def test_money_has_its_sign_before_all_of_it():
    assert EN.money(-1234.4) == "−$1,234"
    assert RU.money(-1234.4) == "−1\u202f234\u00a0$"
    assert EN.money(-0.2) == "$0"
    assert EN.money(12.5, None, 2) == "12.50"


def test_shares_are_percents():
    assert EN.percent(0.1249) == "12.5%"
    assert RU.percent(0.1249) == "12,5\u00a0%"
    assert EN.percent(None) == "—"


def test_moments_are_the_visitor_s():
    moment = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
    assert EN.moment(moment) == "Nov 22, 2026, 22:30"
    assert RU.moment(moment) == "23.11.2026 01:30"
    assert EN.day(date(2026, 1, 5)) == "Jan 5, 2026"
    assert Formats("en", "Not/Anywhere").moment(moment) == "Nov 22, 2026, 22:30"


def test_durations_and_sizes_take_the_unit_that_fits():
    assert [EN.duration(seconds) for seconds in (0.32, 59, 61, 120, 3700)] == [
        "0.3 s", "59 s", "1 min 1 s", "2 min", "1 h 1 min",
    ]  # fmt: skip
    assert RU.duration(3.25) == "3,2 с"
    assert [EN.size(count) for count in (999, 1_500, 2_340_000)] == ["999\u00a0B", "1.5\u00a0kB", "2.3\u00a0MB"]
