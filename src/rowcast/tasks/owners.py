"""Whose tasks a worker does: looked up once in a while instead of for every task."""

from __future__ import annotations

import time

from rowcast.accounts.callers import principal_of
from rowcast.accounts.principal import Principal
from rowcast.tables import Database

TTL_SECONDS = 5.0
CAPACITY = 10_000


class Owners:
    """Callers by their ids, remembered for some seconds. For one thread."""

    def __init__(self, database: Database, *, ttl_seconds: float = TTL_SECONDS) -> None:
        self._database = database
        self._ttl = ttl_seconds
        self._known: dict[str, tuple[Principal, float]] = {}

    def get(self, user_id: str) -> Principal:
        """The user as a caller.

        Raises:
            NotFound: the account is gone.
            Unavailable: the database does not answer.
        """
        principal, until = self._known.get(user_id, (None, 0.0))
        if principal is not None and time.monotonic() < until:
            return principal
        if len(self._known) >= CAPACITY:
            self._known.clear()
        with self._database.reading() as session:
            principal = principal_of(session, user_id)
        self._known[user_id] = (principal, time.monotonic() + self._ttl)
        return principal
