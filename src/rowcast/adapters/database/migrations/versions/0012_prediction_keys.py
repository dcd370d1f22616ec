"""Idempotency keys of prediction calls, with the receipts that were written under them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "prediction_keys",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("receipt_id", sa.String(length=32), nullable=False),
        sa.Column("asked", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_prediction_keys"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_prediction_keys_receipt_id", "prediction_keys", ["receipt_id"])


def downgrade() -> None:
    raise NotImplementedError("restore the backup made before the upgrade")
