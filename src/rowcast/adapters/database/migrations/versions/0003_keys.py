"""Keys with scopes, sharing, the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _limits()
    _audit()
    _sharing()


def _limits() -> None:
    with op.batch_alter_table("users") as users:
        users.add_column(sa.Column("requests_per_second", sa.Double(), nullable=True))
        users.add_column(sa.Column("rows_per_day", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("api_keys") as keys:
        keys.add_column(sa.Column("name", sa.String(length=100), nullable=False, server_default=""))
        keys.add_column(sa.Column("scopes", sa.JSON(), nullable=True))
        keys.add_column(sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
        keys.add_column(sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
        keys.add_column(sa.Column("requests_per_second", sa.Double(), nullable=True))
        keys.add_column(sa.Column("rows_per_day", sa.BigInteger(), nullable=True))
    op.create_table(
        "rows_used",
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "day", name="pk_rows_used"),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=True),
        sa.Column("key_id", sa.String(length=32), nullable=True),
        sa.Column("action", sa.String(length=50), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_user_id_id", "audit", ["user_id", "id"], unique=False)
    op.create_index("ix_audit_action_id", "audit", ["action", "id"], unique=False)


def _sharing() -> None:
    with op.batch_alter_table("models") as models:
        models.add_column(sa.Column("visibility", sa.String(length=10), nullable=False, server_default="private"))
        models.add_column(sa.Column("times_shared", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("datasets") as datasets:
        datasets.add_column(sa.Column("visibility", sa.String(length=10), nullable=False, server_default="private"))
    for thing in ("model", "dataset"):
        op.create_table(
            f"{thing}_grants",
            sa.Column(f"{thing}_id", sa.String(length=32), nullable=False),
            sa.Column("user_id", sa.String(length=32), nullable=False),
            sa.ForeignKeyConstraint(
                [f"{thing}_id"], [f"{thing}s.id"], name=f"fk_{thing}_grants_{thing}_id", ondelete="CASCADE"
            ),
            sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"fk_{thing}_grants_user_id", ondelete="CASCADE"),
            sa.PrimaryKeyConstraint(f"{thing}_id", "user_id", name=f"pk_{thing}_grants"),
        )
        op.create_index(f"ix_{thing}_grants_user_id", f"{thing}_grants", ["user_id"], unique=False)
