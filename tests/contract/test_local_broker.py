"""What the broker of one process promises besides."""

from __future__ import annotations

from rowcast.adapters.broker.local import LocalBroker


def test_an_id_that_waits_is_not_queued_twice():
    broker = LocalBroker()
    broker.publish("data", ["one", "two"])
    broker.publish("data", ["one"])

    assert [delivery.task_id for delivery in broker.consume("data", timeout=0, most=3)] == ["one", "two"]


def test_what_is_given_back_comes_first():
    broker = LocalBroker()
    broker.publish("data", ["one", "two"])
    (one,) = broker.consume("data", timeout=0)
    one.back()

    assert [delivery.task_id for delivery in broker.consume("data", timeout=0, most=3)] == ["one", "two"]
