"""The broker of one process: a queue of task ids per lane."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rowcast.errors import Unavailable
from rowcast.tables import now
from rowcast.tasks.ports import DeadLetter

_DEAD_KEPT = 1_000

_log = logging.getLogger(__name__)


class LocalBroker:
    """Lanes in memory, for the workers of this process.

    It keeps nothing across a restart and need not: the task's row is the outbox. Whatever was queued here is found by
    the recovery sweep in the database and published again. An id that already waits in its lane is not queued twice,
    so the sweep may republish as often as it likes.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lanes: dict[str, OrderedDict[str, None]] = {}
        self._dead: OrderedDict[str, DeadLetter] = OrderedDict()
        self._heard: Callable[[Sequence[str]], None] = _nobody
        self._closed = False

    def publish(self, lane: str, task_ids: Sequence[str]) -> None:
        with self._changed:
            self._require_open()
            waiting = self._lanes.setdefault(lane, OrderedDict())
            for task_id in task_ids:
                waiting.setdefault(task_id)
            self._changed.notify_all()

    def consume(self, lane: str, timeout: float, most: int = 1) -> Sequence[LocalDelivery]:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._lanes.get(lane), timeout)
            waiting = self._lanes.get(lane)
            if self._closed or not waiting:
                return ()
            taken = (waiting.popitem(last=False) for _ in range(min(most, len(waiting))))
            return [LocalDelivery(task_id, lane, self) for task_id, _ in taken]

    def announce(self, told: Sequence[tuple[str | None, str]]) -> None:
        self._heard([task_id for _, task_id in told])

    def listen(self, heard: Callable[[Sequence[str]], None]) -> None:
        self._heard = heard

    def ping(self) -> None:
        with self._changed:
            self._require_open()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def depths(self) -> dict[str, int]:
        with self._changed:
            return {lane: len(waiting) for lane, waiting in self._lanes.items()}

    def dead(self, limit: int) -> list[DeadLetter]:
        with self._changed:
            return list(self._dead.values())[:limit]

    def dead_count(self) -> int:
        with self._changed:
            return len(self._dead)

    def revive(self, letter_id: str) -> bool:
        with self._changed:
            letter = self._dead.pop(letter_id, None)
        if letter is not None:
            self.publish(letter.lane, [letter.id])
        return letter is not None

    def take_back(self, delivery: LocalDelivery) -> None:
        """Put an id that was handed over in front of its lane again."""
        with self._changed:
            waiting = self._lanes[delivery.lane]
            waiting[delivery.task_id] = None
            waiting.move_to_end(delivery.task_id, last=False)
            self._changed.notify_all()

    def bury(self, letter: DeadLetter) -> None:
        """Keep a dead letter; of very many only the newest."""
        _log.error("task %s of lane %s goes to the dead letters: %s", letter.id, letter.lane, letter.reason)
        with self._changed:
            self._dead[letter.id] = letter
            if len(self._dead) > _DEAD_KEPT:
                self._dead.popitem(last=False)

    def _require_open(self) -> None:
        if self._closed:
            raise Unavailable("broker_unavailable", "Rowcast is shutting down; try again when it is up.")


@dataclass(frozen=True, slots=True)
class LocalDelivery:
    """An id that has left its lane: there is nothing to acknowledge."""

    task_id: str
    lane: str
    _broker: LocalBroker = field(repr=False)

    @property
    def reply_to(self) -> None:
        """There is only this process."""

    def done(self) -> None:
        """Nothing is left to do."""

    def back(self) -> None:
        self._broker.take_back(self)

    def refuse(self, reason: str) -> None:
        self._broker.bury(DeadLetter(self.task_id, self.lane, reason, now()))


def _nobody(task_ids: Sequence[str]) -> None:
    """Nobody in this process wants to hear of tasks."""
