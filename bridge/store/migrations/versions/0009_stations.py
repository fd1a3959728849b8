"""What was learnt of kinds of chargers, what chargers report of themselves, and commissioning self-tests.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "bridge_charger_kind",
        sa.Column("vendor", sa.String, primary_key=True),
        sa.Column("model", sa.String, primary_key=True),
        sa.Column("firmware", sa.String, primary_key=True),
        sa.Column("protocol", sa.String, primary_key=True),
        sa.Column("knobs", sa.Text, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
    )
    op.create_table(
        "bridge_charger_notice",
        sa.Column("charger", sa.String, primary_key=True),
        sa.Column("at", _INSTANT, primary_key=True),
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_table(
        "bridge_self_test",
        sa.Column("test_id", sa.String, primary_key=True),
        sa.Column("charger", sa.String, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
    )
    op.create_index("bridge_self_test_by_charger", "bridge_self_test", ["charger", "at"])


def downgrade() -> None:
    op.drop_index("bridge_self_test_by_charger", "bridge_self_test")
    for name in ("bridge_self_test", "bridge_charger_notice", "bridge_charger_kind"):
        op.drop_table(name)
