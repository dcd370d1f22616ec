"""A file is decided on as a prediction call is."""

from __future__ import annotations

import csv
import io

import pytest
from answering import predict

from rowcast.accounts.principal import Principal, Role
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.models.decide.numbered import NumberedPolicy
from rowcast.models.decide.policy import Policy
from rowcast.scoring.deciding import decider_of
from rowcast.scoring.loaded import open_model

CALLER = Principal("a" * 32, "ann", Role.USER)
POLICY = {
    "bands": {"of": "default", "measure": "probability", "yellow": 0.2, "red": 0.5},
    "payoff": {
        "accept": {"paid": {"column": "price", "times": 0.1}, "default": {"column": "income", "times": -1}},
        "decline": {"default": 5},
    },
}
COLUMNS = FeatureSchema(
    features=(Feature(name="price", kind=Kind.NUMBER), Feature(name="income", kind=Kind.NUMBER, unit="$"))
)


def asked(policy: dict, number: int = 4) -> dict:
    content = Policy.model_validate(policy).model_dump(mode="json")
    return {"number": number, "content": content, "columns": COLUMNS.model_dump(mode="json")}


def test_decisions_and_profits_stand_beside_the_rows(shop, make_rows, write):
    rows = [[*row, price] for row, price in zip(make_rows(200, seed=8), ["$1,200.00", "", "7"] * 70, strict=False)]
    rows[5][-1] = "dear"
    header = ["id", "term", "income", "since", "state", "town", "owns home", "price"]
    outcome = shop.score(write(rows, header), policy=asked(POLICY))
    assert (outcome["policy"], outcome["skipped"], outcome["errors"]) == (4, 0, 1)
    assert [(line["row"], line["field"]) for line in shop.errors()] == [("6", "price")]
    answers = list(csv.DictReader(io.StringIO(shop.predictions().decode())))

    model = open_model(shop.storage, shop.keys["outcome", "lightgbm"])
    decider = decider_of(model, NumberedPolicy(4, Policy.model_validate(POLICY), COLUMNS))
    known = {*model.schema.names, "price"}
    sent = [{name: cell for name, cell in zip(header, row, strict=True) if name in known} for row in rows]
    called = predict(CALLER, model, None, sent, "skip", decider=decider).predictions
    for answer, one in zip(answers, called, strict=True):
        decided = one.decision
        assert answer["decision"] == decided.color
        assert answer["expected_profit"] == ("" if decided.expected_profit is None else str(decided.expected_profit))
        assert answer["expected_if_declined"] == str(decided.expected_if_declined)
    assert called[5].decision.expected_profit is None
    assert called[5].decision.problems[0]["field"] == "price"
    assert {answer["decision"] for answer in answers} == {"green", "yellow", "red"}


@pytest.mark.parametrize("policy", [{"bands": {"of": "no such class", "yellow": 0.2, "red": 0.5}}])
def test_a_policy_that_does_not_fit_decides_nothing(shop, make_rows, write, policy):
    outcome = shop.score(write(make_rows(20)), policy=asked(policy))
    assert outcome["policy"] is None
    assert "decision" not in shop.predictions().decode().splitlines()[0]
