"""Words for this process: its own queue, which goes when the connection does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from aiormq.exceptions import ChannelLockedResource

from rowcast.adapters.broker.rabbitmq.messages import Poison, decode
from rowcast.adapters.broker.rabbitmq.topology import PREFIX

if TYPE_CHECKING:
    from aio_pika.abc import AbstractConnection
    from aiormq.abc import DeliveredMessage

_KEPT = 10_000
"""Words that may wait here; of more, the oldest go: whoever waits for a task also looks at its row."""


class Replies:
    """The queue to which other processes send ids of tasks that this one has submitted."""

    def __init__(self) -> None:
        self._heard: Callable[[Sequence[str]], None] | None = None
        self._asked = asyncio.Event()
        self._name = _new_name()
        self._connection: AbstractConnection | None = None

    @property
    def address(self) -> str | None:
        """What to answer to; None when nobody listens."""
        return self._name if self._heard else None

    def hear(self, task_ids: Sequence[str]) -> None:
        """Pass the word on to whoever listens in this process."""
        if self._heard:
            self._heard(task_ids)

    def listen(self, heard: Callable[[Sequence[str]], None], loop: asyncio.AbstractEventLoop) -> None:
        self._heard = heard
        loop.call_soon_threadsafe(self._asked.set)

    async def prepare(self, connection: AbstractConnection) -> None:
        self._connection = connection
        if self._asked.is_set():
            await self._subscribe(connection)

    async def serve(self) -> None:
        if not self._asked.is_set():
            await self._asked.wait()
            assert self._connection is not None
            await self._subscribe(self._connection)
        await asyncio.Event().wait()

    async def _subscribe(self, connection: AbstractConnection) -> None:
        channel = await connection.channel(publisher_confirms=False)
        arguments = {"x-max-length": _KEPT}
        try:
            await channel.declare_queue(self._name, exclusive=True, auto_delete=True, arguments=dict(arguments))
        except ChannelLockedResource:
            self._name = _new_name()  # the broker has not noticed yet that the connection before is gone
            raise
        underlay = await channel.get_underlay_channel()
        await underlay.basic_consume(self._name, self._receive, no_ack=True)

    async def _receive(self, message: DeliveredMessage) -> None:
        with suppress(Poison):  # of a version that this one does not know: whoever waits also looks by themselves
            self.hear(decode(message.body))


def _new_name() -> str:
    return f"{PREFIX}reply.{os.uname().nodename[:40]}.{os.getpid()}.{uuid4().hex[:12]}"
