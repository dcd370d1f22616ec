"""Receipts of calls that a policy decided on."""

from __future__ import annotations

import json

import pytest

from rowcast.models import policies
from rowcast.models.decide.policy import Policy
from rowcast.models.recipe import Problem
from rowcast.monitoring.keeping import Keeping
from rowcast.monitoring.queries import detail, find_receipt
from rowcast.monitoring.replay import replay
from rowcast.monitoring.views import ReceiptDetail, Replay

PROFIT = {"accept": {"P I F": {"column": "Amount", "times": 10}, "CHGOFF": -100}}


@pytest.fixture
def put(database, principal):
    def put(**content):
        with database.transaction() as session:
            return policies.set_policy(session, principal, "loans", Policy.model_validate(content)).number

    return put


@pytest.fixture
def look(database, principal):
    def look(receipt_id):
        with database.reading() as session:
            return ReceiptDetail.model_validate_json(detail(*find_receipt(session, principal, receipt_id)))

    return look


@pytest.fixture
def again(database, catalog, principal):
    def again(receipt_id):
        catalog.refresh()
        return Replay.model_validate_json(replay(database, catalog, principal, receipt_id))

    return again


def decisions(reply):
    return [answer.get("decision") for answer in reply["predictions"]]


def test_a_call_is_replayed_by_the_policy_that_decided_it(train, predict, put, look, again, sample):
    train(promote=True)
    before = predict(sample)
    assert put(bands={"yellow": 0.1, "red": 0.2}, payoff=PROFIT) == 1
    first = predict(sample)
    assert put(bands={"yellow": 0.9, "red": 0.97}) == 2
    second = predict(sample)
    assert put() == 3
    after = predict(sample)

    assert [reply["policy"] for reply in (before, first, second, after)] == [None, 1, 2, None]
    assert decisions(before) == decisions(after) == [None] * 3
    assert [one["color"] for one in decisions(first)] == ["red", "red", "red"]
    assert ["expected_profit" in one for one in decisions(first)] == [True, False, True]
    assert [one["color"] for one in decisions(second)] == ["yellow", "green", "green"]
    for reply in (before, first, second, after):
        receipt = look(reply["receipt"])
        assert receipt.policy_version == reply["policy"]
        repeated = again(reply["receipt"])
        assert repeated.matches
        assert repeated.answer.model_dump(mode="json", exclude_none=True) == {
            name: value for name, value in reply.items() if value is not None
        }


def test_a_redacted_reply_keeps_the_colour_and_the_interval_alone(train, predict, put, look, sample):
    train(promote=True)
    put(bands={"yellow": 0.1, "red": 0.2}, payoff=PROFIT)
    reply = predict(sample, keeping=Keeping.of(True, ["amount"], b"k" * 32))
    assert "expected_profit" in json.dumps(reply)
    receipt = look(reply["receipt"])
    assert (receipt.inputs_kept, receipt.policy_version, receipt.answer.policy) == ("redacted", 1, 1)
    kept = [answer.decision.model_dump(exclude_none=True) for answer in receipt.answer.predictions]
    assert kept == [{"color": "red"}] * 3
    assert [answer.probability for answer in receipt.answer.predictions] == [
        answer["probability"] for answer in reply["predictions"]
    ]


def test_numbers_are_decided_on_in_receipts_too(train, predict, put, look, again, sample):
    train(problem=Problem.REGRESSION, promote=True)
    put(bands={"yellow": 1, "red": 10})
    reply = predict(sample)
    assert [one["color"] for one in decisions(reply)] == ["red", "yellow", "green"]
    assert look(reply["receipt"]).policy_version == 1
    assert again(reply["receipt"]).matches
