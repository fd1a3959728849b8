"""What cars hold and need: content with its time and session, who tells it, needs of drivers, plug-ins.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("bridge_reference", sa.Column("content_at", _INSTANT))
    op.add_column("bridge_reference", sa.Column("content_session", sa.String, nullable=False, server_default=""))
    op.create_table(
        "bridge_content_told",
        sa.Column("resource_id", sa.String, primary_key=True),
        sa.Column("at", _INSTANT, nullable=False),
    )
    op.create_table(
        "bridge_need",
        sa.Column("resource_id", sa.String, primary_key=True),
        sa.Column("departure", _INSTANT, nullable=False),
        sa.Column("asked_at", _INSTANT, nullable=False),
        sa.Column("energy_wh", sa.Float),
        sa.Column("target_soc", sa.Float),
        sa.Column("must_run", sa.Boolean, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("session", sa.String, nullable=False),
        sa.Column("meter_wh", sa.Float),
    )
    op.create_table(
        "bridge_plug_in",
        sa.Column("charger", sa.String, primary_key=True),
        sa.Column("session", sa.String, primary_key=True),
        sa.Column("at", _INSTANT, nullable=False),
    )
    op.create_index("bridge_plug_in_by_time", "bridge_plug_in", ["at"])


def downgrade() -> None:
    for name in ("bridge_plug_in", "bridge_need", "bridge_content_told"):
        op.drop_table(name)
    with op.batch_alter_table("bridge_reference") as table:
        table.drop_column("content_session")
        table.drop_column("content_at")
