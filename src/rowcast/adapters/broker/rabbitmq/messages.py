"""What the messages say: ids of tasks and nothing else. Whatever a task needs or gives is in its row."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

VERSION = 1
"""Raised when an older worker could not understand a message any more; it refuses what it does not know."""

_ID = re.compile(r"[\w.:-]{1,64}")


class Poison(Exception):
    """The message is none of ours, or of another version; ``reason`` is a snake_case word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def encode(task_ids: Sequence[str]) -> bytes:
    """The body of a message about some tasks."""
    return b'{"v":%d,"tasks":["%b"]}' % (VERSION, b'","'.join(task_id.encode() for task_id in task_ids))


def parcels(task_ids: Sequence[str], most: int) -> list[Sequence[str]]:
    """The ids in their order, up to ``most`` for each message."""
    return [task_ids[start : start + most] for start in range(0, len(task_ids), most)]


def decode(body: bytes) -> list[str]:
    """The ids of the tasks that a message is about, each once; there is one at least.

    Raises:
        Poison: it is no such message.
    """
    try:
        said = json.loads(body)
    except ValueError as error:
        raise Poison("message_unreadable") from error
    if not isinstance(said, dict) or "v" not in said:
        raise Poison("message_unreadable")
    if said["v"] != VERSION:
        raise Poison("message_version_unknown")
    named = said.get("tasks")
    if not isinstance(named, list) or not named or not all(map(_is_id, named)):
        raise Poison("message_unreadable")
    return list(dict.fromkeys(named))


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None
