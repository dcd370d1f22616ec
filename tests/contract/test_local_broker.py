"""What the broker of one process promises besides."""

from __future__ import annotations

from rowcast.adapters.broker.local import LocalBroker


def test_an_id_that_waits_is_not_queued_twice():
    broker = LocalBroker()
    for task_id in ("one", "two", "one"):
        broker.publish("data", task_id)

    taken = [broker.consume("data", timeout=0) for _ in range(3)]

    assert [delivery and delivery.task_id for delivery in taken] == ["one", "two", None]
