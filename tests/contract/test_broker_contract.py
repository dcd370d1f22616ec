"""What every broker promises."""

from __future__ import annotations

import threading

import pytest

from rowcast.errors import Unavailable


def _take_all(broker, lane):
    taken = []
    while (delivery := broker.consume(lane, timeout=0.2)) is not None:
        taken.append(delivery.task_id)
        delivery.done()
    return taken


def test_ids_come_in_order_and_keep_to_their_lane(broker):
    for number in range(3):
        broker.publish("data", f"d{number}")
        broker.publish("train", f"t{number}")

    assert _take_all(broker, "data") == ["d0", "d1", "d2"]
    assert _take_all(broker, "train") == ["t0", "t1", "t2"]


def test_an_empty_lane_answers_none_after_a_while(broker):
    assert broker.consume("data", timeout=0.01) is None


def test_a_waiting_consumer_is_woken(broker):
    taken = []
    consumer = threading.Thread(target=lambda: taken.append(broker.consume("data", timeout=30)))
    consumer.start()
    broker.publish("data", "one")
    consumer.join(timeout=10)

    assert [delivery.task_id for delivery in taken] == ["one"]


def test_each_id_goes_to_one_of_many_consumers(broker):
    taken = []
    consumers = [threading.Thread(target=lambda: taken.extend(_take_all(broker, "data"))) for _ in range(8)]
    for consumer in consumers:
        consumer.start()
    for number in range(200):
        broker.publish("data", f"{number:03}")
    for consumer in consumers:
        consumer.join()

    assert sorted(taken) == [f"{number:03}" for number in range(200)]


def test_closing_wakes_consumers_and_refuses_more(broker):
    broker.ping()
    taken = []
    consumer = threading.Thread(target=lambda: taken.append(broker.consume("data", timeout=60)))
    consumer.start()
    broker.close()
    broker.close()
    consumer.join(timeout=10)

    assert taken == [None]
    for call in (broker.ping, lambda: broker.publish("data", "one")):
        with pytest.raises(Unavailable) as caught:
            call()
        assert caught.value.code == "broker_unavailable"
