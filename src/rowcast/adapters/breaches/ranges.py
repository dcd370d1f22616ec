"""Published passwords, asked for by a range API in the style of Have I Been Pwned: it learns five digits of a hash,
which thousands of passwords share, and answers with the rest of all that it knows."""

from __future__ import annotations

import hashlib
import logging

import httpx2

TIMEOUT_SECONDS = 3.0

log = logging.getLogger(__name__)


class RangeApi:
    """``{url}/{first five digits of the SHA-1}`` answers a line ``{other 35 digits}:{how often}`` for each it knows."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def contains(self, password: str) -> bool:
        """Whether the password is known there; False too when it does not answer, which the log tells."""
        digits = hashlib.sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest().upper()
        try:
            # Padding hides from listeners how long the answer is; padded lines are seen 0 times.
            answer = httpx2.get(
                f"{self._url}/{digits[:5]}", headers={"Add-Padding": "true"}, timeout=TIMEOUT_SECONDS
            ).raise_for_status()
        except httpx2.HTTPError as error:
            log.warning("published passwords cannot be asked for, so one was not checked: %s", type(error).__name__)
            return False
        lines = (line.strip().upper().partition(":") for line in answer.text.splitlines())
        return any(rest == digits[5:] and count != "0" for rest, _, count in lines)
