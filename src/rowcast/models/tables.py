"""Models, their versions, their aliases, and the record of what served when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from rowcast.tables import Base, new_id, now


class ModelRow(Base):
    __tablename__ = "models"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    description: Mapped[str | None] = mapped_column(Text)
    last_number: Mapped[int] = mapped_column(default=0)
    """The highest version number ever given; numbers of deleted versions are not used again."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    visibility: Mapped[str] = mapped_column(String(10), default="private")
    times_shared: Mapped[int] = mapped_column(default=0)
    """How often who may see it was changed: what tells that it was."""


class ModelGrantRow(Base):
    """A user whom a model is shared with by name."""

    __tablename__ = "model_grants"

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)


class ModelVersionRow(Base):
    """One trained model. It says itself what it was trained on, for the dataset may be deleted before it."""

    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("model_id", "number"), UniqueConstraint("training_task_id", "algorithm"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"))
    number: Mapped[int]
    algorithm: Mapped[str] = mapped_column(String(50))
    problem: Mapped[str] = mapped_column(String(20))
    dataset_version_id: Mapped[str] = mapped_column(String(32), index=True)
    training_task_id: Mapped[str] = mapped_column(String(32))
    target: Mapped[str] = mapped_column(Text)
    dataset: Mapped[str] = mapped_column(String(100))
    dataset_number: Mapped[int]
    metrics: Mapped[list[Any]]
    recipe: Mapped[dict[str, Any]] = mapped_column(deferred=True)
    manifest: Mapped[dict[str, Any]] = mapped_column(deferred=True)
    """The bundle's own manifest: classes, hyperparameters, what was left out, runtime and parity."""
    schema: Mapped[dict[str, Any]] = mapped_column(deferred=True)
    evaluation: Mapped[dict[str, Any]] = mapped_column(deferred=True)
    card: Mapped[str] = mapped_column(Text, deferred=True)
    bundle_key: Mapped[str] = mapped_column(String(200))
    bundle_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))


class AliasRow(Base):
    """A name that callers use for whichever version it points at now."""

    __tablename__ = "aliases"

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    number: Mapped[int]


class AliasEventRow(Base):
    """Every move of an alias, in order: what served when, who moved it. ``number`` is None when it was removed."""

    __tablename__ = "alias_events"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    alias: Mapped[str] = mapped_column(String(50))
    previous: Mapped[int | None]
    number: Mapped[int | None]
    action: Mapped[str] = mapped_column(String(20))
    moved_at: Mapped[datetime] = mapped_column(default=now)
    moved_by: Mapped[str] = mapped_column(ForeignKey("users.id"))


class PolicyRow(Base):
    """What a model's owner makes of its predictions. Rows are only added: the one with the highest number is in force.

    ``columns`` is the schema of the columns that its amounts are read from, as they were written when it was set.
    """

    __tablename__ = "policies"
    __table_args__ = (UniqueConstraint("model_id", "number"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"))
    number: Mapped[int]
    content: Mapped[dict[str, Any]]
    columns: Mapped[dict[str, Any]]
    comment: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))


class MirroredVersionRow(Base):
    """A version that a store of MLflow has, as that last confirmed. It outlives the version, until that is gone there
    too.

    So are trainings that made no version, by the id of their task and with ``registered`` 0. That every store lacks
    them is put down in the transaction that ends them, under the store ''."""

    __tablename__ = "mirrored_versions"

    version_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    store: Mapped[str] = mapped_column(String(64), primary_key=True)
    model_id: Mapped[str] = mapped_column(String(32), index=True)
    name: Mapped[str] = mapped_column(String(200))
    """What the model is called there."""
    registered: Mapped[int]
    """The number that the version has there."""
    run_id: Mapped[str] = mapped_column(String(64))
    aliases: Mapped[list[Any]]
    """Those that point at it there."""


class MirrorTurnRow(Base):
    """Which process brings a store up to date, and until when it may without asking again."""

    __tablename__ = "mirror_turns"

    store: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    until: Mapped[datetime]
