"""Connections to PostgreSQL that notice when the server has gone silent.

A server that is stopped, swapped out or waits for a dead disk still holds its connections: the system there confirms
what is sent, so no time limit of TCP ever runs out, and the server's own limits do not run either. Whoever waits for an
answer therefore asks now and then whether the server takes another connection, which a dead one does not.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from sqlalchemy import Connection, Dialect
from sqlalchemy.pool import ConnectionPoolEntry

_TICK_SECONDS = 0.1


class Watch:
    """What is known of one server, for all connections to it. Give ``connect`` to the engine as its "do_connect".

    An answer may be late by ``seconds`` before the server is asked for another sign of life, and by ``limit``
    altogether before the connection is given up in any case.
    """

    def __init__(self, seconds: float, limit: float) -> None:
        self._seconds = seconds
        self._limit = limit
        self._silent = False
        self._calling = threading.Lock()
        self._parameters: dict[str, Any] = {}

    def connect(
        self, dialect: Dialect, record: ConnectionPoolEntry, arguments: tuple[Any, ...], parameters: dict[str, Any]
    ) -> psycopg.Connection[Any]:
        """A new connection. Where the server was silent last, one caller at a time tries, and others need not wait to
        hear that it still is.

        Raises:
            psycopg.OperationalError: the server cannot be reached, does not answer, or refuses.
        """
        self._parameters = parameters
        if not self._silent:
            return self._called()
        if not self._calling.acquire(blocking=False):
            raise psycopg.OperationalError("the server is silent")
        try:
            return self._called()
        finally:
            self._calling.release()

    def require_life(self) -> None:
        """Return when the server takes another connection, or refuses it in words.

        Raises:
            psycopg.OperationalError: it does neither.
        """
        if self._silent:
            raise psycopg.OperationalError("the server has gone silent")
        try:
            psycopg.connect(**self._parameters).close()
        except psycopg.errors.ConnectionTimeout as error:
            self._silent = True
            raise psycopg.OperationalError("the server has gone silent") from error
        except psycopg.OperationalError:
            return

    def _called(self) -> psycopg.Connection[Any]:
        try:
            connection = AttentiveConnection.connect(**self._parameters)
        except psycopg.errors.ConnectionTimeout:
            self._silent = True
            raise
        self._silent = False
        connection.watch, connection.seconds, connection.limit = self, self._seconds, self._limit
        return connection


class AttentiveConnection(psycopg.Connection[Any]):
    """A connection that looks after the server while it waits. ``limit`` may be None for statements that take as long
    as they do."""

    watch: Watch | None = None
    seconds: float
    limit: float | None

    def wait(self, gen: PQGen[RV], interval: float = _TICK_SECONDS, timeout: float | None = None) -> RV:
        if self.watch is None:
            return super().wait(gen, interval, timeout)
        return super().wait(self._attentively(gen, self.watch), interval, timeout)

    def _attentively(self, gen: PQGen[RV], watch: Watch) -> PQGen[RV]:
        """The same steps, with a look at the server each time that nothing has come for so long."""
        look_after, silent = round(self.seconds / _TICK_SECONDS), 0
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                silent = 0 if ready else silent + 1
                if silent and silent % look_after == 0:
                    self._look(watch, silent * _TICK_SECONDS)
                wanted = gen.send(ready)
        except StopIteration as end:
            result: RV = end.value
            return result

    def _look(self, watch: Watch, silent_seconds: float) -> None:
        try:
            if self.limit is not None and silent_seconds > self.limit:
                raise psycopg.OperationalError("the server has not answered for too long")
            watch.require_life()
        except psycopg.OperationalError:
            self.close()  # as the error says: nobody is to use it again
            raise


@contextmanager
def unhurried(connection: Connection) -> Iterator[None]:
    """Let statements on this connection take as long as they do, if only the server lives."""
    driver: Any = connection.connection.driver_connection
    if not isinstance(driver, AttentiveConnection):
        yield
        return
    limit, driver.limit = driver.limit, None
    try:
        yield
    finally:
        driver.limit = limit
