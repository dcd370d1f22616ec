"""The keyring: who a key belongs to, and when keys were used."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import cast

from sqlalchemy import Table, bindparam, or_, select, update

from rowcast.accounts.callers import caller_of
from rowcast.accounts.keys import hash_of
from rowcast.accounts.principal import Principal
from rowcast.accounts.tables import ApiKeyRow, UserRow
from rowcast.errors import Unauthenticated, Unavailable
from rowcast.tables import Database, now

TTL_SECONDS = 4.0
"""With the time that a look-up takes, a revoked key ends within five seconds."""

USES_SECONDS = 60.0

log = logging.getLogger(__name__)


class Keyring:
    """Who a key belongs to, remembered for some seconds so that a busy caller costs no database access.

    A key that was revoked or has run out, or whose account was blocked, works for at most ``ttl_seconds`` more. Safe to
    use from any thread. Keys are looked up by their SHA-256, so neither the database nor the time taken tells anything
    of a key. When keys were used is written down by a thread, once in a while for all of them: ``start`` it, ``close``
    it.
    """

    def __init__(
        self,
        database: Database,
        *,
        ttl_seconds: float = TTL_SECONDS,
        capacity: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], datetime] = now,
    ) -> None:
        self._database = database
        self._ttl = ttl_seconds
        self._capacity = capacity
        self._clock, self._today = clock, today
        self._known: OrderedDict[str, tuple[Principal, float]] = OrderedDict()
        self._used: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._writing = threading.Thread(target=self._keep_writing, name="key-uses", daemon=True)

    def start(self) -> None:
        """Begin to write down when keys are used. To be called once."""
        self._writing.start()

    def close(self) -> None:
        """Write down what is not written yet, and return."""
        self._closing.set()
        self._writing.join()

    def authenticate(self, key: str) -> Principal:
        """The caller that the key belongs to; may read the database.

        Raises:
            Unauthenticated: the key is unknown, revoked or too old, or the account is blocked.
        """
        key_hash = hash_of(key)
        principal = self._fresh(key_hash)
        if principal is None:
            asked_at = self._clock()
            principal, seconds_left = self._look_up(key_hash)
            self._remember(key_hash, principal, asked_at + min(self._ttl, seconds_left))
        return principal

    def remembered(self, key: str) -> Principal | None:
        """The caller if known at this moment: never waits, for use on an event loop; None means to authenticate."""
        return self._fresh(hash_of(key))

    def watched(self, key: str) -> Callable[[], Principal | None]:
        """What tells the same whenever it is called, for a key that comes again and again."""
        return partial(self._fresh, hash_of(key))

    def forget(self) -> None:
        """Look every key up anew: after a key or an account was changed by this process."""
        with self._lock:
            self._known.clear()

    def write_uses(self) -> None:
        """Write down when keys were used since this was called last.

        Raises:
            Unavailable: the database does not answer; they will be written down by the next call.
        """
        with self._lock:
            used, self._used = self._used, {}
        if not used:
            return
        table = cast(Table, ApiKeyRow.__table__)
        later = or_(table.c.last_used_at.is_(None), table.c.last_used_at < bindparam("used_at"))
        statement = update(table).where(table.c.id == bindparam("key_id"), later)
        try:
            with self._database.transaction() as session:
                session.connection().execute(
                    statement.values(last_used_at=bindparam("used_at")),
                    [{"key_id": key_id, "used_at": used_at} for key_id, used_at in sorted(used.items())],
                )
        except Unavailable:
            with self._lock:
                self._used = {**used, **self._used}
            raise

    def _fresh(self, key_hash: str) -> Principal | None:
        entry = self._known.get(key_hash)
        return entry[0] if entry is not None and entry[1] > self._clock() else None

    def _look_up(self, key_hash: str) -> tuple[Principal, float]:
        """The caller, and the seconds until the key runs out."""
        query = select(UserRow, ApiKeyRow).join(ApiKeyRow, ApiKeyRow.user_id == UserRow.id)
        with self._database.reading() as session:
            found = session.execute(query.where(ApiKeyRow.key_hash == key_hash)).one_or_none()
        if found is None:
            raise Unauthenticated("key_unknown", "This API key is not known. Check that it is complete.")
        user, key = found
        if key.revoked_at is not None:
            raise Unauthenticated("key_revoked", "This API key was revoked. Ask an administrator for another.")
        moment = self._today()
        if key.expires_at is not None and key.expires_at <= moment:
            raise Unauthenticated("key_expired", "This API key has run out. Make another one.")
        if user.blocked_at is not None:
            raise Unauthenticated("account_blocked", "This account is blocked. Ask an administrator.")
        left = float("inf") if key.expires_at is None else (key.expires_at - moment).total_seconds()
        with self._lock:
            self._used[key.id] = moment
        return caller_of(user, key), left

    def _remember(self, key_hash: str, principal: Principal, until: float) -> None:
        with self._lock:
            self._known.pop(key_hash, None)
            self._known[key_hash] = (principal, until)
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)

    def _keep_writing(self) -> None:
        closing = False
        while not closing:
            closing = self._closing.wait(USES_SECONDS)
            try:
                self.write_uses()
            except Unavailable as error:
                log.warning("when keys were used is written down later: %s", error.code)
