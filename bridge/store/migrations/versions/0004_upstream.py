"""What happens towards the VTN and back: last contact and silences, presence of chargers, half-hours of metered energy.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "bridge_heard", sa.Column("vtn", sa.String, primary_key=True), sa.Column("at", _INSTANT, nullable=False)
    )
    op.create_table(
        "bridge_outage",
        sa.Column("vtn", sa.String, primary_key=True),
        sa.Column("since", _INSTANT, primary_key=True),
        sa.Column("noticed", _INSTANT, nullable=False),
        sa.Column("until", _INSTANT),
    )
    op.create_table(
        "bridge_presence",
        sa.Column("charger", sa.String, primary_key=True),
        sa.Column("at", _INSTANT, primary_key=True),
        sa.Column("online", sa.Boolean, nullable=False),
        sa.Column("overridden", sa.Boolean, nullable=False),
    )
    op.create_index("bridge_presence_by_time", "bridge_presence", ["at"])
    op.create_table(
        "bridge_half_hour",
        sa.Column("charger", sa.String, primary_key=True),
        sa.Column("start", _INSTANT, primary_key=True),
        sa.Column("energy_wh", sa.Float),
        sa.Column("mean_w", sa.Float),
        sa.Column("max_w", sa.Float),
        sa.Column("samples", sa.Integer, nullable=False),
        sa.Column("covered_s", sa.Float, nullable=False),
        sa.Column("estimated", sa.Boolean, nullable=False),
    )
    op.create_index("bridge_half_hour_by_time", "bridge_half_hour", ["start"])


def downgrade() -> None:
    for name in ("bridge_half_hour", "bridge_presence", "bridge_outage", "bridge_heard"):
        op.drop_table(name)
