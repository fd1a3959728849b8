"""The bridge's database: draws, installed schedules, commands, outcomes, overrides, opts told upstream, meter readings.

Rule: the only place in the bridge that says SQL. Everything that belongs together goes in by one ``Changes`` in one
transaction; tables exist only through the migrations beside this file.
"""

from pathlib import Path

from bridge.store.changes import Changes
from bridge.store.records import (
    Agreement,
    Alert,
    AlertMessage,
    Attribution,
    ChargerKind,
    ChargerNotice,
    Command,
    Installed,
    LimitNote,
    MessageState,
    OptTold,
    Outcome,
    PowerMean,
    Presence,
    ProxyMessage,
    ProxyProfile,
    ProxyTransaction,
    Sample,
    SelfTest,
    Share,
    Stage,
    StandingLimit,
    Supply,
)
from bridge.store.repository import BridgeStore
from bridge.store.tables import metadata

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "bridge_alembic"

__all__ = [
    "MIGRATIONS",
    "VERSION_TABLE",
    "Agreement",
    "Alert",
    "AlertMessage",
    "Attribution",
    "BridgeStore",
    "Changes",
    "ChargerKind",
    "ChargerNotice",
    "Command",
    "Installed",
    "LimitNote",
    "MessageState",
    "OptTold",
    "Outcome",
    "PowerMean",
    "Presence",
    "ProxyMessage",
    "ProxyProfile",
    "ProxyTransaction",
    "Sample",
    "SelfTest",
    "Share",
    "Stage",
    "StandingLimit",
    "Supply",
    "metadata",
]
