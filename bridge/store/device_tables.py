"""Tables of what a family of devices keeps for itself: kinds of chargers, the proxy's messages, CTA-2045 commands.

Rule: as in ``tables``; no other part of the store joins or reads them.
"""

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text

from bridge.store.tables import metadata
from runtime.columns import Instant

charger_kind = Table(
    "bridge_charger_kind",
    metadata,
    Column("vendor", String, primary_key=True),
    Column("model", String, primary_key=True),
    Column("firmware", String, primary_key=True),
    Column("protocol", String, primary_key=True),
    Column("knobs", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

charger_notice = Table(
    "bridge_charger_notice",
    metadata,
    Column("charger", String, primary_key=True),
    Column("at", Instant, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("detail", Text, nullable=False),
)

self_test = Table(
    "bridge_self_test",
    metadata,
    Column("test_id", String, primary_key=True),
    Column("charger", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Index("bridge_self_test_by_charger", "charger", "at"),
)

proxy_message = Table(
    "bridge_proxy_message",
    metadata,
    Column("charger", String, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("version", String, nullable=False),
    Column("action", String, nullable=False),
    Column("message_id", String, nullable=False),
    Column("tail", Text, nullable=False),
    Column("mark", String, nullable=False),
    Column("state", String, nullable=False),
    Column("answer", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("provisional", Integer),
    Column("at", Instant, nullable=False),
)

proxy_transaction = Table(
    "bridge_proxy_transaction",
    metadata,
    Column("charger", String, primary_key=True),
    Column("provisional", Integer, primary_key=True),
    Column("actual", Integer),
    Column("at", Instant, nullable=False),
)

proxy_profile = Table(
    "bridge_proxy_profile",
    metadata,
    Column("charger", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("version", String, nullable=False),
    Column("tail", Text, nullable=False),
    Column("held", Boolean, nullable=False),
    Column("at", Instant, nullable=False),
)

cta_standing = Table(
    "bridge_cta_standing",
    metadata,
    Column("device", String, primary_key=True),
    Column("key", String, nullable=False),
    Column("op", Integer, nullable=False),
    Column("operand", Integer, nullable=False),
    Column("since", Instant, nullable=False),
    Column("ends", Instant),
    Column("phase", String, nullable=False),
)
