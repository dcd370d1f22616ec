"""Claims: how one worker, and no other, comes to run a task, and how it ends.

A claim is taken by one conditional update, which gives its holder a token and a lease. Every later change carries the
token, so a worker that was silent for too long and lost the task can change nothing any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, CursorResult, and_, null, or_, select, update
from sqlalchemy.orm import Session

from rowcast.accounts.callers import principal_of
from rowcast.accounts.principal import Principal
from rowcast.datasets.ports import Progress
from rowcast.errors import Cancelled, RowcastError
from rowcast.tables import now
from rowcast.tasks import failed_trainings, holds
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.views import TaskState

_LONGEST_WAIT = 300.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A task in a worker's hands. ``attempt`` counts from 1; ``token`` proves that it is still held; ``reply_to`` is
    the process that wants to hear of it."""

    id: str
    kind: str
    lane: str
    owner: Principal
    payload: dict[str, Any]
    attempt: int
    token: str
    reply_to: str | None = None
    traceparent: str | None = None


class ClaimLost(Exception):
    """Somebody else has the task now, or it has ended: stop, and change nothing."""


def claim(
    session: Session, task_id: str, *, worker: str, lease_seconds: float, reply_to: str | None = None
) -> Claim | None:
    """Take a queued task that is due; None when it is not there to be taken. Of any number of callers, one gets it."""
    moment, token = now(), f"{worker[:40]}/{uuid4().hex[:16]}"
    statement = (
        update(TaskRow)
        .where(TaskRow.id == task_id, TaskRow.state == TaskState.QUEUED.value)
        .where(or_(TaskRow.due_at.is_(None), TaskRow.due_at <= moment))
        .values(
            state=TaskState.RUNNING.value,
            attempts=TaskRow.attempts + 1,
            leased_by=token,
            leased_until=moment + timedelta(seconds=lease_seconds),
            started_at=moment,
            progress=null(),
        )
        .returning(TaskRow.kind, TaskRow.lane, TaskRow.owner_id, TaskRow.payload, TaskRow.attempts, TaskRow.traceparent)
        .execution_options(synchronize_session=False)
    )
    taken = session.execute(statement).one_or_none()
    if taken is None:
        return None
    kind, lane, owner_id, payload, attempts, traceparent = taken
    owner = principal_of(session, owner_id)
    return Claim(task_id, kind, lane, owner, payload, attempts, token, reply_to, traceparent)


def keep(session: Session, held: Claim, *, lease_seconds: float, progress: Progress | None = None) -> bool:
    """Renew the lease, and write down how far the work is; whether the owner has asked for it to stop.

    Raises:
        ClaimLost: it is no longer held.
    """
    values: dict[str, Any] = {"leased_until": now() + timedelta(seconds=lease_seconds)}
    if progress is not None:
        values["progress"] = progress.model_dump(mode="json", exclude_none=True)
    _change(session, _held(held), **values)
    return cancel_requested(session, held)


def cancel_requested(session: Session, held: Claim) -> bool:
    """Whether the owner has asked for it to stop.

    Raises:
        ClaimLost: it is no longer held.
    """
    requested = session.scalar(select(TaskRow.cancel_requested).where(_held(held)))
    if requested is None:
        raise ClaimLost
    return requested


def require(session: Session, held: Claim) -> None:
    """Return when the task is still held, which it stays until the end of this transaction.

    Raises:
        ClaimLost: it is no longer held.
    """
    if session.scalar(select(TaskRow.id).where(_held(held)).with_for_update()) is None:
        raise ClaimLost


def succeed(session: Session, held: Claim) -> None:
    """End the task well. To be called first in the finishing transaction: it locks the row, so nothing that the same
    transaction does afterwards can happen twice. ``record`` then adds the result.

    Raises:
        ClaimLost: it is no longer held.
        Cancelled: the owner asked for it to stop, in time.
    """
    _change_unless_cancelled(session, held, **_ended(TaskState.SUCCEEDED))


def record(session: Session, task_id: str, result: dict[str, Any]) -> None:
    """Keep the result of a task that the same transaction has ended well."""
    _change_if(session, TaskRow.id == task_id, result=result)


def fail(session: Session, held: Claim, error: RowcastError) -> None:
    """End the task with an error.

    Raises:
        ClaimLost: it is no longer held.
    """
    _change(session, _held(held), **_ended(TaskState.FAILED), error=error.to_dict())
    holds.release(session, [held.id])
    failed_trainings.note(session, [held.id])


def stop(session: Session, held: Claim) -> None:
    """End the task as cancelled, after its work has stopped.

    Raises:
        ClaimLost: it is no longer held.
    """
    _change(session, _held(held), **_ended(TaskState.CANCELLED))
    holds.release(session, [held.id])
    failed_trainings.note(session, [held.id])


def retry(session: Session, held: Claim, error: RowcastError, *, after_seconds: float) -> None:
    """Queue the task again for a later attempt.

    Raises:
        ClaimLost: it is no longer held.
        Cancelled: the owner asked for it to stop.
    """
    due_at = now() + timedelta(seconds=after_seconds)
    values = {**queued_again(), "due_at": due_at, "progress": waiting(held.attempt, error), "error": error.to_dict()}
    _change_unless_cancelled(session, held, **values)


def hand_back(session: Session, held: Claim) -> None:
    """Queue the task again for another worker, as if this one had never had it: a shutdown costs no attempt.

    Raises:
        ClaimLost: it is no longer held.
        Cancelled: the owner asked for it to stop.
    """
    _change_unless_cancelled(session, held, **queued_again(), attempts=TaskRow.attempts - 1, progress=null())


def cancel(session: Session, task_id: str) -> TaskState | None:
    """Stop a task: at once when it is queued, by a flag that its worker watches when it is running. One that has
    ended stays as it is. Returns the state afterwards, None when there is no such task."""
    queued = and_(TaskRow.id == task_id, TaskRow.state == TaskState.QUEUED.value)
    if _change_if(session, queued, **_ended(TaskState.CANCELLED), cancel_requested=True):
        holds.release(session, [task_id])
        failed_trainings.note(session, [task_id])
        return TaskState.CANCELLED
    running = and_(TaskRow.id == task_id, TaskRow.state == TaskState.RUNNING.value)
    _change_if(session, running, cancel_requested=True)
    state = session.scalar(select(TaskRow.state).where(TaskRow.id == task_id))
    return None if state is None else TaskState(state)


def back_off(attempt: int, first_seconds: float) -> float:
    """Seconds to wait after that attempt, counted from 1: twice as long each time."""
    return min(first_seconds * 2.0 ** (attempt - 1), _LONGEST_WAIT)


def waiting(attempt: int, error: RowcastError) -> dict[str, Any]:
    """The progress of a task that waits for another attempt."""
    progress = Progress(fraction=0, stage="waiting", message=f"Attempt {attempt} failed: {error.message}")
    return progress.model_dump(mode="json", exclude_none=True)


def queued_again() -> dict[str, Any]:
    """The columns of a task that waits for a worker once more."""
    return {
        "state": TaskState.QUEUED.value,
        "leased_by": None,
        "leased_until": None,
        "due_at": None,
        "dispatched_at": None,
    }


def _ended(state: TaskState) -> dict[str, Any]:
    return {"state": state.value, "leased_by": None, "leased_until": None, "finished_at": now(), "body": None}


def _held(held: Claim) -> ColumnElement[bool]:
    return and_(TaskRow.id == held.id, TaskRow.leased_by == held.token, TaskRow.state == TaskState.RUNNING.value)


def _change(session: Session, condition: ColumnElement[bool], **values: Any) -> None:
    if not _change_if(session, condition, **values):
        raise ClaimLost


def _change_unless_cancelled(session: Session, held: Claim, **values: Any) -> None:
    if _change_if(session, and_(_held(held), TaskRow.cancel_requested.is_(False)), **values):
        return
    if cancel_requested(session, held):
        raise Cancelled("task_cancelled", "The task was cancelled.")
    raise ClaimLost


def _change_if(session: Session, condition: ColumnElement[bool], **values: Any) -> bool:
    statement = update(TaskRow).where(condition).values(**values).execution_options(synchronize_session=False)
    result = session.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount > 0
