"""Files with predictions stay for some days after their task, and no longer than it."""

from __future__ import annotations

import threading
from datetime import timedelta

from sqlalchemy import update

from rowcast.scoring.files.objects import parts_key, predictions_key
from rowcast.tables import now
from rowcast.tasks.file_retention import delete_old_files
from rowcast.tasks.leftovers import remove_leftovers
from rowcast.tasks.tables import TaskRow


def end(database, task_id, state="succeeded", days=0.0):
    with database.transaction() as session:
        ended = now() - timedelta(days=days)
        session.execute(update(TaskRow).where(TaskRow.id == task_id).values(state=state, finished_at=ended))


def test_files_go_when_they_are_old_or_nobodys(database, storage, add_task):
    ended = {name: add_task("score", "batch") for name in ("young", "old", "failed", "running")}
    ended["gone"] = "0" * 32
    for task_id in ended.values():
        storage.put(predictions_key(task_id), b"rows")
    end(database, ended["young"], days=6.9)
    end(database, ended["old"], days=7.1)
    end(database, ended["failed"], "failed")

    assert delete_old_files(storage, database, days=7, stopping=threading.Event()) == 3
    left = {name for name, task_id in ended.items() if storage.exists(predictions_key(task_id))}
    assert left == {"young", "running"}


def test_parts_go_at_the_start_when_their_task_has_ended(database, storage, add_task):
    done, running = add_task("score", "batch"), add_task("score", "batch")
    for task_id in (done, running):
        storage.put(f"{parts_key(task_id)}/written/part-000000.rows", b"rows")
        storage.put(predictions_key(task_id), b"rows")
    end(database, done)
    remove_leftovers(database, storage)
    assert list(storage.list(parts_key(done))) == []
    assert len(list(storage.list(parts_key(running)))) == 1
    assert storage.exists(predictions_key(done))
