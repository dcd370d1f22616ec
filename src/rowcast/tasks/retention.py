"""Retention: tasks that ended longer ago than they are to be kept are deleted with their results, a few at a time."""

from __future__ import annotations

import threading
from datetime import timedelta

from sqlalchemy import delete, select

from rowcast.accounts.tables import UserRow
from rowcast.monitoring.retention import BATCH, PAUSE_SECONDS
from rowcast.tables import Database, now
from rowcast.tasks.tables import TaskRow


def delete_old_tasks(database: Database, *, days: float, stopping: threading.Event | None = None) -> int:
    """Delete the tasks that ended more than so many days ago, in short transactions; returns how many.

    Raises:
        Unavailable: the database does not answer; what was deleted so far stays so.
    """
    stopping = stopping or threading.Event()
    before = now() - timedelta(days=days)
    # By way of their owners, whose index they are in; there is none by the end, which every task would have to pay for.
    row = TaskRow
    old = select(row.id).join(UserRow, UserRow.id == row.owner_id).where(row.created_at < before)
    old = old.where(row.finished_at < before).limit(BATCH)
    deleted = 0
    while not stopping.is_set():
        with database.reading() as session:
            ids = list(session.scalars(old))
        if not ids:
            break
        with database.transaction() as session:
            session.execute(delete(row).where(row.id.in_(ids)).execution_options(synchronize_session=False))
        deleted += len(ids)
        stopping.wait(PAUSE_SECONDS)
    return deleted
