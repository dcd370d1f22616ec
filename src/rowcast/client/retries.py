"""When a call is tried again, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2

TEMPORARY = frozenset({429, 502, 503})


@dataclass(frozen=True, slots=True)
class Retries:
    """Up to ``limit`` further tries, ``base`` seconds apart, doubling up to ``cap``, each cut by a random part.

    The random part keeps clients that failed together from coming back together.
    """

    limit: int = 4
    base: float = 0.25
    cap: float = 8.0
    longest_wait: float = 60.0

    def after_failure(self, tries: int, error: httpx2.TransportError, repeatable: bool) -> float | None:
        """Seconds to wait after the connection failed, or None to give up. ``tries`` counts those made, from 1.

        A call that never left may always be made again; one whose answer was lost only when repeating it is safe.
        """
        never_sent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
        lost = repeatable and not isinstance(error, httpx2.TimeoutException)
        hopeless = isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError | httpx2.ProxyError)
        return self._delay(tries) if (never_sent or lost) and not hopeless else None

    def after_answer(self, tries: int, response: httpx2.Response, repeatable: bool) -> float | None:
        """Seconds to wait after this answer, at least what its Retry-After asks for, or None to take it as final."""
        if response.status_code not in TEMPORARY or not repeatable:
            return None
        asked = retry_after(response)
        delay = self._delay(tries)
        if delay is None or (asked or 0) > self.longest_wait:
            return None
        return max(delay, asked or 0)

    def _delay(self, tries: int) -> float | None:
        if tries > self.limit:
            return None
        whole = min(self.cap, self.base * 2.0 ** (tries - 1))
        return whole * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds that the answer asks to wait, from either form of Retry-After; None when it does not say."""
    value: str = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
