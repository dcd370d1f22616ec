"""Messages in: from a queue, by way of the event loop, to the threads that consume its lane."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from rowcast.adapters.broker.rabbitmq.messages import Poison, decode
from rowcast.adapters.broker.rabbitmq.topology import queue_of

if TYPE_CHECKING:
    from aio_pika.abc import AbstractConnection
    from aiormq.abc import AbstractChannel, DeliveredMessage

_IDLE_SECONDS = 5.0
"""How long the queue stays subscribed to although no thread waits. What has come by then and is in nobody's hands goes
back, to be had by another process."""

_LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Answer(Enum):
    DONE = "done"
    BACK = "back"


@dataclass(slots=True)
class Held:
    """A message, of which the broker hears once its tasks are answered for. One that names no task has a None among
    them. If one task is to come back all do: those that were done are found to be so."""

    message: DeliveredMessage
    open: set[str | None]
    back: bool = False


@dataclass(frozen=True, slots=True)
class RabbitDelivery:
    """A task of a message in the hands of a thread."""

    task_id: str
    reply_to: str | None
    _held: Held = field(repr=False)
    _lane: Lane = field(repr=False)

    def done(self) -> None:
        self._lane.answer(self._held, self.task_id, Answer.DONE)

    def back(self) -> None:
        self._lane.answer(self._held, self.task_id, Answer.BACK)

    def refuse(self, reason: str) -> None:
        self._lane.bury(self._held, self.task_id, reason)


class Lane:
    """One queue. ``prefetch`` is how many messages may be on their way through this process at once.

    With a prefetch of 1 a message goes from hand to hand: the subscription ends with the message that the last waiting
    thread takes, so nothing waits here behind a task of hours while another process has time.
    """

    def __init__(
        self,
        name: str,
        prefetch: int,
        *,
        loop: asyncio.AbstractEventLoop,
        bury: Callable[[Lane, Held, str | None, str], None],
    ) -> None:
        self.name = name
        self._prefetch = prefetch
        self._loop = loop
        self._bury = bury
        self._changed = threading.Condition()
        self._arrived: deque[RabbitDelivery] = deque()
        self._waiting = 0
        self._wanted_until = 0.0
        self._answers: deque[tuple[Held, str | None, Answer]] = deque()
        self._over = False
        self._signalled = False
        self._signal = asyncio.Event()
        self._channel: AbstractChannel | None = None
        self._tag: str | None = None

    def take(self, timeout: float, most: int) -> list[RabbitDelivery]:
        """What ``Broker.consume`` promises, for any thread."""
        with self._changed:
            self._waiting += 1
            if not self._arrived:
                self._wake()
            self._changed.wait_for(lambda: self._over or self._arrived, timeout)
            self._waiting -= 1
            taken = [self._arrived.popleft() for _ in range(min(most, len(self._arrived)))]
            if not self._waiting:
                hand_to_hand = self._prefetch == 1 and taken
                self._wanted_until = 0.0 if hand_to_hand else time.monotonic() + _IDLE_SECONDS
            return [] if self._over else taken

    def answer(self, held: Held, task_id: str | None, answer: Answer) -> None:
        """Take note of what became of a task; the broker hears of it soon."""
        self._answers.append((held, task_id, answer))
        self._wake()

    def bury(self, held: Held, task_id: str, reason: str) -> None:
        """Have a task put among the dead letters."""
        with suppress(RuntimeError):  # the loop has closed: the message will come again
            self._loop.call_soon_threadsafe(self._bury, self, held, task_id, reason)

    def end(self) -> None:
        """Wake every thread with nothing."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def forget(self) -> None:
        """The connection is gone, and the broker gives whatever it had to others."""
        with self._changed:
            self._arrived.clear()
        self._channel = self._tag = None

    async def prepare(self, connection: AbstractConnection) -> None:
        channel = await connection.channel(publisher_confirms=False)
        await channel.set_qos(self._prefetch)
        self._channel = await channel.get_underlay_channel()
        self._channel.on_consumer_cancel_callbacks.add(self._cancelled)
        self._tag = None

    async def serve(self) -> None:
        channel = self._channel
        while channel is not None and not channel.is_closed:
            self._signalled = False
            self._signal.clear()
            await self._subscribe_or_not(channel)
            await self.flush()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._signal.wait()

    async def flush(self) -> None:
        """Tell the broker the answers that the threads have given."""
        while self._answers:
            held, task_id, answer = self._answers.popleft()
            if task_id not in held.open:
                continue  # answered twice
            held.open.discard(task_id)
            held.back |= answer is Answer.BACK
            if not held.open:
                await self._settle(held.message, back=held.back)

    async def _settle(self, message: DeliveredMessage, *, back: bool) -> None:
        if message.channel is not self._channel or message.delivery_tag is None:
            return  # of an earlier connection
        if back:
            await self._channel.basic_nack(message.delivery_tag, requeue=True, wait=False)
        else:
            await self._channel.basic_ack(message.delivery_tag, wait=False)

    async def _subscribe_or_not(self, channel: AbstractChannel) -> None:
        """Before the answers are told: an answer makes room for the next message, which may not be wanted any more."""
        wanted = self._waiting > 0 or time.monotonic() < self._wanted_until
        if wanted and self._tag is None:
            started = await channel.basic_consume(queue_of(self.name), self._receive)
            self._tag = started.consumer_tag
        elif not wanted and self._tag is not None:
            await channel.basic_cancel(self._tag)
            self._tag = None
            self._give_back()

    def _give_back(self) -> None:
        with self._changed:
            if self._waiting:
                return
            given, self._arrived = self._arrived, deque()
        for delivery in given:
            delivery.back()

    async def _receive(self, message: DeliveredMessage) -> None:
        try:
            task_ids = decode(message.body)
        except Poison as poison:
            self._bury(self, Held(message, {None}), None, poison.reason)
            return
        reply_to, held = message.header.properties.reply_to, Held(message, {*task_ids})
        with self._changed:
            self._arrived.extend(RabbitDelivery(task_id, reply_to, held, self) for task_id in task_ids)
            self._changed.notify(len(task_ids))

    def _cancelled(self, frame: object) -> None:
        """Somebody has deleted the queue: a new connection declares it again."""
        _log.warning("broker: the queue %s was deleted; it is made anew", queue_of(self.name))
        if self._channel is not None:
            self._channel = None
            self._wake()

    def _wake(self) -> None:
        if self._signalled:
            return
        self._signalled = True
        with suppress(RuntimeError):  # the loop has closed: nobody needs to be told any more
            self._loop.call_soon_threadsafe(self._signal.set)
