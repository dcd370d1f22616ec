"""A connection that is held for a thread that writes all the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from sqlalchemy import Dialect, Engine
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection

from rowcast.adapters.database.failures import translated


class HeldWriter:
    """Transactions on one connection that is kept, by the driver's own cursor: half the time that a session's take.

    A connection on which something failed is given up, and the next transaction begins on another. One that died
    while nothing was under way is replaced before anybody notices.
    """

    def __init__(self, engine: Engine, turn_to_write: Callable[[], AbstractContextManager[None]]) -> None:
        self._engine = engine
        self._turn_to_write = turn_to_write
        self._sqlite = engine.dialect.name == "sqlite"
        self._connection: PoolProxiedConnection | None = None
        # psycopg would look for the parameters of a long statement anew each time; the server's own $1 it passes on.
        self.dialect: Dialect = engine.dialect if self._sqlite else _numbered(engine.dialect)

    @contextmanager
    def transaction(self) -> Iterator[DBAPICursor]:
        """One unit of work: committed at the end, rolled back on an exception. Not to be nested.

        Raises:
            Unavailable: the database is locked, full, read-only, damaged or away.
        """
        with translated(), self._turn_to_write():
            connection, cursor = self._begun()
            try:
                yield cursor
                connection.commit()
            except BaseException as error:
                self._give_up(connection)
                raise self._wrapped(error) from error
            self._connection = connection

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.invalidate()  # not back to the pool: it was set up for this alone
            self._connection = None

    def _begun(self) -> tuple[PoolProxiedConnection, DBAPICursor]:
        """A connection with a transaction begun, and its cursor."""
        kept, self._connection = self._connection, None
        if kept is not None:
            try:
                return kept, self._begin(kept)
            except self._errors as error:
                died = self._engine.dialect.is_disconnect(error, kept.dbapi_connection, None)  # type: ignore[arg-type]
                self._give_up(kept)
                if not died:
                    raise self._wrapped(error) from error
        fresh = None
        try:
            fresh = self._engine.raw_connection()
            return fresh, self._begin(fresh)
        except self._errors as error:
            if fresh is not None:
                self._give_up(fresh)
            raise self._wrapped(error) from error

    def _begin(self, connection: PoolProxiedConnection) -> DBAPICursor:
        if self._sqlite:
            cursor = connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            return cursor
        from psycopg import RawCursor

        driver: Any = connection.driver_connection
        driver.autocommit = True  # the driver's own BEGIN would come with the first statement only
        raw: Any = RawCursor(driver)
        raw.execute("BEGIN")
        return raw  # type: ignore[no-any-return]

    def _give_up(self, connection: PoolProxiedConnection) -> None:
        with suppress(self._errors):
            connection.rollback()  # closing alone would leave SQLite's lock to whoever still refers to it
        connection.invalidate()

    @property
    def _errors(self) -> type[Exception]:
        errors: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        return errors

    def _wrapped(self, error: BaseException) -> BaseException:
        """A driver's own error as SQLAlchemy would raise it, without the statement and its values."""
        return DBAPIError.instance(None, None, error, self._errors) if isinstance(error, self._errors) else error


def _numbered(dialect: Dialect) -> Dialect:
    """The same dialect with parameters called $1, $2 and so on, in the order of their values."""
    numbered: Any = type(dialect)
    return numbered(paramstyle="numeric_dollar")  # type: ignore[no-any-return]
