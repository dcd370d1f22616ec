"""How the queue is doing, for those who run the server: from the tasks' rows, and from the broker."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from rowcast.errors import NotFound, Unavailable
from rowcast.tables import Database, now
from rowcast.tasks.ports import Lanes
from rowcast.tasks.tables import TaskRow, in_state
from rowcast.tasks.views import DeadMessage, Figures, LaneFigures, TaskState

_DEAD_SHOWN = 100


def figures(database: Database, lanes: Lanes) -> Figures:
    """How the queue is doing now; what the broker knows is missing while it is away."""
    with database.reading() as session:
        found = Figures(lanes=lane_figures(session))
    try:
        dead = [DeadMessage.model_validate(letter, from_attributes=True) for letter in lanes.dead(_DEAD_SHOWN)]
        return found.model_copy(update={"messages": lanes.depths(), "dead": dead})
    except Unavailable:
        return found


def lane_figures(session: Session) -> list[LaneFigures]:
    """The lanes that have tasks to do, by name."""
    by_lane: dict[str, dict[str, Any]] = {}
    for state in (TaskState.QUEUED, TaskState.RUNNING):
        query = select(
            TaskRow.lane,
            func.count().label("count"),
            func.count().filter(TaskRow.attempts > _first_start(state)).label("retried"),
            func.count().filter(TaskRow.due_at > now()).label("delayed"),
            func.min(TaskRow.created_at).label("oldest"),
            func.min(TaskRow.leased_until).label("leased_until"),
        )
        for row in session.execute(query.where(in_state(state)).group_by(TaskRow.lane)):
            _add(by_lane.setdefault(row.lane, {"queued": 0, "running": 0, "retried": 0, "delayed": 0}), state, row)
    return [LaneFigures(lane=lane, **told) for lane, told in sorted(by_lane.items())]


def revive(lanes: Lanes, task_id: str) -> None:
    """Put the dead letter of that task back into its lane.

    Raises:
        NotFound: there is none.
        Unavailable: the broker does not answer.
    """
    if not lanes.revive(task_id):
        raise NotFound("dead_letter_not_found", "There is no dead letter of that task: see rowcast tasks figures.")


def _first_start(state: TaskState) -> int:
    """What ``attempts`` says of a task that was started for the first time, or not at all."""
    return 1 if state is TaskState.RUNNING else 0


def _add(told: dict[str, Any], state: TaskState, row: Row[str, int, int, int, datetime, datetime | None]) -> None:
    _, count, retried, delayed, oldest, leased_until = row
    told[state.value] = count
    told["retried"] += retried
    if state is TaskState.QUEUED:
        told["delayed"] = delayed
        told["oldest_seconds"] = round((now() - oldest).total_seconds(), 1)
    elif leased_until is not None:
        told["lease_seconds"] = round((leased_until - now()).total_seconds(), 1)
