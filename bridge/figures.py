"""Figures of a fleet: what could be curtailed where, what events came to, how available chargers are; pure.

Rule: only what is metered and reachable counts (EVT-16): a charger that is idle, offline, or whose driver has left the
events promises nothing. Each figure comes with how many it was made of, so that nobody takes a part for the whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from statistics import median

from bridge.resources import Resource, Scenario
from bridge.store.records import OptTold, Outcome, Presence
from bridge.verify import OutcomeState

WHOLE = ""  # the name of all resources together
IDLE_W = 100.0  # below it nothing is drawn that could be curtailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One resource now: ``power_w`` by a fresh meter (``None``: not known), ``limit_a`` in force, of whom.

    ``out`` says why it takes no part in events now, '' if it does.
    """

    resource: Resource
    online: bool
    session: bool
    power_w: float | None
    limit_a: float | None = None
    limit_source: str = "none"
    out: str = ""

    @property
    def drawn_w(self) -> float:
        """What it draws, W; 0 where nobody knows."""
        return max(0.0, self.power_w or 0.0)

    @property
    def taking_part(self) -> bool:
        """True if a command now would change what it draws."""
        en_route = self.resource.scenario is Scenario.EN_ROUTE
        return self.online and self.session and not self.out and not en_route and self.drawn_w >= IDLE_W

    @property
    def curtailable_w(self) -> float:
        """What could be taken away by a stop, W."""
        return self.drawn_w if self.taking_part else 0.0

    @property
    def to_floor_w(self) -> float:
        """What could be taken away without interrupting the charge, W."""
        least_w = self.resource.kw(self.resource.least_a) * 1000.0
        return max(0.0, self.drawn_w - least_w) if self.taking_part and not self.resource.binary else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFigures:
    """One group now; powers in kW. ``held_kw``: of the curtailable, what is behind a limit already in force."""

    group_id: str
    resources: int
    rated_kw: float
    online: int
    charging: int
    metered: int
    power_kw: float
    curtailable_kw: float
    to_floor_kw: float
    held_kw: float
    out: int


def group_figures(seen: Iterable[Seen]) -> tuple[GroupFigures, ...]:
    """Return the figures of all resources together, then of each group by name (TEL-13)."""
    members: dict[str, list[Seen]] = {WHOLE: []}
    for each in seen:
        members[WHOLE].append(each)
        for name in dict.fromkeys(each.resource.memberships):
            members.setdefault(name, []).append(each)
    return tuple(_group(name, members[name]) for name in sorted(members))


def _group(name: str, seen: Sequence[Seen]) -> GroupFigures:
    return GroupFigures(
        group_id=name,
        resources=len(seen),
        rated_kw=_kw(each.resource.max_kw * 1000.0 for each in seen),
        online=sum(each.online for each in seen),
        charging=sum(each.drawn_w >= IDLE_W for each in seen),
        metered=sum(each.power_w is not None for each in seen),
        power_kw=_kw(each.drawn_w for each in seen),
        curtailable_kw=_kw(each.curtailable_w for each in seen),
        to_floor_kw=_kw(each.to_floor_w for each in seen),
        held_kw=_kw(each.curtailable_w for each in seen if each.limit_a is not None),
        out=sum(bool(each.out) for each in seen),
    )


def _kw(watts: Iterable[float]) -> float:
    return round(sum(watts) / 1000.0, 3)


# --- what events came to ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFigures:
    """What the events of a time came to (TEL-18), over ``participations`` (event, resource) that were limited.

    The baseline of a resource is its mean power before the event. ``reduction_kw`` adds up what was drawn less
    during the events, by meter, ``peak_reduction_kw`` is the largest sum of one event; ``withheld_kwh`` is the energy
    that drivers got later, or not at all. Rates are shares of the participations.
    """

    events: int
    participations: int
    measured: int
    states: Mapping[str, int]
    baseline_kw: float
    reduction_kw: float
    reduction_share: float | None
    peak_reduction_kw: float
    withheld_kwh: float
    opt_out_rate: float | None
    override_rate: float | None
    verified_rate: float | None


def key_figures(outcomes: Iterable[Outcome], told: Mapping[tuple[str, str], OptTold]) -> KeyFigures:
    """Return the figures of some outcomes; those that limited nothing (a price) are left out."""
    limited = [each for each in outcomes if each.limit_a is not None or each.state is OutcomeState.OPTED_OUT]
    states: dict[str, int] = {}
    by_event: dict[str, float] = {}
    baseline = withheld = 0.0
    measured = 0
    for each in limited:
        states[each.state.value] = states.get(each.state.value, 0) + 1
        less = by_event.setdefault(each.event_id, 0.0)
        if each.kw_before is not None and each.kw_during is not None:
            measured += 1
            baseline += each.kw_before
            by_event[each.event_id] = less + each.kw_before - each.kw_during
            withheld += max(0.0, each.kw_before - each.kw_during) * _hours(each)
    reduction, opted = sum(by_event.values()), (told.get((each.event_id, each.resource_id)) for each in limited)
    out = sum(each is not None and each.opt_type == "optOut" for each in opted)
    return KeyFigures(
        events=len(by_event),
        participations=len(limited),
        measured=measured,
        states=dict(sorted(states.items())),
        baseline_kw=round(baseline, 3),
        reduction_kw=round(reduction, 3),
        reduction_share=_share(reduction, baseline),
        peak_reduction_kw=round(max(by_event.values(), default=0.0), 3),
        withheld_kwh=round(withheld, 3),
        opt_out_rate=_share(out, len(limited)),
        override_rate=_share(states.get(OutcomeState.OPTED_OUT.value, 0), len(limited)),
        verified_rate=_share(states.get(OutcomeState.VERIFIED.value, 0), len(limited)),
    )


def _hours(outcome: Outcome) -> float:
    start = max(outcome.effective_start, outcome.applied_at or outcome.effective_start)
    end = outcome.effective_end
    return 0.0 if end is None else max(0.0, (end - start).total_seconds() / 3600.0)


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


# --- how available a resource is --------------------------------------------------------------------------------------


class Response(StrEnum):
    """How quickly a resource has been seen to respond, by meter, from the moment it had to."""

    SECONDS = "seconds"  # 10 s
    MINUTE = "minute"
    MINUTES = "minutes"  # 10 min
    SLOW = "slow"
    UNPROVEN = "unproven"  # never verified in the time looked at


_CLASSES = ((10.0, Response.SECONDS), (60.0, Response.MINUTE), (600.0, Response.MINUTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """One resource over a time (TEL-14): hours online, with a car plugged in and reachable, and left by its driver."""

    resource_id: str
    hours: float
    online_h: float
    plugged_h: float
    overridden_h: float
    responses: int
    response_s: float | None
    response: Response


def availability(
    resource_id: str, rows: Sequence[Presence], outcomes: Iterable[Outcome], start: datetime, end: datetime
) -> Availability:
    """Return how available a resource was over [start, end); ``rows`` by time, with the last one before it."""
    online = plugged = overridden = 0.0
    for number, row in enumerate(rows):
        until = rows[number + 1].at if number + 1 < len(rows) else end
        hours = max(0.0, (min(until, end) - max(row.at, start)).total_seconds() / 3600.0)
        online += hours * row.online
        plugged += hours * (row.online and row.session)
        overridden += hours * row.overridden
    took = [(each.verified_at - _due(each)).total_seconds() for each in outcomes if each.verified_at is not None]
    middle = max(0.0, median(took)) if took else None
    return Availability(
        resource_id=resource_id,
        hours=round((end - start).total_seconds() / 3600.0, 3),
        online_h=round(online, 3),
        plugged_h=round(plugged, 3),
        overridden_h=round(overridden, 3),
        responses=len(took),
        response_s=None if middle is None else round(middle, 1),
        response=_class(middle),
    )


def _due(outcome: Outcome) -> datetime:
    return max(outcome.effective_start, outcome.known_at)


def _class(middle_s: float | None) -> Response:
    if middle_s is None:
        return Response.UNPROVEN
    return next((name for limit, name in _CLASSES if middle_s <= limit), Response.SLOW)
