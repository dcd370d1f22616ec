"""The journal: what is recorded is on disk, those who wait together share a commit, and nobody waits in vain."""

import asyncio
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import event, select

from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.errors import Internal, Unavailable
from rowcast.identifiers import new_timed_id
from rowcast.monitoring.insertion import ROWS_PER_STATEMENT
from rowcast.monitoring.journal import Journal
from rowcast.monitoring.recording import Entry
from rowcast.monitoring.tables import ReceiptRow


def entry(**changes):
    made = Entry(
        id=new_timed_id(), principal_id="p" * 32, model="loans", number=1, alias=None, model_version_id="v" * 32,
        bundle_hash="b" * 64, dataset_version_id=None, policy_version=None, row_count=1, skipped=0, price=0,
        transfer_id=None, inputs_hash="h" * 64, inputs_kept="all", outputs=b"\0\0\0\0", request=b"[]", reply=b"{}",
    )  # fmt: skip
    return made._replace(**changes)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "rowcast.db"
    database = open_database(f"sqlite:///{path}")
    upgrade(database.engine)
    database.dispose()
    return path


@contextmanager
def journal_on(path, *, busy_seconds=30.0, max_pages=None, **limits):
    database = open_database(f"sqlite:///{path}", busy_seconds=busy_seconds)
    if max_pages:
        pragma = f"PRAGMA max_page_count = {max_pages}"
        event.listen(database.engine, "connect", lambda connection, _: connection.execute(pragma))
    journal = Journal(database.writer(), **limits)
    journal.start()
    try:
        yield journal, database
    finally:
        journal.close()
        database.dispose()


def ids_in(path):
    """What another process would find."""
    with sqlite3.connect(path) as other:
        found = {row[0] for row in other.execute("SELECT id FROM receipts")}
    other.close()
    return found


def test_what_is_recorded_is_on_disk_when_the_call_returns(path):
    with journal_on(path) as (journal, database):
        first, second = entry(alias="champion", request=None), entry(policy_version=3)
        journal.record_now(first)
        asyncio.run(journal.record(second))
        assert ids_in(path) == {first.id, second.id}
        with database.reading() as session:
            row = session.execute(select(*ReceiptRow.__table__.columns).where(ReceiptRow.id == first.id)).one()
    assert tuple(row) == tuple(first)


def test_those_who_wait_at_the_same_time_share_a_commit(path):
    async def many(journal, database):
        entries = [entry() for _ in range(200)]
        with database.transaction():  # the database is busy for a moment, as under load
            waiting = [asyncio.create_task(journal.record(one)) for one in entries]
            await asyncio.sleep(0.05)
        await asyncio.gather(*waiting)
        return {one.id for one in entries}

    with journal_on(path) as (journal, database):
        ids = asyncio.run(many(journal, database))
        assert journal.commits <= 2
        assert journal.largest_batch > ROWS_PER_STATEMENT
    assert ids_in(path) == ids


def test_threads_and_several_loops_share_it(path):
    async def some(journal, entries):
        await asyncio.gather(*(journal.record(one) for one in entries))

    with journal_on(path) as (journal, _):
        entries = [[entry() for _ in range(25)] for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            for number, mine in enumerate(entries):
                if number % 2:
                    pool.submit(asyncio.run, some(journal, mine))
                else:
                    pool.submit(lambda mine=mine: [journal.record_now(one) for one in mine])
        assert journal.written == 200
        assert journal.commits < 200
    assert ids_in(path) == {one.id for mine in entries for one in mine}


def test_a_database_that_is_busy_for_too_long_refuses_all_and_keeps_nothing(path):
    other = sqlite3.connect(path, isolation_level=None)
    with journal_on(path, busy_seconds=0.2) as (journal, _):
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(8) as pool:
            failures = [pool.submit(journal.record_now, entry()).exception(10) for _ in range(8)]
        assert {failure.code for failure in failures} == {"database_busy"}
        assert len({id(failure) for failure in failures}) == 8
        other.execute("ROLLBACK")
        kept = entry()
        journal.record_now(kept)
    other.close()
    assert ids_in(path) == {kept.id}


def test_a_full_database_refuses_and_goes_on_when_there_is_room(path):
    recorded = []
    with journal_on(path, max_pages=120) as (journal, _), pytest.raises(Unavailable) as caught:
        for _ in range(1000):
            one = entry(request=b"x" * 3000)
            journal.record_now(one)
            recorded.append(one.id)
    assert caught.value.code == "database_full"
    assert ids_in(path) == set(recorded)
    with journal_on(path) as (journal, _):
        journal.record_now(entry())


def test_too_many_or_too_much_waiting_is_refused_at_once(path):
    async def crowd(journal, database, entries):
        with database.transaction():
            tasks = [asyncio.create_task(journal.record(one)) for one in entries]
            done, _ = await asyncio.wait(tasks, timeout=0.05)
            codes = [task.exception().code for task in done]
        kept = [task for task in tasks if task not in done]
        await asyncio.gather(*kept)
        return codes, len(kept)

    with journal_on(path, max_waiting=3) as (journal, database):
        assert asyncio.run(crowd(journal, database, [entry() for _ in range(5)])) == (["journal_full"] * 2, 3)
    with journal_on(path, max_waiting_bytes=10_000) as (journal, database):
        large = [entry(request=b"x" * 6000) for _ in range(3)]
        assert asyncio.run(crowd(journal, database, large)) == (["journal_full"] * 2, 1)


def test_an_entry_that_cannot_be_written_takes_no_other_with_it(path):
    async def together(journal, database, entries):
        with database.transaction():
            waiting = [asyncio.create_task(journal.record(one)) for one in entries]
            await asyncio.sleep(0.05)
        return await asyncio.gather(*waiting, return_exceptions=True)

    with journal_on(path) as (journal, database):
        good, bad, fine = entry(), entry(model=None), entry()
        results = asyncio.run(together(journal, database, [good, bad, fine]))
    assert [type(result) for result in results] == [type(None), Internal, type(None)]
    assert results[1].code == "receipt_not_written"
    assert ids_in(path) == {good.id, fine.id}


def test_who_goes_away_while_it_waits_is_not_written_and_disturbs_nobody(path):
    kept, last = entry(), entry()

    async def leave(journal, database):
        with database.transaction():
            gone = asyncio.create_task(journal.record(entry()))
            stays = asyncio.create_task(journal.record(kept))
            await asyncio.sleep(0.05)
            gone.cancel()
        await stays

    with journal_on(path) as (journal, database):
        asyncio.run(leave(journal, database))
        journal.record_now(last)
    assert ids_in(path) == {kept.id, last.id}


def test_closing_writes_what_waits_and_takes_nothing_more(path):
    database = open_database(f"sqlite:///{path}")
    journal = Journal(database.writer())
    journal.start()
    entries = [entry() for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        with database.transaction():
            written = [pool.submit(journal.record_now, one) for one in entries]
            closing = threading.Thread(target=journal.close)
            time.sleep(0.3)  # for all of them to have handed over
            closing.start()
        closing.join()
        assert [future.result() for future in written] == [None] * 20
    assert ids_in(path) == {one.id for one in entries}
    with pytest.raises(Unavailable) as caught:
        journal.record_now(entry())
    assert caught.value.code == "server_stopping"
    database.dispose()


def handed_over(journal, entries, over=lambda place: False):
    """What became of entries that were handed over as one."""

    async def ask():
        told = asyncio.get_running_loop().create_future()
        journal.record_all(entries, told.set_result, over)
        return await asyncio.wait_for(told, 30)

    return asyncio.run(ask())


def test_several_handed_over_as_one_are_written_together_and_told_in_their_order(path):
    entries = [entry() for _ in range(5)]
    with journal_on(path) as (journal, _):
        assert handed_over(journal, entries) == [None] * 5
        assert (journal.written, journal.commits) == (5, 1)
    assert ids_in(path) == {one.id for one in entries}


def test_of_several_those_whose_caller_has_gone_are_not_written(path):
    entries = [entry() for _ in range(3)]
    with journal_on(path) as (journal, _):
        first, gone, last = handed_over(journal, entries, over=lambda place: place == 1)
    assert (first, gone.code, last) == (None, "call_cancelled", None)
    assert ids_in(path) == {entries[0].id, entries[2].id}


def test_of_several_one_that_cannot_be_written_fails_alone(path):
    entries = [entry(), entry(number=2**70), entry()]
    with journal_on(path) as (journal, _):
        first, bad, last = handed_over(journal, entries)
    assert (first, bad.code, last) == (None, "receipt_not_written", None)
    assert ids_in(path) == {entries[0].id, entries[2].id}


def test_several_are_refused_as_one_when_the_journal_is_closed(path):
    with journal_on(path) as (journal, _):
        pass
    with pytest.raises(Unavailable, match="stopping"):
        handed_over(journal, [entry()])
