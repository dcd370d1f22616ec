"""What nobody needs any more: sessions that ended by themselves, links that ran out, forgotten attempts, the rows that
were counted on days gone by, and the audit log of long ago."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from rowcast.accounts.attempts import delete_old_attempts
from rowcast.accounts.links import delete_old_links
from rowcast.accounts.sessions import delete_old_sessions
from rowcast.accounts.tables import AuditRow, RowsUsedRow
from rowcast.tables import Database, now

BATCH = 200
PAUSE_SECONDS = 0.05
"""Few at a time, so that nobody who waits to write notices."""


def delete_old_entries(database: Database, *, days: float, stopping: threading.Event) -> int:
    """Delete all but the audit log that came to its end so many days ago; how many.

    Raises:
        Unavailable: the database does not answer.
    """
    before = now() - timedelta(days=days)
    kinds = delete_old_sessions, delete_old_links, delete_old_attempts, _delete_old_counts
    with database.transaction() as session:
        return sum(delete_some(session, before) for delete_some in kinds)


def delete_old_deeds(database: Database, *, days: float, stopping: threading.Event) -> int:
    """Delete what the audit log has of deeds that are older than so many days, in short transactions; how many.

    Raises:
        Unavailable: the database does not answer; what was deleted so far stays so.
    """
    before = now() - timedelta(days=days)
    # Their numbers grow with time: the first are the oldest, and no index by the moment is needed to find them.
    oldest = select(AuditRow.id, AuditRow.at).order_by(AuditRow.id).limit(BATCH)
    deleted = 0
    while not stopping.is_set():
        with database.reading() as session:
            ids = [number for number, at in session.execute(oldest) if at < before]
        if not ids:
            break
        with database.transaction() as session:
            session.execute(delete(AuditRow).where(AuditRow.id.in_(ids)).execution_options(synchronize_session=False))
        deleted += len(ids)
        stopping.wait(PAUSE_SECONDS)
    return deleted


def _delete_old_counts(session: Session, before: datetime) -> int:
    old = delete(RowsUsedRow).where(RowsUsedRow.day < f"{before:%Y-%m-%d}")
    return len(session.execute(old.returning(RowsUsedRow.subject_id)).all())
