"""Paid calls in the journal: what cannot be paid is refused alone, and what cannot be written is not paid."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import pytest
from sqlalchemy import select

from rowcast.accounts.principal import Limits, Principal, Role
from rowcast.accounts.tables import RowsUsedRow
from rowcast.credits.allowances import uses_of
from rowcast.errors import Internal, PaymentRequired
from rowcast.monitoring.allowing import Limited
from rowcast.monitoring.journal import Journal
from rowcast.monitoring.tables import ReceiptRow

_FOLDER = Path(__file__).parent


def _module(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


entry = _module("journal_fixtures", _FOLDER / "test_journal.py").entry
credits = _module("credits_fixtures", _FOLDER.parent / "credits" / "conftest.py")
database, bank = credits.database, credits.bank


@pytest.fixture
def journal(database, bank):
    journal = Journal(database.writer(), ledger=bank.ledger)
    journal.start()
    yield journal
    journal.close()


def at_once(journal, database, entries):
    """All of them in one group; what became of each."""

    async def record():
        with database.transaction() if database.engine.dialect.name == "sqlite" else database.reading():
            waiting = [asyncio.create_task(journal.record(one)) for one in entries]
            await asyncio.sleep(0.05)
        return await asyncio.gather(*waiting, return_exceptions=True)

    return asyncio.run(record())


def receipts(database):
    with database.reading() as session:
        return {row.id: row for row in session.scalars(select(ReceiptRow))}


def test_what_cannot_be_paid_is_refused_alone_and_not_kept(journal, database, bank):
    ann, ben = bank.join("ann", credits=10), bank.join("ben")
    priced = [(ann, 6), (ben, 1), (ann, 6), (ann, 0), (ann, 4)]
    entries = [entry(principal_id=user.id, price=price) for user, price in priced]
    outcomes = at_once(journal, database, entries)
    assert [type(outcome) for outcome in outcomes] == [type(None), PaymentRequired, PaymentRequired, *[type(None)] * 2]
    kept = receipts(database)
    assert kept.keys() == {entries[place].id for place in (0, 3, 4)}
    assert kept[entries[3].id].transfer_id is None
    assert bank.balance(ann) == (0, 0, 10)
    assert journal.written == 3
    assert bank.check().faults == []


def test_what_cannot_be_paid_uses_no_rows(journal, database, bank):
    ann = bank.join("ann", credits=10)
    limited = Principal(ann.id, "ann", Role.USER, limits=Limits(user_rows_per_day=5))
    requests = [
        Limited(entry(principal_id=ann.id, price=price), uses_of(limited, rows)) for price, rows in [(8, 2), (9, 3)]
    ]
    outcomes = at_once(journal, database, requests)
    assert [getattr(outcome, "code", None) for outcome in outcomes] == [None, "credits_missing"]
    with database.reading() as session:
        assert session.scalars(select(RowsUsedRow.row_count)).all() == [2]
    assert receipts(database).keys() == {requests[0].entry.id}


def test_a_group_of_nobody_who_can_pay_writes_nothing(journal, database, bank):
    ben = bank.join("ben")
    outcomes = at_once(journal, database, [entry(principal_id=ben.id, price=1) for _ in range(3)])
    assert {outcome.code for outcome in outcomes} == {"credits_missing"}
    assert receipts(database) == {}


def test_what_cannot_be_written_is_not_paid(journal, database, bank):
    ann = bank.join("ann", credits=10)
    first = entry(principal_id=ann.id, price=1)
    journal.record_now(first)
    others = [entry(principal_id=ann.id, price=2) for _ in range(2)]
    outcomes = at_once(journal, database, [others[0], first, others[1]])
    assert [type(outcome) for outcome in outcomes] == [type(None), Internal, type(None)]
    assert bank.balance(ann) == (5, 0, 5)
    assert bank.check().faults == []
