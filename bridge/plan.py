"""From events to caps: which cap in A per phase each event puts on each resource, and when; pure.

Rule: a cap is an upper limit, never a set-point (MAP-06). Amperes are per phase and rounded down to 0.1 A (MAP-08);
what lies between 0 and 6 A is raised to 6 A or paused, as the programme says (MAP-09). The random start comes from a
stored draw, so the same inputs always give the same caps (RND-01, RND-02); ends are exclusive (R18).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.program import FloorPolicy, Programme, Programmes, SignalRule
from bridge.resources import Resource, in_class, select
from openadr import timeline
from openadr.model import Event, Signal

FLOOR_A = 6.0  # IEC 61851: the least current a charger can offer; below it only a pause exists
STEP_A = 0.1  # OCPP limits carry one decimal
_EXACT = 6  # decimals kept before rounding down, so that 0.3 * 20 A stays 6.0 A


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """The random numbers of one (event, resource), uniform [0, 1), drawn once and stored (RND-01)."""

    event_id: str
    resource_id: str
    start_u: float
    release_u: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEvent:
    """An event this VEN takes part in; ``cancelled_at`` is when its cancellation was learnt."""

    event: Event
    cancelled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Effective times of one event at one resource: ``end`` exclusive, ``None`` open-ended; offsets in s."""

    start: datetime
    end: datetime | None
    start_offset_s: int
    release_offset_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """One stretch of one event at one resource. ``limit_a`` is A per phase, ``None`` where the event asks for none."""

    resource_id: str
    event_id: str
    modification_number: int
    start: datetime
    end: datetime | None
    limit_a: float | None
    value: float
    reason: str
    priority: int
    emergency: bool
    overridable: bool
    programme: str  # market context and version: goes with every decision

    def contains(self, now: datetime) -> bool:
        """True while the cap is in force."""
        return self.start <= now and (self.end is None or now < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePlan:
    """All that one event means for one resource."""

    resource_id: str
    event_id: str
    modification_number: int
    timing: Timing
    caps: tuple[Cap, ...]
    programme: str


def _offset(u: float, window_s: float) -> int:
    """Return whole seconds, uniform over 0 to ``window_s`` inclusive."""
    return int(u * (int(window_s) + 1))


def start_window_s(event: Event, programme: Programme) -> float:
    """Return the window of the random start (RND-03).

    None for an emergency, whatever was sent; the event's startafter where present, zero meaning immediate; else the
    programme's default, so that a forgotten tolerance cannot step the fleet.
    """
    if programme.emergency:
        return 0.0
    window = timeline.window_s(event.active_period)
    return programme.random_window_s if window is None else window


def timing(known: KnownEvent, programme: Programme, draw: Draw) -> Timing:
    """Return the effective times: the end moves with the start (RND-02); a cancellation ends at random too (R65)."""
    window = start_window_s(known.event, programme)
    start_offset = _offset(draw.start_u, window)
    release_offset = _offset(draw.release_u, programme.release_window_s)
    period = timeline.effective(known.event, start_offset)
    end = None if period.end is None else period.end + timedelta(seconds=release_offset)
    if known.cancelled_at is not None:
        stop = known.cancelled_at
        if stop > period.start:
            stop += timedelta(seconds=_offset(draw.release_u, max(window, programme.release_window_s)))
        end = max(period.start, stop if end is None else min(end, stop))
    return Timing(start=period.start, end=end, start_offset_s=start_offset, release_offset_s=release_offset)


def round_down(amperes: float) -> float:
    """Return ``amperes`` rounded down to 0.1 A."""
    return math.floor(round(amperes / STEP_A, _EXACT)) / 10


def limit(fraction: float, resource: Resource, floor: FloorPolicy) -> tuple[float, str]:
    """Return the cap in A per phase for a fraction of the installed maximum, and the sum in words (MAP-08, MAP-09)."""
    exact = fraction * resource.max_a
    amperes = round_down(exact)
    words = f"{fraction * 100:g} % of {resource.max_a:g} A"
    if exact > 0.0 and amperes < FLOOR_A:
        if floor is FloorPolicy.FLOOR:
            return FLOOR_A, f"{words} = {exact:g} A, raised to the {FLOOR_A:g} A floor"
        return 0.0, f"{words} = {exact:g} A, below {FLOOR_A:g} A: paused"
    return amperes, f"{words} = {amperes:g} A per phase"


def _chosen(event: Event, programme: Programme, resource: Resource) -> tuple[Signal, SignalRule] | None:
    """Return the signal that decides: the first of the programme's order which the event has for this device class."""
    for rule in programme.signals:
        if rule.rule == "informative":
            continue
        for signal in event.signals:
            if programme.rule_for(signal) is rule and in_class(resource, signal.target):
                return signal, rule
    return None


def _caps(known: KnownEvent, programme: Programme, resource: Resource, times: Timing) -> Iterable[Cap]:
    event, chosen = known.event, _chosen(known.event, programme, resource)
    if chosen is None:
        return
    signal, rule = chosen
    for segment in timeline.segments(event, signal, times.start_offset_s):
        end = _segment_end(segment.end, event, times)
        if end is not None and end <= segment.start:
            continue
        fraction = rule.fraction(segment.value)
        amperes, words = (None, "normal operation") if fraction is None else limit(fraction, resource, programme.floor)
        yield Cap(
            resource_id=resource.resource_id,
            event_id=event.descriptor.event_id,
            modification_number=event.descriptor.modification_number,
            start=segment.start,
            end=end,
            limit_a=amperes,
            value=segment.value,
            reason=f"{signal.signal_name} {segment.value:g}: {words}",
            priority=event.descriptor.priority,
            emergency=programme.emergency,
            overridable=programme.overridable,
            programme=f"{programme.market_context} {programme.version}",
        )


def _segment_end(end: datetime | None, event: Event, times: Timing) -> datetime | None:
    """Return the end of a segment: the last one is stretched by the random release, all are cut by a cancellation."""
    if end is None or end == timeline.effective(event, times.start_offset_s).end:
        return times.end
    return end if times.end is None else min(end, times.end)


def takes_part(event: Event, resource: Resource) -> bool:
    """False for a test event at a charger that is not enrolled for tests (EVT-21)."""
    return resource.test_enrolled or not event.descriptor.is_test


def plan(
    events: Iterable[KnownEvent],
    programmes: Programmes,
    resources: Iterable[Resource],
    draws: Mapping[tuple[str, str], Draw],
    ven_id: str | None = None,
) -> tuple[ResourcePlan, ...]:
    """Return what every event means for every resource it targets; events without a usable programme mean nothing.

    ``draws`` is by (eventID, resourceID) and must hold one for each pair from ``pairs``.
    """
    plans = []
    for known, programme, resource in _matches(events, programmes, tuple(resources), ven_id):
        key = (known.event.descriptor.event_id, resource.resource_id)
        times = timing(known, programme, draws[key])
        plans.append(
            ResourcePlan(
                resource_id=resource.resource_id,
                event_id=key[0],
                modification_number=known.event.descriptor.modification_number,
                timing=times,
                caps=tuple(_caps(known, programme, resource, times)),
                programme=f"{programme.market_context} {programme.version}",
            )
        )
    return tuple(plans)


def pairs(
    events: Iterable[KnownEvent], programmes: Programmes, resources: Iterable[Resource], ven_id: str | None = None
) -> tuple[tuple[str, str], ...]:
    """Return the (eventID, resourceID) pairs that need a draw."""
    found = _matches(events, programmes, tuple(resources), ven_id)
    return tuple((known.event.descriptor.event_id, resource.resource_id) for known, _, resource in found)


def _matches(
    events: Iterable[KnownEvent], programmes: Programmes, resources: tuple[Resource, ...], ven_id: str | None
) -> Iterable[tuple[KnownEvent, Programme, Resource]]:
    for known in events:
        programme = programmes.usable(known.event)
        if programme is None:
            continue
        for resource in select(resources, known.event.target, ven_id):
            if takes_part(known.event, resource):
                yield known, programme, resource
