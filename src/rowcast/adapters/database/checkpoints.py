"""Checkpoints of SQLite's log, in a thread of their own.

What is committed is written to a log, and now and then carried from there into the database's file. That takes as long
as dozens of commits, and by default whoever happens to commit does it, while everybody waits. Here others go on
committing meanwhile. Only what they have added is carried while nobody writes, so that the log begins anew: a file that
grows takes several times as long to reach the disk as one that is written over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, closing

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from rowcast.errors import RowcastError

COMMITS = 64
"""How many of them are carried at a time."""

LOG_PAGES = 1000
"""Of 4 KB. A log that is longer begins anew."""

LOG_PAGES_AT_MOST = 4 * LOG_PAGES
"""From here on whoever commits carries: this has not come to it, or many wrote who do not tell it."""

log = logging.getLogger(__name__)


class Checkpoints:
    """Made once for a database; ``turn_to_write`` keeps all others from writing."""

    def __init__(self, engine: Engine, turn_to_write: Callable[[], AbstractContextManager[None]]) -> None:
        self._engine = engine
        self._turn_to_write = turn_to_write
        self._commits = 0
        self._due = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def committed(self) -> None:
        """Said by whoever commits often, from any thread."""
        self._commits += 1
        if self._commits >= COMMITS:
            self._commits = 0
            self._due.set()
            with self._starting:
                if self._thread is None and not self._closed:
                    self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """Carry nothing more; returns when nothing is under way."""
        with self._starting:
            self._closed = True
        self._due.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while self._due.wait() and not self._closed:
            self._due.clear()
            try:
                self._carry()
            except (self._engine.dialect.loaded_dbapi.Error, SQLAlchemyError, RowcastError) as error:
                # No harm is done: it is carried later, or by whoever commits, who is told what is wrong.
                log.debug("no checkpoint: %s", type(error).__name__)

    def _carry(self) -> None:
        with closing(self._engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
            [(_, pages, carried)] = cursor.fetchall()
            if pages < LOG_PAGES or carried < pages:  # it is short, or someone still reads what was before
                return
            with self._turn_to_write():
                cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
