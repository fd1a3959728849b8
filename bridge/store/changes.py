"""``Changes``: what one transaction of the bridge's database writes.

Rule: everything that belongs together is one value; writing it again changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from bridge.arbiter import Override
from bridge.asks import Reference
from bridge.halfhour import HalfHour
from bridge.modes import Slot, Wish
from bridge.needs import DriverNeed
from bridge.outage import Outage
from bridge.plan import Draw
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
    OptTold,
    Outcome,
    Presence,
    ProxyMessage,
    ProxyProfile,
    ProxyTransaction,
    SelfTest,
    Share,
    StandingLimit,
    Supply,
)
from bridge.target import MeterReading


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What one transaction writes. ``removed`` names chargers that hold nothing of ours any more."""

    draws: tuple[Draw, ...] = ()
    installed: tuple[Installed, ...] = ()
    removed: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    overrides: tuple[Override, ...] = ()
    closed_overrides: tuple[str, ...] = ()
    opts: tuple[OptTold, ...] = ()
    readings: tuple[MeterReading, ...] = ()
    standing: tuple[StandingLimit, ...] = ()
    shares: tuple[Share, ...] = ()
    dropped_divisions: tuple[str, ...] = ()
    notes: tuple[LimitNote, ...] = ()
    attributions: tuple[Attribution, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    random_windows: tuple[tuple[str, int | None, datetime], ...] = ()  # resourceID, s, since when
    modes: tuple[Wish, ...] = ()
    modes_gone: tuple[str, ...] = ()  # resourceIDs
    forecasts: tuple[tuple[str, tuple[Slot, ...]], ...] = ()  # kind, the whole forecast anew
    supplies: tuple[Supply, ...] = ()
    restored: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    heard: tuple[tuple[str, datetime], ...] = ()  # VTN, last contact
    outages: tuple[Outage, ...] = ()
    presence: tuple[Presence, ...] = ()
    half_hours: tuple[HalfHour, ...] = ()
    late: tuple[tuple[datetime, datetime], ...] = ()  # half-hour to be made anew, when that was noted
    late_made: tuple[tuple[datetime, datetime], ...] = ()  # the same, made since
    alerts: tuple[Alert, ...] = ()
    alert_messages: tuple[AlertMessage, ...] = ()
    alert_messages_told: tuple[tuple[str, str], ...] = ()  # alert, state
    content_told: tuple[tuple[str, datetime], ...] = ()  # resourceID of a car that told a state of charge, first when
    needs: tuple[DriverNeed, ...] = ()
    needs_gone: tuple[str, ...] = ()  # resourceIDs
    plug_ins: tuple[tuple[str, str, datetime], ...] = ()  # charger, session, since when
    charger_kinds: tuple[ChargerKind, ...] = ()
    charger_notices: tuple[ChargerNotice, ...] = ()
    self_tests: tuple[SelfTest, ...] = ()
    proxy_messages: tuple[ProxyMessage, ...] = ()
    proxy_forgotten: tuple[tuple[str, int], ...] = ()  # charger, seq
    proxy_transactions: tuple[ProxyTransaction, ...] = ()
    proxy_ended: tuple[tuple[str, int], ...] = ()  # charger, provisional id
    proxy_profiles: tuple[ProxyProfile, ...] = ()
    proxy_profiles_gone: tuple[tuple[str, int], ...] = ()  # charger, number

    def __bool__(self) -> bool:
        """True if there is anything to write."""
        return self != Changes()
