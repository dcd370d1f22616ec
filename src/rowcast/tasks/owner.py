"""Whose a storage is. Only the database that all its objects are named in can tell which of them are of no use."""

from __future__ import annotations

from sqlalchemy import select

from rowcast.accounts.tables import UserRow
from rowcast.datasets.ports import Storage
from rowcast.errors import Conflict, NotFound
from rowcast.tables import Database

KEY = "owner"
"""The object that names the database, by its first user: that one is made before anything else, and stays."""


def require_own(database: Database, storage: Storage) -> bool:
    """Pass when the storage is this database's, which it becomes when it is nobody's. False for a database in which
    nobody is yet: it has no storage.

    Raises:
        Conflict: it is another's.
    """
    with database.reading() as session:
        user_id = session.scalar(select(UserRow.id).order_by(UserRow.created_at, UserRow.id).limit(1))
    if user_id is None:
        return False
    if _owner(storage) is None:
        storage.put_new(KEY, user_id.encode())
    if _owner(storage) != user_id:
        raise Conflict(
            "storage_not_ours",
            "The storage belongs to another database, whose tables and models would be deleted as of no use. Correct "
            "ROWCAST_STORAGE_URL or ROWCAST_DATABASE_URL; each database needs a folder or a prefix of its own. If that "
            f"other database is gone for good, delete the object {KEY!r} from the storage.",
        )
    return True


def _owner(storage: Storage) -> str | None:
    try:
        return storage.read(KEY).decode()
    except NotFound:
        return None
