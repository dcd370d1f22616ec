"""Durable work: one row per task, which is also its outbox."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, ForeignKey, Index, LargeBinary, String, literal, text
from sqlalchemy.orm import Mapped, mapped_column

from rowcast.tables import Base, new_id, now

_OPEN = text("state = 'queued' OR state = 'running'")
_WITH_KEY = text("idempotency_key IS NOT NULL")


class TaskRow(Base):
    """Every change of state writes a row anew into each index on PostgreSQL, so they are few and hold little: tasks
    that have ended are found by their owner alone. SQLite uses ``ix_tasks_open`` where a state is written out in the
    statement."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_owner_id_created_at", "owner_id", "created_at"),
        Index("ix_tasks_open", "state", "owner_id", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index(
            "ix_tasks_idempotency_key",
            "owner_id",
            "idempotency_key",
            unique=True,
            sqlite_where=_WITH_KEY,
            postgresql_where=_WITH_KEY,
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(30))
    lane: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(12), default="queued")
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    subject: Mapped[str] = mapped_column(String(200))
    payload: Mapped[dict[str, Any]]
    progress: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    """Of the last attempt that failed."""
    attempts: Mapped[int] = mapped_column(default=0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    leased_by: Mapped[str | None] = mapped_column(String(64))
    leased_until: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    """A queued task is not taken before this moment: how a retry waits."""
    dispatched_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    idempotency_key: Mapped[str | None] = mapped_column(String(64))
    request_hash: Mapped[str | None] = mapped_column(String(64))
    """See ``admission.Once``."""
    held: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Credits that are set aside for it until it ends."""
    rate: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """What a row costs, in thousandths of a credit, as it was when it was submitted."""
    traceparent: Mapped[str | None] = mapped_column(String(55))
    """The span that it was submitted in, where calls are traced: see ``traces``."""
    body: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    """The request as it was sent, of a task that is made of nothing else; gone when the task has ended."""


class TrialRow(Base):
    """A finished trial of a search for the best model. The search is a function of these rows, so it goes on from them
    wherever it was interrupted."""

    __tablename__ = "trials"

    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[dict[str, Any]]
    """A ``models.tune.views.TrialResult``."""
    spent_seconds: Mapped[float]
    """What the search had used of its time by then: while nobody works on it, it uses none."""
    finished_at: Mapped[datetime] = mapped_column(default=now)


def in_state(state: str) -> ColumnElement[bool]:
    """Tasks in that state, written out: only so does SQLite use ``ix_tasks_open``."""
    return TaskRow.state == literal(state, literal_execute=True)
