"""Working on predictions, many at a time: claimed by one statement, scored one after the other, and put on record with
their receipts by one transaction. What goes wrong with one is that one's own."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

from rowcast.errors import Internal, RowcastError, Unavailable
from rowcast.monitoring.keeping import Keeping
from rowcast.monitoring.packing import unpacked
from rowcast.monitoring.receipts import Scored, scored, with_receipt
from rowcast.monitoring.recording import Entry
from rowcast.scoring.catalog import Catalog
from rowcast.scoring.requests import decode
from rowcast.tables import now
from rowcast.tasks.batches import Batch, Batches, Claimed, Outcome
from rowcast.tasks.claims import back_off, waiting
from rowcast.tasks.owners import Owners
from rowcast.tasks.ports import Broker, Delivery, Tally
from rowcast.tasks.predictions import KIND
from rowcast.tasks.views import TaskState
from rowcast.traces import Traces, Untraced, task_id

MOST = 128
"""Tasks in one go: enough that a commit costs each of them little."""

SETTLE_SECONDS = 0.1
"""After so long what is done goes on record, so that a quick task does not wait for all the slow ones beside it."""

_PATIENCE = (0.1, 0.5, 2.0, 5.0)
"""Seconds between attempts to put outcomes on record."""

_OUR_FAULT = "This failed by a fault in Rowcast. Ask the operator to look at the server's log."

log = logging.getLogger(__name__)


class Done(NamedTuple):
    """A task that was worked on: how it is to end, and its receipt if it ends well."""

    outcome: Outcome
    entry: Entry | None


class Predicting:
    """Carries predictions out. For one thread; ``start`` it, ``close`` it."""

    def __init__(
        self,
        *,
        batches: Batches,
        broker: Broker,
        catalog: Catalog,
        owners: Owners,
        keeping: Keeping,
        max_rows: int,
        lease_seconds: float = 30,
        max_attempts: int = 3,
        retry_seconds: float = 2,
        tally: Tally | None = None,
        traces: Traces | None = None,
    ) -> None:
        self._batches = batches
        self._broker = broker
        self._catalog = catalog
        self._owners = owners
        self._keeping = keeping
        self._max_rows = max_rows
        self._beat = lease_seconds / 3
        self._max_attempts = max_attempts
        self._retry_seconds = retry_seconds
        self._tally = tally
        self._traces = traces or Untraced()
        self._held: tuple[str, float] | None = None
        self._closing = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="prediction-leases", daemon=True)

    def start(self) -> None:
        """Begin to keep leases. To be called once."""
        self._renewing.start()

    def close(self) -> None:
        """Return when nothing is under way any more."""
        self._closing.set()
        if self._renewing.is_alive():
            self._renewing.join()
        self._batches.close()

    def carry_out(self, told: Sequence[Delivery], interrupted: Callable[[], bool] = lambda: False) -> None:
        """Do those of the tasks that are there to be done. Once ``interrupted`` says so, the others are queued again.

        Raises:
            Unavailable: the database does not answer; all will be delivered again, or taken back when leases run out.
        """
        open_: dict[str, Delivery] = {}
        for delivery in told:
            if open_.setdefault(delivery.task_id, delivery) is not delivery:
                delivery.done()  # told twice, and the other one answers for the task
        try:
            begun = time.monotonic()
            batch = self._batches.claim(list(open_))
            with self._keeping_leases(batch):
                for part in self._worked_on(batch, interrupted):
                    self._settle(batch, part)
                    self._count(part)
                    self._trace(batch, part, time.monotonic() - begun)
                    self._tell([open_.pop(done.outcome.id) for done in part])
            self._dismiss(open_)
        except BaseException:
            for delivery in open_.values():
                delivery.back()
            raise

    def _count(self, part: Sequence[Done]) -> None:
        if self._tally is not None:
            for outcome, count in Counter(map(_attempt, part)).items():
                self._tally.attempted(KIND, outcome, count)

    def _trace(self, batch: Batch, part: Sequence[Done], seconds: float) -> None:
        """Show the tasks in the traces that they belong to: each took as long as all that were claimed with it."""
        if not self._traces.on:
            return
        parents = {task.id: task.traceparent for task in batch.tasks}
        for done in part:
            if parent := parents[done.outcome.id]:
                self._traces.past(f"task {KIND}", parent, seconds, task=done.outcome.id, state=str(done.outcome.state))

    def _dismiss(self, deliveries: Mapping[str, Delivery]) -> None:
        """Let go of what is not there to be done: ended, not due yet, in other hands, or no task at all."""
        if not deliveries:
            return
        known = self._batches.known(deliveries)
        for told, delivery in deliveries.items():
            if told in known:
                delivery.done()
            else:
                delivery.refuse("task_unknown")

    def _worked_on(self, batch: Batch, interrupted: Callable[[], bool]) -> Iterator[list[Done]]:
        """What was done, in parts that are to go on record."""
        part: list[Done] = []
        begun = time.monotonic()
        for task in batch.tasks:
            part.append(_untried(task) if interrupted() else self._done(task))
            if time.monotonic() - begun > SETTLE_SECONDS:
                yield part
                part, begun = [], time.monotonic()
        if part:
            yield part

    def _done(self, task: Claimed) -> Done:
        before = task_id.set(task.id)
        try:
            return self._attempted(task)
        finally:
            task_id.reset(before)

    def _attempted(self, task: Claimed) -> Done:
        try:
            answer = self._scored(task)
        except RowcastError as error:
            return self._failed(task, error)
        except Exception as error:  # noqa: BLE001  (every task ends on record)
            log.error("failed by a fault of ours, %s", type(error).__name__)
            return self._failed(task, Internal("internal_error", _OUR_FAULT))
        entry = answer.entry
        # Where receipts hide inputs the task does, too: what could repeat them is left out of both.
        reply = answer.reply if entry.inputs_kept == "all" else with_receipt(unpacked(entry.reply), task.id)
        outcome = Outcome(id=task.id, state=TaskState.SUCCEEDED, untried=0, result=reply.decode())
        return Done(outcome, entry)

    def _scored(self, task: Claimed) -> Scored:
        owner = self._owners.get(task.owner_id)
        served = self._catalog.find(owner, task.subject) or self._catalog.get(owner, task.subject)
        asked = decode(task.body, max_rows=self._max_rows, reader=served.reader)
        return scored(self._keeping, task.id, owner, served, asked, task.body).at(task.rate)

    def _failed(self, task: Claimed, error: RowcastError) -> Done:
        """Try again later if that can help and there are attempts left, else fail for good."""
        log.info("attempt %d failed, %s", task.attempt, error.code)
        outcome = Outcome(id=task.id, state=TaskState.FAILED, untried=0, error=_text(error.to_dict()))
        if error.retryable and task.attempt < self._max_attempts:
            wait = back_off(task.attempt, self._retry_seconds)
            outcome.state = TaskState.QUEUED
            outcome.due_at = self._batches.stored(now() + timedelta(seconds=wait))
            outcome.progress = _text(waiting(task.attempt, error))
        return Done(outcome, None)

    def _settle(self, batch: Batch, part: Sequence[Done]) -> None:
        """Put a part on record; what the database does not take as it is fails alone."""
        try:
            self._put_on_record(batch, part)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  (one that cannot be written must not take the others with it)
            # The type only: the text of a database's exception has the values of its statement.
            log.error("predictions: %s while settling %d tasks", type(error).__name__, len(part))
            for done in part:
                self._settle_alone(batch, done)

    def _settle_alone(self, batch: Batch, done: Done) -> None:
        try:
            self._put_on_record(batch, [done])
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001
            cause = error if isinstance(error, RowcastError) else Internal("internal_error", _OUR_FAULT)
            outcome = Outcome(id=done.outcome.id, state=TaskState.FAILED, untried=0, error=_text(cause.to_dict()))
            self._put_on_record(batch, [Done(outcome, None)])

    def _put_on_record(self, batch: Batch, part: Sequence[Done]) -> None:
        outcomes = [done.outcome for done in part]
        entries = [done.entry for done in part if done.entry is not None]
        for pause in _PATIENCE:
            try:
                self._batches.settle(batch.token, outcomes, entries)
                return
            except Unavailable as error:
                log.warning("the end of %d predictions waits: %s", len(part), error.code)
                time.sleep(pause)
        self._batches.settle(batch.token, outcomes, entries)

    def _tell(self, deliveries: Sequence[Delivery]) -> None:
        self._broker.announce([(delivery.reply_to, delivery.task_id) for delivery in deliveries])
        for delivery in deliveries:
            delivery.done()

    @contextmanager
    def _keeping_leases(self, batch: Batch) -> Iterator[None]:
        self._held = (batch.token, time.monotonic())
        try:
            yield
        finally:
            self._held = None

    def _renew(self) -> None:
        """Most batches are over before the first beat; this is for those that are not."""
        while not self._closing.wait(self._beat / 2):
            held = self._held
            if held is None or time.monotonic() - held[1] < self._beat:
                continue
            try:
                self._batches.renew(held[0])
            except Unavailable as error:
                log.warning("leases are not renewed: %s", error.code)


def _attempt(done: Done) -> str:
    """How the attempt went, as a ``Tally`` counts it."""
    if done.outcome.state != TaskState.QUEUED:
        return str(done.outcome.state)
    return "handed_back" if done.outcome.untried else "retried"


def _untried(task: Claimed) -> Done:
    """The task for another worker, as if this one had never had it."""
    return Done(Outcome(id=task.id, state=TaskState.QUEUED, untried=1), None)


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document)
