"""Sessions: who is signed in with a browser. The browser holds a random token, the database its hash."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from rowcast.accounts import audit
from rowcast.accounts.callers import caller_of
from rowcast.accounts.principal import Principal
from rowcast.accounts.tables import SessionRow, UserRow
from rowcast.errors import NotFound, Unauthenticated
from rowcast.tables import Database, now

IDLE_MINUTES = 10.0
TTL_SECONDS = 4.0
"""With the time that a look-up takes, a session that was ended elsewhere ends within five seconds."""

SEEN_SECONDS = 30.0
"""How often it is written down that a session is in use, so that using it costs next to nothing."""

BLOCKED = ("account_blocked", "This account is blocked. Ask an administrator.")
_ENDED = ("session_ended", "You are not signed in any more. Sign in again.")


def open_session(session: Session, user_id: str, *, address: str, agent: str, how: str) -> str:
    """Sign a user in and return the token, which is kept nowhere. ``how`` they proved who they are is for the audit
    log, ``address`` and ``agent`` are for them to tell their sessions apart.

    Raises:
        Unauthenticated: the account is blocked, or gone.
    """
    user = session.get(UserRow, user_id)
    if user is None:
        raise Unauthenticated(*_ENDED)
    if user.blocked_at is not None:
        raise Unauthenticated(*BLOCKED)
    token = secrets.token_urlsafe(32)
    row = SessionRow(user_id=user_id, token_hash=_hash(token), how=how, address=address[:64], agent=_plain(agent))
    session.add(row)
    session.flush()
    audit.record(session, "session.opened", user.name, user_id=user_id, how=how)
    return token


def end_session(session: Session, principal: Principal, session_id: str) -> None:
    """End one of the caller's sessions, or as an administrator anyone's. Others notice within five seconds.

    Raises:
        NotFound: there is no such session, or none that the caller may see.
    """
    row = session.get(SessionRow, session_id)
    if row is None or not principal.owns(row.user_id):
        raise NotFound("session_not_found", "There is no such session. It may have ended by itself.")
    session.delete(row)
    audit.record(session, "session.ended", session_id, principal=principal)


def end_sessions(session: Session, user_id: str, *, but: str = "") -> int:
    """End the user's sessions, all but the one of that id; how many."""
    ended = delete(SessionRow).where(SessionRow.user_id == user_id, SessionRow.id != but).returning(SessionRow.id)
    return len(session.scalars(ended).all())


def delete_old_sessions(session: Session, before: datetime) -> int:
    """Delete those that were last seen before that moment; how many."""
    return len(session.scalars(delete(SessionRow).where(SessionRow.seen_at < before).returning(SessionRow.id)).all())


class Sessions:
    """Who a session's token belongs to, remembered for some seconds so that a busy caller costs no database access.

    A session that ended works for at most ``ttl_seconds`` more. One that was not used for ``idle_minutes`` has ended;
    that may be noticed some seconds early or late, for its use is written down now and then. Safe to use from any
    thread.
    """

    def __init__(
        self,
        database: Database,
        *,
        idle_minutes: float = IDLE_MINUTES,
        ttl_seconds: float = TTL_SECONDS,
        capacity: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], datetime] = now,
    ) -> None:
        self._database = database
        self.idle = timedelta(minutes=idle_minutes)
        self._ttl = min(ttl_seconds, self.idle.total_seconds() / 20)
        self._grain = min(timedelta(seconds=SEEN_SECONDS), self.idle / 20)
        self._capacity = capacity
        self._clock, self._today = clock, today
        self._known: OrderedDict[str, tuple[Principal, float]] = OrderedDict()
        self._lock = threading.Lock()

    def remembered(self, token: str) -> Principal | None:
        """The caller if known at this moment: never waits, for use on an event loop; None means to authenticate."""
        return self._fresh(_hash(token))

    def authenticate(self, token: str) -> Principal:
        """The caller that the token belongs to; may use the database.

        Raises:
            Unauthenticated: the session ended or never was, or the account is blocked.
        """
        token_hash = _hash(token)
        principal = self._fresh(token_hash)
        if principal is None:
            principal = self._look_up(token_hash)
            self._remember(token_hash, principal)
        return principal

    def of(self, session: Session, user_id: str) -> list[SessionRow]:
        """The user's sessions, those used last first."""
        mine = select(SessionRow).where(SessionRow.user_id == user_id, SessionRow.seen_at > self._today() - self.idle)
        return list(session.scalars(mine.order_by(SessionRow.seen_at.desc())))

    def forget(self) -> None:
        """Look every token up anew: after a session was ended by this process."""
        with self._lock:
            self._known.clear()

    def _fresh(self, token_hash: str) -> Principal | None:
        entry = self._known.get(token_hash)
        return entry[0] if entry is not None and entry[1] > self._clock() else None

    def _look_up(self, token_hash: str) -> Principal:
        query = select(UserRow, SessionRow).join(SessionRow, SessionRow.user_id == UserRow.id)
        with self._database.reading() as session:
            found = session.execute(query.where(SessionRow.token_hash == token_hash)).one_or_none()
        moment = self._today()
        if found is None or moment - found[1].seen_at >= self.idle:
            raise Unauthenticated(*_ENDED)
        user, row = found
        if user.blocked_at is not None:
            raise Unauthenticated(*BLOCKED)
        if moment - row.seen_at >= self._grain:
            self._write_down(row.id, moment)
        return caller_of(user, session_id=row.id)

    def _write_down(self, session_id: str, moment: datetime) -> None:
        with self._database.transaction() as session:
            session.execute(update(SessionRow).where(SessionRow.id == session_id).values(seen_at=moment))

    def _remember(self, token_hash: str, principal: Principal) -> None:
        with self._lock:
            self._known.pop(token_hash, None)
            self._known[token_hash] = (principal, self._clock() + self._ttl)
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)


def _plain(agent: str) -> str:
    """What the browser says of itself, to be shown: no signs that act."""
    return "".join(sign for sign in agent if sign.isprintable())[:200]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
