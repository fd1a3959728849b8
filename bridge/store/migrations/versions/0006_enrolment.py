"""Who agreed to which programme, random windows of single resources, charging modes, forecasts; what counts once.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "bridge_agreement",
        sa.Column("agreement_id", sa.String, primary_key=True),
        sa.Column("resource_id", sa.String, nullable=False),
        sa.Column("context", sa.String, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("terms", sa.Text, nullable=False),
        sa.Column("given_at", _INSTANT, nullable=False),
        sa.Column("until", _INSTANT),
        sa.Column("over_user", sa.Boolean, nullable=False),
        sa.Column("withdrawn_at", _INSTANT),
    )
    op.create_index("bridge_agreement_by_resource", "bridge_agreement", ["resource_id"])
    op.create_table(
        "bridge_random_window",
        sa.Column("resource_id", sa.String, primary_key=True),
        sa.Column("at", _INSTANT, primary_key=True),
        sa.Column("window_s", sa.Integer),
    )
    op.create_table(
        "bridge_charging_mode",
        sa.Column("resource_id", sa.String, primary_key=True),
        sa.Column("mode", sa.String, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
    )
    op.create_table(
        "bridge_forecast",
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("start", _INSTANT, primary_key=True),
        sa.Column("end_at", _INSTANT, nullable=False),
        sa.Column("value", sa.Float, nullable=False),
    )
    op.add_column("bridge_attribution", sa.Column("counted_kw", sa.Float))


def downgrade() -> None:
    op.drop_column("bridge_attribution", "counted_kw")
    for name in ("bridge_forecast", "bridge_charging_mode", "bridge_random_window", "bridge_agreement"):
        op.drop_table(name)
