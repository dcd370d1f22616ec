"""The worker: threads that take tasks off the broker and carry them out, and one that recovers what was lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

from rowcast.errors import Unavailable
from rowcast.tables import Database
from rowcast.tasks.ports import Broker, Delivery
from rowcast.tasks.recovery import sweep
from rowcast.tasks.runner import Runner
from rowcast.tasks.submission import dispatch

_POLL_SECONDS = 0.5
_PAUSE_SECONDS = 1.0
"""After a fault, so that a service that is away is asked again but not hammered."""

_log = logging.getLogger(__name__)


class Worker:
    """``lanes`` says how many tasks of each lane run at the same time. A worker waits for a broker or database that is
    away instead of stopping."""

    def __init__(
        self,
        *,
        database: Database,
        broker: Broker,
        runner: Runner,
        lanes: Mapping[str, int],
        max_attempts: int = 3,
        sweep_seconds: float = 2,
        redispatch_seconds: float = 60,
    ) -> None:
        self._database = database
        self._broker = broker
        self._runner = runner
        self._max_attempts = max_attempts
        self._sweep_seconds = sweep_seconds
        self._redispatch_seconds = redispatch_seconds
        self._stopping = threading.Event()
        self._interrupted = threading.Event()
        slots = [(lane, number) for lane, count in lanes.items() for number in range(count)]
        self._slots = [
            threading.Thread(target=self._serve, args=(lane,), name=f"worker-{lane}-{number}", daemon=True)
            for lane, number in slots
        ]
        self._sweeper = threading.Thread(target=self._recover, name="worker-recovery", daemon=True)

    def start(self) -> None:
        """Begin to take tasks. To be called once."""
        for thread in (self._sweeper, *self._slots):
            thread.start()

    def stop(self, drain_seconds: float = 0) -> None:
        """Take no more tasks, give those that run ``drain_seconds`` to end, then stop them and hand them back to the
        queue. Returns when all of that is done."""
        self._stopping.set()
        deadline = time.monotonic() + drain_seconds
        for thread in self._slots:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._interrupted.set()
        for thread in (self._sweeper, *self._slots):
            thread.join()

    def _serve(self, lane: str) -> None:
        while not self._stopping.is_set():
            try:
                delivery = self._broker.consume(lane, _POLL_SECONDS)
                if delivery is not None:
                    self._handle(lane, delivery)
            except Unavailable as error:
                _log.warning("lane %s waits: %s", lane, error.code)
                self._stopping.wait(_PAUSE_SECONDS)
            except Exception:  # noqa: BLE001  (a thread that ended would be missing until the next start)
                _log.exception("lane %s: a fault of ours; it goes on with the next task", lane)
                self._stopping.wait(_PAUSE_SECONDS)

    def _handle(self, lane: str, delivery: Delivery) -> None:
        try:
            held = self._runner.take(delivery.task_id)
        except Unavailable:
            self._broker.publish(lane, delivery.task_id)
            raise
        finally:
            # From here on the lease keeps the task: a broker may not be kept waiting for as long as a training takes.
            delivery.done()
        if held is not None:
            self._runner.carry_out(held, self._interrupted.is_set)

    def _recover(self) -> None:
        while True:
            try:
                self._sweep()
            except Unavailable as error:
                _log.warning("recovery waits: %s", error.code)
            except Exception:  # noqa: BLE001  (a thread that ended would be missing until the next start)
                _log.exception("recovery: a fault of ours; it goes on")
            if self._stopping.wait(self._sweep_seconds):
                return

    def _sweep(self) -> None:
        found = sweep(self._database, max_attempts=self._max_attempts, redispatch_seconds=self._redispatch_seconds)
        dispatch(self._database, self._broker, found.due)
        for task in found.ended:
            self._runner.abandon(task)
