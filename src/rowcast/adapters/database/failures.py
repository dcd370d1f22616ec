"""What a database's own failures mean to whoever runs Rowcast. The one place where they are translated."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DatabaseError, DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rowcast.errors import Unavailable

BUSY = ("database_busy", "The database is busy with other writers. Try again in a moment.")
FULL = ("database_full", "The disk of the database is full. Free some space, then try again.")
READ_ONLY = ("database_read_only", "The database cannot be written to. Check the permissions of its folder and files.")
DAMAGED = ("database_damaged", "The database file is damaged or is no database. Stop Rowcast and restore a backup.")
UNREADABLE = ("database_unavailable", "The database's file cannot be read or written. Check its disk and folder.")
AWAY = ("database_unavailable", "The database does not answer. Check that it runs and that its address is right.")

_SQLITE = {
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_IOERR: UNREADABLE,
    sqlite3.SQLITE_CANTOPEN: UNREADABLE,
}
_POSTGRESQL = {
    "40001": BUSY,  # serialization_failure
    "40P01": BUSY,  # deadlock_detected
    "55P03": BUSY,  # lock_not_available
    "53100": FULL,  # disk_full
    "25006": READ_ONLY,  # read_only_sql_transaction
    "XX001": DAMAGED,  # data_corrupted
    "XX002": DAMAGED,  # index_corrupted
}
_FAULTS_OF_THE_STATEMENT = (IntegrityError, DataError, ProgrammingError)

_log = logging.getLogger(__name__)


@contextmanager
def translated() -> Iterator[None]:
    """Failures of the database itself leave as Unavailable; faults of a statement, such as a broken constraint, as
    they are."""
    try:
        yield
    except _FAULTS_OF_THE_STATEMENT:
        raise
    except PoolTimeout as error:
        raise Unavailable(*BUSY) from error
    except (DatabaseError, InterfaceError) as error:
        if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:  # no such table, and the like
            raise
        code, message = _meaning(error)
        # Only the driver's own words: SQLAlchemy's would add the statement with its values.
        _log.error("%s: %s", code, error.orig)
        raise Unavailable(code, message) from error


def _meaning(error: DBAPIError) -> tuple[str, str]:
    original = error.orig
    if isinstance(original, sqlite3.Error):
        # The low byte is the kind of failure, the rest its variant. Python's module raises some without any code.
        return _SQLITE.get(getattr(original, "sqlite_errorcode", 0) & 0xFF, AWAY)
    return _POSTGRESQL.get(getattr(original, "sqlstate", None) or "", AWAY)
