"""Trainings that ended without a version: put down in the transaction that ends them, for MLflow to be told later."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from rowcast.accounts.tables import UserRow
from rowcast.models import mirroring
from rowcast.models.mirroring import Failed, milliseconds
from rowcast.models.tables import ModelRow
from rowcast.tables import now
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.views import TaskState

TRAINING = "train"
STUDY = "tune"

_STATUS = {TaskState.FAILED.value: "FAILED", TaskState.CANCELLED.value: "KILLED"}
"""What MLflow calls it."""


def note(session: Session, task_ids: Collection[str]) -> None:
    """Of tasks that this transaction has ended without a result, put down the trainings as owed to MLflow."""
    task = TaskRow
    mirroring.owe(session, select(task.id).where(task.id.in_(task_ids), task.kind.in_((TRAINING, STUDY))))


def behind(session: Session, store: str, *, most: int, passed_over: Collection[str] = ()) -> list[Failed]:
    """Those that the store lacks and that are still on record, for tasks are kept for a while only; oldest first."""
    task = TaskRow
    query = (
        select(task, UserRow.name, ModelRow.id)
        .join(UserRow, UserRow.id == task.owner_id)
        .outerjoin(ModelRow, ModelRow.name == task.subject)
        .where(task.id.in_(mirroring.owed(store)), task.id.not_in(passed_over))
        .order_by(task.created_at)
        .limit(most)
    )
    return [
        Failed(
            training_id=found.id,
            kind=found.kind,
            model=found.subject,
            model_id=model_id,
            created_by=owner,
            status=_STATUS[found.state],
            error=found.error["code"] if found.error and found.state == TaskState.FAILED.value else None,
            request=found.payload["request"],
            began_ms=milliseconds(found.started_at or found.created_at),
            ended_ms=milliseconds(found.finished_at or now()),
        )
        for found, owner, model_id in session.execute(query)
    ]
