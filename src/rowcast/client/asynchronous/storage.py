"""What the storage holds, held against the database."""

from __future__ import annotations

from rowcast.client.answers import parse
from rowcast.client.asynchronous.connection import AsyncConnection, at
from rowcast.tasks.views import Collected, StorageCheck

LOOK_SECONDS = 600
"""For the server to look at every object."""


class AsyncStorageUpkeep:
    """``client.storage``, for administrators."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def check(self) -> StorageCheck:
        """What is there and of no use, and what is needed and not there."""
        return parse(StorageCheck, await self._connection.request("GET", at("storage"), wait=LOOK_SECONDS))

    async def collect(self) -> Collected:
        """Delete what is of no use."""
        return parse(Collected, await self._connection.request("POST", at("storage", "collect"), wait=LOOK_SECONDS))
