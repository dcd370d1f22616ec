"""Calls under an idempotency key: made again they are answered from the record, and neither written nor paid twice."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from rowcast.accounts.principal import Limits, Principal, Role
from rowcast.accounts.tables import RowsUsedRow
from rowcast.credits.allowances import uses_of
from rowcast.errors import Conflict, Internal, PaymentRequired
from rowcast.identifiers import first_id_at
from rowcast.monitoring.allowing import Limited
from rowcast.monitoring.journal import Journal
from rowcast.monitoring.repeats import once_of
from rowcast.monitoring.retention import delete_old_keys
from rowcast.monitoring.tables import PredictionKeyRow
from rowcast.tables import now

_SPEC = importlib.util.spec_from_file_location("charging_fixtures", Path(__file__).parent / "test_charging.py")
charging = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(charging)
entry, at_once, receipts = charging.entry, charging.at_once, charging.receipts
database, bank = charging.database, charging.bank


@pytest.fixture
def journals(database, bank):
    """Those of two servers."""
    with ExitStack() as stack:
        both = [Journal(database.writer(), ledger=bank.ledger) for _ in range(2)]
        for journal in both:
            journal.start()
            stack.callback(journal.close)
        yield both


def keyed(user, key, price=6, uses=(), body=b"rows", **changes):
    made = entry(principal_id=user.id, price=price, **changes)
    return Limited(made, uses, None, once_of(key, made, body))


def keys(database):
    with database.reading() as session:
        return {row.receipt_id for row in session.scalars(select(PredictionKeyRow))}


def test_a_call_made_again_at_another_server_is_not_paid_twice(journals, database, bank):
    ann = bank.join("ann", credits=10)
    first = keyed(ann, "once")
    assert journals[0].record_now(first) is None
    found = journals[1].record_now(keyed(ann, "once"))
    assert found.id == first.id
    assert (found.outputs, found.reply, found.price) == (first.entry.outputs, first.entry.reply, 6)
    assert receipts(database).keys() == {first.id}
    assert bank.balance(ann) == (4, 0, 6)
    assert bank.check().faults == []


def test_keys_are_each_callers_own(journals, database, bank):
    ann, ben = bank.join("ann", credits=10), bank.join("ben", credits=10)
    assert [journals[0].record_now(keyed(user, "once")) for user in (ann, ben)] == [None, None]
    assert len(receipts(database)) == 2


def test_a_key_is_for_one_question(journals, database, bank):
    ann = bank.join("ann", credits=100)
    asked = keyed(ann, "once", alias="champion")
    journals[0].record_now(asked)
    others = [{"body": b"other rows"}, {"model": "other"}, {"alias": None}, {"alias": "challenger"}]
    for other in others:
        with pytest.raises(Conflict) as caught:
            journals[1].record_now(keyed(ann, "once", **{"alias": "champion", **other}))
        assert caught.value.code == "idempotency_key_reused"
    assert journals[1].record_now(keyed(ann, "once", alias="champion", number=2)).number == 1  # the alias has moved
    assert receipts(database).keys() == {asked.id}
    assert bank.balance(ann) == (94, 0, 6)


def test_a_question_is_the_same_whatever_of_it_is_kept_and_whatever_it_comes_to_now(journals, bank):
    ann = bank.join("ann", credits=100)
    journals[0].record_now(keyed(ann, "once", inputs_kept="none", inputs_hash="1" * 64, alias="champion"))
    moved = {"inputs_hash": "2" * 64, "alias": "champion", "outputs": b"\0\0\0\1"}
    assert journals[1].record_now(keyed(ann, "once", inputs_kept="none", **moved)) is not None
    with pytest.raises(Conflict):
        journals[1].record_now(keyed(ann, "once", inputs_kept="none", body=b"others that come to the same"))


def test_the_same_call_twice_in_one_group_is_one(journals, database, bank):
    ann = bank.join("ann", credits=10)
    group = [keyed(ann, "a"), entry(principal_id=ann.id, price=1), keyed(ann, "a"), keyed(ann, "b", price=2)]
    outcomes = at_once(journals[0], database, group)
    assert [outcome and outcome.id for outcome in outcomes] == [None, None, group[0].id, None]
    assert bank.balance(ann) == (1, 0, 9)


def test_a_refused_call_leaves_its_key_free(journals, database, bank):
    ann = bank.join("ann", credits=5)
    outcomes = at_once(journals[0], database, [keyed(ann, "once"), keyed(ann, "once"), keyed(ann, "else", price=1)])
    assert [type(outcome) for outcome in outcomes] == [PaymentRequired, PaymentRequired, type(None)]
    assert len(keys(database)) == 1
    bank.top_up(ann, 10)
    assert journals[1].record_now(keyed(ann, "once")) is None


def test_a_repeated_call_uses_no_rows(journals, database, bank):
    ann = bank.join("ann", credits=100)
    limited = Principal(ann.id, "ann", Role.USER, limits=Limits(user_rows_per_day=5))
    for _ in range(3):
        journals[0].record_now(keyed(ann, "once", uses=uses_of(limited, 4)))
    with database.reading() as session:
        assert session.scalar(select(RowsUsedRow.row_count)) == 4


def test_one_that_cannot_be_written_takes_no_neighbour_with_it(journals, database, bank):
    ann = bank.join("ann", credits=100)
    done = keyed(ann, "done")
    journals[0].record_now(done)
    group = [keyed(ann, "bad", model=None), keyed(ann, "done"), keyed(ann, "good")]
    outcomes = at_once(journals[0], database, group)
    assert [type(outcome) for outcome in outcomes] == [Internal, type(done.entry), type(None)]
    assert keys(database) == {done.id, group[2].id}
    assert bank.balance(ann) == (88, 0, 12)


def test_of_many_at_the_same_moment_on_two_servers_one_is_done(journals, database, bank):
    ann = bank.join("ann", credits=1000)
    asked = [(journal, f"key {number}") for number in range(20) for journal in journals for _ in range(2)]
    with ThreadPoolExecutor(20) as pool:
        told = list(pool.map(lambda one: (one[1], one[0].record_now(keyed(ann, one[1], price=1))), asked))
    assert sum(first is None for _, first in told) == 20
    assert len({(key, first.id) for key, first in told if first is not None}) == 20
    assert receipts(database).keys() == keys(database)
    assert bank.balance(ann) == (980, 0, 20)
    assert bank.check().faults == []


def test_keys_go_after_a_day(journals, database, bank):
    ann = bank.join("ann", credits=100)
    old, new = keyed(ann, "old", price=0), keyed(ann, "new", price=0)
    for one in (old, new):
        journals[0].record_now(one)
    before = first_id_at(now() - timedelta(days=2))
    with database.transaction() as session:
        session.execute(update(PredictionKeyRow).where(PredictionKeyRow.receipt_id == old.id).values(receipt_id=before))
    assert delete_old_keys(database, days=1) == 1
    assert keys(database) == {new.id}


def test_a_key_whose_receipt_is_gone_is_used_up(journals, database, bank):
    ann = bank.join("ann", credits=100)
    one = keyed(ann, "once")
    journals[0].record_now(one)
    with database.transaction() as session:
        session.execute(update(PredictionKeyRow).values(receipt_id="0" * 32))
    with pytest.raises(Conflict, match="no longer on record"):
        journals[1].record_now(keyed(ann, "once"))
