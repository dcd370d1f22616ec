"""What sends letters to people."""

from __future__ import annotations

from typing import Protocol


class Mail(Protocol):
    """Sends mail when it can."""

    def send(self, to: str, subject: str, text: str) -> None:
        """Take a letter to be sent; returns at once, and nobody is told whether it arrived."""
        ...
