"""The page of predictions: the form from a schema, the waterfall, bands in words, the calculator, the sliders."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest

from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.entrypoints.dashboard.formats import Formats
from rowcast.entrypoints.dashboard.page import Page
from rowcast.entrypoints.dashboard.pages import predict_bands, predict_what_if
from rowcast.entrypoints.dashboard.pages.predict_answer import odds, similar_sentence
from rowcast.entrypoints.dashboard.pages.predict_form import (
    Form,
    entered,
    example_of,
    form_of,
    missing,
    row_of,
    sent,
)
from rowcast.entrypoints.dashboard.pages.predict_profit import Terms, outlook, terms_of, unit_of
from rowcast.entrypoints.dashboard.pages.predict_reasons import sentence, signed, steps
from rowcast.entrypoints.dashboard.texts import Texts
from rowcast.errors import Problem
from rowcast.models.decide.policy import Bands, ColumnAmount, Credit, Payoff
from rowcast.scoring.views import Decision, Explanation, Prediction, Reason, Similar

AMOUNT = Feature(name="Amount", kind=Kind.NUMBER, may_be_missing=False, minimum=500.0, maximum=3e6, unit="$")
BANK = Feature(name="Bank", kind=Kind.CATEGORY, categories=("A", "B"), example="A")
OPENED = Feature(name="Opened", kind=Kind.DATE, minimum="1990-01-02", maximum="2014-01-21", example="2002-08-23")
NEW = Feature(name="New", kind=Kind.FLAG, true_values=("Y",), false_values=("N",))
SCHEMA = FeatureSchema(features=(AMOUNT, BANK, OPENED, NEW))
CREDIT = Credit(good="good", bad="bad", amount=ColumnAmount(column="Amount"), term=60, rate=0.1, loss=0.6)


def page_in(language: str) -> Page:
    return Page(None, Texts(language), Formats(language), {})  # type: ignore[arg-type]


def form(ranking: list[str] | None = None, amounts: list[str] | None = None) -> Form:
    return form_of("predict.loans@1", SCHEMA, ranking or [], amounts or [])


def test_what_matters_most_is_asked_first_and_columns_of_the_profit_come_last():
    made = form(["Opened", "Bank"], ["Amount", "Term"])
    assert [feature.name for feature in made.features] == ["Opened", "Bank", "Amount", "New", "Term"]
    assert [feature.name for feature in made.amounts] == ["Term"]  # Amount is a feature anyway


def test_what_is_needed_is_never_folded_away():
    needed = [Feature(name=f"n{place}", kind=Kind.NUMBER, may_be_missing=False) for place in range(20)]
    optional = [Feature(name=f"o{place}", kind=Kind.NUMBER) for place in range(20)]
    made = form_of("predict.x@1", FeatureSchema(features=(*optional, *needed)), [], [])
    assert [feature.name for feature in made.folded] == [f"o{place}" for place in range(4, 20)]


def test_a_row_holds_what_stands_in_the_form_and_unknown_is_null():
    made = form(amounts=["Term"])
    values = {"Amount": 60000.0, "Bank": None, "Opened": date(2006, 9, 5), "New": False, "Term": None}
    assert row_of(made, values) == {"Amount": 60000, "Bank": None, "Opened": "2006-09-05", "New": False}
    assert row_of(made, values | {"Term": 60.0})["Term"] == 60
    assert missing(made, values) == []
    assert missing(made, {}) == [AMOUNT]


@pytest.mark.parametrize("feature", SCHEMA.features)
def test_an_example_survives_the_way_into_the_form_and_out(feature):
    example = example_of(form())[feature.name]
    assert sent(feature, entered(feature, example)) == example


def test_values_of_a_receipt_are_read_as_they_were_sent():
    assert entered(NEW, "y") is True and entered(NEW, "N") is False and entered(NEW, "?") is None
    assert entered(OPENED, "5-Sep-06") is None  # a calendar cannot show what it cannot tell
    assert entered(AMOUNT, "60000") == 60000.0 and entered(AMOUNT, "$60,000.00") is None


def explanation(**fields) -> Explanation:
    reasons = [
        Reason(feature="Bank", code="BANK", contribution=0.5, direction="raises", sentence="", value=None),
        Reason(feature="Amount", code="AMOUNT", contribution=-0.2, direction="lowers", sentence="", value=2002),
        Reason(feature="New", code="NEW", contribution=0.1, direction="raises", sentence="", value=True),
    ]
    known = {"method": "contributions", "of": "bad", "unit": "log_odds", "reasons": reasons, "reason_codes": []}
    return Explanation.model_validate(known | {"base": -2.0, "score": -1.65, "rest": -0.05} | fields)


def test_the_waterfall_leads_from_the_base_to_the_score():
    made = steps(explanation(), ("start", "others", "end"), Formats("en"), most=2)
    assert [step.label for step in made] == ["start", "Bank = ?", "Amount = 2002", "others", "end"]
    assert all(step.start == pytest.approx(before.end) for before, step in pairwise(made[:-1]))
    assert made[-2].end == pytest.approx(made[-1].end) == -1.65
    assert [step.part for step in made] == ["base", "raises", "lowers", "raises", "score"]
    assert signed(made[1], Formats("en")) == "+0.50" and signed(made[2], Formats("ru")) == "−0,20"


def test_reasons_that_do_not_add_up_all_start_at_nothing():
    made = steps(explanation(method="occlusion", base=None, score=None, rest=None), ("a", "b", "c"), Formats("en"))
    assert [(step.start, step.end) for step in made] == [(0.0, 0.5), (0.0, -0.2), (0.0, 0.1)]


def test_reasons_are_told_in_both_languages():
    told = explanation()
    assert sentence(page_in("en"), told, told.reasons[0]) == (
        "▲ **Bank** is not known: strongly raises the probability of bad."
    )
    assert sentence(page_in("ru"), told, told.reasons[1]) == "▼ **Amount** — 2002: снижает вероятность bad."


def decided(chance: float, color: str) -> Prediction:
    probabilities = {"good": 1 - chance, "bad": chance}
    value = max(probabilities, key=probabilities.__getitem__)
    return Prediction(value=value, probability=chance, probabilities=probabilities, decision=Decision(color=color))


def test_a_band_says_what_it_means_and_what_it_does_not():
    bands = Bands(of="bad", measure="probability", yellow=0.15, red=0.3)
    english = page_in("en")
    assert predict_bands.limits(english, bands) == (
        "Green where the probability of bad is below 15%, yellow from there on, red from 30% on."
    )
    told = predict_bands.meaning(english, decided(0.38, "red"), bands)
    assert told.startswith("Red: the probability of bad is 38.0%. That is 30% or more, where red begins.")
    assert "the likelier outcome is good" in told
    assert "Зелёный: вероятность bad — 10,0" in predict_bands.meaning(page_in("ru"), decided(0.1, "green"), bands)


def test_what_is_beside_a_threshold_is_not_rounded_onto_it():
    bands = Bands(of="bad", measure="probability", yellow=0.15, red=0.3)
    assert predict_bands.written(page_in("en"), 0.29997, bands) == "29.997%"
    assert predict_bands.written(page_in("en"), 0.2, bands) == "20.0%"


def test_the_calculator_is_the_one_of_the_policy():
    found = outlook(Terms(100_000, 60, 0.1, 0.6), 0.2)
    assert found is not None
    assert (found.good, found.bad) == (pytest.approx(27_482.27, abs=0.01), -60_000)
    assert found.expected == pytest.approx(0.2 * -60_000 + 0.8 * found.good)
    assert found.break_even == pytest.approx(found.good / (found.good + 60_000))
    assert outlook(Terms(-5, 60, 0.1, 0.6), 0.2) is None


def test_the_calculator_begins_with_the_terms_of_the_case():
    assert terms_of(CREDIT, {"Amount": 5000}) == {"amount": 5000, "term": 60, "rate": 0.1, "loss": 0.6}
    assert terms_of(CREDIT, {})["amount"] is None
    assert unit_of(Payoff(credit=CREDIT), SCHEMA) == "$"


def test_sliders_go_by_factors_where_values_are_far_apart():
    stops = predict_what_if.stops_of(AMOUNT, 63_750.0)
    assert stops == sorted(stops) and stops[0] == 500.0 and stops[-1] == 3e6 and 63_750.0 in stops
    assert len(stops) < 40 and 1000.0 in stops and 2e6 in stops
    year = Feature(name="Year", kind=Kind.NUMBER, minimum=1971.0, maximum=2014.0)
    assert predict_what_if.stops_of(year, 2002.0) == [float(each) for each in range(1971, 2015)]
    assert predict_what_if.stops_of(Feature(name="x", kind=Kind.NUMBER), None) == []


def test_only_what_was_moved_is_asked_about():
    assert predict_what_if.changed({"a": 1, "b": None}, {"a": 1, "b": 2.0, "c": None}) == {"b": 2.0}
    constant = Feature(name="x", kind=Kind.NUMBER, minimum=1.0, maximum=1.0)
    assert predict_what_if.movable([AMOUNT, BANK, constant]) == [AMOUNT, BANK]


def test_odds_are_whole_cases():
    assert odds(0.38) == (38, 100) and odds(0.004) == (4, 1000)
    assert odds(0.0) is None and odds(1.0) is None


def test_that_it_fits_is_said_of_similar_cases_alone():
    similar = Similar(count=50, low=0.3, high=0.4, observed=0.36, observed_low=0.3, observed_high=0.5)

    def said(chance, *codes):
        notes = [Problem(code=code, message="", field="Bank") for code in codes]
        prediction = Prediction(value="bad", probability=chance, probabilities={"bad": chance}, notes=notes)
        return similar_sentence(page_in("en"), similar, "bad", prediction)

    assert "That fits: of all such cases it may be anything" in said(0.35, "category_rare")
    assert "fit" not in said(0.35, "category_unseen")
    assert "none was scored so high; of the 50" in said(0.45) and "fit" not in said(0.45)
    assert "none was scored so low; of the 50" in said(0.2) and "fit" not in said(0.2)
