"""Groups of resources under one limit: what each member counts for and what each may be told; pure.

Rule (ARB-16): a group's limit holds at every moment. A charger that cannot be told (offline, refusing) is reserved for
with what it may draw; an idle one gets what those in use leave and holds it, so that a car that starts draws no more
than that until the others have made room (OUT-09). The same facts give the same shares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bridge.allocate import GroupLimit, Member, Shares, Strategy, allocate, grant, steady
from bridge.arbiter import Source, StandingCap
from bridge.fleet import Charger
from bridge.resources import Resource
from bridge.schedule import limit_at
from bridge.store.records import Installed, InstallState
from bridge.verify import measured_a

FRESH_S = 120.0  # a meter reading older than this says nothing about what flows now
SETTLE_S = 20.0  # a charger that has just agreed to less still ramps down
_UNABLE = (InstallState.REFUSED, InstallState.UNANSWERED, InstallState.STALE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How a group's limit is divided among its members."""

    strategy: Strategy = Strategy.PROPORTIONAL
    rotate_s: float = 900.0  # round robin: who waits changes this often
    reserve_offline: bool = True  # False: a charger without contact is taken to be without power
    deadband_a: float = 1.0  # shares that fit stay unless somebody would gain more than this


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A site or another group with a limit of its own, as configured."""

    group_id: str
    source: Source = Source.GROUP
    limit: GroupLimit
    owner: str = ""  # who answers for it (ARB-20)
    sharing: Sharing = field(default_factory=Sharing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one resource now. ``ceiling_a``: what every other controller lets it have at this moment."""

    resource: Resource
    charger: Charger
    installed: Installed | None
    ceiling_a: float | None
    suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """A group's limit as divided: ``shares`` to strive for, ``told`` what each may be told now."""

    shares: Mapping[str, float]
    told: Mapping[str, float]

    @property
    def settled(self) -> bool:
        """True once nobody waits for room."""
        return all(self.told[name] >= share for name, share in self.shares.items())


def held_a(facts: Facts, now: datetime) -> float:
    """Return what the charger may be drawing, A per phase: its limit once agreed, never less than its meter shows."""
    most, row = facts.resource.max_a, facts.installed
    agreed = row is not None and row.accepted_at is not None and row.state in (InstallState.ACCEPTED, InstallState.SENT)
    limit = limit_at(row.schedule, now) if row is not None and agreed else None
    if row is None or limit is None or row.accepted_at is None:
        return most
    reading = facts.charger.reading
    settled = row.accepted_at + timedelta(seconds=SETTLE_S)
    if reading is None or reading.at < max(settled, now - timedelta(seconds=FRESH_S)):
        return min(limit, most)
    drawn = measured_a(reading, facts.resource.phases, facts.resource.voltage) or 0.0
    return min(max(limit, drawn if drawn > limit + facts.resource.least_a / 6.0 else limit), most)


def member(facts: Facts, sharing: Sharing, now: datetime) -> Member:
    """Return what the resource counts for in its group."""
    resource, row = facts.resource, facts.installed
    fixed: float | None = None
    if not facts.charger.connected:
        fixed = held_a(facts, now) if sharing.reserve_offline else 0.0
    elif facts.suspended or (row is not None and row.state in _UNABLE):
        fixed = held_a(facts, now)
    ceiling = resource.max_a if facts.ceiling_a is None else min(resource.max_a, facts.ceiling_a)
    return Member(
        resource_id=resource.resource_id,
        max_a=ceiling,
        lines=resource.lines,
        voltage=resource.voltage,
        priority=resource.priority,
        active=facts.charger.session,
        least_a=resource.least_a,
        fixed_a=fixed,
    )


def divide(
    limit: GroupLimit, sharing: Sharing, known: Sequence[Facts], present: Shares, now: datetime, *, running: bool = True
) -> Division:
    """Divide a group's limit. ``present`` are the shares until now; ``running`` is false for a limit still to come."""
    turn = int(now.timestamp() // sharing.rotate_s)
    members = [member(each, sharing, now) for each in known]
    fresh = allocate(limit, members, sharing.strategy, turn)
    shares = steady(limit, members, present, fresh, sharing.deadband_a)
    if not running:
        return Division(shares=shares, told=shares)
    held = {each.resource.resource_id: held_a(each, now) for each in known}
    return Division(shares=shares, told=grant(limit, members, shares, held))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dividend:
    """One limit to be divided: a group's own, an operator's on a group, or a group event's in one of its stretches."""

    key: str
    name: str
    limit: GroupLimit
    sharing: Sharing
    members: tuple[str, ...]
    source: Source | None = None  # None: an event's
    reason: str = ""
    owner: str = ""
    running: bool = True

    def cap(self, amperes: float) -> StandingCap:
        """Return the standing cap that a share is."""
        source = self.source or Source.GROUP
        words = self.words(amperes)
        return StandingCap(source=source, limit_a=amperes, reason=words, cap_id=self.key, owner=self.owner)

    def words(self, amperes: float) -> str:
        """Return a share as a person reads it."""
        words = f"share {amperes:g} A of {self.limit.words()} of {self.name}, {self.sharing.strategy.value}"
        return f"{words}; {self.reason}" if self.reason else words
