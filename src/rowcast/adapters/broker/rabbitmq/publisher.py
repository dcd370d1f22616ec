"""Messages out: ids into lanes, confirmed; words to the processes that submitted; dead letters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from aiormq import Channel
from aiormq import spec as amqp
from aiormq.exceptions import AMQPError, ChannelInvalidStateError, PublishError

from rowcast.adapters.broker.rabbitmq.failures import BLOCKED, LOST, QUEUE_GONE, UNCONFIRMED, explain, unavailable
from rowcast.adapters.broker.rabbitmq.messages import encode, parcels
from rowcast.adapters.broker.rabbitmq.topology import DEAD, queue_of
from rowcast.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any

    from aio_pika.abc import AbstractChannel, AbstractConnection

    from rowcast.adapters.broker.rabbitmq.link import Link

_LOOK_SECONDS, _LOOKS = 0.5, 20
"""How often an unconfirmed batch is looked after, and how many times before it is given up."""

_PERSISTENT = 2
_AT_ONCE = 500
_TOLD_TOGETHER = 500

_log = logging.getLogger(__name__)


class Publisher:
    """Lives on the event loop of its link."""

    def __init__(self, link: Link, reply_to: Callable[[], str | None]) -> None:
        self._link = link
        self._reply_to = reply_to
        self._confirmed: Channel | None = None
        self._plain: Channel | None = None
        self._closed: Sequence[Awaitable[object]] = ()
        self._worn = asyncio.Event()

    async def prepare(self, connection: AbstractConnection) -> None:
        confirmed = await connection.channel(on_return_raises=True)
        plain = await connection.channel(publisher_confirms=False)
        self._confirmed, self._plain = await _underlying(confirmed), await _underlying(plain)
        self._closed = (confirmed.closed(), plain.closed())
        self._worn.clear()

    async def serve(self) -> None:
        ends = [asyncio.ensure_future(end) for end in (*self._closed, self._worn.wait())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    async def publish(self, lane: str, task_ids: Sequence[str], together: int = 1) -> None:
        """Put ids into a lane, up to ``together`` in one message. Returns when the broker has them all on disk.

        Raises:
            Unavailable: it has not confirmed all of them; some may be there nevertheless.
        """
        await self._link.connection()
        messages = parcels(task_ids, together)
        for start in range(0, len(messages), _AT_ONCE):
            await self._confirm(self._put(lane, parcel) for parcel in messages[start : start + _AT_ONCE])

    async def bury(self, body: bytes, lane: str, reason: str, died_at: datetime, task_id: str | None) -> None:
        """Put a message that nobody can do anything with among the dead letters.

        Raises:
            Unavailable: as ``publish`` does.
        """
        await self._link.connection()
        headers: dict[str, Any] = {"rowcast-lane": lane, "rowcast-reason": reason, "rowcast-died-at": died_at}
        properties = amqp.Basic.Properties(delivery_mode=_PERSISTENT, correlation_id=task_id, headers=headers)
        await self._confirm([self._send(DEAD, body, properties)])

    def renew(self) -> None:
        """Have a new connection made, which declares all queues: one is missing, or a broker that was killed under
        this one has forgotten what it was to confirm."""
        self._worn.set()

    async def announce(self, told: Iterable[tuple[str, str]]) -> None:
        """Send words that nobody waits for: what cannot be sent at once is dropped."""
        if self._plain is None or await self._link.blocked():
            return
        with suppress(AMQPError, ChannelInvalidStateError, OSError, RuntimeError):
            for reply_to, task_ids in _by_address(told).items():
                for parcel in parcels(task_ids, _TOLD_TOGETHER):
                    properties = amqp.Basic.Properties(correlation_id=_correlation(parcel))
                    await self._plain.basic_publish(
                        encode(parcel), routing_key=reply_to, properties=properties, wait=False
                    )

    async def _put(self, lane: str, task_ids: Sequence[str]) -> None:
        properties = amqp.Basic.Properties(
            content_type="application/json",
            delivery_mode=_PERSISTENT,
            correlation_id=_correlation(task_ids),
            reply_to=self._reply_to(),
        )
        await self._send(queue_of(lane), encode(task_ids), properties)

    async def _send(self, queue: str, body: bytes, properties: amqp.Basic.Properties) -> None:
        if self._confirmed is None:
            raise unavailable(LOST)
        await self._confirmed.basic_publish(body, routing_key=queue, mandatory=True, properties=properties, wait=False)

    async def _confirm(self, sending: Iterable[Coroutine[None, None, None]]) -> None:
        """Wait for all confirmations, though not for those that cannot come: a blocked broker reads nothing."""
        waiting = {asyncio.ensure_future(each) for each in sending}
        sent = set(waiting)
        try:
            for _ in range(_LOOKS):
                _, waiting = await asyncio.wait(waiting, timeout=_LOOK_SECONDS)
                if not waiting:
                    break
                if await self._link.blocked():
                    raise unavailable(BLOCKED)
        finally:
            for each in waiting:
                each.cancel()
            results = await asyncio.gather(*sent, return_exceptions=True)
        if waiting:
            self.renew()
            raise unavailable(UNCONFIRMED)
        for failed in filter(None, results):
            raise self._explain(failed) from failed

    def _explain(self, error: BaseException) -> Unavailable:
        if isinstance(error, PublishError):
            self.renew()
            return unavailable(QUEUE_GONE)
        return explain(error) if isinstance(error, Unavailable | OSError) else unavailable(LOST)


def _correlation(task_ids: Sequence[str]) -> str | None:
    """The id of a message about one task; that of any other is of no use to anybody."""
    return task_ids[0] if len(task_ids) == 1 else None


def _by_address(told: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    addressed: dict[str, list[str]] = {}
    for reply_to, task_id in told:
        addressed.setdefault(reply_to, []).append(task_id)
    return addressed


async def _underlying(channel: AbstractChannel) -> Channel:
    """The channel below: a message costs half as much there."""
    underlying = await channel.get_underlay_channel()
    assert isinstance(underlying, Channel)
    return underlying
