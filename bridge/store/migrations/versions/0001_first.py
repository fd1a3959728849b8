"""The first tables: draws, installed schedules, commands, outcomes, overrides, opts told, meter readings.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False)


def _at(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, _INSTANT, nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "bridge_draw",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("resource_id", sa.String, primary_key=True),
        sa.Column("start_u", sa.Float, nullable=False),
        sa.Column("release_u", sa.Float, nullable=False),
    )
    op.create_table(
        "bridge_installed",
        sa.Column("charger", sa.String, primary_key=True),
        sa.Column("schedule", sa.Text, nullable=False),
        _text("state"),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        _at("sent_at"),
        _at("accepted_at", nullable=True),
    )
    op.create_table(
        "bridge_command",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        _text("charger"),
        _text("kind"),
        _text("cause"),
        sa.Column("schedule", sa.Text),
        _text("outcome"),
        sa.Column("detail", sa.Text, nullable=False),
        _at("sent_at"),
        _at("done_at"),
    )
    op.create_index("bridge_command_by_charger", "bridge_command", ["charger", "sent_at"])
    _outcome()
    op.create_table(
        "bridge_override",
        sa.Column("override_id", sa.String, primary_key=True),
        _text("resource_id"),
        sa.Column("event_ids", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        _text("source"),
        _at("start_at"),
        _at("end_at", nullable=True),
        sa.Column("closed", sa.Boolean, nullable=False),
    )
    op.create_index("bridge_override_open", "bridge_override", ["closed"])
    op.create_table(
        "bridge_opt_told",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("resource_id", sa.String, primary_key=True),
        _text("opt_type"),
        _text("reason"),
        _text("opt_id"),
        _at("at"),
    )
    op.create_table(
        "bridge_reading",
        sa.Column("charger", sa.String, primary_key=True),
        sa.Column("at", _INSTANT, primary_key=True),
        sa.Column("power_w", sa.Float),
        sa.Column("max_a", sa.Float),
        sa.Column("energy_wh", sa.Float),
    )
    op.create_index("bridge_reading_by_time", "bridge_reading", ["at"])


def _outcome() -> None:
    op.create_table(
        "bridge_outcome",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("resource_id", sa.String, primary_key=True),
        sa.Column("modification_number", sa.Integer, nullable=False),
        _text("charger"),
        _text("programme"),
        _text("state"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("limit_a", sa.Float),
        _at("effective_start"),
        _at("effective_end", nullable=True),
        _at("known_at"),
        _at("accepted_at", nullable=True),
        _at("applied_at", nullable=True),
        _at("verified_at", nullable=True),
        sa.Column("kw_before", sa.Float),
        sa.Column("kw_during", sa.Float),
        sa.Column("kw_after", sa.Float),
        sa.Column("met", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("retries", sa.Integer, nullable=False),
        _at("checked_at", nullable=True),
        _text("phase"),
        _at("updated_at"),
    )
    op.create_index("bridge_outcome_by_phase", "bridge_outcome", ["phase"])


def downgrade() -> None:
    for name in ("reading", "opt_told", "override", "outcome", "command", "installed", "draw"):
        op.drop_table(f"bridge_{name}")
