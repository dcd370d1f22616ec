"""Limits of requests a second: a token bucket for each user and each key that has one."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from math import ceil

from rowcast.accounts.principal import Principal
from rowcast.errors import TooMany


class Rates:
    """Counts requests in this process; of several processes each counts for itself, those that reach it.

    A bucket holds what may be asked for in one second, at least one request: a caller may spend a second's worth at
    once. Safe to use from any thread.
    """

    def __init__(self, *, capacity: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By the id of a user or key: how many requests are left, and when that was."""

    def take(self, principal: Principal) -> None:
        """Count one request of the caller's.

        Raises:
            TooMany: they have no more of them now; ``retry_after`` in its details is for how many seconds.
        """
        limits = principal.limits
        if limits is None:
            return
        with self._lock:
            self._take(principal.id, limits.user_requests_per_second, "your account")
            self._take(principal.key_id, limits.key_requests_per_second, "this API key")

    def _take(self, id_: str, rate: float | None, whose: str) -> None:
        if rate is None:
            return
        moment, most = self._clock(), max(rate, 1.0)
        left, since = self._buckets.pop(id_, (most, moment))
        left = min(most, left + (moment - since) * rate)
        self._buckets[id_] = (left - 1 if left >= 1 else left, moment)
        if len(self._buckets) > self._capacity:
            self._buckets.popitem(last=False)
        if left < 1:
            seconds = ceil((1 - left) / rate)
            message = f"The limit of {whose} is {rate:g} requests a second. Wait {seconds} seconds, then try again."
            raise TooMany("rate_limit", message, retry_after=seconds)
