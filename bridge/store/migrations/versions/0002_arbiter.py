"""Standing limits, shares of groups, history of limits, attribution by interval, cut supplies; opt schedules told.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("bridge_override", sa.Column("opt_id", sa.String, nullable=False, server_default=""))
    op.add_column("bridge_override", sa.Column("budgeted", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("bridge_override_by_start", "bridge_override", ["start_at"])
    op.create_table(
        "bridge_standing",
        sa.Column("limit_id", sa.String, primary_key=True),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("resource_id", sa.String),
        sa.Column("group_id", sa.String),
        sa.Column("limit_a", sa.Float),
        sa.Column("limit_kw", sa.Float),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("start_at", _INSTANT, nullable=False),
        sa.Column("end_at", _INSTANT),
        sa.Column("ended_at", _INSTANT),
    )
    op.create_table(
        "bridge_share",
        sa.Column("division", sa.String, primary_key=True),
        sa.Column("resource_id", sa.String, primary_key=True),
        sa.Column("limit_a", sa.Float, nullable=False),
    )
    op.create_table(
        "bridge_limit_history",
        sa.Column("resource_id", sa.String, primary_key=True),
        sa.Column("at", _INSTANT, primary_key=True),
        sa.Column("limit_a", sa.Float),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("event_id", sa.String),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("losers", sa.Text, nullable=False),
    )
    op.create_index("bridge_limit_history_by_time", "bridge_limit_history", ["at"])
    _attribution()
    op.create_table(
        "bridge_supply",
        sa.Column("charger", sa.String, primary_key=True),
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("stage", sa.String, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
    )


def _attribution() -> None:
    op.create_table(
        "bridge_attribution",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("resource_id", sa.String, primary_key=True),
        sa.Column("start_at", _INSTANT, primary_key=True),
        sa.Column("end_at", _INSTANT, nullable=False),
        sa.Column("contracted_kw", sa.Float),
        sa.Column("requested_kw", sa.Float),
        sa.Column("effective_kw", sa.Float),
        sa.Column("metered_kw", sa.Float),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("by_event", sa.String),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("bridge_attribution_by_time", "bridge_attribution", ["start_at"])


def downgrade() -> None:
    for name in ("supply", "attribution", "limit_history", "share", "standing"):
        op.drop_table(f"bridge_{name}")
    op.drop_index("bridge_override_by_start", "bridge_override")
    with op.batch_alter_table("bridge_override") as table:
        table.drop_column("opt_id")
        table.drop_column("budgeted")
