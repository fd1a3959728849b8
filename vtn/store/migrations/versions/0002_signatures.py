"""Nonces of signed messages, so that none is let in twice."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "nonce",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.String(length=256), nullable=False),
        sa.Column("forget_after", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", "nonce", name=op.f("pk_nonce")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_nonce_forget_after"), "nonce", ["forget_after"], unique=False)
