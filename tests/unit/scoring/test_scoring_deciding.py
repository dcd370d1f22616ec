from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from answering import predict
from sqlalchemy import select

from rowcast.accounts.principal import Principal, Role
from rowcast.adapters.database.engine import SqlDatabase
from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.errors import InvalidInput
from rowcast.models import policies
from rowcast.models.decide.numbered import NumberedPolicy
from rowcast.models.decide.policy import Policy
from rowcast.models.recipe import Problem
from rowcast.models.tables import ModelVersionRow, PolicyRow
from rowcast.scoring.answers import Answers
from rowcast.scoring.catalog import Catalog
from rowcast.scoring.deciding import decider_of
from rowcast.scoring.loaded import Served
from rowcast.scoring.predict import answered
from rowcast.scoring.requests import decode

ANNE = Principal("a" * 32, "anne", Role.ANALYST)

ROWS: list[dict[str, Any]] = [
    {"State": "CA", "Amount": 1, "Urban": True},
    {"State": "unseen", "Amount": None},
    {"State": "NY", "Amount": -3, "Urban": False},
]
"""Scores 2.5, 0.1 and -3.5: probabilities 0.924, 0.525 and 0.029 of CHGOFF."""

BANDS = {"yellow": 0.1, "red": 0.6}
COLUMNS = FeatureSchema(
    features=(Feature(name="Price", kind=Kind.NUMBER, unit="$"), Feature(name="Amount", kind=Kind.NUMBER))
)


@pytest.fixture
def decided(database: SqlDatabase, storage: LocalStorage, train: Callable[..., int], principal: Principal) -> Any:
    """Answers to rows by a model with a policy."""

    def decided(
        policy: dict[str, Any], rows: list[Any], *, problem: Problem = Problem.BINARY, on_error: str = "fail"
    ) -> Answers:
        train(problem=problem)
        served = Catalog(database, storage).get(ANNE, "loans")
        chosen = Policy.model_validate(policy)
        decider = decider_of(served.model, NumberedPolicy(7, chosen, COLUMNS.select(chosen.columns)))
        return predict(principal, served.model, "champion", rows, on_error, decider=decider)

    return decided


PRICES = FeatureSchema(features=(Feature(name="Price", kind=Kind.NUMBER), Feature(name="Fee", kind=Kind.NUMBER)))


def told(answers: Answers, what: str) -> list[Any]:
    return [answer and answer.decision and getattr(answer.decision, what) for answer in answers.predictions]


def sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(-score))


@pytest.mark.parametrize(
    ("bands", "colors"),
    [
        (BANDS | {"of": "CHGOFF"}, ["red", "yellow", "green"]),
        (BANDS | {"of": "P I F"}, ["green", "yellow", "red"]),
        ({"of": "CHGOFF", "yellow": 0.6, "red": 0.1, "high": "green"}, ["green", "yellow", "red"]),
        ({"of": "CHGOFF", "yellow": 0.3, "red": 0.3}, ["red", "red", "green"]),
        ({"of": "CHGOFF", "yellow": 0, "red": 1}, ["yellow"] * 3),
    ],
)
def test_colours_of_two_classes(decided: Any, bands: dict[str, Any], colors: list[str]) -> None:
    answers = decided({"bands": bands | {"measure": "probability"}}, ROWS)
    assert told(answers, "color") == colors
    assert told(answers, "expected_profit") == [None] * 3
    assert answers.policy == 7


def test_what_is_at_a_threshold_is_beyond_it(decided: Any) -> None:
    exact = np.float32(decided({}, ROWS[:1]).predictions[0].probability)
    for threshold, color in ((exact, "red"), (np.nextafter(exact, np.float32(1)), "green")):
        bands = {"of": "CHGOFF", "measure": "probability", "yellow": float(threshold), "red": float(threshold)}
        assert told(decided({"bands": bands}, ROWS[:1]), "color") == [color]


def test_many_classes(decided: Any) -> None:
    payoff = {"accept": {"red": -10, "green": 5, "blue": 1}, "decline": {"red": 2}}
    bands = {"of": "green", "measure": "probability", "yellow": 0.5, "red": 0.1, "high": "green"}
    answers = decided({"bands": bands, "payoff": payoff}, ROWS, problem=Problem.MULTICLASS)
    assert told(answers, "color") == ["yellow", "green", "green"]
    for answer in answers.predictions:
        chance = answer.probabilities
        wanted = -10 * chance["red"] + 5 * chance["green"] + chance["blue"]
        assert answer.decision.expected_profit == pytest.approx(wanted, abs=1e-5)
        assert answer.decision.expected_if_declined == pytest.approx(2 * chance["red"], abs=1e-5)


@pytest.mark.parametrize(("yellow", "red", "colors"), [(0, 20, ["red", "yellow", "green"]), (30, 30, ["green"] * 3)])
def test_numbers(decided: Any, yellow: float, red: float, colors: list[str]) -> None:
    bands = {"measure": "value", "yellow": yellow, "red": red}
    assert told(decided({"bands": bands}, ROWS, problem=Problem.REGRESSION), "color") == colors


def test_amounts_that_are_features_and_others(decided: Any) -> None:
    payoff = {
        "accept": {
            "P I F": {"column": "Price", "times": 0.1, "plus": 1},
            "CHGOFF": {"column": "Amount", "times": -1},
        }
    }
    rows = [ROWS[0] | {"Price": "$1,000.00 "}, ROWS[2] | {"Price": 30}, ROWS[2], ROWS[1] | {"Price": 5}]
    answers = decided({"payoff": payoff}, rows)
    bad, good = sigmoid(2.5), sigmoid(-3.5)
    assert told(answers, "expected_profit") == [
        pytest.approx((1 - bad) * 101 - bad, abs=1e-4), pytest.approx((1 - good) * 4 + good * 3, abs=1e-4), None, None,
    ]  # fmt: skip
    assert told(answers, "color") == [None] * 4
    alone = [decided({"payoff": payoff}, [row]).predictions[0] for row in rows]
    assert alone == answers.predictions


def test_senseless_terms_of_a_loan_leave_its_profit_unknown(decided: Any) -> None:
    credit = {"good": "P I F", "bad": "CHGOFF", "amount": {"column": "Price"}, "term": 12, "rate": 0.1}
    rows = [ROWS[0] | {"Price": price} for price in (1000, 0, -5, None)]
    profits = told(decided({"payoff": {"credit": credit}}, rows), "expected_profit")
    assert [profit is None for profit in profits] == [False, True, True, True]
    answers = decided({"payoff": {"credit": credit}}, rows)
    senseless = [("amount_senseless", None)]
    assert why(answers) == [[], senseless, senseless, [("amount_missing", "Price")]]


def why(answers: Answers) -> list[list[tuple[str, str | None]]]:
    problems = [answer.decision.problems for answer in answers.predictions if answer and answer.decision]
    return [[(one["code"], one.get("field")) for one in listed] for listed in problems]


def test_an_unreadable_amount_costs_the_profit_and_nothing_else(decided: Any) -> None:
    policy = {"payoff": {"accept": {"P I F": {"column": "Price"}, "CHGOFF": {"column": "Amount"}}}}
    rows = [ROWS[0], ROWS[1] | {"Price": "much"}, ROWS[2] | {"Prise": 3}, ROWS[2] | {"Price": 2}, ROWS[0]]
    with pytest.raises(InvalidInput) as refused:
        decided(policy, rows)
    assert [(one.row, one.field, one.code) for one in refused.value.problems] == [(3, "Prise", "field_unknown")]
    assert "'Price'" in refused.value.problems[0].message
    answers = decided(policy, rows, on_error="skip")
    assert [answer is None for answer in answers.predictions] == [False, False, True, False, False]
    assert why(answers) == [
        [("amount_missing", "Price")], [("field_unreadable", "Price"), ("amount_missing", "Amount")], [],
        [("amount_missing", "Price")],
    ]  # fmt: skip
    assert "a number" in answers.predictions[1].decision.problems[0]["message"]
    for row in (rows[1], rows[1] | {"Price": 1e300}, rows[1] | {"Price": [1]}):
        (alone,) = decided(policy, [row]).predictions
        assert (alone.probability, alone.decision.expected_profit) == (answers.predictions[1].probability, None)
    with pytest.raises(InvalidInput):
        decided(policy, [ROWS[0] | {"Amount": "much"}])  # a feature of the model


def test_colours_by_profit(decided: Any) -> None:
    policy = {
        "bands": {"of": "CHGOFF", "measure": "profit"},
        "payoff": {"accept": {"P I F": {"column": "Price"}, "CHGOFF": -1}, "decline": {"P I F": 2}},
    }
    bad = sigmoid(2.5)
    fair = 2 + bad / (1 - bad)  # where accepting earns as much as declining
    rows = [ROWS[0] | {"Price": price} for price in (fair + 0.1, fair - 0.1, None, "dear")]
    answers = decided(policy, rows)
    assert told(answers, "color") == ["green", "red", None, None]
    profits = told(answers, "expected_profit")
    assert profits[0] == pytest.approx((1 - bad) * (fair + 0.1) - bad, abs=1e-4)
    assert [len(listed) for listed in why(answers)] == [0, 0, 1, 1]
    assert decided(policy, rows[1:2]).predictions[0] == answers.predictions[1]


def test_rows_beyond_the_models_arithmetic_take_their_amounts_with_them(decided: Any) -> None:
    bands = {"measure": "value", "yellow": 15, "red": 15}
    rows = [{"Amount": 1}, {"Amount": 3e38}, {"Amount": 2}]
    answers = decided({"bands": bands}, rows, problem=Problem.REGRESSION, on_error="skip")
    assert told(answers, "color") == ["green", None, "red"]


def test_a_policy_that_does_not_fit_is_left_out_and_logged_once(
    database: SqlDatabase,
    storage: LocalStorage,
    train: Callable[..., int],
    principal: Principal,
    caplog: pytest.LogCaptureFixture,
) -> None:
    train(promote=True)
    with database.transaction() as session:
        policies.set_policy(session, principal, "loans", Policy.model_validate({"bands": BANDS}))
    catalog = Catalog(database, storage)
    assert catalog.get(ANNE, "loans").decider is not None
    train(problem=Problem.MULTICLASS)
    with caplog.at_level(logging.WARNING):
        for reference in ("loans@2", "loans@2", "loans@2"):
            catalog.refresh()
            assert catalog.get(ANNE, reference).decider is None
    assert ["class_unknown" in record.getMessage() for record in caplog.records] == [True]
    answers = predict(principal, catalog.get(ANNE, "loans@2").model, None, ROWS)
    assert answers.policy is None


def test_a_new_policy_is_noticed_and_an_empty_one_switches_decisions_off(
    database: SqlDatabase, storage: LocalStorage, train: Callable[..., int], principal: Principal
) -> None:
    train(promote=True)
    catalog = Catalog(database, storage)

    def served(policy: dict[str, Any]) -> Served:
        with database.transaction() as session:
            policies.set_policy(session, principal, "loans", Policy.model_validate(policy))
        catalog.refresh()
        return catalog.find(ANNE, "loans") or catalog.get(ANNE, "loans")

    assert catalog.get(ANNE, "loans").decider is None
    first = served({"bands": BANDS})
    assert first.decider is not None
    assert first.decider.number == 1
    second = served({"bands": BANDS | {"red": 0.9}})
    assert second.decider is not None
    assert second.decider.number == 2
    assert second.model is first.model
    assert served({}).decider is None


@pytest.mark.parametrize("explain", [False, 1])
def test_columns_that_a_policy_once_read_stay_welcome(
    database: SqlDatabase, storage: LocalStorage, train: Callable[..., int], principal: Principal, explain: int
) -> None:
    train(promote=True)
    catalogs = [Catalog(database, storage) for _ in range(2)]  # as of two processes
    body = msgspec.json.encode({"rows": [ROWS[0] | {"Price": 5}, ROWS[2] | {"Price": "?!"}], "explain": explain})

    def called(catalog: Catalog, sent: bytes) -> Answers:
        catalog.refresh()
        now = catalog.get(ANNE, "loans")
        return answered(now, decode(sent, max_rows=10, reader=now.reader))[0]

    def put(number: int, content: dict[str, Any]) -> None:
        policy = Policy.model_validate(content)
        columns = PRICES.select(policy.columns).model_dump(mode="json")
        with database.transaction() as session:
            model_id = session.scalars(select(ModelVersionRow.model_id)).one()
            session.add(
                PolicyRow(
                    model_id=model_id, number=number, content=policy.model_dump(mode="json"), columns=columns,
                    created_by=principal.id,
                )
            )  # fmt: skip

    with pytest.raises(InvalidInput):
        called(catalogs[0], body)
    put(1, {"payoff": {"accept": {"P I F": {"column": "Price"}, "CHGOFF": -1}}})
    first = [called(catalog, body) for catalog in catalogs]
    chances = [one.probability for one in first[0].predictions if one]
    assert told(first[1], "expected_profit")[0] is not None
    by_fee = {"payoff": {"accept": {"P I F": {"column": "Fee"}, "CHGOFF": -1}}}
    unfit = {"bands": BANDS | {"of": "nobody", "measure": "probability"}}
    for number, content in enumerate(({}, by_fee, unfit, {}), 2):
        put(number, content)
        for catalog in catalogs:
            assert [one.probability for one in called(catalog, body).predictions if one] == chances
    for unknown in ("Prise", "price", "Fees"):
        with pytest.raises(InvalidInput) as refused:
            called(catalogs[0], body.replace(b'"Price":5', b'"%b":5' % unknown.encode()))
        assert [(one.row, one.code) for one in refused.value.problems] == [(1, "field_unknown")]
    assert called(catalogs[1], body.replace(b'"Price":5', b'"Fee":[{}]')).predictions[0].probability == chances[0]
