"""CTA-2045: the curtailment that stands on each device; estimated readings; whether a device says it holds back.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "bridge_cta_standing",
        sa.Column("device", sa.String, primary_key=True),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("op", sa.Integer, nullable=False),
        sa.Column("operand", sa.Integer, nullable=False),
        sa.Column("since", _INSTANT, nullable=False),
        sa.Column("ends", _INSTANT),
        sa.Column("phase", sa.String, nullable=False),
    )
    op.add_column("bridge_reading", sa.Column("estimated", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("bridge_presence", sa.Column("level", sa.Integer))


def downgrade() -> None:
    op.drop_column("bridge_presence", "level")
    op.drop_column("bridge_reading", "estimated")
    op.drop_table("bridge_cta_standing")
