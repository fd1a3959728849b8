"""What an operator sets about supervision, and the seams at which the supervisor meets the VEN.

Rule: figures and protocols only; nothing here decides or does anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from bridge.arbiter import StandingCap
from bridge.desk import ScheduleSink
from bridge.escalate import LastResort
from bridge.groups import Group, Sharing
from bridge.guard import FrequencyGuard
from bridge.opts import OptSink
from bridge.outage import Outage
from bridge.outcomes import Measuring
from bridge.overrides import Budget
from bridge.schedule import Horizon
from bridge.steps import Calm, Patience
from bridge.timetable import TimetableRule
from bridge.verify import VerifyPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """Times of the loop, all in seconds."""

    tick_s: float = 1.0
    refresh_s: float = 30.0  # events are read again this often even if nobody said that they changed
    flush_s: float = 5.0  # readings are stored this often in one transaction
    interval_s: float = 1800.0  # the attribution ledger has a row for each half-hour (ARB-10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """Everything that an operator sets about supervision."""

    policy: VerifyPolicy = field(default_factory=VerifyPolicy)
    horizon: Horizon = field(default_factory=Horizon)
    patience: Patience = field(default_factory=Patience)
    rhythm: Rhythm = field(default_factory=Rhythm)
    measuring: Measuring = field(default_factory=Measuring)
    calm: Calm = field(default_factory=Calm)
    budget: Budget = field(default_factory=Budget)
    sharing: Sharing = field(default_factory=Sharing)
    last_resort: LastResort = field(default_factory=LastResort)
    guard: FrequencyGuard = field(default_factory=FrequencyGuard)
    calendar: tuple[TimetableRule, ...] = ()
    consent_required: bool = False  # only who has agreed to a programme takes part in its events (ARB-19)
    groups: tuple[Group, ...] = ()
    configured: Mapping[str, tuple[StandingCap, ...]] = field(default_factory=dict)  # by resourceID


class Upstream(OptSink, ScheduleSink, Protocol):
    """What is told to the VTN: opts of events, and opt schedules ahead."""


class Link(Protocol):
    """What is known of the VTNs' silences."""

    def outages(self, event_id: str) -> tuple[Outage, ...]:
        """Return the silences of the VTN that an event is from."""
        ...

    async def load(self, now: datetime) -> None:
        """Take up what was known before the restart."""
        ...

    async def update(self, now: datetime) -> bool:
        """Note what has changed; True if a silence began or ended."""
        ...


class AlwaysHeard:
    """The link of a bridge whose VTN nobody watches."""

    def outages(self, event_id: str) -> tuple[Outage, ...]:
        """Return none."""
        return ()

    async def load(self, now: datetime) -> None:
        """Do nothing."""

    async def update(self, now: datetime) -> bool:
        """Return False."""
        return False
