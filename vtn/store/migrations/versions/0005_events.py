"""Events that change: VENs withdrawn, parts shown, status columns; attributes of VENs; programmes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("event", sa.Column("near_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("event", sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("event_ven", sa.Column("parts", sa.Text(), nullable=True))
    op.add_column("event_ven", sa.Column("withdrawn", sa.Integer(), nullable=True))
    op.add_column("event_ven", sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("event_ven", sa.Column("withdrawn_end", sa.DateTime(timezone=True), nullable=True))
    op.add_column("event_ven", sa.Column("told_until", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE event SET near_at = dtstart, ends_at = payload_end")
    op.execute(
        "UPDATE event_ven SET told_until = (SELECT COALESCE(event.payload_end, '9999-12-31 00:00:00.000000+00:00') "
        "FROM event WHERE event.event_id = event_ven.event_id)"
    )
    op.drop_index(op.f("ix_event_ven_ven_id_due_at"), "event_ven")
    op.create_index(op.f("ix_event_ven_ven_id_told_until"), "event_ven", ["ven_id", "told_until"], unique=False)
    op.create_table(
        "ven_payload",
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["ven_id"], ["ven.ven_id"], name=op.f("fk_ven_payload_ven_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("ven_id", name=op.f("pk_ven_payload")),
    )
    op.execute(
        "INSERT INTO ven_payload (ven_id, changed_at) SELECT event_ven.ven_id, MAX(event.modified_at) FROM event_ven "
        "JOIN event ON event.event_id = event_ven.event_id GROUP BY event_ven.ven_id"
    )
    op.create_table(
        "ven_attribute",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("resource_id", sa.String(length=255), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["ven_id"], ["ven.ven_id"], name=op.f("fk_ven_attribute_ven_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["ven_id", "resource_id"],
            ["ven_resource.ven_id", "ven_resource.resource_id"],
            name=op.f("fk_ven_attribute_ven_id_resource_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ven_attribute")),
    )
    op.create_index(op.f("ix_ven_attribute_kind_value"), "ven_attribute", ["kind", "value"], unique=False)
    op.create_index(op.f("ix_ven_attribute_ven_id"), "ven_attribute", ["ven_id"], unique=False)
    op.create_table(
        "market_context",
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("uri", name=op.f("pk_market_context")),
    )


def downgrade() -> None:
    op.drop_table("market_context")
    op.drop_table("ven_attribute")
    op.drop_table("ven_payload")
    op.drop_index(op.f("ix_event_ven_ven_id_told_until"), "event_ven")
    op.create_index(op.f("ix_event_ven_ven_id_due_at"), "event_ven", ["ven_id", "due_at"], unique=False)
    with op.batch_alter_table("event_ven") as batch:
        for name in ("told_until", "parts", "withdrawn", "withdrawn_at", "withdrawn_end"):
            batch.drop_column(name)
    with op.batch_alter_table("event") as batch:
        for name in ("near_at", "ends_at"):
            batch.drop_column(name)
