"""Those who were sent to a provider: each comes back once, within minutes, with the browser that left.

The state in the address and the secret in the browser's cookie are random, 256 bits each; what else is secret about
this time, the verifier and the nonce, is made of both when it is needed. The database has the hashes of the two alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from rowcast.accounts.providers import Authorization
from rowcast.accounts.tables import AuthorizationRow
from rowcast.errors import Unauthenticated
from rowcast.tables import now

MINUTES = 10
"""Within which they come back; some have to type a password and a second factor there."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody who came back: the path to go on to, and the user who wants to link what they are there, if it is
    that."""

    authorization: Authorization
    following: str
    user_id: str | None


_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def browser_secret(cookie: str) -> str:
    """The secret of a browser: the one that it has from another tab, so that both can come back, or a new one."""
    return cookie if _SECRET.fullmatch(cookie) else secrets.token_urlsafe(32)


def leave(
    session: Session, provider: str, browser: str, *, redirect_uri: str, following: str, user_id: str | None = None
) -> Authorization:
    """Await somebody back from a provider, who goes on to the path ``following``. ``browser`` is its secret,
    ``user_id`` is for who is signed in and wants to link what they are there."""
    moment = now()
    session.execute(delete(AuthorizationRow).where(AuthorizationRow.expires_at <= moment))
    state = secrets.token_urlsafe(32)
    session.add(
        AuthorizationRow(
            state_hash=_hash(state),
            browser_hash=_hash(browser),
            provider=provider,
            following=following,
            user_id=user_id,
            expires_at=moment + timedelta(minutes=MINUTES),
        )
    )
    session.flush()
    return _authorization(state, browser, redirect_uri)


def come_back(
    session: Session, provider: str, browser: str, state: str, *, redirect_uri: str, moment: datetime | None = None
) -> Arrival:
    """Whoever comes back, as they left. They are not awaited a second time.

    Raises:
        Unauthenticated: nobody is awaited so, or not any more, or another browser left.
    """
    awaited = delete(AuthorizationRow).where(
        AuthorizationRow.state_hash == _hash(state), AuthorizationRow.provider == provider
    )
    row = session.execute(awaited.returning(*AuthorizationRow.__table__.columns)).one_or_none()
    same_browser = hmac.compare_digest(row.browser_hash if row else "", _hash(browser))
    if row is None or not same_browser or row.expires_at <= (moment or now()):
        message = "Another browser left to sign in, or this took too long or was done before. Begin again."
        raise Unauthenticated("sign_in_not_begun", message)
    return Arrival(_authorization(state, browser, redirect_uri), row.following, row.user_id)


def _authorization(state: str, browser: str, redirect_uri: str) -> Authorization:
    return Authorization(state, _derived("verifier", browser, state), _derived("nonce", browser, state), redirect_uri)


def _derived(what: str, browser: str, state: str) -> str:
    """43 characters that nobody knows who does not know the browser's secret."""
    key, message = (text.encode("utf-8", "surrogatepass") for text in (browser, f"{what} {state}"))
    digest = hmac.digest(key, message, "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
