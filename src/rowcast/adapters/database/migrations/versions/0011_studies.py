"""Finished trials of searches for the best model."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trials",
        sa.Column("task_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("spent_seconds", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_trials_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "number", name="pk_trials"),
    )


def downgrade() -> None:
    raise NotImplementedError("restore the backup made before the upgrade")
