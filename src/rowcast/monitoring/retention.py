"""Retention: receipts, and the keys of calls, that are older than they are to be kept are deleted, a few at a time."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import Protocol

from sqlalchemy import delete, select
from sqlalchemy.orm import InstrumentedAttribute

from rowcast.errors import Unavailable
from rowcast.identifiers import first_id_at
from rowcast.monitoring.tables import PredictionKeyRow, ReceiptRow
from rowcast.tables import Database, now

BATCH = 200
"""Few enough that nobody who waits to write notices."""

PAUSE_SECONDS = 0.05
SWEEP_SECONDS = 600.0

KEY_DAYS = 1.0
"""For so long a call that is made again under its idempotency key is not done again; no receipt goes sooner."""

log = logging.getLogger(__name__)


def delete_old(database: Database, *, days: float, stopping: threading.Event | None = None) -> int:
    """Delete the receipts that are older than so many days, in short transactions; returns how many.

    Raises:
        Unavailable: the database does not answer; what was deleted so far stays so.
    """
    return _delete(database, ReceiptRow.id, days, stopping)


def delete_old_keys(database: Database, *, days: float, stopping: threading.Event | None = None) -> int:
    """The same for the idempotency keys of prediction calls."""
    return _delete(database, PredictionKeyRow.receipt_id, days, stopping)


def _delete(
    database: Database, column: InstrumentedAttribute[str], days: float, stopping: threading.Event | None
) -> int:
    """Delete the rows whose receipt, by its id in that column, is older."""
    stopping = stopping or threading.Event()
    before = first_id_at(now() - timedelta(days=days))
    old = select(column).where(column < before).order_by(column).limit(BATCH)
    deleted = 0
    while not stopping.is_set():
        with database.reading() as session:
            ids = list(session.scalars(old))
        if not ids:
            break
        with database.transaction() as session:
            gone = delete(column.class_).where(column.in_(ids))
            session.execute(gone.execution_options(synchronize_session=False))
        deleted += len(ids)
        stopping.wait(PAUSE_SECONDS)
    return deleted


class DeleteOld(Protocol):
    """``delete_old``, or the same for something else."""

    def __call__(self, database: Database, *, days: float, stopping: threading.Event) -> int: ...


class Retention:
    """A thread that does so every ten minutes. With 0 days they are kept for ever and there is no thread."""

    def __init__(
        self, database: Database, *, days: float, delete: DeleteOld = delete_old, what: str = "receipts"
    ) -> None:
        self._database = database
        self._days = days
        self._delete = delete
        self._what = what
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._sweep, name=f"{what}-retention", daemon=True)

    def start(self) -> None:
        """Begin. To be called once."""
        if self._days:
            self._thread.start()

    def stop(self) -> None:
        """Return when no more is deleted."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _sweep(self) -> None:
        while True:
            try:
                deleted = self._delete(self._database, days=self._days, stopping=self._stopping)
                if deleted:
                    log.info("%d %s were older than %g days and are deleted", deleted, self._what, self._days)
            except Unavailable as error:
                log.warning("old %s are not deleted: %s", self._what, error.code)
            except Exception as error:  # noqa: BLE001  (a thread that ended would be missing until the next start)
                log.error("old %s are not deleted: %s", self._what, type(error).__name__)
            if self._stopping.wait(SWEEP_SECONDS):
                return
