"""HTTP push: one row for each VEN that is pushed to."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "push",
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("news", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["ven_id"], ["ven.ven_id"], name=op.f("fk_push_ven_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("ven_id", name=op.f("pk_push")),
    )
    op.create_index(op.f("ix_push_due_at"), "push", ["due_at"], unique=False)


def downgrade() -> None:
    op.drop_table("push")
