"""The broker of one process: a queue of task ids per lane."""

from __future__ import annotations

import threading
from collections import OrderedDict

from rowcast.errors import Unavailable
from rowcast.tasks.ports import Delivery


class LocalBroker:
    """Lanes in memory, for the workers of this process.

    It keeps nothing across a restart and need not: the task's row is the outbox. Whatever was queued here is found by
    the recovery sweep in the database and published again. An id that already waits in its lane is not queued twice,
    so the sweep may republish as often as it likes.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lanes: dict[str, OrderedDict[str, None]] = {}
        self._closed = False

    def publish(self, lane: str, task_id: str) -> None:
        with self._changed:
            self._require_open()
            self._lanes.setdefault(lane, OrderedDict()).setdefault(task_id, None)
            self._changed.notify_all()

    def consume(self, lane: str, timeout: float) -> Delivery | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._lanes.get(lane), timeout)
            waiting = self._lanes.get(lane)
            if self._closed or not waiting:
                return None
            task_id, _ = waiting.popitem(last=False)
            return Delivery(task_id, done=_nothing)

    def ping(self) -> None:
        with self._changed:
            self._require_open()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _require_open(self) -> None:
        if self._closed:
            raise Unavailable("broker_unavailable", "Rowcast is shutting down; try again when it is up.")


def _nothing() -> None:
    """An id leaves its lane when it is handed over: there is nothing to acknowledge."""
