"""Everybody who may call, made in the database of assembled services: for tests that walk all operations."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from rowcast.accounts.keys import create_key
from rowcast.accounts.principal import INCLUDED, Role, Scope
from rowcast.accounts.profile import SESSION_COOKIE
from rowcast.accounts.sessions import open_session
from rowcast.accounts.tables import ApiKeyRow, SessionRow, UserRow
from rowcast.tables import now

BROWSER = {"X-Rowcast-Client": "a test"}
WITH_KEYS = [
    *("anonymous", "unknown key", "revoked key", "expired key", "blocked user"),
    *(role.value for role in Role),
    *(f"{scope} alone" for scope in Scope),
]
IN_SESSIONS = [
    *("unknown session", "expired session", "blocked user in a session"),
    *(f"{role} in a session" for role in Role),
]
KINDS = [*WITH_KEYS, *IN_SESSIONS]
"""The names of those whom ``everybody`` makes."""


@dataclass(frozen=True)
class Caller:
    """How somebody calls: with which headers, who they are (None where nobody known is), with which scopes (None is all
    of them), and in whose session, if in one."""

    headers: dict[str, str] = field(default_factory=dict)
    role: Role | None = None
    scopes: frozenset[Scope] | None = None
    user_id: str = ""


def with_key(key: str, role: Role | None = None, scopes: frozenset[Scope] | None = None) -> Caller:
    return Caller({"Authorization": f"Bearer {key}"}, role, scopes)


def with_session(token: str, role: Role | None = None, user_id: str = "") -> Caller:
    return Caller({"Cookie": f"{SESSION_COOKIE}={token}", **BROWSER}, role, user_id=user_id)


def signed_in_again(database, caller: Caller) -> Caller:
    """The same caller in a session of its own, to be ended."""
    with database.transaction() as session:
        return with_session(token_of(session, caller.user_id), caller.role)


def user(session, name, role):
    row = UserRow(name=name, role=role.value)
    session.add(row)
    session.flush()
    return row


def key_row(session, user_id, **values):
    """A new key, whose row has these values."""
    key = create_key(session, user_id)
    row = session.query(ApiKeyRow).filter_by(prefix=key.split("_")[1]).one()
    for name, value in values.items():
        setattr(row, name, value)
    return key


def token_of(session, user_id):
    return open_session(session, user_id, address="192.0.2.1", agent="a browser", how="password")


def everybody(database) -> dict[str, Caller]:
    """Every kind of caller: nobody known, each role by key and by session, and each scope alone."""
    made = {"anonymous": Caller(), "unknown key": with_key("rc_00000000_" + "x" * 43)}
    made["unknown session"] = with_session("y" * 43)
    yesterday = now() - timedelta(days=1)
    with database.transaction() as session:
        for role in Role:
            row = user(session, f"some {role}", role)
            made[role.value] = with_key(create_key(session, row.id), role)
            made[f"{role} in a session"] = with_session(token_of(session, row.id), role, row.id)
        boss = user(session, "another admin", Role.ADMIN)
        for scope in Scope:
            key = key_row(session, boss.id, scopes=[scope.value])
            made[f"{scope} alone"] = with_key(key, Role.ADMIN, frozenset({scope}))
        made["revoked key"] = with_key(key_row(session, boss.id, revoked_at=yesterday))
        made["expired key"] = with_key(key_row(session, boss.id, expires_at=yesterday))
        made["expired session"] = with_session(token_of(session, boss.id))
        session.query(SessionRow).filter_by(user_id=boss.id).one().seen_at = yesterday
        barred = user(session, "a blocked admin", Role.ADMIN)
        made["blocked user"] = with_key(create_key(session, barred.id))
        made["blocked user in a session"] = with_session(token_of(session, barred.id))
        barred.blocked_at = yesterday
    return made


def admits(rule, caller: Caller) -> bool:
    """Whether the rule of an operation lets somebody known in: by role, and by scopes where they are bounded."""
    held = caller.scopes
    scopes = None if held is None else held.union(*(INCLUDED.get(scope, frozenset()) for scope in held))
    return caller.role in rule.roles and (scopes is None or bool(scopes & set(rule.scopes)))
