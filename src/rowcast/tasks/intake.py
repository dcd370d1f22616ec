"""Intake: tasks that are submitted at the same time go on record in one transaction, and to the broker in one go.

Nobody waits for the broker: once a task is on record it will be done, if need be by way of the recovery sweep.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import update
from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal
from rowcast.errors import RowcastError, Unavailable
from rowcast.grouping import Grouping, Wording
from rowcast.tables import Database, now
from rowcast.tasks import queries
from rowcast.tasks.admission import Applicant, Once, admit
from rowcast.tasks.ports import Publisher
from rowcast.tasks.statements import insert_for
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


class Submitted(NamedTuple):
    """A task on record, and whether an earlier call had put it there."""

    task: Task
    before: bool


_New = Sequence[tuple[str, str]]
"""Tasks that workers are to be told of, as (lane, id)."""


class Intake:
    """Takes submissions from event loops. ``start`` it, ``close`` it."""

    def __init__(self, database: Database, broker: Publisher, *, most_queued: int) -> None:
        self._database = database
        self._broker = broker
        self._most_queued = most_queued
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

    async def submit(self, submission: Submission) -> Submitted:
        """The task, once it is on record.

        Raises:
            TooMany: the owner has too many in the queue.
            Conflict: the idempotency key was used for something else.
            Unavailable: nothing is on record: the database does not answer, or too many wait for it.
        """
        return await self._grouping.ask(submission)

    def _take_in(self, take: Callable[[], Sequence[Submission]]) -> list[Submitted | RowcastError]:
        with self._database.transaction() as session:
            session.connection()
            group, moment = take(), now()
            applicants = [Applicant(one.id, one.owner.id, one.once) for one in group]
            outcomes = admit(session, applicants, most_queued=self._most_queued)
            new = [one for one, outcome in zip(group, outcomes, strict=True) if outcome == one.id]
            _insert(session, new, moment)
            before = {outcome for outcome in outcomes if isinstance(outcome, str)} - {one.id for one in new}
            known = queries.tasks_by_id(session, before)
        if new:
            with suppress(Unavailable):  # so many are to be told of that the broker must be away: the sweep will tell
                self._telling.leave([(one.lane, one.id) for one in new])
        tasks = {one.id: _view(one, moment) for one in new} | {task_id: task for task_id, (_, task) in known.items()}
        return [
            Submitted(tasks[outcome], before=outcome != one.id) if isinstance(outcome, str) else outcome
            for one, outcome in zip(group, outcomes, strict=True)
        ]

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


def _insert(session: Session, new: Sequence[Submission], moment: datetime) -> None:
    if new:
        tasks = msgspec.json.encode([_row(one) for one in new]).decode()
        connection = session.connection()
        connection.execute(insert_for(connection.dialect), {"tasks": tasks, "now": moment})


def _row(one: Submission) -> dict[str, Any]:
    """The columns of ``INSERT_COLUMNS``."""
    key, request = one.once or (None, None)
    return {
        "id": one.id,
        "kind": one.kind,
        "lane": one.lane,
        "owner_id": one.owner.id,
        "subject": one.subject,
        "idempotency_key": key,
        "request_hash": request,
        "body": one.body.decode(),
    }


def _view(one: Submission, moment: datetime) -> Task:
    """The task as its row says at this moment."""
    return Task(
        id=one.id,
        kind=one.kind,
        state=TaskState.QUEUED,
        owner=one.owner.name,
        subject=one.subject,
        attempts=0,
        cancel_requested=False,
        created_at=moment,
    )
