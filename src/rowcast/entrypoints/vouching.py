"""Whom the dashboard calls for. The server that passes a visitor on to it says from where they come, and hears that
back with the calls that the dashboard makes for them: sealed, so that nobody else can say it."""

from __future__ import annotations

import hmac

HEADER = b"x-rowcast-visitor"


class Vouching:
    """Makes and reads such words, with a key that all servers of an installation share. A word is for one session."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def word(self, address: str, token: str) -> str:
        """What says that the visitor with this session's token comes from the address."""
        return f"{address} {self._seal(address, token)}"

    def address(self, word: str, token: str) -> str | None:
        """Where the visitor comes from; None for a word that is not ours, or of another session."""
        address, _, seal = word.rpartition(" ")
        return address if hmac.compare_digest(seal.encode(), self._seal(address, token).encode()) else None

    def _seal(self, address: str, token: str) -> str:
        return hmac.digest(self._key, f"{token} {address}".encode(), "sha256").hex()
