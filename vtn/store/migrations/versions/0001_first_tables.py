"""First tables: VENs, events with their versions and states, opts, reports and telemetry, queues."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "change",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change")),
    )
    op.create_table(
        "event",
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("modification_number", sa.Integer(), nullable=False),
        sa.Column("market_context", sa.Text(), nullable=False),
        sa.Column("dtstart", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.Column("response_required", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_event")),
    )
    op.create_index(op.f("ix_event_dtstart"), "event", ["dtstart"], unique=False)
    op.create_index(op.f("ix_event_payload_end"), "event", ["payload_end"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency")),
    )
    op.create_table(
        "ven",
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("ven_name", sa.Text(), nullable=True),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("registration_id", sa.String(length=255), nullable=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("profile_name", sa.String(length=16), nullable=True),
        sa.Column("transport_name", sa.String(length=16), nullable=True),
        sa.Column("transport_address", sa.Text(), nullable=True),
        sa.Column("http_pull_model", sa.Boolean(), nullable=True),
        sa.Column("report_only", sa.Boolean(), nullable=False),
        sa.Column("xml_signature", sa.Boolean(), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("ven_id", name=op.f("pk_ven")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_ven_fingerprint")),
        sa.UniqueConstraint("registration_id", name=op.f("uq_ven_registration_id")),
    )
    op.create_table(
        "event_delivery",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("modification_number", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.event_id"], name=op.f("fk_event_delivery_event_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["ven_id"], ["ven.ven_id"], name=op.f("fk_event_delivery_ven_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_delivery")),
    )
    op.create_index(op.f("ix_event_delivery_event_id_ven_id"), "event_delivery", ["event_id", "ven_id"], unique=False)
    op.create_table(
        "event_ven",
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("whole_ven", sa.Boolean(), nullable=False),
        sa.Column("delivered_modification", sa.Integer(), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_modification", sa.Integer(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("response_code", sa.Integer(), nullable=True),
        sa.Column("response_description", sa.Text(), nullable=True),
        sa.Column("answer", sa.String(length=8), nullable=True),
        sa.Column("qualified", sa.String(length=8), nullable=True),
        sa.Column("qualified_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.event_id"], name=op.f("fk_event_ven_event_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["ven_id"], ["ven.ven_id"], name=op.f("fk_event_ven_ven_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("event_id", "ven_id", name=op.f("pk_event_ven")),
    )
    op.create_index(op.f("ix_event_ven_ven_id_due_at"), "event_ven", ["ven_id", "due_at"], unique=False)
    op.create_table(
        "event_version",
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("modification_number", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.event_id"], name=op.f("fk_event_version_event_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_id", "modification_number", name=op.f("pk_event_version")),
    )
    op.create_table(
        "opt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("opt_id", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("opt_type", sa.String(length=8), nullable=False),
        sa.Column("opt_reason", sa.Text(), nullable=False),
        sa.Column("market_context", sa.Text(), nullable=True),
        sa.Column("event_id", sa.String(length=255), nullable=True),
        sa.Column("modification_number", sa.Integer(), nullable=True),
        sa.Column("created_date_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("superseded_for", sa.Text(), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["ven_id"], ["ven.ven_id"], name=op.f("fk_opt_ven_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opt")),
    )
    op.create_index(op.f("ix_opt_received_at"), "opt", ["received_at"], unique=False)
    op.create_index(op.f("ix_opt_ven_id_opt_id"), "opt", ["ven_id", "opt_id"], unique=False)
    op.create_table(
        "outbound",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("root", sa.String(length=48), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("response_code", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["ven_id"], ["ven.ven_id"], name=op.f("fk_outbound_ven_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbound")),
    )
    op.create_index(op.f("ix_outbound_ven_id_due_at"), "outbound", ["ven_id", "due_at"], unique=False)
    op.create_table(
        "report_request",
        sa.Column("report_request_id", sa.String(length=255), nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("report_specifier_id", sa.String(length=255), nullable=False),
        sa.Column("report_name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_data_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("points", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["ven_id"], ["ven.ven_id"], name=op.f("fk_report_request_ven_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("report_request_id", name=op.f("pk_report_request")),
    )
    op.create_index(op.f("ix_report_request_ven_id"), "report_request", ["ven_id"], unique=False)
    op.create_table(
        "report_specifier",
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("report_specifier_id", sa.String(length=255), nullable=False),
        sa.Column("report_name", sa.Text(), nullable=False),
        sa.Column("duration", sa.Text(), nullable=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["ven_id"], ["ven.ven_id"], name=op.f("fk_report_specifier_ven_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ven_id", "report_specifier_id", name=op.f("pk_report_specifier")),
    )
    op.create_table(
        "telemetry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("report_request_id", sa.String(length=255), nullable=False),
        sa.Column("r_id", sa.String(length=255), nullable=False),
        sa.Column("dtstart", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_s", sa.BigInteger(), nullable=True),
        sa.Column("report_specifier_id", sa.String(length=255), nullable=False),
        sa.Column("report_name", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.String(length=255), nullable=True),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("online", sa.Boolean(), nullable=True),
        sa.Column("manual_override", sa.Boolean(), nullable=True),
        sa.Column("load_control_state", sa.Text(), nullable=True),
        sa.Column("data_quality", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Integer(), nullable=True),
        sa.Column("accuracy", sa.Float(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["ven_id"], ["ven.ven_id"], name=op.f("fk_telemetry_ven_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_telemetry")),
    )
    op.create_index(op.f("ix_telemetry_dtstart"), "telemetry", ["dtstart"], unique=False)
    op.create_index(
        op.f("ix_telemetry_ven_id_resource_id_dtstart"), "telemetry", ["ven_id", "resource_id", "dtstart"], unique=False
    )
    op.create_index("uq_telemetry_point", "telemetry", ["ven_id", "report_request_id", "r_id", "dtstart"], unique=True)
    op.create_table(
        "ven_resource",
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("resource_id", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["ven_id"], ["ven.ven_id"], name=op.f("fk_ven_resource_ven_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("ven_id", "resource_id", name=op.f("pk_ven_resource")),
    )
    op.create_index(op.f("ix_ven_resource_resource_id"), "ven_resource", ["resource_id"], unique=False)
    op.create_table(
        "event_resource",
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("resource_id", sa.String(length=255), nullable=False),
        sa.Column("opt_type", sa.String(length=8), nullable=True),
        sa.Column("source", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("opt_id", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["event_id", "ven_id"],
            ["event_ven.event_id", "event_ven.ven_id"],
            name=op.f("fk_event_resource_event_id_ven_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", "ven_id", "resource_id", name=op.f("pk_event_resource")),
    )
    op.create_table(
        "report_description",
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("report_specifier_id", sa.String(length=255), nullable=False),
        sa.Column("r_id", sa.String(length=255), nullable=False),
        sa.Column("report_type", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.String(length=255), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ven_id", "report_specifier_id"],
            ["report_specifier.ven_id", "report_specifier.report_specifier_id"],
            name=op.f("fk_report_description_ven_id_report_specifier_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("ven_id", "report_specifier_id", "r_id", name=op.f("pk_report_description")),
    )
    op.create_table(
        "ven_group",
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("resource_id", sa.String(length=255), nullable=False),
        sa.Column("group_id", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["ven_id", "resource_id"],
            ["ven_resource.ven_id", "ven_resource.resource_id"],
            name=op.f("fk_ven_group_ven_id_resource_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("ven_id", "resource_id", "group_id", name=op.f("pk_ven_group")),
    )
    op.create_index(op.f("ix_ven_group_group_id"), "ven_group", ["group_id"], unique=False)
    op.execute("INSERT INTO change (id, counter) VALUES (1, 0)")


def downgrade() -> None:
    op.drop_table("ven_group")
    op.drop_table("report_description")
    op.drop_table("event_resource")
    op.drop_table("ven_resource")
    op.drop_table("telemetry")
    op.drop_table("report_specifier")
    op.drop_table("report_request")
    op.drop_table("outbound")
    op.drop_table("opt")
    op.drop_table("event_version")
    op.drop_table("event_ven")
    op.drop_table("event_delivery")
    op.drop_table("ven")
    op.drop_table("idempotency")
    op.drop_table("event")
    op.drop_table("change")
