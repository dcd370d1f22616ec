"""Looking at tasks. Everyone sees their own, an administrator all."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Dialect, Select, select
from sqlalchemy.orm import Session, defer

from rowcast.accounts.principal import Principal
from rowcast.accounts.tables import UserRow
from rowcast.datasets.ports import Progress
from rowcast.errors import NotFound
from rowcast.paging import page
from rowcast.tables import now
from rowcast.tasks.statements import LOOK_COLUMNS, look_for
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.views import Task, TaskState

_Row = namedtuple("_Row", [column.name for column in LOOK_COLUMNS])  # type: ignore[misc]
"""A task's row as ``to_view`` reads it."""

_SHOWS_A_TREND = 0.02
"""Below this fraction the time that is left cannot be told from the time that has passed."""


def get_task(session: Session, principal: Principal, task_id: str) -> Task:
    """The task of that id.

    Raises:
        NotFound: there is none, or it belongs to someone else.
    """
    found = session.execute(_tasks(principal).where(TaskRow.id == task_id)).one_or_none()
    if found is None:
        raise not_found()
    row, owner = found
    return to_view(row, owner)


class Look:
    """Any number of tasks by one ``statement`` straight to the driver, which takes their ids as JSON: a session takes
    several times as long."""

    def __init__(self, dialect: Dialect) -> None:
        self.statement = look_for(dialect)
        readers = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in LOOK_COLUMNS]
        self._readers = [(place, reader) for place, reader in enumerate(readers) if reader is not None]

    def tasks(self, rows: Iterable[Sequence[Any]]) -> dict[str, tuple[str, Task]]:
        """Of its rows, whoever asks: the owner's id and the task, by its id."""
        return {row.id: (row.owner_id, to_view(row, owner)) for row, owner in map(self._read, rows)}

    def _read(self, found: Sequence[Any]) -> tuple[Any, str]:
        *values, owner = found
        for place, reader in self._readers:
            values[place] = reader(values[place])
        return _Row(*values), owner


def not_found() -> NotFound:
    """What somebody gets who asks for a task that is not there, or not theirs."""
    return NotFound("task_not_found", "There is no such task among yours.")


def list_tasks(
    session: Session,
    principal: Principal,
    *,
    state: TaskState | None = None,
    kind: str | None = None,
    limit: int = 50,
    after: str | None = None,
) -> tuple[list[Task], str | None]:
    """Tasks, newest first, and the cursor of the next page.

    Raises:
        InvalidInput: ``after`` is no cursor of this list.
    """
    query = _tasks(principal)
    if state is not None:
        query = query.where(TaskRow.state == state.value)
    if kind is not None:
        query = query.where(TaskRow.kind == kind)
    keys = [TaskRow.created_at, TaskRow.id]
    rows, following = page(session, query, keys, limit=limit, after=after, descending=True)
    return [to_view(row, owner) for row, owner in rows], following


def to_view(row: TaskRow, owner: str) -> Task:
    """The task as its caller sees it, with the time that is left as of now; ``owner`` is the owner's name."""
    state = TaskState(row.state)
    return Task(
        id=row.id,
        kind=row.kind,
        state=state,
        owner=owner,
        subject=row.subject,
        progress=_progress(row),
        result=row.result,
        error=row.error if state in (TaskState.FAILED, TaskState.REJECTED) else None,
        last_error=row.error if not state.final else None,
        attempts=row.attempts,
        cancel_requested=row.cancel_requested,
        held=row.held,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _tasks(principal: Principal) -> Select[TaskRow, str]:
    query = _all_tasks()
    return query if principal.administers else query.where(TaskRow.owner_id == principal.id)


def _all_tasks() -> Select[TaskRow, str]:
    query = select(TaskRow, UserRow.name).join(UserRow, UserRow.id == TaskRow.owner_id)
    # Claims change rows by plain updates, which the session's own copies do not notice. No view shows the payload.
    return query.options(defer(TaskRow.payload)).execution_options(populate_existing=True)


def _progress(row: TaskRow) -> Progress | None:
    if row.state == TaskState.SUCCEEDED.value:
        return Progress(fraction=1, message="Done.")
    if row.progress is None:
        return None
    progress = Progress.model_validate(row.progress)
    if row.state != TaskState.RUNNING.value or row.started_at is None or progress.eta_seconds is not None:
        return progress
    return progress.model_copy(update={"eta_seconds": _seconds_left(progress.fraction, row.started_at)})


def _seconds_left(fraction: float, started_at: datetime) -> float | None:
    """As long as it took so far, in proportion; None while that would be a guess."""
    if fraction < _SHOWS_A_TREND:
        return None
    passed = (now() - started_at).total_seconds()
    return round(max(0.0, passed * (1 - min(fraction, 1)) / fraction), 1)
