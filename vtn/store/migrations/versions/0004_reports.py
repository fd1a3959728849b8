"""Reports: requests with their whole life, what the VTN itself reports, newest values, Green Button documents."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_ID = sa.String(length=255)
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_VALUES = (
    "report_request_id",
    "report_specifier_id",
    "duration_s",
    "value",
    "unit",
    "online",
    "manual_override",
    "load_control_state",
    "data_quality",
    "confidence",
    "accuracy",
)


def _request_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("request_id", sa.Text(), nullable=False, server_default=""),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("standing", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("confirmed_at", _INSTANT, nullable=True),
        sa.Column("due_at", _INSTANT, nullable=True),
        sa.Column("overdue_since", _INSTANT, nullable=True),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("response_code", sa.Integer(), nullable=True),
        sa.Column("received", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("stray", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("to_follow", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("cancel_id", sa.Text(), nullable=True),
    )


def _ven_key(table: str) -> tuple[sa.Column[str], sa.ForeignKeyConstraint]:
    name = op.f(f"fk_{table}_ven_id")
    return sa.Column("ven_id", _ID, nullable=False), sa.ForeignKeyConstraint(
        ["ven_id"], ["ven.ven_id"], name=name, ondelete="CASCADE"
    )


def upgrade() -> None:
    for column in _request_columns():
        op.add_column("report_request", column)
    op.create_index(op.f("ix_report_request_due_at"), "report_request", ["due_at"], unique=False)
    op.create_index(op.f("ix_report_request_created_at"), "report_request", ["created_at"], unique=False)
    op.add_column("report_specifier", sa.Column("remarks", sa.Text(), nullable=False, server_default="[]"))
    op.create_table(
        "telemetry_latest",
        *_ven_key("telemetry_latest"),
        sa.Column("resource_key", _ID, nullable=False),
        sa.Column("report_name", _ID, nullable=False),
        sa.Column("r_id", _ID, nullable=False),
        sa.Column("dtstart", _INSTANT, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("ven_id", "resource_key", "report_name", "r_id", name=op.f("pk_telemetry_latest")),
    )
    op.create_table(
        "report_document",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        *_ven_key("report_document"),
        sa.Column("report_request_id", _ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("report_specifier_id", _ID, nullable=False),
        sa.Column("report_name", sa.Text(), nullable=False),
        sa.Column("dtstart", _INSTANT, nullable=True),
        sa.Column("received_at", _INSTANT, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_document")),
    )
    op.create_index(
        "uq_report_document_place", "report_document", ["ven_id", "report_request_id", "position"], unique=True
    )
    op.create_table(
        "ven_report",
        *_ven_key("ven_report"),
        sa.Column("metadata_at", _INSTANT, nullable=True),
        sa.Column("asked_at", _INSTANT, nullable=True),
        sa.Column("offered_at", _INSTANT, nullable=True),
        sa.Column("offer", sa.Text(), nullable=False, server_default="[]"),
        sa.PrimaryKeyConstraint("ven_id", name=op.f("pk_ven_report")),
    )
    op.create_table(
        "own_report",
        *_ven_key("own_report"),
        sa.Column("report_request_id", _ID, nullable=False),
        sa.Column("report_specifier_id", _ID, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("next_due", _INSTANT, nullable=True),
        sa.Column("covered_until", _INSTANT, nullable=False),
        sa.Column("until", _INSTANT, nullable=True),
        sa.Column("last", sa.Boolean(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("request_id", sa.Text(), nullable=False, server_default=""),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("ven_id", "report_request_id", name=op.f("pk_own_report")),
    )
    op.create_index(op.f("ix_own_report_next_due"), "own_report", ["next_due"], unique=False)
    _fill()


def _fill() -> None:
    """Find the newest value of every point, and note which VENs have offered reports."""
    connection = op.get_bind()
    connection.exec_driver_sql(
        "INSERT INTO ven_report (ven_id, metadata_at)"
        " SELECT ven_id, max(registered_at) FROM report_specifier GROUP BY ven_id"
    )
    instants = {"dtstart": _INSTANT, "received_at": _INSTANT}
    newest = sa.text(
        "SELECT * FROM (SELECT telemetry.*, row_number() OVER (PARTITION BY ven_id, resource_id, report_name, r_id"
        " ORDER BY dtstart DESC, id DESC) AS place FROM telemetry) AS ranked WHERE place = 1"
    ).columns(**instants)
    latest = sa.table(
        "telemetry_latest",
        *(sa.column(name) for name in ("ven_id", "resource_key", "report_name", "r_id", "document")),
        sa.column("dtstart", _INSTANT),
    )
    for row in connection.execute(newest).mappings().all():
        document = {name: row[name] for name in _VALUES}
        for name in ("online", "manual_override"):
            document[name] = None if document[name] is None else bool(document[name])
        document |= {name: row[name] for name in ("ven_id", "resource_id", "report_name", "r_id")}
        document |= {name: _utc(row[name]) for name in instants} | {"row_id": row["id"]}
        values = {name: row[name] for name in ("ven_id", "report_name", "r_id", "dtstart")}
        values |= {"resource_key": row["resource_id"] or "", "document": msgspec.json.encode(document).decode()}
        connection.execute(latest.insert().values(**values))


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def downgrade() -> None:
    for table in ("own_report", "ven_report", "report_document", "telemetry_latest"):
        op.drop_table(table)
    op.drop_index(op.f("ix_report_request_created_at"), "report_request")
    op.drop_index(op.f("ix_report_request_due_at"), "report_request")
    with op.batch_alter_table("report_specifier") as batch:
        batch.drop_column("remarks")
    with op.batch_alter_table("report_request") as batch:
        for column in _request_columns():
            batch.drop_column(column.name)
