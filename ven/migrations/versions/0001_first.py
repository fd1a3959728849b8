"""The first tables: registration, events, report requests, outbox.

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


def upgrade() -> None:
    op.create_table(
        "ven_registration",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("registration_id", sa.String, nullable=False),
        sa.Column("ven_id", sa.String, nullable=False),
        sa.Column("vtn_id", sa.String, nullable=False),
        sa.Column("poll_s", sa.Float),
        sa.Column("metadata_digest", sa.String),
    )
    op.create_table(
        "ven_event",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("modification_number", sa.BigInteger, nullable=False),
        sa.Column("opt_type", sa.String, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("received_at", _INSTANT, nullable=False),
        sa.Column("cancelled_at", _INSTANT),
        sa.Column("forgotten", sa.Boolean, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "ven_report_request",
        sa.Column("report_request_id", sa.String, primary_key=True),
        sa.Column("report_specifier_id", sa.String, nullable=False),
        sa.Column("next_due", _INSTANT, nullable=False),
        sa.Column("covered_until", _INSTANT, nullable=False),
        sa.Column("until", _INSTANT),
        sa.Column("last", sa.Boolean, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "ven_outbox",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("root", sa.String, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("not_before", _INSTANT, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("broken", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
