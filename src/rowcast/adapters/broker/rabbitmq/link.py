"""A connection that is made again whenever it is lost."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from aio_pika.connection import Connection, make_url

from rowcast.adapters.broker.rabbitmq.failures import BLOCKED, LOST, explain, unavailable
from rowcast.adapters.broker.rabbitmq.topology import declare

if TYPE_CHECKING:
    from aio_pika.abc import AbstractConnection

_CONNECT_SECONDS = 10
_HEARTBEAT_SECONDS = 10
"""Half of that between two signs of life; a broker that has been silent for three and a bit is taken for gone."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0
_READY_SECONDS = 0.1

_log = logging.getLogger(__name__)


class Part(Protocol):
    """What a link is for: it opens channels in ``prepare`` and lives in ``serve``, both anew for each connection."""

    async def prepare(self, connection: AbstractConnection) -> None: ...

    async def serve(self) -> None:
        """Goes on until a channel is closed, or the task is cancelled."""
        ...


class Health:
    """How the links are; tells the log once for each change, however many links or attempts it shows in."""

    def __init__(self) -> None:
        self._troubles: dict[str, str | None] = {}
        self._told: str | None = None

    def note(self, link: str, trouble: str | None) -> None:
        self._troubles[link] = trouble
        overall = next(filter(None, self._troubles.values()), "")
        if overall == self._told:
            return
        self._told = overall
        if overall:
            _log.warning("broker: %s", overall)
        else:
            _log.info("broker: connected to RabbitMQ")


class Link:
    """One connection to RabbitMQ for some parts. All of it happens on one event loop."""

    def __init__(self, url: str, name: str, lanes: Sequence[str], health: Health) -> None:
        self._url = url
        self._name = name
        self._lanes = lanes
        self._health = health
        self._connection: AbstractConnection | None = None
        self._up = asyncio.Event()
        self._tried = asyncio.Event()
        self._stopping = asyncio.Event()
        self.trouble: str | None = None
        """Why there is no connection; None while there is, or while the first is being made."""

    async def keep(self, parts: Sequence[Part], lost: Callable[[], None]) -> None:
        """Connect, and again after each loss, with pauses that grow, until ``stop``; ``lost`` is called after each
        connection."""
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                await self._live(parts)
            except Exception as error:  # noqa: BLE001  (whatever it is, trying again is the answer)
                self.trouble = explain(error).message
                self._tried.set()
            if self._up.is_set():
                pause = _FIRST_PAUSE
            self._up.clear()
            self._connection = None
            if not self._stopping.is_set():
                self._health.note(self._name, self.trouble)
            lost()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause * random.uniform(0.5, 1)):  # noqa: S311  (no secret)
                    await self._stopping.wait()
            pause = min(pause * 2, _LONGEST_PAUSE)

    def stop(self) -> None:
        """Ask ``keep`` to end. A cancellation alone may get lost on its way through the libraries below."""
        self._stopping.set()

    async def connection(self) -> AbstractConnection:
        """The connection, which takes messages.

        Raises:
            Unavailable: there is none, and why; or it is blocked.
        """
        if self._connection is None:
            await self._connected()
        connection = self._connection
        if connection is None:
            raise unavailable(self.trouble or LOST)
        if await self.blocked():
            raise unavailable(BLOCKED)
        return connection

    async def blocked(self) -> bool:
        """Whether the broker has said that it takes no messages from this connection."""
        transport = self._connection and self._connection.transport
        if not transport:
            return False
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await transport.ready()
        except TimeoutError:
            return True
        return False

    async def _connected(self) -> None:
        """Wait for the first attempt to connect, or for the next when a connection has only just been lost."""
        first = not self._tried.is_set()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CONNECT_SECONDS if first else 2 * _FIRST_PAUSE):
                await (self._tried if first else self._up).wait()

    async def _live(self, parts: Sequence[Part]) -> None:
        connection = await self._connect()
        async with connection:
            await declare(connection, self._lanes)
            for part in parts:
                await part.prepare(connection)
            self._connection, self.trouble = connection, None
            self._up.set()
            self._tried.set()
            self._health.note(self._name, None)
            await _first_to_end([self._stopping.wait(), _closed(connection), *(part.serve() for part in parts)])
        raise unavailable(LOST)

    async def _connect(self) -> AbstractConnection:
        address = make_url(self._url, heartbeat=_HEARTBEAT_SECONDS)
        connection = Connection(address, client_properties={"connection_name": f"rowcast {self._name}"})
        try:
            await connection.connect(timeout=_CONNECT_SECONDS)
        except BaseException:
            # Else it closes itself when it is collected, which may be on a thread that has no loop: with a warning.
            await connection.close()
            raise
        return connection


async def _closed(connection: AbstractConnection) -> None:
    await connection.closed()


async def _first_to_end(works: Sequence[object]) -> None:
    tasks = [asyncio.ensure_future(work) for work in works]  # type: ignore[call-overload]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
