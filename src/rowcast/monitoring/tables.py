"""Receipts: one row for each prediction call, written by the journal and never changed."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from rowcast.tables import Base


class ReceiptRow(Base):
    """Who asked which model what, and what was answered.

    It refers to nothing by a foreign key: it stays when the model, the dataset or the account is gone. The large
    columns come last, so that a list reads only the first page of a row.
    """

    __tablename__ = "receipts"
    __table_args__ = (
        Index("ix_receipts_principal_id_id", "principal_id", "id"),
        Index("ix_receipts_model_id", "model", "id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Starts with its moment: see ``identifiers``."""
    principal_id: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(100))
    number: Mapped[int]
    alias: Mapped[str | None] = mapped_column(String(50))
    model_version_id: Mapped[str] = mapped_column(String(32))
    bundle_hash: Mapped[str] = mapped_column(String(64))
    dataset_version_id: Mapped[str | None] = mapped_column(String(32))
    policy_version: Mapped[int | None]
    row_count: Mapped[int]
    skipped: Mapped[int]
    price: Mapped[int] = mapped_column(BigInteger)
    """Credits."""
    transfer_id: Mapped[str | None] = mapped_column(String(32))
    """What paid it; None where it cost nothing."""
    inputs_hash: Mapped[str] = mapped_column(String(64))
    inputs_kept: Mapped[str] = mapped_column(String(10))
    outputs: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    """What the model gave for the rows that were answered: float32, little-endian, row by row."""
    request: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    """The JSON of the call: its very bytes where it is kept whole."""
    reply: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class PredictionKeyRow(Base):
    """Which receipt was written under an idempotency key: see ``repeats``. Beside the receipts, so that calls without
    one cost nothing and keys can go sooner."""

    __tablename__ = "prediction_keys"
    __table_args__ = (Index("ix_prediction_keys_receipt_id", "receipt_id"), {"sqlite_with_rowid": False})

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    """A SHA-256 of who called and of their key."""
    receipt_id: Mapped[str] = mapped_column(String(32))
    asked: Mapped[str] = mapped_column(String(64))
    """An HMAC-SHA-256 of the call, keyed with their key."""


class UsageLinkRow(Base):
    """A link of a chain of receipts: see ``usage``. ``moment`` is text, for it is sealed as it stands."""

    __tablename__ = "usage_links"

    chain: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    moment: Mapped[str] = mapped_column(String(40))
    receipts: Mapped[int]
    rows: Mapped[int] = mapped_column(BigInteger)
    price: Mapped[int] = mapped_column(BigInteger)
    ids: Mapped[bytes] = mapped_column(LargeBinary)
    seal: Mapped[str] = mapped_column(String(64))


class UsageStatementRow(Base):
    """A statement of usage as it was signed, each naming the one before by its hash."""

    __tablename__ = "usage_statements"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    statement: Mapped[str] = mapped_column(Text)
