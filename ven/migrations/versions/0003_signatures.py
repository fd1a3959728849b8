"""Nonces of the VTN's signed messages, so that none is let in twice."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ven_nonce",
        sa.Column("fingerprint", sa.String, primary_key=True),
        sa.Column("nonce", sa.String, primary_key=True),
        sa.Column("forget_after", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_ven_nonce_forget_after", "ven_nonce", ["forget_after"])
