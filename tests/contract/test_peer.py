"""Two processes that talk: questions, answers, errors, and the end of one of them."""

from __future__ import annotations

import threading

import pytest

from rowcast.adapters.broker.local import LocalBroker
from rowcast.adapters.broker.relayed import RelayedBroker, relay
from rowcast.adapters.processes.peer import Gone, Peer, pair
from rowcast.errors import Conflict, Internal, Unavailable


@pytest.fixture
def talk():
    """Makes both ends answer as told, each on a thread of its own."""
    peers = []

    def talk(here=None, there=None):
        for end, answers in zip(pair(), (here, there), strict=True):
            peers.append(Peer(end, answers))
            threading.Thread(target=peers[-1].serve, daemon=True).start()
        return peers[-2:]

    yield talk
    for peer in peers:
        peer.close()


def test_an_answer_comes_back(talk):
    here, _ = talk(there={"add": lambda *numbers: {"sum": sum(numbers)}})

    assert here.ask("add", 1, 2) == {"sum": 3}


def test_both_may_ask_while_they_are_asked(talk):
    here, there = talk()
    here.on("name", lambda: "here")
    there.on("greet", lambda: f"hello {there.ask('name')}")

    assert here.ask("greet") == "hello here"


def test_many_may_ask_at_once_and_the_slow_holds_up_nobody(talk):
    gate = threading.Event()
    here, _ = talk(there={"slow": lambda: gate.wait(30), "quick": lambda number: number})

    slow = here.begin("slow")
    assert [here.ask("quick", number) for number in range(200)] == list(range(200))
    gate.set()
    assert slow.result(30) is True


def test_an_error_is_the_same_on_the_other_side(talk):
    def refuse():
        raise Conflict("taken", "Choose another.", row=3)

    here, _ = talk(there={"try": refuse, "fail": lambda: 1 / 0})

    with pytest.raises(Conflict) as caught:
        here.ask("try")
    assert (caught.value.code, caught.value.message, caught.value.details) == ("taken", "Choose another.", {"row": 3})
    with pytest.raises(Internal):
        here.ask("fail")


def test_whoever_waits_for_one_that_ends_is_told(talk):
    gate = threading.Event()
    here, there = talk(there={"slow": lambda: gate.wait(30)})
    waiting = here.begin("slow")

    there.close()

    with pytest.raises(Gone):
        waiting.result(30)
    with pytest.raises(Gone):
        here.ask("slow")
    here.tell("anything")
    gate.set()


def test_one_that_does_not_read_holds_up_nobody_who_only_tells():
    ours, theirs = pair()
    peer = Peer(ours)
    with theirs:
        for number in range(10_000):
            peer.tell("changed", f"{number:032}")
    peer.close()


def test_a_task_published_elsewhere_reaches_the_worker_here(talk):
    broker = LocalBroker()
    _, first = talk(here=relay(broker))
    relayed = RelayedBroker(first)

    relayed.publish("data", ["one", "two"])
    assert [delivery.task_id for delivery in broker.consume("data", timeout=0, most=5)] == ["one", "two"]
    relayed.ping()
    broker.close()
    for call in (relayed.ping, lambda: relayed.publish("data", ["three"])):
        with pytest.raises(Unavailable, match="shutting down"):
            call()


def test_a_change_is_heard_in_all_processes(talk):
    broker, heard = LocalBroker(), threading.Semaphore(0)
    seen = []
    second, first = talk(here=relay(broker))

    def everywhere(task_ids):
        seen.append(("first", *task_ids))
        second.tell("changed", task_ids)

    def here(task_ids):
        seen.append(("second", *task_ids))
        heard.release()

    relayed = RelayedBroker(first)
    relayed.listen(here)
    broker.listen(everywhere)

    broker.announce([(None, "one")])
    assert heard.acquire(timeout=30)
    relayed.announce([(None, "two")])
    assert heard.acquire(timeout=30)
    assert seen == [("first", "one"), ("second", "one"), ("first", "two"), ("second", "two")]


def test_an_operator_sees_the_lanes_from_any_process(talk):
    broker = LocalBroker()
    _, first = talk(here=relay(broker))
    relayed = RelayedBroker(first)
    relayed.publish("data", ["one", "two"])
    [delivery] = broker.consume("data", timeout=0)
    delivery.refuse("task_unknown")

    assert relayed.depths() == broker.depths()
    assert relayed.dead(5) == broker.dead(5) != []
    assert [relayed.revive("one"), relayed.revive("one")] == [True, False]
