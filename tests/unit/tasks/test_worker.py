"""The worker: takes tasks off its lanes, waits out what is away, recovers what was lost, stops without losing any."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from rowcast.adapters.broker.local import LocalBroker
from rowcast.entrypoints.worker.loop import Worker
from rowcast.errors import Cancelled, Unavailable
from rowcast.tables import now
from rowcast.tasks import recovery
from rowcast.tasks.claims import claim
from rowcast.tasks.handlers import Handler, Limits
from rowcast.tasks.recovery import release_all
from rowcast.tasks.runner import Runner
from rowcast.tasks.submission import dispatch
from rowcast.tasks.tables import TaskRow


class Workshop:
    """A worker whose tasks pass a gate, and count."""

    def __init__(self, database, storage, lanes, broker=None):
        self.database = database
        self.broker = broker or LocalBroker()
        self.gate = threading.Event()
        self.begun = threading.Semaphore(0)
        self.done = []
        runner = Runner(
            database=database,
            storage=storage,
            compute=None,
            broker=self.broker,
            handlers={"test": Handler(self._work, lambda *_: {}, lambda *_: None, lambda *_: None)},
            limits=Limits(),
            worker="one",
        )
        self.worker = Worker(database=database, broker=self.broker, runner=runner, lanes=lanes, sweep_seconds=0.05)

    def _work(self, task, bench):
        self.begun.release()
        while not self.gate.wait(0.01):
            if bench.cancelled():
                raise Cancelled("task_cancelled", "")
        self.done.append(task.id)

    def states(self, *task_ids):
        with self.database.reading() as session:
            return [session.get_one(TaskRow, task_id).state for task_id in task_ids]

    def wait_for(self, state, *task_ids):
        for _ in range(1000):
            if set(self.states(*task_ids)) == {state}:
                return
            threading.Event().wait(0.02)
        raise AssertionError(f"{self.states(*task_ids)} and not {state}")


@pytest.fixture
def workshop(database, storage):
    opened = []

    def workshop(lanes, broker=None):
        opened.append(Workshop(database, storage, lanes, broker))
        return opened[-1]

    yield workshop
    for each in opened:
        each.gate.set()
        each.worker.stop()


def test_tasks_of_all_lanes_are_carried_out_once(workshop, add_task):
    shop = workshop({"data": 2, "train": 1})
    ids = [add_task(lane=lane) for lane in ("data", "train") * 5]
    shop.gate.set()
    shop.worker.start()
    dispatch(shop.database, shop.broker, [("data", ids[0]), ("train", ids[1])])

    shop.wait_for("succeeded", *ids)

    assert sorted(shop.done) == sorted(ids)


def test_a_lane_runs_as_many_at_a_time_as_it_may(workshop, add_task):
    shop = workshop({"data": 2})
    ids = [add_task() for _ in range(3)]
    shop.worker.start()
    for _ in range(2):
        assert shop.begun.acquire(timeout=10)

    assert not shop.begun.acquire(timeout=0.3)
    assert sorted(shop.states(*ids)) == ["queued", "running", "running"]


def test_stopping_lets_tasks_end_that_are_nearly_done(workshop, add_task):
    shop, task_id = workshop({"data": 1}), add_task()
    shop.worker.start()
    assert shop.begun.acquire(timeout=10)

    threading.Timer(0.2, shop.gate.set).start()
    shop.worker.stop(drain_seconds=30)

    assert shop.states(task_id) == ["succeeded"]


def test_stopping_hands_back_what_takes_longer(workshop, add_task):
    shop, ids = workshop({"data": 2}), [add_task(), add_task(), add_task()]
    shop.worker.start()
    for _ in range(2):
        assert shop.begun.acquire(timeout=10)

    shop.worker.stop(drain_seconds=0)

    assert set(shop.states(*ids)) == {"queued"}
    with shop.database.reading() as session:
        assert {session.get_one(TaskRow, task_id).attempts for task_id in ids} == {0}
    with shop.database.transaction() as session:
        release_all(session, max_attempts=3)
    later = workshop({"data": 1})
    later.gate.set()
    later.worker.start()
    later.wait_for("succeeded", *ids)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # a file has no clock of its own
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_worker_whose_clock_is_wrong_takes_nothing_until_it_is_set_right(
    database, workshop, add_task, monkeypatch, caplog, hours
):
    shop, task_id, held = workshop({"data": 1}), add_task(), add_task()
    with shop.database.transaction() as session:
        assert claim(session, held, worker="another", lease_seconds=30)
    shop.gate.set()
    with monkeypatch.context() as clock:
        clock.setattr(recovery, "now", lambda: now() + timedelta(hours=hours))
        shop.worker.start()
        assert not shop.begun.acquire(timeout=2)
        assert shop.states(task_id, held) == ["queued", "running"]  # nor does it take away what others have
    assert "ahead of" in caplog.text if hours > 0 else "behind" in caplog.text

    shop.wait_for("succeeded", task_id)


class Shaky(LocalBroker):
    """A broker that is away every other time."""

    calls = 0

    def consume(self, lane, timeout, most=1):
        self.calls += 1
        if self.calls % 2:
            raise Unavailable("broker_unavailable", "Away.")
        return super().consume(lane, timeout, most)


def test_a_worker_waits_for_a_broker_that_is_away(workshop, add_task):
    shop, task_id = workshop({"data": 1}, Shaky()), add_task()
    shop.gate.set()
    shop.worker.start()

    shop.wait_for("succeeded", task_id)


class Fickle:
    """A database that can be away; ``looked`` is released when somebody looks whether it is there again."""

    def __init__(self, database):
        self.database = database
        self.away = False
        self.looked = threading.Semaphore(0)

    def __getattr__(self, name):
        if not self.away:
            return getattr(self.database, name)
        if name == "ping":
            self.looked.release()
        raise Unavailable("database_unavailable", "Away.")


class Counting(LocalBroker):
    taken = 0

    def consume(self, lane, timeout, most=1):
        told = super().consume(lane, timeout, most)
        self.taken += len(told)
        return told


def test_a_worker_takes_nothing_while_the_database_is_away(database, storage, add_task):
    fickle, broker, first, task_id = Fickle(database), Counting(), add_task(), add_task(lane="other")
    shop = Workshop(fickle, storage, {"data": 1}, broker)
    shop.gate.set()
    shop.worker.start()
    try:
        shop.wait_for("succeeded", first)
        fickle.away = True
        taken = broker.taken
        broker.publish("data", [task_id])
        assert fickle.looked.acquire(timeout=30)
        assert fickle.looked.acquire(timeout=30)
        assert broker.taken == taken + 1
    finally:
        fickle.away = False
    shop.wait_for("succeeded", task_id)
    shop.worker.stop()
