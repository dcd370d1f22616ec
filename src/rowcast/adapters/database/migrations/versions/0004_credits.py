"""Credits: balances, transfers with their postings, prices, and what tasks and receipts say of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _ledger()
    with op.batch_alter_table("tasks") as tasks:
        tasks.add_column(sa.Column("held", sa.BigInteger(), nullable=False, server_default="0"))
        tasks.add_column(sa.Column("rate", sa.BigInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("api_keys") as keys:
        keys.add_column(sa.Column("credits_per_month", sa.BigInteger(), nullable=True))
    paid_by = sa.Column("transfer_id", sa.String(length=32), nullable=True)
    if op.get_bind().dialect.name == "sqlite":
        # Written anew, to have it before the large columns: on the first page of a row.
        with op.batch_alter_table("receipts", recreate="always") as receipts:
            receipts.add_column(paid_by, insert_after="price")
    else:
        op.add_column("receipts", paid_by)


def _ledger() -> None:
    op.create_table(
        "balances",
        sa.Column("owner_id", sa.String(length=32), nullable=False),
        sa.Column("available", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("monthly_limit", sa.BigInteger(), nullable=True),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("available >= 0", name="ck_balances_available"),
        sa.CheckConstraint("held >= 0", name="ck_balances_held"),
        sa.PrimaryKeyConstraint("owner_id", name="pk_balances"),
    )
    op.create_table(
        "transfers",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("made_by", sa.String(length=32), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("reference", sa.String(length=32), nullable=True),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("idempotency_key", sa.String(length=64), nullable=True),
        sa.Column("request_hash", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_transfers"),
    )
    op.create_index("ix_transfers_owner_id_id", "transfers", ["owner_id", "id"], unique=False)
    with_key = sa.text("idempotency_key IS NOT NULL")
    op.create_index(
        "ix_transfers_idempotency_key",
        "transfers",
        ["made_by", "idempotency_key"],
        unique=True,
        sqlite_where=with_key,
        postgresql_where=with_key,
    )
    op.create_table(
        "postings",
        sa.Column("transfer_id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("transfer_id", "account", name="pk_postings"),
    )
    op.create_table(
        "key_spending",
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_key_spending"),
    )
    op.create_table(
        "prices",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("model_id", sa.String(length=32), nullable=False),
        sa.Column("per_row", sa.BigInteger(), nullable=True),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_prices_model_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["set_by"], ["users.id"], name="fk_prices_set_by"),
        sa.PrimaryKeyConstraint("id", name="pk_prices"),
    )
    op.create_index("ix_prices_model_id", "prices", ["model_id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("restore the backup made before the upgrade")
