"""A connection that is held for a thread that writes, or reads, all the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy import Dialect, Engine
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection

from rowcast.adapters.database.failures import translated

_Begun = TypeVar("_Begun")

_BY_KEYS = "SELECT set_config('plan_cache_mode', 'force_custom_plan', false), " + ", ".join(
    f"set_config('enable_{way}', 'off', false)" for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin")
)
"""Such statements find a few rows by their keys. PostgreSQL keeps a plan once it has made one: one made while the table
was empty read it from end to end until it was analysed, and the queue of a new installation went ever slower for its
first minute. A bitmap goes through the entries of all that was ever queued, which an index on its own forgets."""


class HeldWriter:
    """Transactions on one connection that is kept, by the driver's own cursor: half the time that a session's take.

    A connection on which something failed is given up, and the next transaction begins on another. One that died
    while nothing was under way is replaced before anybody notices.
    """

    def __init__(
        self,
        engine: Engine,
        turn_to_write: Callable[[], AbstractContextManager[None]],
        committed: Callable[[], None] = lambda: None,
    ) -> None:
        """``committed`` is called after each transaction."""
        self._engine = engine
        self._turn_to_write = turn_to_write
        self._committed = committed
        self._sqlite = engine.dialect.name == "sqlite"
        self._connection: PoolProxiedConnection | None = None
        # psycopg would look for the parameters of a long statement anew each time; the server's own $1 it passes on.
        self.dialect: Dialect = engine.dialect if self._sqlite else _numbered(engine.dialect)

    def alone(self, statement: str, values: Sequence[Any]) -> list[Any]:
        """The rows of one statement that is a transaction by itself: one journey to PostgreSQL instead of three. When
        the connection turns out to have died it is sent once more, on another, and may have been carried out twice.

        Raises:
            Unavailable: the database is locked, full, read-only, damaged or away.
        """

        def run(connection: PoolProxiedConnection) -> list[Any]:
            cursor = self._cursor(connection)
            cursor.execute(statement, values)
            return list(cursor.fetchall())

        with translated(), self._turn_to_write():
            self._connection, rows = self._on_a_connection(run)
            return rows

    @contextmanager
    def transaction(self) -> Iterator[DBAPICursor]:
        """One unit of work: committed at the end, rolled back on an exception. Not to be nested.

        Raises:
            Unavailable: the database is locked, full, read-only, damaged or away.
        """
        with translated(), self._turn_to_write():
            connection, cursor = self._on_a_connection(self._begin)
            try:
                yield cursor
                connection.commit()
            except BaseException as error:
                self._give_up(connection)
                raise self._wrapped(error) from error
            self._connection = connection
        self._committed()

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.invalidate()  # not back to the pool: it was set up for this alone
            self._connection = None

    def _on_a_connection(
        self, begin: Callable[[PoolProxiedConnection], _Begun]
    ) -> tuple[PoolProxiedConnection, _Begun]:
        """The connection that was kept, or another if that has died, and what ``begin`` made of it."""
        kept, self._connection = self._connection, None
        if kept is not None:
            try:
                return kept, begin(kept)
            except self._errors as error:
                died = self._engine.dialect.is_disconnect(error, kept.dbapi_connection, None)  # type: ignore[arg-type]
                self._give_up(kept)
                if not died:
                    raise self._wrapped(error) from error
        fresh = None
        try:
            fresh = self._engine.raw_connection()
            if not self._sqlite:
                driver: Any = fresh.driver_connection
                driver.autocommit = True  # its own BEGIN would come with the first statement only
                driver.execute(_BY_KEYS)
            return fresh, begin(fresh)
        except self._errors as error:
            if fresh is not None:
                self._give_up(fresh)
            raise self._wrapped(error) from error

    def _begin(self, connection: PoolProxiedConnection) -> DBAPICursor:
        cursor = self._cursor(connection)
        cursor.execute("BEGIN IMMEDIATE" if self._sqlite else "BEGIN")
        return cursor

    def _cursor(self, connection: PoolProxiedConnection) -> DBAPICursor:
        if self._sqlite:
            return connection.cursor()
        from psycopg import RawCursor

        driver: Any = connection.driver_connection
        raw: Any = RawCursor(driver)
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
