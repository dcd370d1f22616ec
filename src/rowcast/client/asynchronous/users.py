"""Users, for administrators, and the audit log."""

from __future__ import annotations

import builtins
from datetime import datetime
from typing import Any

from rowcast.accounts.principal import Role
from rowcast.accounts.views import (
    Deed,
    Link,
    LinkWanted,
    NewInvitation,
    NewLink,
    NewUser,
    NewUserLink,
    User,
    UserChanges,
)
from rowcast.client.answers import parse, request_of
from rowcast.client.asynchronous.connection import AsyncConnection, at


class AsyncUsers:
    """``client.users``"""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(self, limit: int | None = None) -> builtins.list[User]:
        """All accounts, by name."""
        return await self._connection.all(User, at("users"), limit)

    async def get(self, name: str) -> User:
        return await self._connection.get(User, at("users", name))

    async def add(self, name: str, *, email: str | None = None, role: Role | str = Role.USER) -> NewUserLink:
        """Make an account; by ``link.url``, which works once, its owner chooses a password."""
        body = request_of(NewUser, None, {"name": name, "email": email, "role": role})
        return parse(NewUserLink, await self._connection.request("POST", at("users"), json=body))

    async def change(self, name: str, **fields: Any) -> User:
        """Change an account: the fields of UserChanges that are given, such as ``role="analyst"`` or ``blocked=True``.

        Raises:
            InvalidInput: a field is unknown or has no right value.
            Conflict: nobody would be left to run the server.
        """
        body = request_of(UserChanges, None, fields)
        return parse(User, await self._connection.request("PATCH", at("users", name), json=body))

    async def link(self, name: str, purpose: LinkWanted | str = LinkWanted.RESET) -> Link:
        """A link that works once: to choose a password, or with "sign_in" to be signed in."""
        body = request_of(NewLink, None, {"purpose": purpose})
        return parse(Link, await self._connection.request("POST", at("users", name, "link"), json=body))

    async def invite(self, *, email: str | None = None, role: Role | str = Role.USER) -> Link:
        """A link by which somebody makes an account of their own, once."""
        body = request_of(NewInvitation, None, {"email": email, "role": role})
        return parse(Link, await self._connection.request("POST", at("invitations"), json=body))


class AsyncAudit:
    """``client.audit``"""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(
        self,
        limit: int | None = None,
        *,
        user: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        mine: bool = False,
    ) -> builtins.list[Deed]:
        """Who did what to what, newest first; ``action`` may end in a dot for all that begin so."""
        moments = _written(since=since, until=until)
        named = {"user": user, "action": action, "subject": subject, "mine": mine or None, **moments}
        return await self._connection.all(Deed, at("audit"), limit, **named)


def _written(**moments: datetime | None) -> dict[str, str]:
    """Moments with their zones, where there are any: one without a zone is on this machine's clock."""
    return {name: moment.astimezone().isoformat() for name, moment in moments.items() if moment is not None}
