"""The worker: threads that take tasks off the broker and carry them out, and one that recovers what was lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from rowcast.errors import NotFound, Unavailable
from rowcast.tables import Database
from rowcast.tasks.handlers import PREDICT
from rowcast.tasks.ports import Broker, Delivery
from rowcast.tasks.predicting import MOST, Predicting
from rowcast.tasks.recovery import require_clock, sweep
from rowcast.tasks.runner import Runner
from rowcast.tasks.submission import tell

_POLL_SECONDS = 0.5
_PAUSE_SECONDS = 1.0
"""After a fault, so that a service that is away is asked again but not hammered."""

_log = logging.getLogger(__name__)


class Companion(Protocol):
    """A thread that runs as long as a worker does."""

    def start(self) -> None: ...

    def stop(self) -> None:
        """Return when it has ended."""
        ...


class Worker:
    """``lanes`` says how many tasks of each lane run at the same time; each of ``predicting`` takes predictions, many
    at a time. A worker waits for a broker or database that is away instead of stopping."""

    def __init__(
        self,
        *,
        database: Database,
        broker: Broker,
        runner: Runner,
        lanes: Mapping[str, int],
        predicting: Sequence[Predicting] = (),
        companions: Sequence[Companion] = (),
        max_attempts: int = 3,
        lease_seconds: float = 30,
        sweep_seconds: float = 2,
        redispatch_seconds: float = 60,
    ) -> None:
        self._database = database
        self._broker = broker
        self._runner = runner
        self._predicting = predicting
        self._companions = companions
        self._max_attempts = max_attempts
        # Two clocks may be off in opposite ways, and leases are renewed when a third of them is over.
        self._clock_seconds = lease_seconds / 5
        self._on_time = threading.Event()
        self._sweep_seconds = sweep_seconds
        self._redispatch_seconds = redispatch_seconds
        self._stopping = threading.Event()
        self._interrupted = threading.Event()
        slots: list[tuple[str, Callable[[str], None]]] = [
            (lane, self._take_one) for lane, count in lanes.items() for _ in range(count)
        ]
        slots += [(PREDICT, self._taker_of_many(each)) for each in predicting]
        self._slots = [
            threading.Thread(target=self._serve, args=slot, name=f"worker-{slot[0]}-{number}", daemon=True)
            for number, slot in enumerate(slots)
        ]
        self._sweeper = threading.Thread(target=self._recover, name="worker-recovery", daemon=True)

    def start(self) -> None:
        """Begin to take tasks. To be called once."""
        for each in self._predicting:
            each.start()
        for thread in (self._sweeper, *self._slots):
            thread.start()
        for companion in self._companions:
            companion.start()

    def stop(self, drain_seconds: float = 0) -> None:
        """Take no more tasks, give those that run ``drain_seconds`` to end, then stop them and hand them back to the
        queue. Returns when all of that is done."""
        self._stopping.set()
        deadline = time.monotonic() + drain_seconds
        for thread in self._slots:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._interrupted.set()
        for companion in self._companions:
            companion.stop()
        for thread in (self._sweeper, *self._slots):
            thread.join()
        for each in self._predicting:
            each.close()

    def _serve(self, lane: str, take: Callable[[str], None]) -> None:
        outage = Outage(f"lane {lane}")
        while not self._stopping.is_set():
            try:
                if not self._on_time.wait(_POLL_SECONDS):
                    continue
                if outage.lasts:
                    self._database.ping()  # what is taken in vain goes back, and a broker counts how often it does
                take(lane)
                outage.over()
            except Unavailable as error:
                outage.goes_on(error)
                self._stopping.wait(_PAUSE_SECONDS)
            except Exception:  # noqa: BLE001  (a thread that ended would be missing until the next start)
                _log.exception("lane %s: a fault of ours; it goes on with the next task", lane)
                self._stopping.wait(_PAUSE_SECONDS)

    def _take_one(self, lane: str) -> None:
        for delivery in self._broker.consume(lane, _POLL_SECONDS):
            self._handle(delivery)

    def _taker_of_many(self, predicting: Predicting) -> Callable[[str], None]:
        def take_many(lane: str) -> None:
            if told := self._broker.consume(lane, _POLL_SECONDS, MOST):
                predicting.carry_out(told, self._interrupted.is_set)

        return take_many

    def _handle(self, delivery: Delivery) -> None:
        try:
            held = self._runner.take(delivery.task_id, delivery.reply_to)
        except NotFound:
            delivery.refuse("task_unknown")
            return
        except BaseException:
            delivery.back()
            raise
        # From here on the lease keeps the task: a broker may not be kept waiting for as long as a training takes.
        delivery.done()
        if held is not None:
            self._runner.carry_out(held, self._interrupted.is_set)

    def _recover(self) -> None:
        outage = Outage("recovery")
        while True:
            try:
                self._sweep()
                outage.over()
            except Unavailable as error:
                outage.goes_on(error)
            except Exception:  # noqa: BLE001  (a thread that ended would be missing until the next start)
                _log.exception("recovery: a fault of ours; it goes on")
            if self._stopping.wait(self._sweep_seconds):
                return

    def _sweep(self) -> None:
        try:
            require_clock(self._database, seconds=self._clock_seconds)
        except Unavailable as error:
            if error.code == "clock_wrong":
                self._on_time.clear()
            raise
        self._on_time.set()
        found = sweep(self._database, max_attempts=self._max_attempts, redispatch_seconds=self._redispatch_seconds)
        for task in found.ended:
            self._runner.abandon(task)
        tell(self._database, self._broker, found.due)


class Outage:
    """Tells the log once that something waits for a service, and once that it goes on."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._waits_for: str | None = None

    @property
    def lasts(self) -> bool:
        return self._waits_for is not None

    def goes_on(self, error: Unavailable) -> None:
        if self._waits_for != error.message:
            self._waits_for = error.message
            _log.warning("%s waits: %s", self._what, error.message)

    def over(self) -> None:
        if self._waits_for is not None:
            self._waits_for = None
            _log.info("%s goes on", self._what)
