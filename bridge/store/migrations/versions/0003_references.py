"""Dynamic references: the mean power of each resource before an event began there; scheduled times of outcomes.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("scheduled_start", "scheduled_end"):
        op.add_column("bridge_outcome", sa.Column(name, sa.DateTime(timezone=True)))
    op.create_table(
        "bridge_reference",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("resource_id", sa.String, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("power_w", sa.Float),
        sa.Column("window_s", sa.Float, nullable=False),
        sa.Column("samples", sa.Integer, nullable=False),
        sa.Column("content_wh", sa.Float),
        sa.Column("full_wh", sa.Float),
    )


def downgrade() -> None:
    op.drop_table("bridge_reference")
    with op.batch_alter_table("bridge_outcome") as table:
        table.drop_column("scheduled_start")
        table.drop_column("scheduled_end")
