"""Files with predictions are deleted some days after their task ended, or when it is gone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from rowcast.datasets.ports import Storage
from rowcast.scoring.files.objects import ROOT, folder_key
from rowcast.tables import Database, now
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.views import TaskState

BATCH = 500


def delete_old_files(storage: Storage, database: Database, *, days: float, stopping: threading.Event) -> int:
    """Delete the files of tasks that ended so many days ago; returns of how many tasks.

    Raises:
        Unavailable: the database or the storage does not answer; what was deleted so far stays so.
    """
    stored = sorted({key.split("/")[1] for key in storage.list(ROOT)})
    deleted = 0
    for start in range(0, len(stored), BATCH):
        some = stored[start : start + BATCH]
        with database.reading() as session:
            wanted = _wanted(session, some, days)
        for task_id in some:
            if task_id in wanted or stopping.is_set():
                continue
            storage.delete(folder_key(task_id))
            deleted += 1
    return deleted


def _wanted(session: Session, task_ids: Sequence[str], days: float) -> set[str]:
    """Those whose files are still to be had, or still being made."""
    ended = TaskRow.finished_at
    young = (TaskRow.state == TaskState.SUCCEEDED.value) & (ended > now() - timedelta(days=days))
    return set(session.scalars(select(TaskRow.id).where(TaskRow.id.in_(task_ids), or_(ended.is_(None), young))))
