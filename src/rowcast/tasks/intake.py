"""Intake: tasks that are submitted at the same time go on record in one transaction, and to the broker in one go.

Nobody waits for the broker: once a task is on record it will be done, if need be by way of the recovery sweep.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import update
from sqlalchemy.engine.interfaces import DBAPICursor

from rowcast.accounts.principal import Principal
from rowcast.credits import allowances
from rowcast.credits.ledger import Ledger
from rowcast.credits.statements import on_cursor
from rowcast.credits.tariff import cost
from rowcast.errors import PaymentRequired, RowcastError, TooMany, Unavailable
from rowcast.grouping import Grouping, Wording
from rowcast.monitoring.recording import Writer
from rowcast.tables import Database, now
from rowcast.tasks import holds, queries
from rowcast.tasks.admission import Applicant, Once, admit_many
from rowcast.tasks.ports import Publisher
from rowcast.tasks.statements import insert_for, stored
from rowcast.tasks.tables import TaskRow, in_state
from rowcast.tasks.views import Task, TaskState

WORDING = Wording(
    full=("intake_full", "The database does not keep up with taking tasks in. Try again in a moment."),
    fault=("task_not_written", "The task could not be put on record; see the server's log."),
)

log = logging.getLogger(__name__)


class Submission(NamedTuple):
    """A task that is made of nothing but the request, as ``body`` holds it."""

    id: str
    kind: str
    lane: str
    owner: Principal
    subject: str
    body: bytes
    once: Once | None = None
    rows: int = 0
    reasons: bool = False
    rate: int = 0
    """What a row costs, in thousandths of a credit."""
    traceparent: str | None = None

    @property
    def held(self) -> int:
        """What it may cost: all its rows."""
        return cost(self.rate, self.rows)


class Submitted(NamedTuple):
    """A task on record, and whether an earlier call had put it there."""

    task: Task
    before: bool


_New = Sequence[tuple[str, str]]
"""Tasks that workers are to be told of, as (lane, id)."""


class Intake:
    """Takes submissions from event loops. ``start`` it, ``close`` it."""

    def __init__(
        self, database: Database, writer: Writer, broker: Publisher, *, most_queued: int, ledger: Ledger | None = None
    ) -> None:
        self._database = database
        self._writer = writer
        self._insert = insert_for(writer.dialect)
        self._look = queries.Look(writer.dialect)
        self._broker = broker
        self._most_queued = most_queued
        self._ledger = ledger or Ledger()
        self._grouping: Grouping[Submission, Submitted] = Grouping(
            "intake", self._take_in, WORDING, size=lambda submission: len(submission.body)
        )
        self._telling: Grouping[_New, None] = Grouping("dispatch", self._tell, WORDING)

    def start(self) -> None:
        """Begin. To be called once."""
        self._telling.start()
        self._grouping.start()

    def close(self) -> None:
        """Take nothing more, and return when what waits is on record."""
        self._grouping.close()
        self._telling.close()
        self._writer.close()

    async def submit(self, submission: Submission) -> Submitted:
        """The task, once it is on record.

        Raises:
            TooMany: the owner has too many in the queue, or has no more rows today.
            Conflict: the idempotency key was used for something else.
            Unavailable: nothing is on record: the database does not answer, or too many wait for it.
        """
        return await self._grouping.ask(submission)

    def _take_in(self, take: Callable[[], Sequence[Submission]]) -> list[Submitted | RowcastError]:
        with self._writer.transaction() as cursor:
            group, moment = take(), now()
            applicants = [Applicant(one.id, one.owner.id, one.once) for one in group]
            outcomes = admit_many(cursor, self._writer.dialect, applicants, most_queued=self._most_queued)
            new = [one for one, outcome in zip(group, outcomes, strict=True) if outcome == one.id]
            if beyond := self._beyond(cursor, new, moment):
                new = [one for one in new if one.id not in beyond]
                outcomes = [beyond.get(one.id, outcome) for one, outcome in zip(group, outcomes, strict=True)]
            wanted = [holds.Wanted(one.id, one.owner, one.held, allowances.uses_of(one.owner, one.rows)) for one in new]
            refused = holds.hold(on_cursor(cursor, self._writer.dialect), self._ledger, wanted)
            self._put_on_record(cursor, new, refused, moment)
            before = {outcome for outcome in outcomes if isinstance(outcome, str)} - {one.id for one in new}
            tasks = self._known(cursor, before) if before else {}
        if taken := [(one.lane, one.id) for one in new if one.id not in refused]:
            with suppress(Unavailable):  # so many are to be told of that the broker must be away: the sweep will tell
                self._telling.leave(taken)
        tasks |= {one.id: _view(one, moment, refused.get(one.id)) for one in new}
        return [
            Submitted(tasks[outcome], before=outcome != one.id) if isinstance(outcome, str) else outcome
            for one, outcome in zip(group, outcomes, strict=True)
        ]

    def _beyond(self, cursor: DBAPICursor, new: Sequence[Submission], moment: datetime) -> dict[str, TooMany]:
        """Which of them go beyond the rows that their owners have a day, by their ids; the others are counted."""
        limited = [one for one in new if one.owner.limits is not None]
        if not limited:
            return {}
        uses = [allowances.uses_of(one.owner, one.rows) for one in limited]
        outcomes = allowances.spend(on_cursor(cursor, self._writer.dialect), uses, moment)
        return {one.id: outcome for one, outcome in zip(limited, outcomes, strict=True) if outcome is not None}

    def _put_on_record(
        self, cursor: DBAPICursor, new: Sequence[Submission], refused: Mapping[str, PaymentRequired], moment: datetime
    ) -> None:
        if new:
            rows = msgspec.json.encode([_row(one, refused.get(one.id)) for one in new]).decode()
            cursor.execute(self._insert, (rows, stored(moment, self._writer.dialect)))

    def _known(self, cursor: DBAPICursor, ids: Iterable[str]) -> dict[str, Task]:
        cursor.execute(self._look.statement, (msgspec.json.encode([*ids]).decode(),))
        return {task_id: task for task_id, (_, task) in self._look.tasks(cursor.fetchall()).items()}

    def _tell(self, take: Callable[[], Sequence[_New]]) -> list[None]:
        """Tell the workers. What they could not be told is marked as never told, for the recovery sweep to find."""
        group = take()
        lanes: dict[str, list[str]] = {}
        for lane, task_id in chain.from_iterable(group):
            lanes.setdefault(lane, []).append(task_id)
        for lane, ids in lanes.items():
            try:
                self._broker.publish(lane, ids)
            except Unavailable as error:
                log.warning("%d tasks wait for the recovery sweep: %s", len(ids), error.code)
                self._mark_untold(ids)
        return [None] * len(group)

    def _mark_untold(self, ids: Sequence[str]) -> None:
        untold = update(TaskRow).where(TaskRow.id.in_(ids), in_state(TaskState.QUEUED)).values(dispatched_at=None)
        try:
            with self._database.transaction() as session:
                session.execute(untold.execution_options(synchronize_session=False))
        except Unavailable as error:
            log.warning("the sweep takes them for told, and waits before it tells again: %s", error.code)


def _row(one: Submission, refused: PaymentRequired | None) -> dict[str, Any]:
    """The columns of ``INSERT_COLUMNS``: of a task that waits, or of one that there are no credits for."""
    key, request = one.once or (None, None)
    return {
        "id": one.id,
        "kind": one.kind,
        "lane": one.lane,
        "owner_id": one.owner.id,
        "subject": one.subject,
        "idempotency_key": key,
        "request_hash": request,
        "body": one.body.decode() if refused is None else None,
        "error": None if refused is None else msgspec.json.encode(refused.to_dict()).decode(),
        "state": TaskState.QUEUED if refused is None else TaskState.REJECTED,
        "held": one.held if refused is None else 0,
        "rate": one.rate,
        "traceparent": one.traceparent,
    }


def _view(one: Submission, moment: datetime, refused: PaymentRequired | None) -> Task:
    """The task as its row says at this moment."""
    return Task(
        id=one.id,
        kind=one.kind,
        state=TaskState.QUEUED if refused is None else TaskState.REJECTED,
        owner=one.owner.name,
        subject=one.subject,
        error=None if refused is None else refused.to_dict(),
        attempts=0,
        cancel_requested=False,
        held=one.held if refused is None else 0,
        created_at=moment,
        finished_at=None if refused is None else moment,
    )
