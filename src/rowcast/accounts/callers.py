"""Accounts as callers: what a user may do, by a key, by a session, or when work is done on their behalf."""

from __future__ import annotations

from sqlalchemy.orm import Session

from rowcast.accounts.principal import Limits, Principal, Role, Scope
from rowcast.accounts.tables import ApiKeyRow, UserRow
from rowcast.errors import NotFound


def principal_of(session: Session, user_id: str) -> Principal:
    """The user as a caller: for work that is done later on their behalf.

    Raises:
        NotFound: the account is gone.
    """
    user = session.get(UserRow, user_id)
    if user is None:
        raise NotFound("user_not_found", "The account that asked for this no longer exists.")
    return caller_of(user)


def caller_of(user: UserRow, key: ApiKeyRow | None = None, *, session_id: str = "") -> Principal:
    """The user who calls, with that key if with one, else in that session if in one."""
    scopes = None if key is None or key.scopes is None else frozenset(map(Scope, key.scopes))
    key_id, bounded = ("", False) if key is None else (key.id, is_bounded(key))
    return Principal(user.id, user.name, Role(user.role), scopes, key_id, session_id, _limits(user, key), bounded)


def is_bounded(key: ApiKeyRow) -> bool:
    """Whether the key has scopes, limits or an end."""
    return (key.scopes, key.expires_at) != (None, None) or is_limited(key)


def is_limited(key: ApiKeyRow) -> bool:
    """Whether only so much may be asked with the key."""
    return (key.requests_per_second, key.rows_per_day, key.credits_per_month) != (None, None, None)


def _limits(user: UserRow, key: ApiKeyRow | None) -> Limits | None:
    limits = Limits(
        user_requests_per_second=user.requests_per_second,
        key_requests_per_second=None if key is None else key.requests_per_second,
        user_rows_per_day=user.rows_per_day,
        key_rows_per_day=None if key is None else key.rows_per_day,
        key_credits_per_month=None if key is None else key.credits_per_month,
    )
    return None if limits == Limits() else limits
