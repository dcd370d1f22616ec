"""The database: engines for SQLite and PostgreSQL, and sessions from them."""

from __future__ import annotations

import fcntl
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from rowcast.adapters.database.checkpoints import LOG_PAGES_AT_MOST, Checkpoints
from rowcast.adapters.database.failures import BUSY, translated
from rowcast.adapters.database.postgresql import Patience, postgresql_engine
from rowcast.adapters.database.writer import HeldWriter
from rowcast.errors import InvalidInput, Unavailable

BUSY_SECONDS = 30.0
"""How long a writer waits for another before it gives up."""

POOL_SIZE = 10

_BEGIN = "sqlite_begin"
_PRIMARY_CODE = 0xFF  # the last byte of an extended error code of SQLite


class SqlDatabase:
    """Sessions for units of work, on any database that SQLAlchemy speaks to.

    Rows stay readable after their session ends. A session belongs to the thread that opened it; the database itself
    may be used from any number of threads.
    """

    def __init__(self, engine: Engine, *, busy_seconds: float = BUSY_SECONDS, turns: Path | None = None) -> None:
        self.engine = engine
        self._busy_seconds = busy_seconds
        self._sqlite = engine.dialect.name == "sqlite"
        # SQLite has one writer at a time. Waiting for it inside SQLite means sleeping and trying again, up to 100 ms
        # late and in no order; within this process a lock hands over at once, and between processes a locked file.
        self._turn = threading.Lock()
        self._turns = turns.open("a") if turns else None
        self._writer: int | None = None
        self._checkpoints = Checkpoints(engine, self._turn_to_write) if self._sqlite else None
        writing, reading = _modes(self._sqlite)
        self._writing = sessionmaker(engine.execution_options(**writing), expire_on_commit=False)
        self._reading = sessionmaker(engine.execution_options(**reading), expire_on_commit=False, autoflush=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One unit of work that may write: committed at the end, rolled back on an exception. Not to be nested.

        Raises:
            Unavailable: the database is locked, full, read-only, damaged or away.
        """
        with translated(), self._turn_to_write(), self._writing.begin() as session:
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A consistent view that writes nothing and blocks nobody.

        Raises:
            Unavailable: the database is damaged or away.
        """
        with translated(), self._reading() as session:
            yield session

    def writer(self) -> HeldWriter:
        """A connection for one thread that writes all the time."""
        if self._checkpoints is None:
            return HeldWriter(self.engine, self._turn_to_write)
        return HeldWriter(self.engine, self._turn_to_write, self._checkpoints.committed)

    def reader(self) -> HeldWriter:
        """The same for one that only reads, by statements that stand ``alone``: it takes no turn."""
        return HeldWriter(self.engine, nullcontext)

    def ping(self) -> None:
        """Return when the database answers, else raise Unavailable."""
        with self.reading() as session:
            session.execute(text("SELECT 1"))

    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many are open."""
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        return pool.checkedout(), pool.checkedout() + pool.checkedin()

    def dispose(self) -> None:
        """Close every connection."""
        if self._checkpoints is not None:
            self._checkpoints.close()
        self.engine.dispose()
        if self._turns is not None:
            self._turns.close()

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        if not self._sqlite:
            yield
            return
        if self._writer == threading.get_ident():
            raise RuntimeError("a transaction was begun inside another: it would wait for itself")
        if not self._turn.acquire(timeout=self._busy_seconds):
            raise Unavailable(*BUSY)
        self._writer = threading.get_ident()
        try:
            if self._turns is not None:
                fcntl.flock(self._turns, fcntl.LOCK_EX)  # the end of a process that has it lets go of it
            yield
        finally:
            if self._turns is not None:
                fcntl.flock(self._turns, fcntl.LOCK_UN)
            self._writer = None
            self._turn.release()


def open_database(
    url: str,
    *,
    busy_seconds: float = BUSY_SECONDS,
    statement_seconds: float = 60.0,
    connect_seconds: float = 5.0,
    pool_size: int = POOL_SIZE,
    alone: bool = True,
) -> SqlDatabase:
    """The database at an SQLAlchemy address; the folder of an SQLite file is created. A writer waits ``busy_seconds``
    for another; ``alone`` says that no other process writes all the time, else they take turns. The other limits are
    of PostgreSQL: see ``Patience``.

    Raises:
        InvalidInput: it is no address, or names a database that Rowcast does not run on.
        Unavailable: the folder of an SQLite file cannot be created.
    """
    address = _address(url)
    match address.get_backend_name():
        case "sqlite":
            engine = _sqlite_engine(address, busy_seconds)
            turns = None if alone else Path(f"{address.database}-turn")
            return SqlDatabase(engine, busy_seconds=busy_seconds, turns=turns)
        case "postgresql":
            patience = Patience(busy_seconds, statement_seconds, connect_seconds)
            return SqlDatabase(postgresql_engine(address, patience, pool_size))
        case _:
            message = "Rowcast runs on SQLite and PostgreSQL; see ROWCAST_DATABASE_URL."
            raise InvalidInput("database_unsupported", message)


def _address(url: str) -> URL:
    try:
        # Many tools call it postgres, which SQLAlchemy does not know.
        return make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
    except (ArgumentError, ValueError):
        message = "ROWCAST_DATABASE_URL is not an address such as postgresql://user:password@host/name."
        # Neither the address nor an error that repeats it may reach a log: it holds a password.
        raise InvalidInput("database_url_invalid", message) from None


def _sqlite_engine(address: URL, busy_seconds: float) -> Engine:
    if not address.database or address.database == ":memory:":
        raise InvalidInput("database_url_invalid", "SQLite needs a file, as in sqlite:////var/lib/rowcast/rowcast.db.")
    try:
        Path(address.database).absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable("database_unavailable", "The folder of the database cannot be created.") from error
    engine = create_engine(
        address,
        connect_args={"check_same_thread": False, "timeout": busy_seconds},
        pool_size=16,
        max_overflow=64,
        pool_timeout=busy_seconds,
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
    """Set up a new SQLite connection: transactions begin where we say, commits reach the disk, foreign keys hold."""
    connection.isolation_level = None
    _log_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES_AT_MOST}")
    connection.execute("PRAGMA foreign_keys = ON")


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log, which a new file needs once.

    While another process writes the file, SQLite says at once that it is locked, however long a caller is ready to
    wait: so the waiting is done here.
    """
    (milliseconds,) = connection.execute("PRAGMA busy_timeout").fetchone()
    deadline = time.monotonic() + milliseconds / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY_CODE != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin(connection: Connection) -> None:
    """Begin as the session's purpose asks: a writer takes its turn at once, so that it can never find, half way
    through, that what it read has been changed by another."""
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _modes(sqlite: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Execution options of sessions that write, and of those that only read."""
    if sqlite:
        return {_BEGIN: "BEGIN IMMEDIATE"}, {_BEGIN: "BEGIN"}
    return {}, {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
