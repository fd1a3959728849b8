"""Data points: what values are of in rows of their own; telemetry keeps a number for it, and SQLite one for a time."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_MICROS = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
_ID = sa.String(length=255)
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_STEP = 500_000  # numbers of rows moved by one statement, so that each is done within a connection's time limit
_SAID = ("ven_id", "report_request_id", "r_id", "report_specifier_id", "report_name")
_MAYBE = ("resource_id", "unit")  # '' where there is none
_VALUES = (
    "duration_s",
    "value",
    "online",
    "manual_override",
    "load_control_state",
    "data_quality",
    "confidence",
    "accuracy",
)
_TIMES = ("dtstart", "received_at")


def _columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("online", sa.Boolean(), nullable=True),
        sa.Column("manual_override", sa.Boolean(), nullable=True),
        sa.Column("load_control_state", sa.Text(), nullable=True),
        sa.Column("data_quality", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Integer(), nullable=True),
        sa.Column("accuracy", sa.Float(), nullable=True),
    )


def upgrade() -> None:
    op.create_table(
        "data_point",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("ven_id", _ID, nullable=False),
        sa.Column("report_request_id", _ID, nullable=False),
        sa.Column("r_id", _ID, nullable=False),
        sa.Column("report_specifier_id", _ID, nullable=False),
        sa.Column("report_name", sa.Text(), nullable=False),
        sa.Column("resource_id", _ID, nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["ven_id"], ["ven.ven_id"], name=op.f("fk_data_point_ven_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_point")),
    )
    op.create_index("uq_data_point", "data_point", [*_SAID, *_MAYBE], unique=True)
    _put_aside("ix_telemetry_dtstart", "ix_telemetry_ven_id_resource_id_dtstart", "uq_telemetry_point")
    op.create_table(
        "telemetry",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("point_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("dtstart", _MICROS, nullable=False),
        sa.Column("duration_s", sa.BigInteger(), nullable=True),
        *_columns(),
        sa.Column("received_at", _MICROS, nullable=False),
        sa.ForeignKeyConstraint(
            ["point_id"], ["data_point.id"], name=op.f("fk_telemetry_point_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_telemetry")),
    )
    _to_points()
    _finish()
    op.create_index("uq_telemetry_point", "telemetry", ["point_id", "dtstart"], unique=True)
    op.create_index(op.f("ix_telemetry_dtstart"), "telemetry", ["dtstart"], unique=False)


def _to_points() -> None:
    maybe = {name: f"coalesce(old.{name}, '')" for name in _MAYBE}
    said = ", ".join([*(f"old.{name}" for name in _SAID), *maybe.values()])
    for rows in _steps():
        op.execute(
            f"INSERT INTO data_point ({', '.join((*_SAID, *_MAYBE))}) "
            f"SELECT DISTINCT {said} FROM old_telemetry AS old WHERE {rows} ON CONFLICT DO NOTHING"
        )
        _count("data_point")
        same = [*(f"p.{name} = old.{name}" for name in _SAID), *(f"p.{name} = {old}" for name, old in maybe.items())]
        _move(
            ("point_id", *_VALUES),
            ["p.id", *(f"old.{name}" for name in _VALUES)],
            [_micros(f"old.{name}") for name in _TIMES],
            f"JOIN data_point AS p ON {' AND '.join(same)} WHERE {rows}",
        )


def downgrade() -> None:
    _put_aside("ix_telemetry_dtstart", "uq_telemetry_point")
    op.create_table(
        "telemetry",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("ven_id", _ID, nullable=False),
        sa.Column("report_request_id", _ID, nullable=False),
        sa.Column("r_id", _ID, nullable=False),
        sa.Column("dtstart", _INSTANT, nullable=False),
        sa.Column("duration_s", sa.BigInteger(), nullable=True),
        sa.Column("report_specifier_id", _ID, nullable=False),
        sa.Column("report_name", sa.Text(), nullable=False),
        sa.Column("resource_id", _ID, nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        *_columns(),
        sa.Column("received_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["ven_id"], ["ven.ven_id"], name=op.f("fk_telemetry_ven_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_telemetry")),
    )
    said = [*(f"p.{name}" for name in _SAID), *(f"nullif(p.{name}, '')" for name in _MAYBE)]
    for rows in _steps():
        _move(
            (*_SAID, *_MAYBE, *_VALUES),
            [*said, *(f"old.{name}" for name in _VALUES)],
            [_text(f"old.{name}") for name in _TIMES],
            f"JOIN data_point AS p ON p.id = old.point_id WHERE {rows}",
        )
    _finish()
    op.create_index(op.f("ix_telemetry_dtstart"), "telemetry", ["dtstart"], unique=False)
    op.create_index(
        op.f("ix_telemetry_ven_id_resource_id_dtstart"), "telemetry", ["ven_id", "resource_id", "dtstart"], unique=False
    )
    op.create_index("uq_telemetry_point", "telemetry", ["ven_id", "report_request_id", "r_id", "dtstart"], unique=True)
    op.drop_table("data_point")


def _on_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _put_aside(*indexes: str) -> None:
    """Give the table another name, and leave its names to the one that takes its place."""
    for name in indexes:
        op.drop_index(name, "telemetry")
    op.rename_table("telemetry", "old_telemetry")
    if not _on_sqlite():
        op.execute("ALTER INDEX pk_telemetry RENAME TO pk_old_telemetry")
        op.execute("ALTER SEQUENCE telemetry_id_seq RENAME TO old_telemetry_id_seq")


def _steps() -> Iterator[str]:
    """Yield conditions that take some of the rows each."""
    last = op.get_bind().exec_driver_sql("SELECT max(id) FROM old_telemetry").scalar() or 0
    for start in range(0, last, _STEP):
        yield f"old.id > {start} AND old.id <= {start + _STEP}"


def _move(names: tuple[str, ...], values: list[str], times: list[str], rows: str) -> None:
    op.execute(
        f"INSERT INTO telemetry (id, {', '.join((*names, *_TIMES))}) "
        f"SELECT old.id, {', '.join((*values, *times))} FROM old_telemetry AS old {rows}"
    )


def _count(table: str) -> None:
    """Have PostgreSQL plan with what is there now; by itself it would in a minute or so."""
    if not _on_sqlite():
        op.execute(f"ANALYZE {table}")


def _finish() -> None:
    op.drop_table("old_telemetry")
    _count("telemetry")
    if not _on_sqlite():
        op.execute("SELECT setval('telemetry_id_seq', greatest((SELECT max(id) FROM telemetry), 1))")


def _micros(column: str) -> str:
    """Return the microseconds since 1970 of what SQLite keeps as YYYY-MM-DD hh:mm:ss.ffffff."""
    if not _on_sqlite():
        return column
    seconds, rest = f"strftime('%s', substr({column}, 1, 19))", f"substr({column}, 21, 6)"
    return f"CAST({seconds} AS INTEGER) * 1000000 + CAST({rest} AS INTEGER)"


def _text(column: str) -> str:
    """Return what ``_micros`` was made of."""
    if not _on_sqlite():
        return column
    rest = f"(({column} % 1000000 + 1000000) % 1000000)"
    return f"strftime('%Y-%m-%d %H:%M:%S', ({column} - {rest}) / 1000000, 'unixepoch') || printf('.%06d', {rest})"
