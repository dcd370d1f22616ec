"""API keys: made, shown once, kept as a hash, revoked. ``keyring`` turns one back into the caller it belongs to."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from rowcast.accounts.audit import record
from rowcast.accounts.callers import is_limited
from rowcast.accounts.principal import Principal, Role, Scope
from rowcast.accounts.tables import ApiKeyRow, UserRow
from rowcast.accounts.views import Key, MadeKey, NewKey
from rowcast.errors import Forbidden, InvalidInput, NotFound
from rowcast.paging import page
from rowcast.tables import now

ADMINISTRATOR = "admin"
"""Name of the account that a new installation starts with."""

_OURS = re.compile(r"rc_([0-9a-z]{8})_[A-Za-z0-9_-]{32,}")
_GIVEN = re.compile(r"[!-~]{16,200}")

Bound = TypeVar("Bound", float, int, datetime)

_ADMITTED = {
    Role.USER: frozenset({Scope.READ, Scope.PREDICT, Scope.ACCOUNT}),
    Role.ANALYST: frozenset(Scope) - {Scope.ADMIN},
    Role.ADMIN: frozenset(Scope),
}
"""The scopes that a role has a use for."""


def new_key() -> str:
    """A new random key: ``rc_``, eight characters that may be shown to tell it apart, and 256 bits of secret."""
    return f"rc_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"


def hash_of(key: str) -> str:
    """What is kept of a key: it is random enough for a plain SHA-256."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def create_key(session: Session, user_id: str, key: str | None = None, *, name: str = "") -> str:
    """Give a user a key that may do all that they may, a new random one unless given; returned to be shown once."""
    key = key or new_key()
    _add(session, user_id, key, name=name)
    return key


def make_key(session: Session, principal: Principal, wanted: NewKey, *, most_days: float = 0) -> MadeKey:
    """Make a key for the caller, to be shown once. Made with a key it has no scope that that one lacks and ends no
    later; a key with limits makes none. It works for ``most_days`` at most, where that is not 0.

    Raises:
        Forbidden: the caller may not do what the key is to be for.
        InvalidInput: it is to work for longer than it may, or ends before it begins.
    """
    used = session.get(ApiKeyRow, principal.key_id) if principal.key_id else None
    if used is not None and is_limited(used):
        message = (
            "A key with limits makes no others, which would have limits of their own. Sign in, or use one without."
        )
        raise Forbidden("key_bounded", message)
    key = new_key()
    row = _add(session, principal.id, key, name=wanted.name)
    row.scopes = _scopes(principal, wanted.scopes)
    row.expires_at = _end(wanted.expires_at, None if used is None else used.expires_at, most_days)
    row.requests_per_second = wanted.requests_per_second
    row.rows_per_day = wanted.rows_per_day
    row.credits_per_month = wanted.credits_per_month
    record(session, "key.made", f"{row.name} {row.prefix}", principal=principal, key=row.id, scopes=row.scopes)
    session.flush()
    return MadeKey(**_view(row, principal.name).model_dump(), key=key)


def list_keys(
    session: Session,
    principal: Principal,
    *,
    user: str | None = None,
    revoked: bool = False,
    limit: int = 50,
    after: str | None = None,
) -> tuple[list[Key], str | None]:
    """The caller's keys, or as an administrator those of the user of that name, newest first, and the cursor of the
    next page; those that were revoked only where they are asked for.

    Raises:
        Forbidden: another user's keys are asked for by somebody who may not see them.
        NotFound: there is no such user.
    """
    owner_id = principal.id if user in (None, principal.name) else _user_id(session, principal, user or "")
    query = select(ApiKeyRow, UserRow.name).join(UserRow, UserRow.id == ApiKeyRow.user_id)
    query = query.where(ApiKeyRow.user_id == owner_id)
    if not revoked:
        query = query.where(ApiKeyRow.revoked_at.is_(None))
    keys = [ApiKeyRow.created_at, ApiKeyRow.id]
    rows, following = page(session, query, keys, limit=limit, after=after, descending=True)
    return [_view(row, name) for row, name in rows], following


def revoke_key(session: Session, principal: Principal, key_id: str) -> None:
    """End a key, one's own or as an administrator; a Keyring follows within its time to live.

    Raises:
        NotFound: there is no such key, or none that the caller may see.
    """
    row = session.get(ApiKeyRow, key_id)
    if row is None or not principal.owns(row.user_id):
        raise NotFound("key_not_found", "There is no such API key.")
    if row.revoked_at is None:
        row.revoked_at = now()
        record(session, "key.revoked", f"{row.name} {row.prefix}", principal=principal, key=row.id)


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
            return create_key(session, user.id, given_key or None, name="first key")
    except IntegrityError:  # another process that starts at the same time was first
        return None


def _add(session: Session, user_id: str, key: str, *, name: str) -> ApiKeyRow:
    ours = _OURS.fullmatch(key)
    row = ApiKeyRow(user_id=user_id, prefix=ours[1] if ours else "own", key_hash=hash_of(key), name=name)
    session.add(row)
    session.flush()
    return row


def _scopes(principal: Principal, wanted: list[Scope] | None) -> list[str] | None:
    if wanted is None:
        return None if principal.scopes is None else sorted(principal.scopes)
    for scope in wanted:
        if scope not in _ADMITTED[principal.role]:
            message = f"Your role {principal.role} has no use for the scope '{scope}'. Leave it out."
            raise Forbidden("role_required", message)
        principal.require(*Role, scope=scope)
    return sorted(set(wanted))


def _end(wanted: datetime | None, of_used: datetime | None, most_days: float) -> datetime | None:
    """When the key ends: as wanted, by default as late as it may."""
    moment = now()
    latest = _least(of_used, moment + timedelta(days=most_days) if most_days else None)
    if wanted is None:
        return latest
    if wanted <= moment:
        raise InvalidInput("expiry_invalid", "The key would have ended already. Give a moment that is to come.")
    if latest is not None and wanted > latest:
        message = f"The key may work until {latest:%Y-%m-%d %H:%M} UTC at the latest. Give an earlier end, or none."
        raise InvalidInput("expiry_invalid", message)
    return wanted


def _least(one: Bound | None, other: Bound | None) -> Bound | None:
    """The lower of two bounds, of which None is none."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _user_id(session: Session, principal: Principal, name: str) -> str:
    principal.require(scope=Scope.ADMIN)
    user_id = session.scalar(select(UserRow.id).where(UserRow.name == name))
    if user_id is None:
        raise NotFound("user_not_found", "There is no user of this name. List the users to see their names.")
    return user_id


def _view(row: ApiKeyRow, user: str) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        user=user,
        scopes=None if row.scopes is None else [Scope(scope) for scope in row.scopes],
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        requests_per_second=row.requests_per_second,
        rows_per_day=row.rows_per_day,
        credits_per_month=row.credits_per_month,
    )
