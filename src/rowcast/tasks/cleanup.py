"""Cleaning up what a task left in the storage that ended without success."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rowcast.datasets.ports import Storage
from rowcast.errors import RowcastError
from rowcast.tables import Database
from rowcast.tasks.handlers import Handler

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """A task that failed or was cancelled."""

    id: str
    kind: str
    payload: dict[str, Any]


def clean_up(task: Ended, handlers: Mapping[str, Handler], database: Database, storage: Storage) -> None:
    """Do what the task's kind does when it is abandoned. A fault is only logged, for the end of the task is on record
    and does not depend on it."""
    handler = handlers.get(task.kind)
    if handler is None:
        return
    try:
        handler.abandon(task.id, task.payload, database, storage)
    except RowcastError as error:
        _log.warning("task %s: could not be cleaned up after, %s", task.id, error.code)
