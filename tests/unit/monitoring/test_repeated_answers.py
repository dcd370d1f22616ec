"""What a call is answered that was made before under the same idempotency key, by what receipts keep of answers."""

from __future__ import annotations

import json

import pytest

from rowcast.monitoring.keeping import Keeping
from rowcast.monitoring.receipts import Receipts
from rowcast.scoring.requests import decode

KEY = b"k" * 32
ROW = {"State": "CA", "Amount": 1.5, "Urban": True}


@pytest.fixture
def ask(journal, catalog, principal, sample):
    def ask(keeping, key="once", **options):
        body = json.dumps({"rows": sample, **options}).encode()
        catalog.refresh()
        served, receipts = catalog.get(principal, "loans"), Receipts(journal, keeping)
        scored = receipts.score(principal, served, body, decode(body, max_rows=100))
        return receipts.keep_now(scored, key)

    return ask


@pytest.mark.parametrize(
    "keeping", [Keeping(), Keeping(store_inputs=False, key=KEY), Keeping.of(True, ["State"], KEY)], ids=str
)
def test_the_same_answer_byte_by_byte(ask, train, keeping):
    train(promote=True)
    first, again = ask(keeping), ask(keeping)
    assert (first.before, again.before) == (False, True)
    assert again.reply == first.reply
    assert again.entry.id == first.entry.id


def test_whichever_version_answers_by_now(ask, train, catalog):
    train(promote=True)
    kept = ask(Keeping())
    train(shift=0.5, promote=True)
    again = ask(Keeping())
    assert (again.before, again.reply, again.entry.number) == (True, kept.reply, 1)


def test_where_answers_are_not_kept_whole_another_version_gives_their_figures(ask, train):
    bare = Keeping(store_inputs=False, key=KEY)
    train(promote=True)
    told = json.loads(ask(bare, rows=[ROW]).reply)
    train(promote=True)  # it answers the same: else it could not be told from another question
    again = json.loads(ask(bare, rows=[ROW]).reply)
    assert (again["receipt"], again["version"]) == (told["receipt"], 1)
    assert [one["probabilities"] for one in again["predictions"]] == [
        one["probabilities"] for one in told["predictions"]
    ]
