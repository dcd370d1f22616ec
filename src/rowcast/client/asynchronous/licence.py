"""The licence of an installation, and what was used of it."""

from __future__ import annotations

from rowcast.client.answers import parse
from rowcast.client.asynchronous.connection import AsyncConnection, at
from rowcast.licences.views import Faults, LicenceStatus, SignedStatement


class AsyncLicence:
    """``client.licence``, for administrators."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def status(self) -> LicenceStatus:
        """What the installation may do now, and until when."""
        return await self._connection.get(LicenceStatus, at("licence"))

    async def usage(self) -> str:
        """A signed statement of all that was used so far.

        Raises:
            Conflict: no licence is set, or the history does not verify.
        """
        response = await self._connection.request("POST", at("licence", "statements"))
        return parse(SignedStatement, response).statement

    async def check(self, statement: str = "") -> list[str]:
        """What is wrong with the history, a line each; with an earlier statement also whether that still holds.

        Raises:
            Conflict: no licence is set.
            InvalidInput: the statement is not one of this installation.
        """
        response = await self._connection.request("POST", at("licence", "check"), json={"statement": statement})
        return parse(Faults, response).faults
