"""How processes agree on what to serve: real ends of real pairs, each with a process's part played on a thread."""

from __future__ import annotations

import threading

import pytest

from rowcast.adapters.processes.peer import Peer, pair
from rowcast.adapters.processes.swaps import LedSwaps
from rowcast.adapters.processes.turn import Turn
from rowcast.errors import Unavailable
from rowcast.scoring.together import Prepared


class Member:
    """A further process: what it prepared, and what it says of it."""

    def __init__(self, pid, prepare):
        self.pid, self.killed, self.prepared = pid, False, []
        ours, theirs = pair()
        self.peer, self._other = Peer(ours), Peer(theirs)

        def answer(number, held_back):
            self.prepared.append(number)
            return prepare(number, held_back)

        self._other.on("prepare", answer)
        for peer in (self.peer, self._other):
            threading.Thread(target=peer.serve, daemon=True).start()

    def kill(self):
        self.killed = True
        for peer in (self._other, self.peer):
            peer.close()


@pytest.fixture
def lead():
    """Swaps over members that prepare as told; the first of ``prepares`` is this process's own way."""
    members = []

    def lead(*prepares, prepare_seconds=30.0):
        members.extend(Member(number, prepare) for number, prepare in enumerate(prepares[1:], 2))
        swaps = LedSwaps(Turn.new(), lambda: [member for member in members if not member.killed], prepare_seconds)
        swaps.enter(prepares[0])
        return swaps, members

    yield lead
    for member in members:
        member.kill()


def same(number, held_back):
    return Prepared("as the database says", held_back)


def test_the_turn_comes_when_all_are_prepared(lead):
    swaps, [second, third] = lead(same, same, same)

    swaps.swap()
    assert (swaps.turn, second.prepared, third.prepared) == (1, [1], [1])
    swaps.swap()
    assert (swaps.turn, second.prepared, third.prepared) == (2, [1, 2], [1, 2])


def test_members_that_read_different_states_prepare_again(lead):
    late = iter(["older", "newer", "newer"])
    swaps, _ = lead(lambda number, held: Prepared("newer", held), lambda number, held: Prepared(next(late), held))

    swaps.swap()
    assert swaps.turn == 2


def test_what_does_not_open_in_one_moves_in_none(lead):
    def damaged(number, held_back):
        return Prepared("new", {"loans": {"champion": 1}})

    swaps, [second] = lead(lambda number, held: Prepared("new", held), damaged)
    asked = []
    swaps.enter(lambda number, held: asked.append(held) or Prepared("new", held))

    swaps.swap()
    assert asked == [{}, {"loans": {"champion": 1}}]
    assert (swaps.turn, second.prepared) == (2, [1, 2])


def test_one_that_does_not_follow_is_replaced_and_the_others_switch(lead):
    gate = threading.Event()
    swaps, [_, stuck] = lead(same, same, lambda *_: gate.wait(60), prepare_seconds=0.2)

    swaps.swap()
    assert (swaps.turn, stuck.killed) == (1, True)
    gate.set()


def test_one_that_dies_meanwhile_is_left_out(lead):
    swaps, [_, dying] = lead(same, same, lambda *_: dying_answer())

    def dying_answer():
        dying.kill()
        return same(0, {})

    swaps.swap()
    assert swaps.turn == 1


def test_all_stay_where_they_are_when_one_cannot_read_the_database(lead):
    def away(number, held_back):
        raise Unavailable("database_unavailable", "The database does not answer.")

    swaps, _ = lead(same, away)
    with pytest.raises(Unavailable, match="does not answer"):
        swaps.swap()
    assert swaps.turn == 0


def test_models_that_never_rest_end_the_attempt(lead):
    swaps, _ = lead(lambda number, held: Prepared(f"{number}", held), same)
    with pytest.raises(Unavailable) as caught:
        swaps.swap()
    assert (caught.value.code, swaps.turn) == ("models_changing", 0)


def test_calls_that_wait_for_the_same_round_share_the_next(lead):
    gate, begun = threading.Event(), threading.Event()

    def slowly(number, held_back):
        begun.set()
        gate.wait(30)
        return same(number, held_back)

    swaps, [second] = lead(slowly, same)
    callers = [threading.Thread(target=swaps.swap) for _ in range(10)]
    callers[0].start()
    begun.wait(30)
    for caller in callers[1:]:
        caller.start()
    gate.set()
    for caller in callers:
        caller.join()

    assert 2 <= len(second.prepared) < 10
