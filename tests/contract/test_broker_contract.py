"""What every broker promises."""

from __future__ import annotations

import queue
import threading

import pytest

from rowcast.errors import Unavailable


def ids(deliveries):
    return [delivery.task_id for delivery in deliveries]


def take_all(broker, lane, most=1):
    taken = []
    while deliveries := broker.consume(lane, timeout=0.5, most=most):
        assert len(deliveries) <= most
        for delivery in deliveries:
            taken.append(delivery.task_id)
            delivery.done()
    return taken


@pytest.mark.parametrize("most", [1, 2, 100])
def test_ids_come_in_order_and_keep_to_their_lane(broker, most):
    for number in range(3):
        broker.publish("data", [f"d{number}"])
    broker.publish("train", ["t0", "t1", "t2"])

    assert take_all(broker, "data", most) == ["d0", "d1", "d2"]
    assert take_all(broker, "train", most) == ["t0", "t1", "t2"]


def test_an_empty_lane_answers_with_nothing_after_a_while(broker):
    assert not broker.consume("data", timeout=0.01)
    assert not broker.consume("data", timeout=0)


def test_a_consumer_of_many_does_not_wait_for_more_than_one(broker):
    broker.publish("data", ["one"])

    assert ids(broker.consume("data", timeout=60, most=10)) == ["one"]


def test_a_waiting_consumer_is_woken(broker):
    taken = []
    consumer = threading.Thread(target=lambda: taken.extend(ids(broker.consume("data", timeout=30))))
    consumer.start()
    broker.publish("data", ["one"])
    consumer.join(timeout=10)

    assert taken == ["one"]


@pytest.mark.parametrize("most", [1, 7])
def test_each_id_goes_to_one_of_many_consumers(broker, most):
    taken = []

    def take():
        while len(taken) < 200:
            for delivery in broker.consume("data", timeout=0.2, most=most):
                taken.append(delivery.task_id)
                delivery.done()

    consumers = [threading.Thread(target=take, daemon=True) for _ in range(8)]
    for consumer in consumers:
        consumer.start()
    publishers = [
        threading.Thread(target=lambda n=n: [broker.publish("data", [f"{i:03}"]) for i in range(n, 200, 4)])
        for n in range(4)
    ]
    for publisher in publishers:
        publisher.start()
    for thread in (*publishers, *consumers):
        thread.join(timeout=60)

    assert sorted(taken) == [f"{number:03}" for number in range(200)]


def test_what_is_given_back_comes_again(broker):
    broker.publish("data", ["one"])
    (first,) = broker.consume("data", timeout=30)
    assert not broker.consume("data", timeout=0.2)

    first.back()

    assert ids(broker.consume("data", timeout=30)) == ["one"]


def test_an_answer_may_come_twice_or_too_late(broker):
    broker.publish("data", ["one"])
    (delivery,) = broker.consume("data", timeout=30)
    delivery.done()
    delivery.done()
    broker.close()
    delivery.done()


def test_what_is_refused_goes_to_the_dead_letters_and_may_be_revived(broker):
    broker.publish("data", ["one", "two"])
    for _ in range(2):
        (delivery,) = broker.consume("data", timeout=30)
        delivery.refuse("task_unknown")
    assert not broker.consume("data", timeout=0.2)

    letters = wait_for(lambda: broker.dead(10), 2)
    assert [(letter.id, letter.lane, letter.reason) for letter in letters] == [
        ("one", "data", "task_unknown"),
        ("two", "data", "task_unknown"),
    ]
    assert len(broker.dead(1)) == 1
    # RabbitMQ does not count those that were being looked at a moment ago.
    assert wait_for(lambda: ["dead"] * broker.dead_count(), 2)

    assert broker.revive("two")
    assert not broker.revive("three")

    assert ids(broker.consume("data", timeout=30)) == ["two"]
    assert ids_of_letters(broker) == ["one"]


def ids_of_letters(broker):
    return [letter.id for letter in broker.dead(10)]


def wait_for(look, count):
    """What ``look`` gives once it is that many."""
    for _ in range(200):
        if len(found := look()) == count:
            return found
        threading.Event().wait(0.05)
    raise AssertionError(f"{found}, and not {count}")


def test_the_messages_that_wait_are_counted(broker):
    broker.publish("train", ["one", "two", "three"])

    assert {lane: depth for lane, depth in broker.depths().items() if depth} == {"train": 3}


def test_who_submitted_hears_of_changes(broker):
    heard = queue.Queue()
    broker.listen(lambda ids: [heard.put(one) for one in ids])
    broker.publish("data", ["one"])
    (delivery,) = broker.consume("data", timeout=30)
    delivery.done()

    broker.announce([(delivery.reply_to, "one"), (None, "two")])

    assert sorted(heard.get(timeout=30) for _ in range(2)) == ["one", "two"]


def test_announcing_to_nobody_does_no_harm(broker):
    broker.announce([(None, "one"), ("nobody", "two")])
    broker.ping()
    broker.close()
    broker.announce([(None, "one"), ("nobody", "two")])


def test_closing_wakes_consumers_and_refuses_more(broker):
    broker.ping()
    taken = []
    consumer = threading.Thread(target=lambda: taken.append(list(broker.consume("data", timeout=60))))
    consumer.start()
    broker.close()
    broker.close()
    consumer.join(timeout=10)

    assert taken == [[]]
    for call in (broker.ping, lambda: broker.publish("data", ["one"])):
        with pytest.raises(Unavailable) as caught:
            call()
        assert caught.value.code == "broker_unavailable"
