"""The ledger: what everybody has, every transfer with its postings, and the prices of models."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from rowcast.tables import Base, now

AVAILABLE, HELD, REVENUE, ISSUED = "available", "held", "revenue", "issued"
"""The accounts. Everybody has the first two; the others are the house's, and what is in them is the sum of their
postings: a row that keeps it would be one that everybody waits for."""


class BalanceRow(Base):
    """What is in a user's two accounts, as the sum of their postings is. It changes in the transaction that adds those.

    Both are in one row, so that whoever changes them locks one thing. ``spent`` is what was charged and is held since
    the beginning of ``month`` in UTC, as in ``2026-11``.
    """

    __tablename__ = "balances"
    __table_args__ = (
        CheckConstraint("available >= 0", name="available"),
        CheckConstraint("held >= 0", name="held"),
    )

    owner_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    available: Mapped[int] = mapped_column(BigInteger, default=0)
    held: Mapped[int] = mapped_column(BigInteger, default=0)
    monthly_limit: Mapped[int | None] = mapped_column(BigInteger)
    month: Mapped[str] = mapped_column(String(7), default="")
    spent: Mapped[int] = mapped_column(BigInteger, default=0)


class TransferRow(Base):
    """Credits that moved, of one user. Rows are only added, and refer to nothing by a foreign key: they stay.

    Many receipts or tasks of a user that go on record together share a transfer: ``count`` says how many, and
    ``reference`` is the id of the earliest. ``balance`` is what was available afterwards.
    """

    __tablename__ = "transfers"
    __table_args__ = (
        Index("ix_transfers_owner_id_id", "owner_id", "id"),
        Index(
            "ix_transfers_idempotency_key",
            "made_by",
            "idempotency_key",
            unique=True,
            sqlite_where=text("idempotency_key IS NOT NULL"),
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Starts with its moment: see ``identifiers``."""
    owner_id: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(12))
    made_by: Mapped[str] = mapped_column(String(32))
    """The user who did it; the owner where it came of a prediction of theirs."""
    count: Mapped[int]
    reference: Mapped[str | None] = mapped_column(String(32))
    balance: Mapped[int] = mapped_column(BigInteger)
    comment: Mapped[str | None] = mapped_column(Text)
    idempotency_key: Mapped[str | None] = mapped_column(String(64))
    request_hash: Mapped[str | None] = mapped_column(String(64))


class PostingRow(Base):
    """One side of a transfer: what an account gained by it, or lost. All of a transfer sum to zero."""

    __tablename__ = "postings"

    transfer_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account: Mapped[str] = mapped_column(String(12), primary_key=True)
    amount: Mapped[int] = mapped_column(BigInteger)


class KeySpendingRow(Base):
    """What was charged and held since the beginning of a month by calls with an API key that has a limit of it."""

    __tablename__ = "key_spending"

    key_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    month: Mapped[str] = mapped_column(String(7))
    spent: Mapped[int] = mapped_column(BigInteger)


class KeyHoldRow(Base):
    """With which key a task was submitted, if the key has a limit: until the task ends and what it did not cost can be
    spent again with that key."""

    __tablename__ = "key_holds"

    reference: Mapped[str] = mapped_column(String(32), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(32))


class PriceRow(Base):
    """What a row costs with a model. Rows are only added, and the last one holds. None is what the server asks
    otherwise."""

    __tablename__ = "prices"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    per_row: Mapped[int | None] = mapped_column(BigInteger)
    set_at: Mapped[datetime] = mapped_column(default=now)
    set_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
