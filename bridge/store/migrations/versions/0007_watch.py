"""Half-hours that are to be made anew, sessions and mains frequency beside what was kept, alerts and their messages.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "bridge_late",
        sa.Column("start", _INSTANT, primary_key=True),
        sa.Column("noted", _INSTANT, nullable=False),
    )
    op.add_column("bridge_presence", sa.Column("session", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("bridge_reading", sa.Column("frequency_hz", sa.Float))
    op.create_table(
        "bridge_alert",
        sa.Column("alert_id", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("raised_at", _INSTANT, nullable=False),
        sa.Column("cleared_at", _INSTANT),
    )
    op.create_index("bridge_alert_by_time", "bridge_alert", ["raised_at"])
    op.create_table(
        "bridge_alert_message",
        sa.Column("alert_id", sa.String, primary_key=True),
        sa.Column("state", sa.String, primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("made_at", _INSTANT, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("not_before", _INSTANT, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("bridge_alert_message")
    op.drop_table("bridge_alert")
    op.drop_column("bridge_reading", "frequency_hz")
    op.drop_column("bridge_presence", "session")
    op.drop_table("bridge_late")
