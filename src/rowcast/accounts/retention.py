"""What nobody needs any more: sessions that ended by themselves, links that ran out, forgotten attempts."""

from __future__ import annotations

import threading
from datetime import timedelta

from rowcast.accounts.attempts import delete_old_attempts
from rowcast.accounts.links import delete_old_links
from rowcast.accounts.sessions import delete_old_sessions
from rowcast.tables import Database, now


def delete_old_entries(database: Database, *, days: float, stopping: threading.Event) -> int:
    """Delete all that came to its end so many days ago; how many.

    Raises:
        Unavailable: the database does not answer.
    """
    before = now() - timedelta(days=days)
    with database.transaction() as session:
        return sum(delete(session, before) for delete in (delete_old_sessions, delete_old_links, delete_old_attempts))
