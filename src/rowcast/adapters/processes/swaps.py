"""The switch of all processes to other models at the same instant, as the first process leads it."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from rowcast.adapters.processes.peer import Gone, Peer
from rowcast.adapters.processes.turn import Turn
from rowcast.errors import Unavailable
from rowcast.scoring.together import HeldBack, Prepare, Prepared

PREPARE_SECONDS = 30.0
"""A process that has not loaded a version by then is replaced: the others have, and must not wait for ever."""

_ATTEMPTS = 20
_MOVING = ("models_changing", "The models change faster than the processes can follow. Try again in a moment.")

_log = logging.getLogger(__name__)


class Member(Protocol):
    """Another process that serves."""

    @property
    def pid(self) -> int: ...

    @property
    def peer(self) -> Peer: ...

    def kill(self) -> None:
        """End it at once; another takes its place."""
        ...


class LedSwaps:
    """Asks all members, and this process, to prepare, and raises the number once all did the same."""

    def __init__(
        self, turn: Turn, members: Callable[[], Sequence[Member]], prepare_seconds: float = PREPARE_SECONDS
    ) -> None:
        self._turn = turn
        self._members = members
        self._prepare_seconds = prepare_seconds
        self._prepare: Prepare | None = None
        self._numbers = itertools.count(1)
        self._tickets = itertools.count(1)
        self._done = 0
        self._round = threading.Lock()

    @property
    def turn(self) -> int:
        return self._turn.value

    def enter(self, prepare: Prepare) -> None:
        self._prepare = prepare

    def swap(self) -> None:
        ticket = next(self._tickets)
        with self._round:
            if self._done > ticket:  # by a round that began after this call
                return
            begun = next(self._tickets)
            self._agree()
            self._done = begun

    def _agree(self) -> None:
        """Prepare until all are ready for the same: between two of them the database may have moved on, and a version
        that does not open in one process is held back in all."""
        held_back: HeldBack = {}
        for number in itertools.islice(self._numbers, _ATTEMPTS):
            ready = self._prepared(number, held_back)
            if all(answer == ready[0] for answer in ready):
                self._turn.value = number
                return
            held_back = _union(answer.held_back for answer in ready)
        raise Unavailable(*_MOVING)

    def _prepared(self, number: int, held_back: HeldBack) -> list[Prepared]:
        """What each that lives is ready for; whoever does not answer in time goes."""
        assert self._prepare is not None
        deadline = time.monotonic() + self._prepare_seconds
        asked = [(member, member.peer.begin("prepare", number, held_back)) for member in self._members()]
        ready = [self._prepare(number, held_back)]
        for member, future in asked:
            try:
                ready.append(Prepared(*future.result(max(0.0, deadline - time.monotonic()))))
            except TimeoutError:
                _log.error("process %d does not follow and is replaced", member.pid)
                member.kill()
            except Gone:
                continue
        return ready


def _union(parts: Iterable[HeldBack]) -> HeldBack:
    united: dict[str, dict[str, int]] = {}
    for part in parts:
        for name, aliases in part.items():
            united.setdefault(name, {}).update(aliases)
    return united
