"""The broker as a further process of a server has it: what it is asked, the first process does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from rowcast.adapters.processes.peer import Peer
from rowcast.tasks.ports import Broker, DeadLetter


class RelayedBroker:
    """Tasks that are submitted here are taken by the first process's worker, and every process hears of each change
    of a task, so that whoever waits for it is woken wherever they wait."""

    def __init__(self, first: Peer) -> None:
        self._first = first

    def publish(self, lane: str, task_ids: Sequence[str]) -> None:
        self._first.ask("publish", lane, list(task_ids))

    def announce(self, told: Sequence[tuple[str | None, str]]) -> None:
        self._first.tell("announce", list(told))

    def listen(self, heard: Callable[[Sequence[str]], None]) -> None:
        self._first.on("changed", heard)

    def ping(self) -> None:
        self._first.ask("ping")

    def depths(self) -> dict[str, int]:
        return dict(self._first.ask("depths"))

    def dead(self, limit: int) -> list[DeadLetter]:
        return [
            DeadLetter(id, lane, reason, died_at and datetime.fromisoformat(died_at))
            for id, lane, reason, died_at in self._first.ask("dead", limit)
        ]

    def dead_count(self) -> int:
        return int(self._first.ask("dead_count"))

    def revive(self, letter_id: str) -> bool:
        return bool(self._first.ask("revive", letter_id))

    def close(self) -> None:
        """The first process's broker is for it to close."""


def relay(broker: Broker) -> dict[str, Callable[..., object]]:
    """What the first process answers further ones with its broker."""
    return {
        "publish": broker.publish,
        "announce": lambda told: broker.announce([(reply_to, task_id) for reply_to, task_id in told]),
        "ping": broker.ping,
        "depths": broker.depths,
        "dead": lambda limit: [
            (letter.id, letter.lane, letter.reason, letter.died_at and letter.died_at.isoformat())
            for letter in broker.dead(limit)
        ],
        "dead_count": broker.dead_count,
        "revive": broker.revive,
    }
