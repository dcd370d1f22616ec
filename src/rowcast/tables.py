"""What the tables of every feature share: the declarative base, column types and the transaction port."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol
from uuid import uuid4

from sqlalchemy import JSON, DateTime, MetaData, func, select
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator


class Timestamp(TypeDecorator[datetime]):
    """An aware UTC moment on every database: SQLite has no zones, PostgreSQL answers in the zone of its session."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored moment needs a time zone")
        try:
            return value.astimezone(UTC)
        except OverflowError:  # the first or the last day that there is, somewhere else
            return datetime.min.replace(tzinfo=UTC) if value.year == 1 else datetime.max.replace(tzinfo=UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Constraint names are fixed so that migrations read the same on SQLite and PostgreSQL."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: Timestamp, dict[str, Any]: JSON, list[Any]: JSON}


class Database(Protocol):
    """Where sessions come from. A feature receives a session and never commits it."""

    def transaction(self) -> AbstractContextManager[Session]:
        """One unit of work that may write: committed at the end, rolled back on an exception."""
        ...

    def reading(self) -> AbstractContextManager[Session]:
        """A consistent view that writes nothing and holds no lock."""
        ...

    def ping(self) -> None:
        """Return when the database answers, else raise Unavailable."""
        ...


def take_turn(session: Session, name: str) -> None:
    """Let one transaction at a time go on from here, of those that give the same name, each until its end. On SQLite
    only one writes at a time anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(turn_number(name))))


def turn_number(name: str) -> int:
    """The number of the lock that PostgreSQL has for the turn of that name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


def now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    """A random 32-digit hexadecimal identifier."""
    return uuid4().hex
