"""API keys: one's own, and for administrators those of others."""

from __future__ import annotations

import builtins
from typing import Any

from rowcast.accounts.views import Key, MadeKey, NewKey
from rowcast.client.answers import parse, request_of
from rowcast.client.asynchronous.connection import AsyncConnection, at


class AsyncKeys:
    """``client.keys``"""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def make(self, name: str, **fields: Any) -> MadeKey:
        """Make a key: its ``key`` is shown by this answer alone. The other fields are those of NewKey.

        Raises:
            InvalidInput: a field is unknown or has no right value.
        """
        body = request_of(NewKey, None, {"name": name, **fields})
        return parse(MadeKey, await self._connection.request("POST", at("keys"), json=body))

    async def list(
        self, limit: int | None = None, *, user: str | None = None, revoked: bool = False
    ) -> builtins.list[Key]:
        """The keys, newest first, without those that were revoked; of another user for administrators."""
        return await self._connection.all(Key, at("keys"), limit, user=user, revoked=revoked or None)

    async def revoke(self, key_id: str) -> None:
        """End a key, everywhere within five seconds."""
        await self._connection.request("DELETE", at("keys", key_id))
