# Made from rowcast/client/asynchronous/licence.py by scripts/generate_sync_client.py: edit that one.
"""The licence of an installation, and what was used of it."""

from __future__ import annotations

from rowcast.client.answers import parse
from rowcast.client.synchronous.connection import Connection, at
from rowcast.licences.views import Faults, LicenceStatus, SignedStatement


class Licence:
    """``client.licence``, for administrators."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def status(self) -> LicenceStatus:
        """What the installation may do now, and until when."""
        return self._connection.get(LicenceStatus, at("licence"))

    def usage(self) -> str:
        """A signed statement of all that was used so far.

        Raises:
            Conflict: no licence is set, or the history does not verify.
        """
        response = self._connection.request("POST", at("licence", "statements"))
        return parse(SignedStatement, response).statement

    def check(self, statement: str = "") -> list[str]:
        """What is wrong with the history, a line each; with an earlier statement also whether that still holds.

        Raises:
            Conflict: no licence is set.
            InvalidInput: the statement is not one of this installation.
        """
        response = self._connection.request("POST", at("licence", "check"), json={"statement": statement})
        return parse(Faults, response).faults
