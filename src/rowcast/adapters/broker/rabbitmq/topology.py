"""The queues: what they are called, and with which arguments they are declared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiormq.exceptions import ChannelPreconditionFailed

from rowcast.adapters.broker.rabbitmq.failures import unavailable

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractConnection

PREFIX = "rowcast."
DEAD = f"{PREFIX}dead"

_DELIVERY_LIMIT = 20
"""How often a message may come back before it is dead. A task has a limit of its own; this one ends loops that never
come as far as the task's row."""

_DEAD_KEPT = 100_000
_NO_LIMIT = 1_000_000_000
"""Looking at a dead letter counts as a delivery, and RabbitMQ 4 drops a message after 20 unless told otherwise."""


def queue_of(lane: str) -> str:
    return PREFIX + lane


def lane_of(queue: str) -> str:
    return queue.removeprefix(PREFIX)


async def declare(connection: AbstractConnection, lanes: Iterable[str]) -> None:
    """Have the queues there, replicated and durable; those that are there already stay as they are.

    Raises:
        Unavailable: one is there with other arguments.
    """
    async with connection.channel() as channel:
        await _declare(channel, DEAD, {"x-max-length": _DEAD_KEPT, "x-delivery-limit": _NO_LIMIT})
        for lane in lanes:
            await _declare(channel, queue_of(lane), _LANE)


async def _declare(channel: AbstractChannel, name: str, arguments: dict[str, int | str]) -> None:
    try:
        await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum", **arguments})
    except ChannelPreconditionFailed as error:
        raise unavailable(
            f"RabbitMQ has a queue {name} with other arguments than Rowcast's. Delete it (rabbitmqctl delete_queue "
            f"{name}); Rowcast makes it anew and publishes what waits in the database again."
        ) from error


_LANE: dict[str, int | str] = {
    "x-delivery-limit": _DELIVERY_LIMIT,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": DEAD,
}
