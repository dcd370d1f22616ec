"""One's own account."""

from __future__ import annotations

import builtins

from rowcast.accounts.profile import Account, BrowserSession, LinkedIdentity, PasswordChange
from rowcast.accounts.views import Link
from rowcast.client.answers import parse, request_of
from rowcast.client.asynchronous.connection import AsyncConnection, at


class AsyncOwnAccount:
    """``client.account``"""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self) -> Account:
        """The account that the key belongs to."""
        return await self._connection.get(Account, at("account"))

    async def link(self) -> Link:
        """An address that signs a browser in as oneself, once, within a quarter of an hour."""
        return parse(Link, await self._connection.request("POST", at("account", "link")))

    async def change_password(self, new: str, current: str = "") -> None:
        """Set another password, or a first one; every browser is signed out.

        Raises:
            Forbidden: the current password is wrong.
            InvalidInput: the new one will not do.
        """
        body = request_of(PasswordChange, None, {"current": current, "new": new})
        await self._connection.request("PUT", at("account", "password"), json=body)

    async def sessions(self) -> builtins.list[BrowserSession]:
        """The browsers that one is signed in with, those used last first."""
        return await self._connection.get(builtins.list[BrowserSession], at("account", "sessions"))

    async def end_session(self, session_id: str) -> None:
        """Sign a browser out."""
        await self._connection.request("DELETE", at("account", "sessions", session_id))

    async def identities(self) -> builtins.list[LinkedIdentity]:
        """What one can sign in with at GitHub and other providers, the oldest first."""
        return await self._connection.get(builtins.list[LinkedIdentity], at("account", "identities"))

    async def unlink(self, identity_id: str) -> None:
        """No longer sign in with that.

        Raises:
            NotFound: it is none of one's own.
            Conflict: one could not sign in any more.
        """
        await self._connection.request("DELETE", at("account", "identities", identity_id))
