"""Running a task: every way it can end is put on record once, and cleaned up after."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from rowcast.adapters.broker.local import LocalBroker
from rowcast.datasets.ports import Progress
from rowcast.errors import Cancelled, InvalidInput, Unavailable
from rowcast.tables import now
from rowcast.tasks import claims
from rowcast.tasks.handlers import Handler, Limits
from rowcast.tasks.ports import COMPUTE_AWAY
from rowcast.tasks.recovery import sweep
from rowcast.tasks.runner import Runner
from rowcast.tasks.tables import TaskRow


def never():
    return False


def row(database, task_id):
    with database.reading() as session:
        return session.get_one(TaskRow, task_id)


class Bakery:
    """A kind of task whose every step a test decides on, and which notes what it was asked."""

    def __init__(self, work=lambda task, bench: "dough", settle=lambda session, task, outcome: {"bread": outcome}):
        self.notes = []
        self.handler = Handler(self._note("work", work), self._note("settle", settle), self._tidy, self._abandon)

    def _note(self, name, step):
        def noted(*arguments):
            self.notes.append(name)
            return step(*arguments)

        return noted

    def _tidy(self, task, storage):
        self.notes.append("tidy")

    def _abandon(self, task_id, payload, database, storage):
        self.notes.append("abandon")


@pytest.fixture
def start(database, storage):
    """Makes a runner of a bakery, takes the task and carries it out."""

    def start(bakery, task_id, *, interrupted=never, lease_seconds=30, max_attempts=3, retry_seconds=60):
        runner = Runner(
            database=database,
            storage=storage,
            compute=None,
            broker=LocalBroker(),
            handlers={"test": bakery.handler},
            limits=Limits(),
            worker="one",
            lease_seconds=lease_seconds,
            max_attempts=max_attempts,
            retry_seconds=retry_seconds,
        )
        held = runner.take(task_id)
        if held is not None:
            runner.carry_out(held, interrupted)
        return held

    return start


def test_a_task_is_worked_on_settled_and_tidied_up_after(database, add_task, start):
    bakery, task_id = Bakery(), add_task()

    start(bakery, task_id)

    assert bakery.notes == ["work", "settle", "tidy"]
    stored = row(database, task_id)
    assert (stored.state, stored.result) == ("succeeded", {"bread": "dough"})


def test_a_redelivered_task_is_no_more_than_a_look(add_task, start):
    bakery, task_id = Bakery(), add_task()
    start(bakery, task_id)

    assert start(bakery, task_id) is None
    assert bakery.notes == ["work", "settle", "tidy"]


def test_what_cannot_be_helped_fails_at_once(database, add_task, start):
    def work(task, bench):
        raise InvalidInput("table_bad", "The table is bad.")

    bakery, task_id = Bakery(work), add_task()
    start(bakery, task_id)

    assert bakery.notes == ["work", "abandon"]
    stored = row(database, task_id)
    assert (stored.state, stored.error["code"], stored.attempts) == ("failed", "table_bad", 1)


def test_what_may_pass_is_tried_again_until_there_is_no_attempt_left(database, add_task, start):
    def work(task, bench):
        raise Unavailable("storage_full", "No space.")

    bakery, task_id = Bakery(work), add_task()
    for _ in range(3):
        start(bakery, task_id)
        with database.transaction() as session:
            session.get_one(TaskRow, task_id).due_at = None

    assert bakery.notes == ["work", "work", "work", "abandon"]
    stored = row(database, task_id)
    assert (stored.state, stored.error["code"], stored.attempts) == ("failed", "storage_full", 3)


def test_a_task_waits_for_as_long_as_no_job_can_be_started(database, add_task, start):
    def work(task, bench):
        raise Unavailable(COMPUTE_AWAY, "The cluster does not answer.")

    bakery, task_id = Bakery(work), add_task()
    for _ in range(5):
        start(bakery, task_id)
        with database.transaction() as session:
            session.get_one(TaskRow, task_id).due_at = None

    assert (row(database, task_id).state, bakery.notes) == ("queued", ["work"] * 5)


def test_each_wait_is_longer(database, add_task, start):
    def work(task, bench):
        raise Unavailable("storage_full", "No space.")

    bakery, task_id, waits = Bakery(work), add_task(), []
    for _ in range(2):
        start(bakery, task_id, retry_seconds=100)
        with database.transaction() as session:
            task = session.get_one(TaskRow, task_id)
            waits.append(task.due_at - now())
            task.due_at = None

    assert timedelta(seconds=90) < waits[0] <= timedelta(seconds=100)
    assert timedelta(seconds=190) < waits[1] <= timedelta(seconds=200)


def test_a_fault_of_ours_tells_nothing_of_the_data(database, add_task, start):
    def work(task, bench):
        raise KeyError("a secret value")

    bakery, task_id = Bakery(work), add_task()
    start(bakery, task_id)

    stored = row(database, task_id)
    assert (stored.state, stored.error["code"]) == ("failed", "internal_error")
    assert "secret" not in str(stored.error)


def test_an_unknown_kind_is_left_to_a_newer_worker(database, add_task, start):
    task_id = add_task(kind="brew")

    start(Bakery(), task_id)

    stored = row(database, task_id)
    assert (stored.state, stored.error["code"]) == ("queued", "task_kind_unknown")


def test_what_settling_wrote_is_undone_when_it_fails(database, add_task, start):
    def settle(session, task, outcome):
        session.get_one(TaskRow, task.id).subject = "changed"
        session.flush()
        raise InvalidInput("name_taken", "Taken.")

    bakery, task_id = Bakery(settle=settle), add_task()
    start(bakery, task_id)

    stored = row(database, task_id)
    assert (stored.state, stored.error["code"], stored.subject) == ("failed", "name_taken", "table")
    assert bakery.notes == ["work", "settle", "abandon"]


def test_a_busy_moment_at_the_end_costs_no_work(database, add_task, start):
    moments = iter([True, True, False])

    def settle(session, task, outcome):
        if next(moments):
            raise Unavailable("database_busy", "Busy.")
        return {}

    bakery, task_id = Bakery(settle=settle), add_task()
    start(bakery, task_id)

    assert bakery.notes == ["work", "settle", "settle", "settle", "tidy"]
    assert row(database, task_id).state == "succeeded"


def test_cancelling_stops_the_work(database, add_task, start):
    def work(task, bench):
        with database.transaction() as session:
            claims.cancel(session, task.id)
        wait_until(bench.cancelled)
        raise Cancelled("task_cancelled", "")

    bakery, task_id = Bakery(work), add_task()
    start(bakery, task_id)

    assert bakery.notes == ["work", "abandon"]
    assert row(database, task_id).state == "cancelled"


def test_cancelling_at_the_last_moment_still_counts(database, add_task, start):
    def work(task, bench):
        with database.transaction() as session:
            claims.cancel(session, task.id)
        return "dough"

    bakery, task_id = Bakery(work), add_task()
    start(bakery, task_id)

    assert bakery.notes == ["work", "abandon"]
    stored = row(database, task_id)
    assert (stored.state, stored.result) == ("cancelled", None)


def test_a_shutdown_hands_the_task_back(database, add_task, start):
    shutdown = threading.Event()

    def work(task, bench):
        shutdown.set()
        assert bench.cancelled()
        raise Cancelled("task_cancelled", "")

    bakery, task_id = Bakery(work), add_task()
    start(bakery, task_id, interrupted=shutdown.is_set)

    assert bakery.notes == ["work"]
    stored = row(database, task_id)
    assert (stored.state, stored.attempts) == ("queued", 0)
    start(Bakery(), task_id)
    assert row(database, task_id).state == "succeeded"


def test_a_worker_that_lost_its_task_leaves_it_alone(database, add_task, start):
    def work(task, bench):
        with database.transaction() as session:
            session.get_one(TaskRow, task.id).leased_by = "two"
        wait_until(bench.cancelled)
        raise Cancelled("task_cancelled", "")

    bakery, task_id = Bakery(work), add_task()
    start(bakery, task_id)

    assert bakery.notes == ["work"]
    stored = row(database, task_id)
    assert (stored.state, stored.leased_by) == ("running", "two")


def test_the_lease_is_kept_for_as_long_as_the_work_takes(database, add_task, start):
    def work(task, bench):
        first = row(database, task.id).leased_until
        wait_until(lambda: row(database, task.id).leased_until > first + timedelta(seconds=1))
        assert sweep(database, max_attempts=3, redispatch_seconds=60).due == []
        return "dough"

    task_id = add_task()
    start(Bakery(work), task_id, lease_seconds=1.5)

    assert row(database, task_id).state == "succeeded"


def test_progress_is_told_while_it_goes_on(database, add_task, start):
    def work(task, bench):
        for step in range(1000):
            bench.report(Progress(fraction=step / 1000, message=f"step {step}"))
        wait_until(lambda: row(database, task.id).progress)
        assert row(database, task.id).progress["message"] == "step 999"
        return "dough"

    task_id = add_task()
    start(Bakery(work), task_id)

    assert row(database, task_id).state == "succeeded"


def wait_until(condition):
    moment = threading.Event()
    for _ in range(1500):
        if condition():
            return
        moment.wait(0.01)
    raise AssertionError("it did not come")
