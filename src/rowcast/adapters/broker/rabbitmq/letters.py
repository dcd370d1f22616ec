"""Looking into the queues, for operators: how much waits, and what is dead."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rowcast.adapters.broker.rabbitmq.messages import Poison, decode
from rowcast.adapters.broker.rabbitmq.topology import DEAD, lane_of, queue_of
from rowcast.tasks.ports import DeadLetter

if TYPE_CHECKING:
    from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

    from rowcast.adapters.broker.rabbitmq.publisher import Publisher

_SEARCHED = 10_000


async def depths(connection: AbstractConnection, lanes: Iterable[str]) -> dict[str, int]:
    """Messages by lane that no consumer has yet."""
    found = {}
    async with connection.channel() as channel:
        for lane in lanes:
            queue = await channel.declare_queue(queue_of(lane), passive=True)
            found[lane] = queue.declaration_result.message_count or 0
    return found


async def count(connection: AbstractConnection) -> int:
    """Dead letters that nobody is looking at."""
    async with connection.channel() as channel:
        queue = await channel.declare_queue(DEAD, passive=True)
        return queue.declaration_result.message_count or 0


async def dead(connection: AbstractConnection, limit: int) -> list[DeadLetter]:
    """The dead letters, oldest first. They are taken and, with the channel, let go again: AMQP knows no mere look."""
    letters: list[DeadLetter] = []
    async with connection.channel() as channel:
        queue = await channel.get_queue(DEAD)
        while len(letters) < limit and (message := await queue.get(fail=False)) is not None:
            letters += _letters(message)
    return letters[:limit]


async def revive(connection: AbstractConnection, publisher: Publisher, lanes: Iterable[str], letter_id: str) -> bool:
    """Publish the dead letter of that task once more, with others that it names, then take it from the dead."""
    async with connection.channel() as channel:
        queue = await channel.get_queue(DEAD)
        for _ in range(_SEARCHED):
            message = await queue.get(fail=False)
            if message is None:
                return False
            task_ids, lane = _named(message), _letters(message)[0].lane
            if letter_id in task_ids and lane in lanes:
                await publisher.publish(lane, task_ids)
                await message.ack()
                return True
    return False


def _named(message: AbstractIncomingMessage) -> list[str]:
    try:
        return decode(message.body)
    except Poison:
        return []


def _letters(message: AbstractIncomingMessage) -> list[DeadLetter]:
    """One for each task that it names, or one for a message that names none. What they say is from the headers that we
    gave it, or else from those of the broker, which ends what came back too often."""
    headers = message.headers
    deaths: Any = headers.get("x-death") or [{}]
    lane = headers.get("rowcast-lane") or lane_of(str(deaths[0].get("queue", "")))
    reason = headers.get("rowcast-reason") or deaths[0].get("reason", "unknown")
    died_at = headers.get("rowcast-died-at") or deaths[0].get("time")
    moment = died_at.astimezone(UTC) if isinstance(died_at, datetime) else None
    names = _named(message) or [message.correlation_id or message.message_id or ""]
    return [DeadLetter(name, str(lane), str(reason), moment) for name in names]
