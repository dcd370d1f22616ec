"""What the messages say: ids of tasks and nothing else. Whatever a task needs or gives is in its row."""

from __future__ import annotations

import json
import re

VERSION = 1
"""Raised when an older worker could not understand a message any more; it refuses what it does not know."""

_ID = re.compile(r"[\w.:-]{1,64}")


class Poison(Exception):
    """The message is none of ours, or of another version; ``reason`` is a snake_case word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def encode(task_id: str) -> bytes:
    """The body of a message about one task."""
    return b'{"v":%d,"task":"%s"}' % (VERSION, task_id.encode())


def decode(body: bytes) -> str:
    """The id of the task that a message is about.

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
    task_id = said.get("task")
    if not isinstance(task_id, str) or not _ID.fullmatch(task_id):
        raise Poison("message_unreadable")
    return task_id
