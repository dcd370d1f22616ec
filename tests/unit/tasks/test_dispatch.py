"""Telling workers of new tasks, without anybody who submits waiting for it."""

from __future__ import annotations

import threading

import pytest

from rowcast.adapters.broker.local import LocalBroker
from rowcast.tasks.submission import Dispatch
from rowcast.tasks.tables import TaskRow


class Stuck(LocalBroker):
    """A broker that takes nothing until it is let, and refuses the first of all."""

    def __init__(self):
        super().__init__()
        self.asked = threading.Event()
        self.let = threading.Event()
        self.calls = 0

    def publish(self, lane, task_ids):
        self.asked.set()
        self.let.wait(timeout=60)
        self.calls += 1
        if self.calls == 1:
            raise RuntimeError("a fault of ours")
        super().publish(lane, task_ids)


@pytest.fixture
def broker():
    return Stuck()


@pytest.fixture
def dispatch(database, broker):
    telling = Dispatch(database, broker)
    telling.start()
    yield telling
    broker.let.set()
    telling.close()


def test_a_broker_that_hangs_keeps_nobody_waiting(database, broker, dispatch, add_task):
    lost, told = add_task(), add_task()
    dispatch.leave([("data", lost)])
    assert broker.asked.wait(timeout=30)
    dispatch.leave([("data", told)])  # it still hangs
    assert not broker.let.is_set()
    broker.let.set()

    assert [delivery.task_id for delivery in broker.consume("data", timeout=30)] == [told]
    dispatch.close()
    with database.reading() as session:
        assert session.get_one(TaskRow, told).dispatched_at is not None
        assert session.get_one(TaskRow, lost).dispatched_at is None  # for the recovery sweep to find
