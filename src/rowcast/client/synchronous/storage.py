# Made from rowcast/client/asynchronous/storage.py by scripts/generate_sync_client.py: edit that one.
"""What the storage holds, held against the database."""

from __future__ import annotations

from rowcast.client.answers import parse
from rowcast.client.synchronous.connection import Connection, at
from rowcast.tasks.views import Collected, StorageCheck

LOOK_SECONDS = 600
"""For the server to look at every object."""


class StorageUpkeep:
    """``client.storage``, for administrators."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def check(self) -> StorageCheck:
        """What is there and of no use, and what is needed and not there."""
        return parse(StorageCheck, self._connection.request("GET", at("storage"), wait=LOOK_SECONDS))

    def collect(self) -> Collected:
        """Delete what is of no use."""
        return parse(Collected, self._connection.request("POST", at("storage", "collect"), wait=LOOK_SECONDS))
