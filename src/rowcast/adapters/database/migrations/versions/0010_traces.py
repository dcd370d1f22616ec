"""In which trace tasks were submitted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("traceparent", sa.String(length=55), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("restore the backup made before the upgrade")
