# Made from rowcast/client/asynchronous/account.py by scripts/generate_sync_client.py: edit that one.
"""One's own account."""

from __future__ import annotations

import builtins

from rowcast.accounts.profile import Account, BrowserSession, LinkedIdentity, PasswordChange
from rowcast.accounts.views import Link
from rowcast.client.answers import parse, request_of
from rowcast.client.synchronous.connection import Connection, at


class OwnAccount:
    """``client.account``"""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self) -> Account:
        """The account that the key belongs to."""
        return self._connection.get(Account, at("account"))

    def link(self) -> Link:
        """An address that signs a browser in as oneself, once, within a quarter of an hour."""
        return parse(Link, self._connection.request("POST", at("account", "link")))

    def change_password(self, new: str, current: str = "") -> None:
        """Set another password, or a first one; every browser is signed out.

        Raises:
            Forbidden: the current password is wrong.
            InvalidInput: the new one will not do.
        """
        body = request_of(PasswordChange, None, {"current": current, "new": new})
        self._connection.request("PUT", at("account", "password"), json=body)

    def sessions(self) -> builtins.list[BrowserSession]:
        """The browsers that one is signed in with, those used last first."""
        return self._connection.get(builtins.list[BrowserSession], at("account", "sessions"))

    def end_session(self, session_id: str) -> None:
        """Sign a browser out."""
        self._connection.request("DELETE", at("account", "sessions", session_id))

    def identities(self) -> builtins.list[LinkedIdentity]:
        """What one can sign in with at GitHub and other providers, the oldest first."""
        return self._connection.get(builtins.list[LinkedIdentity], at("account", "identities"))

    def unlink(self, identity_id: str) -> None:
        """No longer sign in with that.

        Raises:
            NotFound: it is none of one's own.
            Conflict: one could not sign in any more.
        """
        self._connection.request("DELETE", at("account", "identities", identity_id))
