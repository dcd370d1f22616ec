"""With which keys tasks are held for, so that a key gets back what a task did not cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "key_holds",
        sa.Column("reference", sa.String(length=32), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("reference", name="pk_key_holds"),
    )


def downgrade() -> None:
    raise NotImplementedError("restore the backup made before the upgrade")
