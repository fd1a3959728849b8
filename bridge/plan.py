"""From events to caps: which cap in A per phase each event puts on each resource, and when; pure.

Rule: the plan is a function of events, programmes, resources, draws and references, all of them stored, so the same
inputs always give the same caps (RND-01, RND-02); ends are exclusive (R18). What a value means is said by the
programme's rule and ``bridge.asks``; a resource that cannot do what is asked takes no part at all (VEN-11).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.asks import Effect, Reference, limit
from bridge.cap import Cap, Draw, KnownEvent, ResourcePlan, Timing
from bridge.filling import begun, filled, unthrottled, until
from bridge.program import ApplyAt, Programme, Programmes
from bridge.ramp import Slope, length_s, ramped
from bridge.reference import References, Wanted
from bridge.resources import Resource, Scenario, in_class, select
from bridge.rules import SignalRule
from openadr import timeline
from openadr.errors import ResponseCode
from openadr.model import Event, Signal, SignalName

__all__ = [
    "Cap",
    "Draw",
    "KnownEvent",
    "Refusal",
    "ResourcePlan",
    "Scene",
    "Timing",
    "about_content",
    "pairs",
    "plan",
    "planned",
    "references",
    "refusal",
    "scenes",
    "spread_s",
    "staged",
    "start_window_s",
    "takers",
    "timing",
    "wanted",
]

NONE_MEASURED: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a resource takes no part in an event; ``code`` is what a VEN answers if that is so everywhere."""

    code: ResponseCode
    reason: str

    @property
    def told(self) -> bool:
        """True for what the resource cannot do: said by an opt where others take part (VEN-11)."""
        return self.code is not ResponseCode.OK


def _offset(u: float, window_s: float) -> int:
    """Return whole seconds, uniform over 0 to ``window_s`` inclusive."""
    return int(u * (int(window_s) + 1))


def start_window_s(
    event: Event, programme: Programme, resource: Resource | None = None, received_at: datetime | None = None
) -> float:
    """Return the window of the random start (RND-03).

    None for an emergency, whatever was sent, and for a device that delays by itself (RND-05); the event's startafter
    where present, zero meaning immediate; else the resource's own window (RND-04), else the programme's, so that a
    forgotten tolerance cannot step the fleet.
    """
    if programme.emergency or (resource is not None and resource.own_delay_s):
        return 0.0
    window = timeline.window_s(event.active_period)
    if window is not None:
        return window
    own = None if resource is None else resource.window_s(received_at)
    return programme.random_window_s if own is None else own


def release_window_s(programme: Programme, resource: Resource) -> float:
    """Return the window of the random release: exactly one layer delays (RND-05)."""
    return 0.0 if resource.own_delay_s else programme.release_window_s


def spread_s(scene: "Scene") -> float:
    """Return over how long the resource's change may come, s: random window and ramp-up (RND-04); at least 1."""
    resource, programme, known = scene.resource, scene.programme, scene.known
    window = resource.own_delay_s or start_window_s(known.event, programme, resource, known.received_at)
    period = known.event.active_period
    ramp = 0 if programme.emergency else abs(length_s(period.ramp_up, programme.ramp_up_s, period.dtstart))
    return max(1.0, window + ramp)


def timing(known: KnownEvent, programme: Programme, resource: Resource, draw: Draw) -> Timing:
    """Return the effective times: the end moves with the start (RND-02); a cancellation ends at random too (R65)."""
    window = start_window_s(known.event, programme, resource, known.received_at)
    release_window = release_window_s(programme, resource)
    start_offset = _offset(draw.start_u, window)
    release_offset = _offset(draw.release_u, release_window)
    period = timeline.effective(known.event, start_offset)
    end = None if period.end is None else period.end + timedelta(seconds=release_offset)
    if known.cancelled_at is not None:
        stop = known.cancelled_at
        if stop > period.start:
            stop += timedelta(seconds=_offset(draw.release_u, max(window, release_window)))
        end = max(period.start, stop if end is None else min(end, stop))
    return Timing(
        start=period.start,
        end=end,
        start_offset_s=start_offset,
        release_offset_s=release_offset,
        scheduled_start=known.event.active_period.dtstart,
        scheduled_end=timeline.scheduled_end(known.event.active_period),
    )


def _candidates(event: Event, programme: Programme, resource: Resource) -> Iterable[tuple[Signal, SignalRule]]:
    """Yield the signals that could decide, in the programme's order, as far as they are for this device class."""
    for rule in programme.acting:
        for signal in event.signals:
            if programme.rule_for(signal) is rule and in_class(resource, signal.target):
                yield signal, rule


def _chosen(
    event: Event, programme: Programme, resource: Resource, measured: frozenset[str]
) -> tuple[Signal, SignalRule] | None:
    """Return the signal that decides: the first that means anything at this resource."""
    for signal, rule in _candidates(event, programme, resource):
        if rule.serves(resource, content_known=resource.resource_id in measured):
            return signal, rule
    return None


def refusal(
    event: Event, programme: Programme, resource: Resource, measured: frozenset[str] = NONE_MEASURED
) -> Refusal | None:
    """Return why the resource takes no part, ``None`` if it does. ``measured``: where the state of charge is known."""
    name = resource.resource_id
    if resource.scenario is Scenario.EN_ROUTE:  # not for demand modification (CHG-14)
        return Refusal(code=ResponseCode.OK, reason=f"{name} is en-route rapid charging and left alone")
    if event.descriptor.is_test and not resource.test_enrolled:  # EVT-21
        return Refusal(code=ResponseCode.OK, reason="a test event, and no targeted resource is enrolled for tests")
    if not programme.emergency and resource.agreements is not None and programme.context not in resource.agreements:
        who = programme.issuer or "its programme"
        return Refusal(  # ARB-12, ARB-19: neither a contract nor an emergency
            code=ResponseCode.NOT_ALLOWED,
            reason=f"{name} has not agreed to {programme.market_context}: {who} may not command it, notParticipating",
        )
    chosen = _chosen(event, programme, resource, measured)
    if chosen is None:
        unserved = next(iter(_candidates(event, programme, resource)), None)
        if unserved is None:
            return None
        why = "its state of charge is not known" if unserved[1].rule == "charge_state" else "it declares no meaning"
        return Refusal(code=ResponseCode.DEPLOYMENT_ERROR, reason=f"{unserved[1].what} cannot be done by {name}: {why}")
    signal, rule = chosen
    for interval in signal.intervals:
        if rule.ask(signal, interval.value, resource).effect is Effect.EXPORT:  # S-V16: nothing is sent
            what = f"{rule.what} {interval.value:g} is about export (DRM 5 to 8)"
            why = f"no driver has proven that {name} exports" if resource.exports else f"{name} only charges"
            return Refusal(code=ResponseCode.DEPLOYMENT_ERROR, reason=f"{what} and {why}: notParticipating")
    return None


def _slope(known: KnownEvent, programme: Programme, resource: Resource, draw: Draw) -> Slope:
    period, own = known.event.active_period, resource.own_delay_s > 0
    return Slope(
        up_s=0 if programme.emergency else length_s(period.ramp_up, programme.ramp_up_s, period.dtstart),
        recovery_s=length_s(period.recovery, programme.recovery_s, period.dtstart),
        steps=programme.ramp_steps,
        up_u=0.0 if own else draw.start_u,
        recovery_u=0.0 if own else draw.release_u,
        floor=programme.terms.floor,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One event at one resource; ``share`` is its part of the installed power of all that take part."""

    known: KnownEvent
    programme: Programme
    resource: Resource
    share: float
    measured: frozenset[str]

    @property
    def key(self) -> tuple[str, str]:
        """EventID and resourceID."""
        return self.known.event.descriptor.event_id, self.resource.resource_id


def _caps(scene: Scene, times: Timing, reference: Reference | None) -> Iterable[Cap]:
    event, programme, resource = scene.known.event, scene.programme, scene.resource
    chosen = _chosen(event, programme, resource, scene.measured)
    if chosen is None:
        return
    signal, rule = chosen
    for segment in timeline.segments(event, signal, times.start_offset_s):
        end = _segment_end(segment.end, event, times)
        if end is not None and end <= segment.start:
            continue
        ask = rule.ask(signal, segment.value, resource)
        begin = begun(ask, reference, segment.start)
        length = None if segment.end is None else max(0.0, (segment.end - begin).total_seconds())
        found = limit(ask, resource, programme.terms, reference, length, share=scene.share)
        cap = Cap(
            resource_id=resource.resource_id,
            event_id=event.descriptor.event_id,
            modification_number=event.descriptor.modification_number,
            start=segment.start,
            end=end,
            limit_a=found.amperes,
            value=segment.value,
            reason=f"{_label(rule)} {segment.value:g}: {found.words}",
            priority=event.descriptor.priority,
            emergency=programme.emergency,
            overridable=programme.overridable(found.effect),
            programme=programme.label,
            event_class=programme.event_class,
            two_step=programme.two_step_override,
            context=programme.context,
            authority=programme.authority,
            issuer=programme.issuer or "",
            group_kw=found.group_kw,
            effect=found.effect,
            step=ask.step,
            at_grid=programme.apply_at is ApplyAt.GRID and resource.site is not None,
        )
        cap = unthrottled(cap, ask, resource, programme.cta2045.steps, length)
        reference, reached = filled(ask, found, resource, reference, begin, length)
        yield from until(cap, reached)


def _label(rule: SignalRule) -> str:
    """Return the signal as reasons name it; two types of LOAD_DISPATCH must not read the same."""
    return rule.name if rule.rule in ("levels", "drm", "capacity") else f"{rule.name} {rule.type}"


def _segment_end(end: datetime | None, event: Event, times: Timing) -> datetime | None:
    """Return the end of a segment: the last one is stretched by the random release, all are cut by a cancellation."""
    if end is None or end == timeline.effective(event, times.start_offset_s).end:
        return times.end
    return end if times.end is None else min(end, times.end)


def plan(
    events: Iterable[KnownEvent],
    programmes: Programmes,
    resources: Iterable[Resource],
    draws: Mapping[tuple[str, str], Draw],
    ven_id: str | None = None,
    taken: References | None = None,
    measured: frozenset[str] = NONE_MEASURED,
) -> tuple[ResourcePlan, ...]:
    """Return what every event means for every resource it targets; events without a usable programme mean nothing.

    ``draws`` is by (eventID, resourceID) and must hold one for each pair from ``pairs``; ``taken`` are the references
    that count now, ``measured`` names the resources whose state of charge is known.
    """
    resources = tuple(resources)
    return tuple(planned(each, draws, taken) for each in scenes(events, programmes, resources, ven_id, measured))


def planned(scene: Scene, draws: Mapping[tuple[str, str], Draw], taken: References | None = None) -> ResourcePlan:
    """Return what one event means for one resource."""
    draw = draws[scene.key]
    times = timing(scene.known, scene.programme, scene.resource, draw)
    caps = tuple(_caps(scene, times, (taken or {}).get(scene.key)))
    return ResourcePlan(
        resource_id=scene.key[1],
        event_id=scene.key[0],
        modification_number=scene.known.event.descriptor.modification_number,
        timing=times,
        caps=ramped(caps, scene.resource, _slope(scene.known, scene.programme, scene.resource, draw)) if caps else (),
        programme=scene.programme.label,
    )


def pairs(
    events: Iterable[KnownEvent],
    programmes: Programmes,
    resources: Iterable[Resource],
    ven_id: str | None = None,
    measured: frozenset[str] = NONE_MEASURED,
) -> tuple[tuple[str, str], ...]:
    """Return the (eventID, resourceID) pairs that need a draw."""
    return tuple(scene.key for scene in scenes(events, programmes, tuple(resources), ven_id, measured))


def references(scenes: Iterable[Scene], draws: Mapping[tuple[str, str], Draw]) -> tuple[Wanted, ...]:
    """Return the references that events need, and when each is to be taken: where its ramp-up or it begins."""
    found = (wanted(scene, draws) for scene in scenes)
    return tuple(each for each in found if each is not None)


def wanted(scene: Scene, draws: Mapping[tuple[str, str], Draw]) -> Wanted | None:
    """Return the reference that one event needs at one resource, ``None`` if it needs none."""
    chosen = _chosen(scene.known.event, scene.programme, scene.resource, scene.measured)
    if chosen is None or not chosen[1].dynamic:
        return None
    draw = draws[scene.key]
    start = timing(scene.known, scene.programme, scene.resource, draw).start
    begin = start - timedelta(seconds=max(0, _slope(scene.known, scene.programme, scene.resource, draw).up_s))
    learnt = scene.known.received_at or begin
    return Wanted(
        event_id=scene.key[0],
        resource_id=scene.key[1],
        at=max(begin, learnt),
        window_s=scene.programme.reference_window_s,
        running=learnt > begin,
    )


def about_content(event: Event) -> bool:
    """True if a signal is about stored energy: who takes part depends on what is measured."""
    return any(signal.signal_name == SignalName.CHARGE_STATE for signal in event.signals)


def takers(
    known: KnownEvent,
    programme: Programme,
    resources: Iterable[Resource],
    ven_id: str | None,
    measured: frozenset[str] = NONE_MEASURED,
) -> list[Resource]:
    """Return the resources that take part in an event, in the order given; each is looked at for itself."""
    return [
        resource
        for resource in select(resources, known.event.target, ven_id)
        if refusal(known.event, programme, resource, measured) is None
    ]


def staged(
    known: KnownEvent, programme: Programme, taking: Sequence[Resource], measured: frozenset[str] = NONE_MEASURED
) -> Iterator[Scene]:
    """Yield one event at each resource of those that take part."""
    whole = sum(resource.max_kw for resource in taking)
    for resource in taking:
        yield Scene(
            known=known,
            programme=programme,
            resource=resource,
            share=1.0 if len(taking) == 1 else resource.max_kw / whole,
            measured=measured,
        )


def scenes(
    events: Iterable[KnownEvent],
    programmes: Programmes,
    resources: tuple[Resource, ...],
    ven_id: str | None,
    measured: frozenset[str],
) -> Iterator[Scene]:
    """Yield each event at each resource that takes part in it, event by event."""
    for known in events:
        programme = programmes.usable(known.event)
        if programme is not None:
            yield from staged(known, programme, takers(known, programme, resources, ven_id, measured), measured)
