"""Recovery: nothing that is on record stays undone because a worker, a message or a whole machine was lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from rowcast.errors import Internal, Unavailable
from rowcast.tables import Database, Timestamp, now
from rowcast.tasks import failed_trainings, holds
from rowcast.tasks.claims import queued_again
from rowcast.tasks.cleanup import Ended
from rowcast.tasks.handlers import PREDICT
from rowcast.tasks.tables import TaskRow, in_state
from rowcast.tasks.views import TaskState

_BATCH = 500

QUICK_SECONDS = 10.0
"""After so long a prediction counts as forgotten: somebody may be waiting for it."""


def require_clock(database: Database, *, seconds: float) -> None:
    """Return when this machine's clock is no further from the database's than that.

    Leases are moments, written by one worker and read by others: by a clock that is ahead, those of all others have run
    out, and their tasks would be done twice.

    Raises:
        Unavailable: it is further off, or the database does not answer.
    """
    with database.reading() as session:
        if session.get_bind().dialect.name != "postgresql":
            return  # the database is a file of this machine
        session.execute(select(1))  # so that a connection is there, and the time to the answer is short
        before = now()
        theirs = session.scalars(select(func.clock_timestamp(type_=Timestamp))).one()
        after = now()
    ahead = (before - theirs).total_seconds() if before > theirs else min(0.0, (after - theirs).total_seconds())
    if abs(ahead) > seconds:
        told = f"{abs(ahead):.0f} seconds {'ahead of' if ahead > 0 else 'behind'} the database's"
        raise Unavailable(
            "clock_wrong", f"The clock of this machine is {told}. Set it right (NTP); until then it takes no tasks."
        )


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep found: tasks to tell the workers of, as (lane, id), and tasks that it had to end."""

    due: list[tuple[str, str]] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)


def sweep(database: Database, *, max_attempts: int, redispatch_seconds: float) -> Sweep:
    """Take tasks back from workers that have gone silent, and find all that are due.

    A queued task is due when no worker was told of it, or was told ``redispatch_seconds`` ago without any effect: the
    message may be lost. Writes only when there is something to take back.
    """
    moment = now()
    silent = and_(in_state(TaskState.RUNNING), TaskRow.leased_until < moment)
    with database.reading() as session:
        anything = session.scalar(select(TaskRow.id).where(silent).limit(1))
    ended = []
    if anything is not None:
        with database.transaction() as session:
            ended = _take_back(session, silent, max_attempts)
    with database.reading() as session:
        return Sweep(_due(session, now(), redispatch_seconds), ended)


def release_all(session: Session, *, max_attempts: int) -> list[Ended]:
    """Take every running task back at once and forget what was dispatched: for the start of the only process, when
    no worker can be alive. What a killed process had in hand runs again immediately; that attempt counts."""
    ended = _take_back(session, in_state(TaskState.RUNNING), max_attempts, limit=None)
    queued = update(TaskRow).where(in_state(TaskState.QUEUED))
    session.execute(queued.values(dispatched_at=None).execution_options(synchronize_session=False))
    return ended


def _take_back(
    session: Session, which: ColumnElement[bool], max_attempts: int, *, limit: int | None = _BATCH
) -> list[Ended]:
    """Queue running tasks again, or end those that were cancelled or have no attempt left."""
    tasks = session.scalars(select(TaskRow).where(which).limit(limit).with_for_update(skip_locked=True)).all()
    ended = []
    for task in tasks:
        if task.cancel_requested:
            _end(task, TaskState.CANCELLED)
        elif task.attempts >= max_attempts:
            _end(task, TaskState.FAILED)
            task.error = _lost(task.attempts).to_dict()
        else:
            _set(task, queued_again())
            task.error = _SILENT.to_dict()
            continue
        ended.append(Ended(task.id, task.kind, task.payload))
    session.flush()
    holds.release(session, [task.id for task in ended])
    failed_trainings.note(session, [task.id for task in ended])
    return ended


def _due(session: Session, moment: datetime, redispatch_seconds: float) -> list[tuple[str, str]]:
    quickly = min(redispatch_seconds, QUICK_SECONDS)
    told_long_ago = or_(
        TaskRow.dispatched_at < moment - timedelta(seconds=redispatch_seconds),
        and_(TaskRow.lane == PREDICT, TaskRow.dispatched_at < moment - timedelta(seconds=quickly)),
    )
    query = (
        select(TaskRow.lane, TaskRow.id)
        .where(in_state(TaskState.QUEUED))
        .where(or_(TaskRow.due_at.is_(None), TaskRow.due_at <= moment))
        .where(or_(TaskRow.dispatched_at.is_(None), told_long_ago))
        .order_by(TaskRow.created_at)
        .limit(_BATCH)
    )
    return [(lane, task_id) for lane, task_id in session.execute(query)]


def _end(task: TaskRow, state: TaskState) -> None:
    _set(task, {"state": state.value, "leased_by": None, "leased_until": None, "finished_at": now(), "body": None})


def _set(task: TaskRow, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(task, name, value)


_SILENT = Internal("worker_lost", "The worker that had this stopped without a word; another one is to try.")


def _lost(attempts: int) -> Internal:
    message = (
        f"The worker stopped each of the {attempts} times that this was tried, most likely for lack of memory. Use a "
        "smaller table or preset, or ask the operator to see the worker's log."
    )
    return Internal("task_lost", message)
