"""Submitting: the task is on record first, and told to workers after. The row is its own outbox."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from queue import SimpleQueue
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal
from rowcast.errors import Unavailable
from rowcast.tables import Database, new_id, now
from rowcast.tasks.ports import Publisher
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.views import TaskState
from rowcast.traces import traceparent

_CLOSE_SECONDS = 5

_log = logging.getLogger(__name__)


def submit(
    session: Session,
    principal: Principal,
    *,
    kind: str,
    lane: str,
    subject: str,
    payload: dict[str, Any],
    task_id: str | None = None,
) -> TaskRow:
    """Put a task on record. Once the caller has committed, ``dispatch`` tells the workers."""
    task = TaskRow(
        id=task_id or new_id(),
        kind=kind,
        lane=lane,
        owner_id=principal.id,
        subject=subject[:200],
        payload=payload,
        traceparent=traceparent.get() or None,
    )
    session.add(task)
    session.flush()
    return task


class Dispatch:
    """Tells the workers of committed tasks on a thread of its own: a broker that hangs keeps no caller waiting.
    ``start`` it, ``close`` it."""

    def __init__(self, database: Database, broker: Publisher) -> None:
        self._database = database
        self._broker = broker
        self._untold: SimpleQueue[Sequence[tuple[str, str]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._tell, name="dispatch", daemon=True)

    def start(self) -> None:
        """Begin to tell. To be called once."""
        self._thread.start()

    def close(self) -> None:
        """Return when all were told, or soon: what was not is left for the recovery sweep."""
        self._untold.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def leave(self, tasks: Sequence[tuple[str, str]]) -> None:
        """Have workers told of these, given as (lane, id)."""
        self._untold.put(tasks)

    def _tell(self) -> None:
        while (tasks := self._untold.get()) is not None:
            try:
                dispatch(self._database, self._broker, tasks)
            except Exception:  # noqa: BLE001  (a thread that ended would be missing until the next start)
                _log.exception("a fault of ours in telling workers of new tasks; the recovery sweep tells them")


def dispatch(database: Database, broker: Publisher, tasks: Iterable[tuple[str, str]]) -> None:
    """Tell the workers of committed tasks, given as (lane, id). Never fails: what could not be told now, the recovery
    sweep tells later."""
    try:
        tell(database, broker, tasks)
    except Unavailable as error:
        _log.warning("new tasks wait for the recovery sweep: %s", error.code)


def tell(database: Database, broker: Publisher, tasks: Iterable[tuple[str, str]]) -> None:
    """Tell the workers of committed tasks, given as (lane, id), and note that they were told.

    Raises:
        Unavailable: the broker or the database does not answer; some may have been told.
    """
    lanes: dict[str, list[str]] = {}
    for lane, task_id in tasks:
        lanes.setdefault(lane, []).append(task_id)
    for lane, task_ids in lanes.items():
        broker.publish(lane, task_ids)
        with database.transaction() as session:
            _mark_dispatched(session, task_ids)


def _mark_dispatched(session: Session, task_ids: list[str]) -> None:
    """Only while queued: a worker may have finished the task by now."""
    waiting = update(TaskRow).where(TaskRow.id.in_(task_ids), TaskRow.state == TaskState.QUEUED.value)
    session.execute(waiting.values(dispatched_at=now()).execution_options(synchronize_session=False))
