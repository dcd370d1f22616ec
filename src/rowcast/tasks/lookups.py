"""Look-ups: many who wait for tasks at the same time read them by one statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from rowcast.accounts.principal import Principal
from rowcast.errors import NotFound
from rowcast.grouping import Grouping, Wording
from rowcast.tasks.ports import Reader
from rowcast.tasks.queries import Look, not_found
from rowcast.tasks.views import Task

WORDING = Wording(
    full=("lookups_full", "The database does not keep up with showing tasks. Try again in a moment."),
    fault=("task_not_readable", "The task cannot be read; see the server's log."),
)


class _Asked(NamedTuple):
    principal: Principal
    task_id: str


class Lookups:
    """Tasks as their rows say, for event loops. ``start`` it, ``close`` it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._look = Look(reader.dialect)
        self._grouping: Grouping[_Asked, Task] = Grouping("lookups", self._look_up, WORDING)

    def start(self) -> None:
        """Begin. To be called once."""
        self._grouping.start()

    def close(self) -> None:
        """Take no more, and return when all are answered."""
        self._grouping.close()
        self._reader.close()

    async def get(self, principal: Principal, task_id: str) -> Task:
        """The task of that id.

        Raises:
            NotFound: there is none, or it belongs to someone else.
        """
        return await self._grouping.ask(_Asked(principal, task_id))

    def _look_up(self, take: Callable[[], Sequence[_Asked]]) -> list[Task | NotFound]:
        group = take()
        ids = msgspec.json.encode([asked.task_id for asked in group]).decode()
        found = self._look.tasks(self._reader.alone(self._look.statement, (ids,)))
        return [_seen_by(asked.principal, found.get(asked.task_id)) for asked in group]


def _seen_by(principal: Principal, found: tuple[str, Task] | None) -> Task | NotFound:
    if found is None or not principal.owns(found[0]):
        return not_found()
    return found[1]
