"""Running one task: take it, work on it with no transaction open, and end it in one short transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from sqlalchemy.orm import Session

from rowcast.datasets.ports import Storage
from rowcast.errors import Cancelled, Internal, NotFound, RowcastError, Unavailable
from rowcast.tables import Database
from rowcast.tasks import claims
from rowcast.tasks.claims import Claim, ClaimLost
from rowcast.tasks.cleanup import Ended, clean_up
from rowcast.tasks.handlers import Bench, Handler, Limits
from rowcast.tasks.ports import COMPUTE_AWAY, Broker, Compute, Tally
from rowcast.tasks.pulse import Pulse
from rowcast.tasks.tables import TaskRow
from rowcast.traces import Span, Traces, Untraced, task_id

_PATIENCE = (0.1, 0.5, 2, 5, 10)
"""Seconds between attempts to put on record how a task ended: hours of work are not thrown away for a busy moment."""

_OUR_FAULT = "This failed by a fault in Rowcast. Ask the operator to look at the server's log."

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Runner:
    """Carries tasks out for one worker process, from any number of its threads."""

    def __init__(
        self,
        *,
        database: Database,
        storage: Storage,
        compute: Compute,
        broker: Broker,
        handlers: Mapping[str, Handler],
        limits: Limits,
        worker: str,
        lease_seconds: float = 30,
        max_attempts: int = 3,
        retry_seconds: float = 2,
        tally: Tally | None = None,
        traces: Traces | None = None,
    ) -> None:
        self._database = database
        self._storage = storage
        self._compute = compute
        self._broker = broker
        self._handlers = handlers
        self._limits = limits
        self._worker = worker
        self._lease_seconds = lease_seconds
        self._max_attempts = max_attempts
        self._retry_seconds = retry_seconds
        self._tally = tally
        self._traces = traces or Untraced()

    def take(self, task_id: str, reply_to: str | None = None) -> Claim | None:
        """The task, claimed for this worker; None when somebody else has it or it has ended. ``reply_to`` is told of
        its changes.

        Raises:
            NotFound: there is no such task.
            Unavailable: the database does not answer.
        """
        with self._database.transaction() as session:
            held = claims.claim(
                session, task_id, worker=self._worker, lease_seconds=self._lease_seconds, reply_to=reply_to
            )
            if held is None and session.get(TaskRow, task_id) is None:
                raise NotFound("task_not_found", "There is no such task.")
        if held is not None:
            self._announce(held)
        return held

    def carry_out(self, held: Claim, interrupted: Callable[[], bool]) -> None:
        """Do a claimed task and put on record how it ended. Once ``interrupted`` says so, it is stopped and queued
        again for another worker.

        Raises:
            Unavailable: the database does not answer; the lease will run out and the task be taken back.
        """
        before = task_id.set(held.id)
        try:
            with self._traces.span(f"task {held.kind}", "consumer", held.traceparent or "", task=held.id) as span:
                self._carry_out(held, interrupted, span)
        except ClaimLost:
            _log.warning("lost to another worker, or ended meanwhile")
        finally:
            self._announce(held)
            task_id.reset(before)

    def abandon(self, task: Ended) -> None:
        """Clean up after a task that recovery ended, and tell whoever waits for it."""
        clean_up(task, self._handlers, self._database, self._storage)
        self._broker.announce([(None, task.id)])

    def _announce(self, held: Claim) -> None:
        self._broker.announce([(held.reply_to, held.id)])

    def _carry_out(self, held: Claim, interrupted: Callable[[], bool], span: Span) -> None:
        with Pulse(self._database, self._broker, held, lease_seconds=self._lease_seconds) as pulse:
            try:
                self._work_and_settle(held, pulse, interrupted)
            except Cancelled:
                self._stop(held, pulse, interrupted)
            except ClaimLost:
                raise
            except RowcastError as error:
                span.tell(error=error.code)
                self._give_up(held, error)
            except Exception:  # noqa: BLE001  (every task ends on record)
                _log.exception("failed by a fault of ours")
                span.tell(error="internal_error")
                self._give_up(held, Internal("internal_error", _OUR_FAULT))

    def _work_and_settle(self, held: Claim, pulse: Pulse, interrupted: Callable[[], bool]) -> None:
        handler = self._handlers.get(held.kind)
        if handler is None:
            # Of a newer version, while workers are being replaced: one of those is to have it.
            raise Unavailable("task_kind_unknown", "This worker is too old for this kind of task; a newer is to try.")

        def stopping() -> bool:
            return pulse.cancelled or pulse.lost or interrupted()

        bench = Bench(self._database, self._storage, self._compute, self._limits, pulse.report, stopping)
        outcome = handler.work(held, bench)

        def settle(session: Session) -> None:
            claims.succeed(session, held)
            claims.record(session, held.id, handler.settle(session, held, outcome))

        self._put_on_record(settle)
        self._count(held, "succeeded")
        self._tidy(handler, held)

    def _stop(self, held: Claim, pulse: Pulse, interrupted: Callable[[], bool]) -> None:
        """The work has been stopped, for one of three reasons."""
        if pulse.lost:
            raise ClaimLost
        if interrupted() and not pulse.cancelled:
            try:
                self._put_on_record(lambda session: claims.hand_back(session, held))
                self._count(held, "handed_back")
                return
            except Cancelled:  # the owner was quicker than the pulse
                pass
        self._put_on_record(lambda session: claims.stop(session, held))
        self._count(held, "cancelled")
        self.abandon(Ended(held.id, held.kind, held.payload))

    def _give_up(self, held: Claim, error: RowcastError) -> None:
        """Try again later if that can help and there are attempts left, else fail for good."""
        _log.info("attempt %d failed, %s", held.attempt, error.code)
        try:
            if error.retryable and (held.attempt < self._max_attempts or error.code == COMPUTE_AWAY):
                wait = claims.back_off(held.attempt, self._retry_seconds)
                self._put_on_record(lambda session: claims.retry(session, held, error, after_seconds=wait))
                self._count(held, "retried")
                return
            self._put_on_record(lambda session: claims.fail(session, held, error))
            self._count(held, "failed")
        except Cancelled:
            self._put_on_record(lambda session: claims.stop(session, held))
            self._count(held, "cancelled")
        self.abandon(Ended(held.id, held.kind, held.payload))

    def _count(self, held: Claim, outcome: str) -> None:
        if self._tally is not None:
            self._tally.attempted(held.kind, outcome)

    def _put_on_record(self, change: Callable[[Session], _T]) -> _T:
        for pause in _PATIENCE:
            try:
                with self._database.transaction() as session:
                    return change(session)
            except Unavailable as error:
                _log.warning("the end of a task waits: %s", error.code)
                time.sleep(pause)
        with self._database.transaction() as session:
            return change(session)

    def _tidy(self, handler: Handler, held: Claim) -> None:
        try:
            handler.tidy(held, self._storage)
        except RowcastError as error:
            _log.warning("could not be tidied up after, %s", error.code)
