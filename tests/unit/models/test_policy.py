"""What a policy may say, and whether it fits a model."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rowcast.client.answers import request_of
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.errors import InvalidInput
from rowcast.models.decide.fitting import Subject, faults, filled_in, schema_of
from rowcast.models.decide.policy import Policy, PolicyChange
from rowcast.models.recipe import Problem

FEATURES = FeatureSchema(features=(Feature(name="Amount", kind=Kind.NUMBER), Feature(name="State", kind=Kind.CATEGORY)))
TABLE = FeatureSchema(
    features=(
        Feature(name="Amount", kind=Kind.CATEGORY),
        Feature(name="Term", kind=Kind.NUMBER, may_be_missing=False),
        Feature(name="Opened", kind=Kind.DATE),
    )
)
BINARY = Subject.of(Problem.BINARY, ["paid", "lost"], FEATURES, TABLE)
MANY = Subject.of(Problem.MULTICLASS, ["A", "B", "C"], FEATURES, TABLE)
NUMBER = Subject.of(Problem.REGRESSION, [], FEATURES, TABLE)
MATRIX = {"accept": {"paid": 10, "lost": -90}}
CREDIT = {"good": "paid", "bad": "lost", "amount": {"column": "Amount"}, "term": {"column": "Term"}, "rate": 0.1}


def policy(**fields: Any) -> Policy:
    return Policy.model_validate(fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"bands": {"yellow": 0.4, "red": 0.3}},
        {"bands": {"yellow": 0.3, "red": 0.4, "high": "green"}},
        {"bands": {"yellow": float("nan"), "red": 0.4}},
        {"bands": {"yellow": 0.1, "red": float("inf")}},
        {"bands": {"of": "lost"}},
        {"bands": {"yellow": 0.1, "red": 0.3, "blue": 0.2}},
        {"bands": {"yellow": 0.1, "red": 0.3, "measure": "odds"}},
        {"payoff": {}},
        {"payoff": {"decline": {"paid": 1}}},
        {"payoff": MATRIX | {"credit": CREDIT}},
        {"payoff": {"accept": {"paid": float("nan"), "lost": 1}}},
        {"payoff": {"accept": {"paid": {"column": "Amount", "times": float("inf")}, "lost": 1}}},
        {"payoff": {"accept": {"paid": {"name": "Amount"}, "lost": 1}}},
        {"payoff": {"credit": {"good": "paid", "bad": "lost"}}},
        {"bands": None, "limits": {}},
    ],
)
def test_what_is_no_policy_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        policy(**fields)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"yellow": 0.2}, {"yellow": 0.2, "red": 0.2}),
        ({"red": 0.3, "yellow": None}, {"yellow": 0.3, "red": 0.3}),
        ({"measure": "profit"}, {"measure": "profit", "yellow": 0, "red": 0, "high": "green"}),
        ({"measure": "profit", "red": -5}, {"measure": "profit", "yellow": -5, "red": -5, "high": "green"}),
    ],
)
def test_one_threshold_is_enough_and_a_profit_needs_none(given: dict[str, Any], meant: dict[str, Any]) -> None:
    assert policy(bands=given) == policy(bands=meant)
    assert "required" not in Policy.model_json_schema()["$defs"]["Bands"]


@pytest.mark.parametrize("text", ["a\0b", "\x1b[31m", "\x7f", "\x85", "half \ud800"])
def test_control_characters_are_no_comment(text: str) -> None:
    with pytest.raises(ValidationError, match=r"Control characters|surrogates"):
        PolicyChange(comment=text)
    assert PolicyChange(comment="two\n\tlines: naïve, 中, 👍").comment


def test_places_of_amounts_are_written_for_people() -> None:
    with pytest.raises(InvalidInput) as refused:
        request_of(Policy, None, {"payoff": {"accept": {"P I F": {"column": "Price", "plus": "x"}, "lost": "y"}}})
    assert [one.field for one in refused.value.problems] == ['payoff.accept."P I F".plus', "payoff.accept.lost"]


def test_what_it_leaves_open_is_filled_in() -> None:
    bands = {"yellow": 0.1, "red": 0.3}
    assert filled_in(policy(), BINARY) == policy()
    assert (
        filled_in(policy(bands=bands), BINARY).bands
        == policy(bands=bands | {"of": "lost", "measure": "probability"}).bands
    )
    assert filled_in(policy(bands=bands), NUMBER).bands == policy(bands=bands | {"measure": "value"}).bands
    chosen = policy(bands=bands | {"of": "paid"}, payoff=MATRIX)
    assert filled_in(chosen, BINARY).payoff == chosen.payoff
    assert filled_in(chosen, BINARY).bands.of == "paid"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("model", "fields", "found"),
    [
        (BINARY, {"bands": {"yellow": 0.1, "red": 0.3}, "payoff": {"credit": CREDIT}}, []),
        (BINARY, {"bands": {"yellow": 0.1, "red": 0.3}, "payoff": MATRIX}, []),
        (NUMBER, {"bands": {"yellow": 100, "red": 300, "measure": "high"}}, []),
        (MANY, {"bands": {"of": "B", "yellow": 0, "red": 1}}, []),
        (BINARY, {"bands": {"of": "Lost", "yellow": 0.1, "red": 0.3}}, [("bands.of", "class_unknown")]),
        (BINARY, {"bands": {"yellow": 10, "red": 30}}, [
            ("bands.yellow", "threshold_invalid"), ("bands.red", "threshold_invalid")]),
        (BINARY, {"bands": {"yellow": 0, "red": 1, "measure": "low"}}, [("bands.measure", "measure_invalid")]),
        (MANY, {"bands": {"yellow": 0, "red": 1}}, [("bands.of", "class_missing")]),
        (NUMBER, {"bands": {"yellow": 0, "red": 1, "measure": "probability", "of": "lost"}}, [
            ("bands.measure", "measure_invalid"), ("bands.of", "class_unknown")]),
        (NUMBER, {"payoff": MATRIX}, [("payoff", "payoff_not_for_numbers")]),
        (BINARY, {"payoff": {"accept": {"paid": 1, "lots": -1}, "decline": {"Paid": 1}}}, [
            ("payoff.accept.lots", "class_unknown"), ("payoff.decline.Paid", "class_unknown"),
            ("payoff.accept", "class_missing")]),
        (MANY, {"payoff": {"credit": CREDIT | {"good": "A", "bad": "B"}}}, [("payoff.credit", "class_missing")]),
        (BINARY, {"payoff": {"credit": CREDIT | {"rate": {"column": "Rate"}, "amount": {"column": "State"}}}}, [
            ("payoff.credit.amount", "column_not_number"), ("payoff.credit.rate", "column_unknown")]),
        (BINARY, {"payoff": {"accept": {"paid": {"column": "Opened"}, "lost": {"column": "term"}}}}, [
            ("payoff.accept.paid", "column_not_number"), ("payoff.accept.lost", "column_unknown")]),
        (NUMBER, {"bands": {"yellow": -1e39, "red": 1e39}}, [
            ("bands.yellow", "threshold_invalid"), ("bands.red", "threshold_invalid")]),
        (NUMBER, {"bands": {"yellow": -3.4e38, "red": 3.4e38}}, []),
        (BINARY, {"payoff": {"accept": {"paid": 1e12, "lost": -1e12}, "decline": {"paid": 1.1e12}}}, [
            ("payoff.decline.paid", "amount_invalid")]),
        (BINARY, {"payoff": {"accept": {"paid": -1e300, "lost": {"column": "Term", "times": -1e7, "plus": 2e12}}}}, [
            ("payoff.accept.paid", "amount_invalid"), ("payoff.accept.lost.times", "amount_invalid"),
            ("payoff.accept.lost.plus", "amount_invalid")]),
        (BINARY, {"payoff": {"credit": CREDIT | {"amount": 1e13}}}, [("payoff.credit.amount", "amount_invalid")]),
        (BINARY, {"payoff": {"credit": CREDIT | {"amount": 1, "term": 1, "rate": 0, "loss": 0}}}, []),
        (BINARY, {"payoff": {"credit": CREDIT | {"term": 1200, "rate": 1, "loss": 1}}}, []),
        (BINARY, {"payoff": {"credit": CREDIT | {"amount": 0, "term": 0, "rate": 10, "loss": 60}}}, [
            (f"payoff.credit.{name}", "credit_invalid") for name in ("amount", "term", "rate", "loss")]),
        (BINARY, {"payoff": {"credit": CREDIT | {"amount": -1, "term": 1201, "rate": -0.1, "loss": -0.1}}}, [
            (f"payoff.credit.{name}", "credit_invalid") for name in ("amount", "term", "rate", "loss")]),
    ],
)  # fmt: skip
def test_whether_it_fits(model: Subject, fields: dict[str, Any], found: list[tuple[str, str]]) -> None:
    said = faults(filled_in(policy(**fields), model), model)
    assert [(fault.field, fault.code) for fault in said] == found
    if found == [("bands.of", "class_unknown")]:
        assert "Did you mean 'lost'?" in said[0].message
    if ("payoff.accept.lost", "column_unknown") in found:
        assert "Did you mean 'Term'?" in said[1].message


def test_what_a_number_may_be_is_said() -> None:
    credit = policy(payoff={"credit": CREDIT | {"rate": 10, "loss": 60}})
    assert [fault.message for fault in faults(credit, BINARY)] == [
        "A rate a year is between 0 and 1: 0.1 for 10 %.", "A lost share is between 0 and 1: 0.6 for 60 %.",
    ]  # fmt: skip
    (fault,) = faults(policy(payoff={"accept": {"paid": 1e300, "lost": 0}}), BINARY)
    assert fault.message == "This number is between -1,000,000,000,000 and 1,000,000,000,000."


def test_columns_are_read_as_the_model_reads_them_and_may_be_missing() -> None:
    chosen = policy(payoff={"credit": CREDIT | {"loss": {"column": "Amount", "times": 2}}})
    assert chosen.columns == ["Amount", "Term"]
    found = schema_of(chosen, BINARY).features
    assert [(one.name, one.kind, one.may_be_missing) for one in found] == [
        ("Amount", Kind.NUMBER, True), ("Term", Kind.NUMBER, True),
    ]  # fmt: skip


def test_a_policy_without_anything_decides_nothing() -> None:
    assert not policy().decides
    assert policy(payoff=MATRIX).decides
