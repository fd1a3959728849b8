"""Parties: certificates that change, suspension, ends of registrations, candidates for enrolment, ends of schedules."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_PAGE = 1_000  # opts read at a time


def _ven_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("poll_freq_s", sa.Integer(), nullable=True),
        sa.Column("told_poll_s", sa.Integer(), nullable=True),
        sa.Column("old_fingerprint", sa.String(length=64), nullable=True),
        sa.Column("old_until", _INSTANT, nullable=True),
        sa.Column("old_last_seen", _INSTANT, nullable=True),
        sa.Column("certificate_cn", sa.Text(), nullable=True),
        sa.Column("certificate_not_after", _INSTANT, nullable=True),
        sa.Column("suspended_at", _INSTANT, nullable=True),
        sa.Column("suspended_reason", sa.Text(), nullable=True),
        sa.Column("cancel_by", _INSTANT, nullable=True),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.Column("ended_by", sa.String(length=16), nullable=True),
        sa.Column("ended_registration_id", sa.String(length=255), nullable=True),
    )


def upgrade() -> None:
    for column in _ven_columns():
        op.add_column("ven", column)
    op.create_index("uq_ven_old_fingerprint", "ven", ["old_fingerprint"], unique=True)
    op.create_index(op.f("ix_ven_cancel_by"), "ven", ["cancel_by"], unique=False)
    op.add_column("opt", sa.Column("ends_at", _INSTANT, nullable=True))
    op.add_column("opt", sa.Column("windows", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "candidate",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("subject_cn", sa.Text(), nullable=False),
        sa.Column("issuer_cn", sa.Text(), nullable=False),
        sa.Column("not_after", _INSTANT, nullable=True),
        sa.Column("ven_name", sa.Text(), nullable=True),
        sa.Column("first_seen", _INSTANT, nullable=False),
        sa.Column("last_seen", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_candidate")),
    )
    op.create_index(op.f("ix_candidate_state_first_seen"), "candidate", ["state", "first_seen"], unique=False)
    op.create_index(op.f("ix_candidate_last_seen"), "candidate", ["last_seen"], unique=False)
    _fill()


def _fill() -> None:
    """Count the windows of schedules and write the ends of those that have one; calendar months count as open-ended."""
    connection = op.get_bind()
    names = ("id", "kind", "document", "windows")
    opt = sa.table("opt", *map(sa.column, names), sa.column("ends_at", _INSTANT))
    last = 0
    while True:
        query = sa.select(opt.c.id, opt.c.document).where(opt.c.kind == "schedule", opt.c.id > last)
        rows = connection.execute(query.order_by(opt.c.id).limit(_PAGE)).all()
        if not rows:
            return
        for row in rows:
            windows = msgspec.json.decode(row.document).get("vavailability") or ()
            values = {"ends_at": _end(windows), "windows": len(windows)}
            connection.execute(opt.update().where(opt.c.id == row.id).values(values))
        last = rows[-1].id


def _end(windows: Any) -> datetime | None:
    ends = []
    for window in windows:
        duration = window["duration"]
        if duration.get("months") or not duration.get("seconds"):
            return None
        start = datetime.fromisoformat(window["dtstart"]).astimezone(UTC)
        ends.append(start + timedelta(seconds=duration["seconds"]))
    return max(ends, default=None)


def downgrade() -> None:
    op.drop_table("candidate")
    with op.batch_alter_table("opt") as batch:
        batch.drop_column("ends_at")
        batch.drop_column("windows")
    op.drop_index(op.f("ix_ven_cancel_by"), "ven")
    op.drop_index("uq_ven_old_fingerprint", "ven")
    with op.batch_alter_table("ven") as batch:
        for column in _ven_columns():
            batch.drop_column(column.name)
