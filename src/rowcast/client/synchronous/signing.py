# Made from rowcast/client/asynchronous/signing.py by scripts/generate_sync_client.py: edit that one.
"""Signing in by name and password, to get a key: everything else is called with one."""

from __future__ import annotations

from rowcast.accounts.views import MadeKey
from rowcast.client.answers import parse
from rowcast.client.credentials import Credentials
from rowcast.client.retries import Retries
from rowcast.client.synchronous.connection import Connection, at

_NO_PAGE = {"X-Rowcast-Client": "python"}
"""Tells the server that no page of a stranger's makes a browser send this."""


def key_by_password(url: str, name: str, password: str, *, key_name: str) -> MadeKey:
    """A new API key for who knows the password, which is sent to the server once and kept nowhere.

    Raises:
        Unauthenticated: the name or the password is wrong, or the account is blocked.
        TooMany: there were too many attempts.
    """
    connection = Connection(Credentials(url), timeout=60, retries=Retries(limit=0))
    try:
        body = {"name": name, "password": password}
        connection.request("POST", at("session"), json=body, headers=_NO_PAGE)
        response = connection.request("POST", at("keys"), json={"name": key_name}, headers=_NO_PAGE)
        connection.request("DELETE", at("session"), headers=_NO_PAGE)
        return parse(MadeKey, response)
    finally:
        connection.close()
