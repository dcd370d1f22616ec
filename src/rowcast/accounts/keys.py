"""API keys: made, shown once, kept as a hash, and turned back into the caller they belong to."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.tables import ApiKeyRow, UserRow
from rowcast.errors import InvalidInput, NotFound, Unauthenticated
from rowcast.tables import Database, now

ADMINISTRATOR = "admin"
"""Name of the account that a new installation starts with."""

_OURS = re.compile(r"rc_([0-9a-z]{8})_[A-Za-z0-9_-]{32,}")
_GIVEN = re.compile(r"[!-~]{16,200}")


def new_key() -> str:
    """A new random key: ``rc_``, eight characters that may be shown to tell it apart, and 256 bits of secret."""
    return f"rc_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"


def create_key(session: Session, user_id: str, key: str | None = None) -> str:
    """Give a user a key, a new random one unless given; returned to be shown once, for only its hash is kept."""
    key = key or new_key()
    ours = _OURS.fullmatch(key)
    session.add(ApiKeyRow(user_id=user_id, prefix=ours[1] if ours else "own", key_hash=_hash(key)))
    session.flush()
    return key


def revoke_key(session: Session, principal: Principal, key_id: str) -> None:
    """End a key, one's own or as an administrator; a Keyring follows within its time to live.

    Raises:
        NotFound: there is no such key, or none that the caller may see.
    """
    row = session.get(ApiKeyRow, key_id)
    if row is None or not principal.owns(row.user_id):
        raise NotFound("key_not_found", "There is no such API key.")
    row.revoked_at = row.revoked_at or now()


def first_administrator(session: Session, given_key: str = "") -> str | None:
    """Create the administrator of a new installation with a key, ``given_key`` or a random one.

    Returns the key, to be shown once; None when there are accounts already.

    Raises:
        InvalidInput: the given key is too short to be safe, or no header could carry it.
    """
    if session.scalar(select(UserRow.id).limit(1)) is not None:
        return None
    if given_key and not _GIVEN.fullmatch(given_key):
        raise InvalidInput("api_key_weak", "ROWCAST_API_KEY needs 16 to 200 visible ASCII characters, without spaces.")
    try:
        with session.begin_nested():
            user = UserRow(name=ADMINISTRATOR, role=Role.ADMIN.value)
            session.add(user)
            session.flush()
            return create_key(session, user.id, given_key or None)
    except IntegrityError:  # another process that starts at the same time was first
        return None


def principal_of(session: Session, user_id: str) -> Principal:
    """The user as a caller: for work that is done later on their behalf.

    Raises:
        NotFound: the account is gone.
    """
    user = session.get(UserRow, user_id)
    if user is None:
        raise NotFound("user_not_found", "The account that asked for this no longer exists.")
    return _principal(user)


class Keyring:
    """Who a key belongs to, remembered for some seconds so that a busy caller costs no database access.

    A revoked key works for at most ``ttl_seconds`` more. Safe to use from any thread. Keys are looked up by their
    SHA-256, so neither the database nor the time taken tells anything of a key.
    """

    def __init__(
        self,
        database: Database,
        *,
        ttl_seconds: float = 5,
        capacity: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._ttl = ttl_seconds
        self._capacity = capacity
        self._clock = clock
        self._known: OrderedDict[str, tuple[Principal, float]] = OrderedDict()
        self._lock = threading.Lock()

    def authenticate(self, key: str) -> Principal:
        """The caller that the key belongs to; may read the database.

        Raises:
            Unauthenticated: the key is unknown or revoked.
        """
        key_hash = _hash(key)
        principal = self._fresh(key_hash)
        if principal is None:
            principal = self._look_up(key_hash)
            self._remember(key_hash, principal)
        return principal

    def remembered(self, key: str) -> Principal | None:
        """The caller if known at this moment: never waits, for use on an event loop; None means to authenticate."""
        return self._fresh(_hash(key))

    def forget(self) -> None:
        """Look every key up anew: after a key was revoked by this process."""
        with self._lock:
            self._known.clear()

    def _fresh(self, key_hash: str) -> Principal | None:
        entry = self._known.get(key_hash)
        return entry[0] if entry is not None and entry[1] > self._clock() else None

    def _look_up(self, key_hash: str) -> Principal:
        query = select(UserRow, ApiKeyRow.revoked_at).join(ApiKeyRow, ApiKeyRow.user_id == UserRow.id)
        with self._database.reading() as session:
            found = session.execute(query.where(ApiKeyRow.key_hash == key_hash)).one_or_none()
        if found is None:
            raise Unauthenticated("key_unknown", "This API key is not known. Check that it is complete.")
        user, revoked_at = found
        if revoked_at is not None:
            raise Unauthenticated("key_revoked", "This API key was revoked. Ask an administrator for another.")
        return _principal(user)

    def _remember(self, key_hash: str, principal: Principal) -> None:
        with self._lock:
            self._known.pop(key_hash, None)
            self._known[key_hash] = (principal, self._clock() + self._ttl)
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)


def _principal(user: UserRow) -> Principal:
    return Principal(user.id, user.name, Role(user.role))


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
