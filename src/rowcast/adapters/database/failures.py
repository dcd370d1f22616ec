"""What a database's own failures mean to whoever runs Rowcast. The one place where they are translated."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DatabaseError, DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rowcast.errors import InvalidInput, RowcastError, Unavailable

BUSY = ("database_busy", "The database is busy with other writers. Try again in a moment.")
SLOW = ("database_slow", "The database took too long for this and was stopped. Try again in a moment.")
CROWDED = (
    "database_crowded",
    "The database takes no more connections. Lower ROWCAST_DATABASE_POOL_SIZE, or raise its max_connections.",
)
RESTARTING = ("database_unavailable", "The database is starting or stopping. Try again in a moment.")
FULL = ("database_full", "The disk of the database is full. Free some space, then try again.")
READ_ONLY = ("database_read_only", "The database cannot be written to. Check the permissions of its folder and files.")
STANDBY = (
    "database_read_only",
    "The database takes no changes: it is a standby, or was made read-only. Use the primary, or end that state.",
)
REFUSED = (
    "database_refused",
    "The database does not let Rowcast in, or not do this. Check the user, the password and the name of the database "
    "in its address, and that the user may use and create tables.",
)
DAMAGED = ("database_damaged", "The database file is damaged or is no database. Stop Rowcast and restore a backup.")
UNREADABLE = ("database_unavailable", "The database's file cannot be read or written. Check its disk and folder.")
AWAY = ("database_unavailable", "The database does not answer. Check that it runs and that its address is right.")
UNSTORABLE = (
    "value_unstorable",
    "The database cannot keep one of these values: a text has a NUL character or is too long, or a number is no number "
    "or too large.",
)

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
    "25006": STANDBY,  # read_only_sql_transaction
    "25P03": SLOW,  # idle_in_transaction_session_timeout
    "28000": REFUSED,  # invalid_authorization_specification
    "28P01": REFUSED,  # invalid_password
    "3D000": REFUSED,  # invalid_catalog_name
    "40001": BUSY,  # serialization_failure
    "40P01": BUSY,  # deadlock_detected
    "42501": REFUSED,  # insufficient_privilege
    "53100": FULL,  # disk_full
    "53200": CROWDED,  # out_of_memory
    "53300": CROWDED,  # too_many_connections
    "55P03": BUSY,  # lock_not_available
    "57014": SLOW,  # query_canceled, by statement_timeout
    "57P01": RESTARTING,  # admin_shutdown
    "57P02": RESTARTING,  # crash_shutdown
    "57P03": RESTARTING,  # cannot_connect_now
    "58030": UNREADABLE,  # io_error
    "XX001": DAMAGED,  # data_corrupted
    "XX002": DAMAGED,  # index_corrupted
}
_ON_CONNECTING = {
    "password authentication failed": REFUSED,
    "no password supplied": REFUSED,
    "pg_hba.conf": REFUSED,
    "does not exist": REFUSED,
    "permission denied for database": REFUSED,
    "too many clients": CROWDED,
    "too many connections": CROWDED,
    "remaining connection slots": CROWDED,
    "is starting up": RESTARTING,
    "is shutting down": RESTARTING,
    "in recovery mode": RESTARTING,
}
"""Parts of PostgreSQL's words by which a connection is refused: the driver passes on no code with them."""

_UNSTORABLE = {
    None,  # the driver's own refusal of a NUL character
    "22001",  # string_data_right_truncation
    "22003",  # numeric_value_out_of_range
    "22021",  # character_not_in_repertoire
    "22P02",  # invalid_text_representation: NaN in JSON
    "22P05",  # untranslatable_character
}

_log = logging.getLogger(__name__)


@contextmanager
def translated() -> Iterator[None]:
    """Failures of the database itself leave as Unavailable, values that it cannot keep as InvalidInput; other faults
    of a statement, such as a broken constraint, as they are."""
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable(*BUSY) from error
    except (DatabaseError, InterfaceError) as error:
        meant = _meaning(error)
        if meant is None:
            raise
        if isinstance(meant, Unavailable):
            # Only the driver's own words: SQLAlchemy's would add the statement with its values.
            _log.error("%s: %s", meant.code, error.orig)
        raise meant from error


def _meaning(error: DBAPIError) -> RowcastError | None:
    """What to say instead; None for a fault of the statement."""
    original = error.orig
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", 0)
        if isinstance(error, IntegrityError | DataError | ProgrammingError) or code == sqlite3.SQLITE_ERROR:
            return None  # no such table, and the like
        # The low byte is the kind of failure, the rest its variant. Python's module raises some without any code.
        return Unavailable(*_SQLITE.get(code & 0xFF, AWAY))
    state = getattr(original, "sqlstate", None)
    if isinstance(error, DataError):
        return InvalidInput(*UNSTORABLE) if state in _UNSTORABLE else None
    if state in _POSTGRESQL:
        return Unavailable(*_POSTGRESQL[state])
    if isinstance(error, IntegrityError | ProgrammingError):
        return None
    words = "" if state else str(original)
    return Unavailable(*next((said for part, said in _ON_CONNECTING.items() if part in words), AWAY))
