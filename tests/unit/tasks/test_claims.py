"""Claims: one worker has a task, and only while it holds it can it change what becomes of it."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from rowcast.datasets.ports import Progress
from rowcast.errors import Cancelled, InvalidInput, Unavailable
from rowcast.tables import now
from rowcast.tasks import claims
from rowcast.tasks.claims import ClaimLost
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.views import TaskState

ERROR = InvalidInput("table_bad", "The table is bad.")


def take(database, task_id, worker="one"):
    with database.transaction() as session:
        return claims.claim(session, task_id, worker=worker, lease_seconds=30)


def change(database, function, *arguments, **keywords):
    with database.transaction() as session:
        return function(session, *arguments, **keywords)


def row(database, task_id):
    with database.reading() as session:
        return session.get_one(TaskRow, task_id)


def test_a_claim_has_all_that_the_work_needs(database, ann, add_task):
    task_id = add_task(name="loans")

    held = take(database, task_id)

    assert (held.id, held.kind, held.lane, held.owner) == (task_id, "test", "data", ann)
    assert held.payload == {"name": "loans"}
    assert held.attempt == 1
    stored = row(database, task_id)
    assert (stored.state, stored.attempts, stored.leased_by) == ("running", 1, held.token)
    assert stored.leased_until > now()


def test_a_task_is_taken_once(database, add_task):
    task_id = add_task()

    assert take(database, task_id) is not None
    assert take(database, task_id, "two") is None
    assert take(database, "no such task") is None


def test_of_two_hundred_claims_one_wins(database, add_task):
    task_id = add_task()
    won, ready = [], threading.Barrier(200)

    def race(number):
        ready.wait()
        if take(database, task_id, f"worker {number}") is not None:
            won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1
    assert row(database, task_id).attempts == 1


def test_a_task_that_waits_for_its_time_is_not_taken(database, add_task):
    task_id = add_task()
    with database.transaction() as session:
        session.get_one(TaskRow, task_id).due_at = now() + timedelta(minutes=1)
    assert take(database, task_id) is None

    with database.transaction() as session:
        session.get_one(TaskRow, task_id).due_at = now() - timedelta(seconds=1)
    assert take(database, task_id) is not None


def test_keeping_writes_progress_and_renews_the_lease(database, add_task):
    held = take(database, add_task())
    before = row(database, held.id).leased_until

    stop = change(database, claims.keep, held, lease_seconds=300, progress=Progress(fraction=0.5, message="half"))

    assert stop is False
    stored = row(database, held.id)
    assert stored.progress == {"fraction": 0.5, "message": "half", "stage": ""}
    assert stored.leased_until > before


def test_success_is_recorded_once(database, add_task):
    held = take(database, add_task())

    change(database, claims.succeed, held)
    change(database, claims.record, held.id, {"answer": 42})
    with pytest.raises(ClaimLost):
        change(database, claims.succeed, held)

    stored = row(database, held.id)
    assert (stored.state, stored.result) == ("succeeded", {"answer": 42})
    assert stored.finished_at is not None
    assert stored.leased_by is None


def test_failure_keeps_the_error(database, add_task):
    held = take(database, add_task())

    change(database, claims.fail, held, ERROR)

    stored = row(database, held.id)
    assert stored.state == "failed"
    assert stored.error["code"] == "table_bad"


@pytest.mark.parametrize(
    "late",
    [
        lambda session, held: claims.keep(session, held, lease_seconds=30),
        claims.cancel_requested,
        claims.succeed,
        claims.stop,
        claims.hand_back,
        lambda session, held: claims.fail(session, held, ERROR),
        lambda session, held: claims.retry(session, held, ERROR, after_seconds=1),
    ],
)
def test_who_lost_a_task_changes_nothing(database, add_task, late):
    first = take(database, add_task())
    change(database, claims.hand_back, first)
    second = take(database, first.id, "two")

    with pytest.raises(ClaimLost):
        change(database, late, first)

    stored = row(database, first.id)
    assert (stored.state, stored.leased_by) == ("running", second.token)


def test_handing_back_costs_no_attempt(database, add_task):
    held = take(database, add_task())

    change(database, claims.hand_back, held)

    stored = row(database, held.id)
    assert (stored.state, stored.attempts, stored.dispatched_at) == ("queued", 0, None)
    assert take(database, held.id, "two").attempt == 1


def test_a_retry_waits_and_says_why(database, add_task):
    held = take(database, add_task())

    change(database, claims.retry, held, Unavailable("storage_full", "No space."), after_seconds=60)

    stored = row(database, held.id)
    assert (stored.state, stored.attempts) == ("queued", 1)
    assert stored.due_at > now()
    assert "No space." in stored.progress["message"]
    assert take(database, held.id) is None


def test_cancelling_a_queued_task_ends_it(database, add_task):
    task_id = add_task()

    assert change(database, claims.cancel, task_id) is TaskState.CANCELLED
    assert row(database, task_id).finished_at is not None
    assert take(database, task_id) is None


def test_cancelling_a_running_task_asks_its_worker(database, add_task):
    held = take(database, add_task())

    assert change(database, claims.cancel, held.id) is TaskState.RUNNING
    assert change(database, claims.keep, held, lease_seconds=30) is True
    for end in (
        claims.succeed,
        claims.hand_back,
        lambda session, held: claims.retry(session, held, ERROR, after_seconds=1),
    ):
        with pytest.raises(Cancelled):
            change(database, end, held)
    change(database, claims.stop, held)

    assert row(database, held.id).state == "cancelled"


@pytest.mark.parametrize("end", [claims.succeed, lambda session, held: claims.fail(session, held, ERROR)])
def test_cancelling_a_task_that_has_ended_changes_nothing(database, add_task, end):
    held = take(database, add_task())
    change(database, end, held)
    before = row(database, held.id)

    state = change(database, claims.cancel, held.id)

    after = row(database, held.id)
    assert state.value == after.state == before.state
    assert after.cancel_requested is False


def test_cancelling_nothing_is_nothing(database):
    assert change(database, claims.cancel, "no such task") is None
