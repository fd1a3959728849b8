"""From caps of several controllers to the one effective limit of a resource, with its source and reason; pure.

Rule: every cap is an upper limit, so the most restrictive wins (ARB-02, MAP-12); what won and what lost is kept
(ARB-09). Among equals the hierarchy decides who is named: safety and site, the supervisory operator and emergencies,
the user, events by priority and start, calendar, default (ARB-03). A driver's override takes the caps it names out of
the sum until it ends, as far as they may be overridden (ARB-05); a suspended resource is left alone altogether
(VEN-09). Adding a cap can only lower the result.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bridge.authority import Authority
from bridge.plan import Cap

EVERY_EVENT = "*"  # stands in an override's ``event_ids`` for whatever comes: opt schedules and suspensions


class Source(StrEnum):
    """Who limits a resource other than by an event, the strongest first (ARB-03)."""

    SAFETY = "safety"  # protection of the installation
    SITE = "site"  # the site's connection
    GROUP = "group"  # a feeder's or another group's
    DSO = "dso"  # supervisory cap of the network operator (ARB-11)
    USER = "user"  # the customer's own limit
    CALENDAR = "calendar"
    DEFAULT = "default"


SUSPENSION = "suspension"  # source of an override by which an operator takes a resource out of service (VEN-09)
CUSTOMER = "customer"  # source of an override pressed at the device itself: a fact, for the time that it lasts (CTA-09)
BOOST = "boost"  # source of an override by which a driver charges at once until the car leaves (ARB-18)
SCHEDULE = "schedule"  # source of an override that is an opt schedule told ahead (VEN-06)

_SO, _CSO, _EMS, _OTHER = "SO", "CSO", "EMS", "other"
CATEGORY = {
    Source.SAFETY: _EMS,
    Source.SITE: _EMS,
    Source.GROUP: _EMS,
    Source.DSO: _SO,
    Source.USER: _OTHER,
    Source.CALENDAR: _CSO,
    Source.DEFAULT: _CSO,
}
"""The limiter as OCPP's ChargingLimitSource names it (ARB-09)."""

AUTHORITY = {
    Source.SAFETY: Authority.CUSTOMER,
    Source.SITE: Authority.CUSTOMER,
    Source.GROUP: Authority.CONTRACT,
    Source.DSO: Authority.EMERGENCY,
    Source.USER: Authority.CUSTOMER,
    Source.CALENDAR: Authority.CUSTOMER,
    Source.DEFAULT: Authority.CUSTOMER,
}
"""On what basis a limit that is no event's holds (ARB-12): what people set for their own installation is theirs."""

_OVERRIDABLE = frozenset({Source.CALENDAR})  # table 4.1: price and calendar yes, protection no


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A wish to charge freely during ``event_ids``; ``end`` ``None`` means until these events end.

    ``event_ids`` may also name standing caps by their id; ``EVERY_EVENT`` covers all.
    """

    override_id: str
    resource_id: str
    event_ids: tuple[str, ...]
    reason: str
    start: datetime
    end: datetime | None
    source: str = "user"
    opt_id: str = ""  # of the opt schedule told upstream, '' if none was
    budgeted: bool = False  # counts against the resource's budget (ARB-06)

    def covers(self, event_id: str, at: datetime) -> bool:
        """True if the override takes that event out at that time."""
        named = event_id in self.event_ids or EVERY_EVENT in self.event_ids
        return named and self.start <= at and (self.end is None or at < self.end)

    @property
    def everything(self) -> bool:
        """True for an opt schedule and a suspension: it does not end with an event."""
        return EVERY_EVENT in self.event_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingCap:
    """A cap that is no event's: ``source`` names the controller, ``limit_a`` is A per phase over [start, end)."""

    source: Source
    limit_a: float
    reason: str
    cap_id: str = ""
    start: datetime | None = None
    end: datetime | None = None
    owner: str = ""  # who answers for it, where somebody is named (ARB-20)
    optional: bool = False  # the user's schedule, not the user's limit: a boost takes it out
    yields_to: frozenset[str] = frozenset()  # contexts of the programmes that go before it, by agreement (ARB-19)

    def contains(self, now: datetime) -> bool:
        """True while the cap is in force."""
        return (self.start is None or self.start <= now) and (self.end is None or now < self.end)

    @property
    def overridable(self) -> bool:
        """True if a driver's override takes it out."""
        return self.source in _OVERRIDABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What holds over [start, end): ``limit_a`` A per phase or ``None``, who set it and why, and who lost."""

    start: datetime
    end: datetime | None
    limit_a: float | None
    source: str
    reason: str
    event_id: str | None = None
    losers: tuple[str, ...] = ()
    urgent: bool = False  # an emergency's or a protection's: never held back by dwell or write limits (ARB-04)
    category: str = _OTHER  # SO, CSO, EMS or other, as OCPP names a limiter
    authority: str = ""  # contract, emergency or customer (ARB-12)
    owner: str = ""  # who answers for it, where somebody is named (ARB-20)

    @property
    def standing(self) -> bool:
        """True if somebody else than an event limits."""
        return self.limit_a is not None and self.event_id is None


_LAST = 2**63  # sorts after every priority: 0 means none and therefore last (R3)
_URGENT = frozenset({Source.SAFETY, Source.DSO})
_STANDING_RANK = {
    Source.SAFETY: 0,
    Source.SITE: 1,
    Source.GROUP: 2,
    Source.DSO: 3,
    Source.USER: 5,
    Source.CALENDAR: 7,
    Source.DEFAULT: 8,
}
_EMERGENCY_RANK, _EVENT_RANK = 4, 6


def overridden_by(cap: Cap, overrides: Iterable[Override], at: datetime) -> Override | None:
    """Return the override that takes this cap out at ``at``, if any and if the programme allows it.

    A suspension takes out everything: the resource is not available to anybody.
    """
    for override in overrides:
        if override.resource_id != cap.resource_id or not override.covers(cap.event_id, at):
            continue
        if cap.overridable or override.source == SUSPENSION:
            return override
    return None


def _standing_out(cap: StandingCap, caps: Sequence[Cap], overrides: Iterable[Override], at: datetime) -> bool:
    """True if the standing cap does not count at ``at``."""
    if not cap.contains(at):
        return True
    if cap.yields_to and any(each.context in cap.yields_to and each.contains(at) for each in caps):
        return True  # ARB-19: by agreement this programme's events go before the user's own schedule
    for override in overrides:
        if override.source == BOOST and (cap.optional or cap.overridable) and override.covers(cap.cap_id, at):
            return True
        if not override.covers(cap.cap_id, at):
            continue
        if override.source == SUSPENSION or (cap.overridable and cap.cap_id in override.event_ids):
            return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bid:
    """One cap in force: how it ranks and how it reads."""

    order: tuple[float, int, int, float, str]
    limit_a: float
    name: str
    winner: Effective


def _event_bid(cap: Cap, limit_a: float, at: datetime) -> _Bid:
    rank = _EMERGENCY_RANK if cap.emergency else _EVENT_RANK
    return _Bid(
        order=(limit_a, rank, cap.priority or _LAST, cap.start.timestamp(), cap.event_id),
        limit_a=limit_a,
        name=f"event {cap.event_id} ({limit_a:g} A)",
        winner=Effective(
            start=at,
            end=None,
            limit_a=limit_a,
            source="event",
            reason=cap.reason,
            event_id=cap.event_id,
            urgent=cap.emergency,
            category=_SO if cap.emergency else _OTHER,
            authority=cap.authority.value,
            owner=cap.issuer,
        ),
    )


def _standing_bid(cap: StandingCap, at: datetime) -> _Bid:
    return _Bid(
        order=(cap.limit_a, _STANDING_RANK[cap.source], 0, 0.0, f"{cap.cap_id} {cap.reason}"),
        limit_a=cap.limit_a,
        name=f"{cap.source.value} ({cap.limit_a:g} A)",
        winner=Effective(
            start=at,
            end=None,
            limit_a=cap.limit_a,
            source=cap.source.value,
            reason=cap.reason,
            urgent=cap.source in _URGENT,
            category=CATEGORY[cap.source],
            authority=AUTHORITY[cap.source].value,
            owner=cap.owner,
        ),
    )


def _at(
    caps: Sequence[Cap],
    overrides: Sequence[Override],
    standing: Sequence[StandingCap],
    at: datetime,
    end: datetime | None,
) -> Effective:
    bids = _bids(caps, overrides, standing, at)
    if not bids:
        return Effective(start=at, end=end, limit_a=None, source="none", reason="no limit")
    return replace(bids[0].winner, end=end, losers=tuple(bid.name for bid in bids[1:]))


def _bids(
    caps: Sequence[Cap], overrides: Sequence[Override], standing: Sequence[StandingCap], at: datetime
) -> list[_Bid]:
    """Return every cap in force at ``at``, the one that wins first."""
    bids = [
        _event_bid(cap, cap.limit_a, at)
        for cap in caps
        if cap.limit_a is not None and cap.contains(at) and overridden_by(cap, overrides, at) is None
    ]
    bids += [_standing_bid(cap, at) for cap in standing if not _standing_out(cap, caps, overrides, at)]
    bids.sort(key=lambda bid: bid.order)
    return bids


def in_force(
    caps: Sequence[Cap], overrides: Sequence[Override], standing: Sequence[StandingCap], now: datetime
) -> tuple[Effective, ...]:
    """Return everybody who limits the resource at ``now``, the one that wins first (ARB-20)."""
    return tuple(bid.winner for bid in _bids(caps, overrides, standing, now))


def timeline(
    caps: Sequence[Cap],
    overrides: Sequence[Override],
    standing: Sequence[StandingCap],
    now: datetime,
) -> tuple[Effective, ...]:
    """Return the effective limit from ``now`` on: gapless, the last piece open-ended, equal neighbours merged."""
    edges = {now}
    bounds: list[tuple[datetime | None, datetime | None]] = [(cap.start, cap.end) for cap in caps]
    bounds += [(override.start, override.end) for override in overrides]
    bounds += [(cap.start, cap.end) for cap in standing]
    edges.update(at for bound in bounds for at in bound if at is not None and at > now)
    ordered = sorted(edges)
    pieces: list[Effective] = []
    for start, end in zip(ordered, [*ordered[1:], None], strict=True):
        piece = _at(caps, overrides, standing, start, end)
        if pieces and _same(pieces[-1], piece):
            pieces[-1] = _extended(pieces[-1], end)
        else:
            pieces.append(piece)
    return tuple(pieces)


def limit_now(
    caps: Sequence[Cap], overrides: Sequence[Override], standing: Sequence[StandingCap], now: datetime
) -> float | None:
    """Return the limit in force at ``now`` alone, without saying until when."""
    return _at(caps, overrides, standing, now, None).limit_a


def effective(
    caps: Sequence[Cap], overrides: Sequence[Override], standing: Sequence[StandingCap], now: datetime
) -> Effective:
    """Return the effective limit at ``now``."""
    return timeline(caps, overrides, standing, now)[0]


def _same(one: Effective, other: Effective) -> bool:
    return replace(one, start=other.start, end=other.end) == other


def _extended(piece: Effective, end: datetime | None) -> Effective:
    return replace(piece, end=end)
