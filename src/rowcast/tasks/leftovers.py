"""Leftovers: what tasks left in the storage because the process was killed before it could clean up."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from rowcast.datasets.ports import Storage
from rowcast.tables import Database
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.views import TaskState


def remove_leftovers(database: Database, storage: Storage) -> None:
    """Delete uploads that no task is going to read, and bundles of trainings that failed or were cancelled. For the
    start of the only process: nothing may be uploading."""
    uploads, bundles = _task_ids(storage, "uploads"), _task_ids(storage, "bundles")
    with database.reading() as session:
        states = _states(session, uploads | bundles)
    for task_id in uploads:
        if states.get(task_id, TaskState.FAILED).final:
            storage.delete(f"uploads/{task_id}")
    for task_id in bundles:
        # Bundles without a task are not ours to judge.
        if states.get(task_id) in (TaskState.FAILED, TaskState.CANCELLED):
            storage.delete(f"bundles/{task_id}")


def _task_ids(storage: Storage, prefix: str) -> set[str]:
    return {key.split("/")[1] for key in storage.list(prefix)}


def _states(session: Session, task_ids: set[str]) -> dict[str, TaskState]:
    wanted = sorted(task_ids)
    states: dict[str, TaskState] = {}
    for start in range(0, len(wanted), 500):
        some = TaskRow.id.in_(wanted[start : start + 500])
        rows = session.execute(select(TaskRow.id, TaskRow.state).where(some))
        states.update({task_id: TaskState(state) for task_id, state in rows})
    return states
