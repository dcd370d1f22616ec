"""Decisions and policies in words, and curves in letters."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from typer import BadParameter

from rowcast.entrypoints.cli.decided import money, payoff_lines, profit_sentence, thresholds_sentence, told
from rowcast.entrypoints.cli.drafts import amount
from rowcast.entrypoints.cli.explained import band_sentence, show_reasons, similar_sentence
from rowcast.entrypoints.cli.plots import HEIGHT, MARK, POINT, WIDTH, plot
from rowcast.entrypoints.cli.policies import _curve
from rowcast.entrypoints.cli.tables import counted
from rowcast.errors import Problem
from rowcast.models.decide.policy import Policy
from rowcast.models.views import ProfitCurve, ProfitPoint, Spread
from rowcast.scoring.views import Band, Decision, Explanation, Interval, Prediction, Reason, Similar

RISK = {"of": "lost", "measure": "probability", "yellow": 0.15, "red": 0.3}
HOPE = {"of": "buys", "measure": "probability", "yellow": 0.4, "red": 0.1, "high": "green"}


def policy(**fields: Any) -> Policy:
    return Policy.model_validate(fields)


def chance(of: str, probability: float, **decided: Any) -> Prediction:
    likelier = of if probability >= 0.5 else "other"
    return Prediction(
        value=likelier, probability=probability, probabilities={of: probability, "other": 1 - probability},
        decision=Decision(**decided),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("bands", "found", "said"),
    [
        (RISK, chance("lost", 0.0821, color="green"),
         ["Green: the probability of lost is 8.21 %, about 1 in 12. That is below 15 %, where yellow begins.",
          "The likelier outcome is other (91.8 %)."]),
        (RISK, chance("lost", 0.2, color="yellow"),
         ["Yellow: the probability of lost is 20 %, about 1 in 5. That is between 15 %, where yellow begins, and 30 %, "
          "where red begins.", "The likelier outcome is other (80 %)."]),
        (RISK, chance("lost", 0.9, color="red"),
         ["Red: the probability of lost is 90 %. That is 30 % or more, where red begins.",
          "The likelier outcome is lost (90 %)."]),
        (RISK, chance("lost", 0.429, color="red"),
         ["Red: the probability of lost is 42.9 %, about 4 in 10. That is 30 % or more, where red begins.",
          "The likelier outcome is other (57.1 %): red says that the risk is too high for this policy, not that lost "
          "will come."]),
        (RISK | {"yellow": 0.6, "red": 0.8}, chance("lost", 0.55, color="green"),
         ["Green: the probability of lost is 55 %. That is below 60 %, where yellow begins.",
          "The likelier outcome is lost (55 %): green says that the risk is low enough for this policy, not that lost "
          "is unlikely."]),
        (RISK | {"yellow": 0.3}, chance("lost", 0.29999, color="green"),
         ["Green: the probability of lost is 29.999 %, about 3 in 10. That is below 30 %, where red begins.",
          "The likelier outcome is other (70 %)."]),
        (HOPE, chance("buys", 0.45, color="green"),
         ["Green: the probability of buys is 45 %, about 4 in 10. That is 40 % or more, where green begins.",
          "The likelier outcome is other (55 %): green says that the chance is high enough for this policy, not that "
          "buys will come."]),
        (HOPE, chance("buys", 0.02, color="red"),
         ["Red: the probability of buys is 2 %, about 1 in 50. That is below 10 %, where yellow begins.",
          "The likelier outcome is other (98 %)."]),
        ({"measure": "value", "yellow": 100, "red": 2000.5},
         Prediction(value=1500.0, decision=Decision(color="yellow")),
         ["prediction: 1,500.",
          "Yellow: the prediction is 1,500. That is between 100, where yellow begins, and 2,000.5, where red begins."]),
        ({"measure": "high", "yellow": 100, "red": 100},
         Prediction(value=90.0, interval=Interval(level=0.9, low=70, high=110), decision=Decision(color="red")),
         ["prediction: 90. In 90 % of such cases the true one lies between 70 and 110.",
          "Red: the upper end of its interval is 110. That is 100 or more, where red begins."]),
    ],
)  # fmt: skip
def test_a_colour_is_said_with_where_it_begins_and_ends(
    bands: dict[str, Any], found: Prediction, said: list[str]
) -> None:
    assert told(found, None, policy(bands=bands)) == said


MATRIX = {"accept": {"paid": {"column": "Price"}, "lost": -9}}


@pytest.mark.parametrize(
    ("decided", "said"),
    [
        ({"expected_profit": 1234.5678}, "Accepting such cases is expected to earn 1,235 each."),
        ({"expected_profit": -2.5, "expected_if_declined": -1.0},
         "Accepting such cases is expected to lose 2.50 each, declining them -1."),
        ({"color": "red", "expected_profit": 4.0},
         "The colour goes by the probability alone; by money it would be accepted: accepting such cases is expected to "
         "earn 4 each."),
        ({"color": "green", "expected_profit": -4.0},
         "The colour goes by the probability alone; by money it would be declined: accepting such cases is expected to "
         "lose 4 each."),
        ({"color": "yellow", "expected_profit": -4.0}, "Accepting such cases is expected to lose 4 each."),
        ({"problems": [{"code": "amount_missing", "message": "", "field": "Price"}]},
         "What it earns cannot be told: Price is missing."),
        ({"problems": [{"code": "field_unreadable", "message": "Give a number.", "field": "Fee"},
                       {"code": "amount_missing", "message": "", "field": "Price"},
                       {"code": "amount_missing", "message": "", "field": "Term"}]},
         "What it earns cannot be told: Price and Term are missing. Fee: Give a number."),
        ({"problems": [{"code": "amount_senseless", "message": "The terms make no sense."}]},
         "What it earns cannot be told: The terms make no sense."),
    ],
)  # fmt: skip
def test_what_is_earned_is_said_as_a_sum(decided: dict[str, Any], said: str) -> None:
    found = chance("lost", 0.1, **decided)
    assert found.decision is not None
    assert profit_sentence(found.decision, policy(bands=RISK).bands) == said


def test_a_decision_by_profit_begins_with_the_colour_and_says_what_the_model_calls_it() -> None:
    by_profit = policy(bands={"of": "lost", "measure": "profit", "red": 0, "yellow": 50}, payoff=MATRIX)
    assert told(chance("lost", 0.3, color="green", expected_profit=120.0), None, by_profit) == [
        "Green: accepting such cases is expected to earn 120 each. That is 50 or more, where green begins.",
        "The probability of lost is 30 %, about 3 in 10, so the likelier outcome is other. Green is about money, not "
        "about how this case will end: such cases earn enough on average.",
    ]
    declined = chance("lost", 0.6, color="yellow", expected_profit=-10.0, expected_if_declined=-30.0)
    assert told(declined, None, by_profit) == [
        "Yellow: accepting such cases is expected to earn 20 more each than declining them (-10 against -30). That is "
        "between 0, where yellow begins, and 50, where green begins.",
        "The probability of lost is 60 %, so the likelier outcome is lost. Yellow is about money, not about how this "
        "case will end: such cases earn less than 50 on average.",
    ]
    lost = chance("lost", 0.4, color="red", expected_profit=-3.0)
    assert told(lost, None, by_profit)[0].startswith("Red: accepting such cases is expected to lose 3 each. That is ")
    assert told(lost, None, by_profit)[1].endswith("such cases earn too little on average.")


def test_without_an_amount_there_is_no_colour_by_profit_and_the_reason_is_said() -> None:
    by_profit = policy(bands={"of": "lost", "measure": "profit"}, payoff=MATRIX)
    unknown = chance("lost", 0.3, problems=[{"code": "amount_missing", "message": "", "field": "Price"}])
    assert told(unknown, None, by_profit) == [
        "No colour: this policy goes by the expected profit, and that cannot be told: Price is missing.",
        "The probability of lost is 30 %, about 3 in 10, so the likelier outcome is other.",
    ]
    three = Prediction(value="a", probabilities={"b": 0.2, "a": 0.7, "c": 0.1}, decision=Decision(color="red"))
    risk = policy(bands=RISK | {"of": "b"})
    assert [line.partition(":")[0] for line in told(three, None, risk)] == ["Red", "prediction"], "the colour is first"


def test_sums_and_shares_have_the_digits_that_matter() -> None:
    assert [money(sum_) for sum_ in (0, 12, 12.345, 0.01234, -1e6, 999.5)] == [
        "0", "12", "12.35", "0.0123", "-1,000,000", "999.50",
    ]  # fmt: skip
    wild = {"good": "paid", "bad": "lost", "amount": 1, "term": 12, "rate": 12.5, "loss": 0.6}
    assert "at 1,250 % a year" in payoff_lines(policy(payoff={"credit": wild}).payoff)[0]  # type: ignore[arg-type]
    assert [counted(count, "row") for count in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]


def test_cases_with_a_similar_probability() -> None:
    similar = Similar(count=500, low=0.389, high=0.462, observed=0.406, observed_low=0.364, observed_high=0.45)
    assert similar_sentence(similar, "lost", 0.429) == (
        "Checked on cases with a known outcome that the model had not learned from: of the 500 with the most similar "
        "probability (38.9 % to 46.2 %) 203 turned out lost, 40.6 %. That fits: of all such cases it may be anything "
        "from 36 % to 45 %."
    )
    assert similar_sentence(similar, "lost", 0.429, new=True).endswith("turned out lost, 40.6 %.")
    assert similar_sentence(similar, "lost", 0.46).endswith(
        "That does not fit well: the true share is likely 36 % to 45 %, so take the probability with care."
    )


def test_beyond_all_cases_there_is_nothing_to_hold_a_probability_against() -> None:
    similar = Similar(count=50, low=0.389, high=0.462, observed=0.42, observed_low=0.3, observed_high=0.55)
    for probability, far in ((0.5, "high"), (0.35, "low")):
        said = similar_sentence(similar, "lost", probability)
        assert f"none was scored so {far}; of the 50 with the most similar" in said
        assert said.endswith("turned out lost, 42.0 %.")


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
    assert [amount(text) for text in ("12.5", "-3", "Price", "0.1*Price", "-1 * A*B", "x*Price", "2nd")] == [
        12.5, -3.0, {"column": "Price"}, {"column": "Price", "times": 0.1}, {"column": "A*B", "times": -1.0},
        {"column": "x*Price"}, {"column": "2nd"},
    ]  # fmt: skip
    for text in ("20%*Price", "20% of Price", "20 % * Price", "0.2 of Price ", "-.2e0*Price"):
        assert amount(text) == {"column": "Price", "times": -0.2 if text[0] == "-" else 0.2}
    for text in ("20% Price", "20%", "20 percent of Price", "1 Price"):
        with pytest.raises(BadParameter, match=r"0\.2\*Price or 20%\*Price"):
            amount(text)


def test_a_band_of_numbers() -> None:
    band = Band(
        position=2, bands=10, low=10.0, high=20.5, count=400, observed=15.04, observed_low=14.0, observed_high=16.1,
        new_low=12, new_high=18, inside=0.905,
    )  # fmt: skip
    assert band_sentence(band, 0.905) == (
        "Checked on cases with a known outcome that the model had not learned from: the 400 predicted between 10 and "
        "20.5 came to 15.04 on average (of all such cases it may be anything from 14 to 16.1), and in 90 % of them the "
        "true number lay where it was said to lie."
    )
    lowest = band.model_copy(update={"low": None})
    assert "the 400 predicted below 20.5 came" in band_sentence(lowest, 0.905)


def test_what_is_new_to_the_model_comes_before_the_reasons_and_what_bars_mean_after_them() -> None:
    age = Reason(feature="Age", code="AGE", contribution=-2_190_000.0, direction="lowers", sentence="Age is 999.")
    told_of = Explanation(method="contributions", of="Price", unit="number", reasons=[age], reason_codes=[], base=5e6)
    notes = [
        Problem(code="value_beyond_range", message="Age is 999, beyond anything.", field="Age"),
        Problem(code="category_rare", message="", field="Zip"),
        Problem(code="category_rare", message="", field="City"),
    ]
    lines = shown(Prediction(value=3e6, explanation=told_of, notes=notes))
    assert lines[0].startswith("Take this answer with care,") and lines[0].endswith(": Age is 999, beyond anything.")
    assert lines[1] == "The model made nothing of Zip, City: such values are too rare to learn from, or new."
    assert "-2,190,000  Age is 999." in lines[3]
    assert lines[4].endswith("and 5,000,000 with which the model begins whatever the case, they make the prediction.")
    alone = told_of.model_copy(update={"method": "occlusion", "base": None})
    assert shown(Prediction(value=3e6, explanation=alone))[-1].endswith("They do not add up.")


def shown(prediction: Prediction) -> list[str]:
    written = StringIO()
    show_reasons(Console(file=written, width=160), prediction)
    return [line.rstrip() for line in written.getvalue().splitlines()]


def test_a_curve_says_why_dots_may_lie_above_the_best_and_advises_only_what_is_not_done() -> None:
    def text(best: int, *, recommends: bool = True) -> str:
        points = [ProfitPoint(threshold=i / 4, accepted_share=0.5, profit=earned, profit_per_case=earned)
                  for i, earned in enumerate([0.0, 10.0, 20.0, 5.0])]  # fmt: skip
        curve = ProfitCurve(
            of="lost", accepted="below", rows=9, unknown=5, points=points, best=points[best], half=points[1],
            new_cases=Spread(value=1.0), each=points[2], accept_all=points[0], decline_all=points[0],
        )  # fmt: skip
        written = StringIO()
        Console(file=written, width=300).print(_curve(curve, recommends=recommends))
        return written.getvalue()

    assert "Left out: 5 cases whose amounts cannot be computed." in text(1)
    assert "so dots may lie above it." in text(1) and "dots" not in text(2)
    assert "see --measure profit" in text(1) and "--measure" not in text(1, recommends=False)


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
