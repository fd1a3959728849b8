"""What the proxy in front of a CPO's CSMS must not lose: messages, transaction ids given here, the CPO's profiles.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "bridge_proxy_message",
        sa.Column("charger", sa.String, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("message_id", sa.String, nullable=False),
        sa.Column("tail", sa.Text, nullable=False),
        sa.Column("mark", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("provisional", sa.Integer),
        sa.Column("at", _INSTANT, nullable=False),
    )
    op.create_table(
        "bridge_proxy_transaction",
        sa.Column("charger", sa.String, primary_key=True),
        sa.Column("provisional", sa.Integer, primary_key=True),
        sa.Column("actual", sa.Integer),
        sa.Column("at", _INSTANT, nullable=False),
    )
    op.create_table(
        "bridge_proxy_profile",
        sa.Column("charger", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("tail", sa.Text, nullable=False),
        sa.Column("held", sa.Boolean, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
    )


def downgrade() -> None:
    for name in ("bridge_proxy_profile", "bridge_proxy_transaction", "bridge_proxy_message"):
        op.drop_table(name)
