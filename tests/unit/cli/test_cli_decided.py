"""Decisions and policies in words, and curves in letters."""

from __future__ import annotations

from typing import Any

import pytest

from rowcast.entrypoints.cli.decided import decision_sentence, money, payoff_lines, thresholds_sentence
from rowcast.entrypoints.cli.drafts import amount
from rowcast.entrypoints.cli.explained import band_sentence
from rowcast.entrypoints.cli.plots import HEIGHT, MARK, POINT, WIDTH, plot
from rowcast.models.decide.policy import Policy
from rowcast.scoring.views import Band, Decision, Interval, Prediction

RISK = {"of": "lost", "measure": "probability", "yellow": 0.15, "red": 0.3}
HOPE = {"of": "buys", "measure": "probability", "yellow": 0.4, "red": 0.1, "high": "green"}


def policy(**fields: Any) -> Policy:
    return Policy.model_validate(fields)


def chance(of: str, probability: float, **decided: Any) -> Prediction:
    return Prediction(value=of, probabilities={of: probability, "other": 1 - probability}, decision=Decision(**decided))


@pytest.mark.parametrize(
    ("bands", "found", "said"),
    [
        (RISK, chance("lost", 0.0821, color="green"),
         "Green: the probability of lost, 8.21 %, is below 15 %, where yellow begins."),
        (RISK, chance("lost", 0.2, color="yellow"),
         "Yellow: the probability of lost, 20 %, is at least 15 %, where yellow begins, and below 30 %, where red "
         "begins."),
        (RISK, chance("lost", 0.9, color="red"),
         "Red: the probability of lost, 90 %, is at least 30 %, where red begins."),
        (RISK | {"yellow": 0.3}, chance("lost", 0.2, color="green"),
         "Green: the probability of lost, 20 %, is below 30 %, where red begins."),
        (HOPE, chance("buys", 0.9, color="green"),
         "Green: the probability of buys, 90 %, is at least 40 %, where green begins."),
        (HOPE, chance("buys", 0.02, color="red"),
         "Red: the probability of buys, 2 %, is below 10 %, where yellow begins."),
        ({"measure": "value", "yellow": 100, "red": 2000.5},
         Prediction(value=1500.0, decision=Decision(color="yellow")),
         "Yellow: the prediction, 1,500, is at least 100, where yellow begins, and below 2,000.5, where red begins."),
        ({"measure": "high", "yellow": 100, "red": 100},
         Prediction(value=90.0, interval=Interval(level=0.9, low=70, high=110), decision=Decision(color="red")),
         "Red: the upper end of its interval, 110, is at least 100, where red begins."),
    ],
)  # fmt: skip
def test_a_colour_is_said_with_where_it_begins_and_ends(bands: dict[str, Any], found: Prediction, said: str) -> None:
    assert decision_sentence(found, policy(bands=bands)) == said


def test_what_is_earned_is_said_as_a_sum() -> None:
    matrix = {"accept": {"paid": {"column": "Price"}, "lost": -9}}
    earns = chance("lost", 0.1, expected_profit=1234.5678)
    assert decision_sentence(earns, policy(payoff=matrix)) == "Accepting such cases is expected to earn 1,235 each."
    loses = chance("lost", 0.1, expected_profit=-2.5, expected_if_declined=-1.0)
    said = "Accepting such cases is expected to lose 2.50 each, declining them -1."
    assert decision_sentence(loses, policy(payoff=matrix)) == said
    unknown = decision_sentence(chance("lost", 0.1), policy(payoff=matrix))
    assert unknown == "What it earns cannot be told without Price."
    assert [money(sum_) for sum_ in (0, 12, 12.345, 0.01234, -1e6, 999.5)] == [
        "0", "12", "12.35", "0.0123", "-1,000,000", "999.50",
    ]  # fmt: skip


def test_a_policy_in_words() -> None:
    assert thresholds_sentence(policy(bands=RISK).bands) == (  # type: ignore[arg-type]
        "Green where the probability of lost is below 15 %, yellow from there on, red from 30 % on."
    )
    assert thresholds_sentence(policy(bands=HOPE | {"yellow": 0.1}).bands) == (  # type: ignore[arg-type]
        "Red where the probability of buys is below 10 %, green from there on."
    )
    payoff = {"accept": {"paid": amount("0.1*Price"), "lost": amount("-900")}, "decline": {"lost": amount("Costs")}}
    payoff["accept"]["paid"] |= {"plus": -5}
    assert payoff_lines(policy(payoff=payoff).payoff) == [  # type: ignore[arg-type]
        "Accepting a case of paid earns 0.1 * Price - 5.",
        "Accepting a case of lost earns -900.",
        "Declining a case of lost earns Costs.",
    ]


def test_amounts_are_written_as_numbers_or_columns() -> None:
    assert [amount(text) for text in ("12.5", "-3", "Price", "0.1*Price", "-1 * A*B", "x*Price")] == [
        12.5, -3.0, {"column": "Price"}, {"column": "Price", "times": 0.1}, {"column": "A*B", "times": -1.0},
        {"column": "x*Price"},
    ]  # fmt: skip


def test_a_band_of_numbers() -> None:
    band = Band(
        position=2, bands=10, low=10.0, high=20.5, count=400, observed=15.04, observed_low=14.0, observed_high=16.1,
        new_low=12, new_high=18, inside=0.905,
    )  # fmt: skip
    assert band_sentence(band, None) == (
        "Such cases come to 15.04 on average (14 to 16.1); so did 400 held-out rows predicted between 10 and 20.5, and "
        "in 90 % of them the interval held the true number."
    )
    lowest = band.model_copy(update={"low": None})
    assert "400 held-out rows predicted below 20.5" in band_sentence(lowest, None)


def test_a_curve_is_drawn_to_its_ends() -> None:
    points = [(0.0, -50.0), (0.25, 10.0), (0.5, 30.0), (1.0, 20.0)]
    lines = plot(points, (0.5, 30.0), str, str, 0.0)
    assert len(lines) == HEIGHT + 2
    assert lines[0].startswith("30.0 │") and lines[0].count(MARK) == 1
    assert lines[HEIGHT - 1].strip().startswith("0.0")
    below_the_floor = round((WIDTH - 1) * 0.25)
    assert sum(line.count(POINT) for line in lines) == WIDTH - 1 - below_the_floor
    flat = plot([(0.0, 1.0), (1.0, 1.0)], (0.0, 1.0), str, str, 1.0)
    assert sum(line.count(POINT) + line.count(MARK) for line in flat) == WIDTH
    assert plot([(0.0, 1.0)], (0.0, 1.0), str, str, 1.0)
