"""Hand-outs: one row a payload, its events apart; what a VEN was handed is read from there, not kept with its state."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "handout",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("payload_id", sa.String(length=32), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("told_until", _INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["ven_id"], ["ven.ven_id"], name=op.f("fk_handout_ven_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handout")),
    )
    op.create_index(op.f("ix_handout_ven_id_told_until"), "handout", ["ven_id", "told_until"], unique=False)
    op.create_index(op.f("ix_handout_payload_id_ven_id"), "handout", ["payload_id", "ven_id"], unique=False)
    op.create_table(
        "payload_event",
        sa.Column("payload_id", sa.String(length=32), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("modification_number", sa.Integer(), nullable=False),
        sa.Column("again_s", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.event_id"], name=op.f("fk_payload_event_event_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("payload_id", "event_id", name=op.f("pk_payload_event")),
    )
    op.create_index(
        op.f("ix_payload_event_event_id_modification_number"),
        "payload_event",
        ["event_id", "modification_number"],
        unique=False,
    )
    _move()
    op.drop_table("event_delivery")
    for name in ("delivered_modification", "delivered_at", "deliveries"):
        op.drop_column("event_ven", name)


def _move() -> None:
    """Make a payload of each version of an event that was ever handed out; unanswered ones are due again at once."""
    op.execute(
        "INSERT INTO payload_event (payload_id, event_id, modification_number, again_s) "
        "SELECT 'moved-' || ROW_NUMBER() OVER (ORDER BY d.event_id, d.modification_number), d.event_id, "
        "d.modification_number, CASE WHEN event.response_required = 'always' THEN 0.0 END "
        "FROM (SELECT DISTINCT event_id, modification_number FROM event_delivery) d "
        "JOIN event ON event.event_id = d.event_id"
    )
    op.execute(
        "INSERT INTO handout (ven_id, payload_id, request_id, at, told_until) "
        "SELECT d.ven_id, p.payload_id, d.request_id, d.at, v.told_until FROM event_delivery d "
        "JOIN payload_event p ON p.event_id = d.event_id AND p.modification_number = d.modification_number "
        "JOIN event_ven v ON v.event_id = d.event_id AND v.ven_id = d.ven_id ORDER BY d.id"
    )


def downgrade() -> None:
    op.create_table(
        "event_delivery",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("modification_number", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.event_id"], name=op.f("fk_event_delivery_event_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["ven_id"], ["ven.ven_id"], name=op.f("fk_event_delivery_ven_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_delivery")),
    )
    op.create_index(op.f("ix_event_delivery_event_id_ven_id"), "event_delivery", ["event_id", "ven_id"], unique=False)
    op.add_column("event_ven", sa.Column("delivered_modification", sa.Integer(), nullable=True))
    op.add_column("event_ven", sa.Column("delivered_at", _INSTANT, nullable=True))
    op.add_column("event_ven", sa.Column("deliveries", sa.Integer(), nullable=False, server_default="0"))
    op.execute(
        "INSERT INTO event_delivery (event_id, ven_id, modification_number, request_id, at) "
        "SELECT p.event_id, h.ven_id, p.modification_number, h.request_id, h.at FROM handout h "
        "JOIN payload_event p ON p.payload_id = h.payload_id ORDER BY h.id, p.event_id"
    )
    mine = "FROM event_delivery d WHERE d.event_id = event_ven.event_id AND d.ven_id = event_ven.ven_id"
    newest = "d.modification_number = event_ven.delivered_modification"
    op.execute(f"UPDATE event_ven SET delivered_modification = (SELECT MAX(d.modification_number) {mine})")
    op.execute(
        f"UPDATE event_ven SET delivered_at = (SELECT MAX(d.at) {mine} AND {newest}), "
        f"deliveries = (SELECT COUNT(*) {mine} AND {newest})"
    )
    op.drop_table("handout")
    op.drop_table("payload_event")
