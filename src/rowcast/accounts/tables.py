"""Users, their API keys, and the record of what was done."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from rowcast.tables import Base, new_id, now


class UserRow(Base):
    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(default=now)
    requests_per_second: Mapped[float | None]
    rows_per_day: Mapped[int | None] = mapped_column(BigInteger)
    email: Mapped[str | None] = mapped_column(String(254), unique=True)
    """In small letters. Only an address that was proven to be theirs, or given by an administrator."""
    email_verified_at: Mapped[datetime | None]
    password_hash: Mapped[str | None] = mapped_column(String(200))
    blocked_at: Mapped[datetime | None]
    language: Mapped[str | None] = mapped_column(String(5))


class ApiKeyRow(Base):
    """Only the SHA-256 of a key is kept; the prefix tells keys apart in lists."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    prefix: Mapped[str] = mapped_column(String(16))
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    revoked_at: Mapped[datetime | None]
    name: Mapped[str] = mapped_column(String(100), default="")
    scopes: Mapped[list[Any] | None]
    """None is all that the user's role admits."""
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    requests_per_second: Mapped[float | None]
    rows_per_day: Mapped[int | None] = mapped_column(BigInteger)
    credits_per_month: Mapped[int | None] = mapped_column(BigInteger)


class SessionRow(Base):
    """A browser that is signed in. Only the SHA-256 of its token is kept; one that ended has no row."""

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    how: Mapped[str] = mapped_column(String(20))
    address: Mapped[str] = mapped_column(String(64))
    agent: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=now)
    seen_at: Mapped[datetime] = mapped_column(default=now, index=True)


class LinkRow(Base):
    """A link that works once: an invitation, a new password, an e-mail address to confirm, a way to sign in."""

    __tablename__ = "links"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    purpose: Mapped[str] = mapped_column(String(20))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"), index=True)
    email: Mapped[str | None] = mapped_column(String(254))
    role: Mapped[str | None] = mapped_column(String(20))
    made_by: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class IdentityRow(Base):
    """What a user is known by at a provider: its ``subject`` there never changes and is no other's."""

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    provider: Mapped[str] = mapped_column(String(20))
    issuer: Mapped[str] = mapped_column(String(500))
    """The address of who says so: the same subject at another server is somebody else."""
    subject: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(200))
    """What they were called there when they were linked."""
    created_at: Mapped[datetime] = mapped_column(default=now)


class AuthorizationRow(Base):
    """Somebody who was sent to a provider and is awaited back, once. Only hashes of what proves that it is them."""

    __tablename__ = "authorizations"

    state_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    browser_hash: Mapped[str] = mapped_column(String(64))
    provider: Mapped[str] = mapped_column(String(20))
    following: Mapped[str] = mapped_column(String(2000))
    """The path to go on to."""
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    """Who wants to link an identity to their account; nobody wants to sign in."""
    expires_at: Mapped[datetime] = mapped_column(index=True)


class AttemptRow(Base):
    """How often someone guessed wrong lately, by the hash of what they guessed at or of where they did it from."""

    __tablename__ = "attempts"

    subject_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(index=True)
    barred_until: Mapped[datetime]


class RowsUsedRow(Base):
    """How many rows were predicted on a day in UTC by a user or with a key that has a limit of them."""

    __tablename__ = "rows_used"

    subject_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Of the user or of the key: ids are unique across both."""
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    """As in ``2026-11-22``."""
    row_count: Mapped[int] = mapped_column(BigInteger)


class AuditRow(Base):
    """Who did what to what. Rows are only added, and refer to nothing by a foreign key: they stay when it is gone."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_user_id_id", "user_id", "id"), Index("ix_audit_action_id", "action", "id"))

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(default=now)
    user_id: Mapped[str | None] = mapped_column(String(32))
    key_id: Mapped[str | None] = mapped_column(String(32))
    action: Mapped[str] = mapped_column(String(50))
    subject: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(64))
    details: Mapped[dict[str, Any]]
