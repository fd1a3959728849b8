"""The name of the VTN in every key, so that one database serves several; the operator's wish to leave a VTN.

What is there belongs to the VTN without a name. Rows are copied, because not every database can change a primary key.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_VTN = ("vtn", sa.String, {"primary_key": True})

_TABLES: dict[str, tuple[tuple[str, Any, dict[str, Any]], ...]] = {
    "ven_registration": (
        ("id", sa.Integer, {"primary_key": True}),
        ("registration_id", sa.String, {"nullable": False}),
        ("ven_id", sa.String, {"nullable": False}),
        ("vtn_id", sa.String, {"nullable": False}),
        ("poll_s", sa.Float, {}),
        ("metadata_digest", sa.String, {}),
        ("push_address", sa.Text, {}),
    ),
    "ven_event": (
        ("event_id", sa.String, {"primary_key": True}),
        ("modification_number", sa.BigInteger, {"nullable": False}),
        ("opt_type", sa.String, {"nullable": False}),
        ("request_id", sa.Text, {"nullable": False}),
        ("received_at", _INSTANT, {"nullable": False}),
        ("cancelled_at", _INSTANT, {}),
        ("forgotten", sa.Boolean, {"nullable": False}),
        ("document", sa.Text, {"nullable": False}),
    ),
    "ven_report_request": (
        ("report_request_id", sa.String, {"primary_key": True}),
        ("report_specifier_id", sa.String, {"nullable": False}),
        ("next_due", _INSTANT, {"nullable": False}),
        ("covered_until", _INSTANT, {"nullable": False}),
        ("until", _INSTANT, {}),
        ("last", sa.Boolean, {"nullable": False}),
        ("document", sa.Text, {"nullable": False}),
    ),
    "ven_outbox": (
        ("seq", sa.BigInteger, {"primary_key": True, "autoincrement": False}),
        ("service", sa.String, {"nullable": False}),
        ("root", sa.String, {"nullable": False}),
        ("created_at", _INSTANT, {"nullable": False}),
        ("not_before", _INSTANT, {"nullable": False}),
        ("attempts", sa.Integer, {"nullable": False}),
        ("broken", sa.Integer, {"nullable": False}),
        ("document", sa.Text, {"nullable": False}),
    ),
}


def upgrade() -> None:
    for name, columns in _TABLES.items():
        op.rename_table(name, f"{name}_old")
        op.create_table(name, *(sa.Column(each, kind, **more) for each, kind, more in (_VTN, *columns)))
        names = ", ".join(f'"{each}"' for each, _, _ in columns)
        op.execute(f"INSERT INTO {name} (\"vtn\", {names}) SELECT '', {names} FROM {name}_old")
        op.drop_table(f"{name}_old")
    op.create_table(
        "ven_withdrawal",
        sa.Column("vtn", sa.String, primary_key=True),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", _INSTANT, nullable=False),
    )
