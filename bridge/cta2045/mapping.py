"""From limits and prices to what a CTA-2045 device is asked for: the mapping of the signal profile; pure.

Rule: a stop that nobody may override is Grid Emergency, one that may be is never (CTA-11). A limit is a share of the
rating (CTA-10), except that a step signal is said in steps to the kinds that the programme lists. More load is Load Up
(CTA-12), of so much where a stored energy is to be reached. What a device makes of Shed is its model's, in ``ladder``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.arbiter import Effective, Override, Source, overridden_by
from bridge.asks import Effect
from bridge.cap import Cap, KnownEvent, ResourcePlan
from bridge.cta2045.orders import Mode, Order
from bridge.native import Native
from bridge.plan import refusal
from bridge.program import Programme, Programmes
from bridge.resources import Resource, in_class, select
from openadr import timeline
from openadr.model import Signal, SignalType

FIRM = frozenset({Source.SAFETY.value, Source.SITE.value, Source.GROUP.value, Source.DSO.value})
"""Sources of limits, other than events, that a customer cannot lift."""

PRICE_SIGNALS = frozenset({"ELECTRICITY_PRICE", "ENERGY_PRICE"})
_PRICE_TYPES = frozenset({SignalType.PRICE, SignalType.PRICE_RELATIVE, SignalType.PRICE_MULTIPLIER})
_LAST = 2**63  # priority 0 means none and therefore last (R3)
LOAD_UP_RANK = -1  # a limit counts above a wish for more load (MAP-13)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a device is asked for while a limit is in force."""

    mode: Mode
    share: float = 0.0
    overridable: bool = True


def words(limit_a: float, source: str, cap: Cap | None, resource: Resource, native: Native) -> Words:
    """Return how a limit is said; ``cap`` is the event's that sets it, ``None`` if ``source`` is no event."""
    overridable = source not in FIRM if cap is None else cap.overridable
    if limit_a < resource.least_a:  # a charger would raise it to 6 A, above what was allowed: it pauses (MAP-09)
        limit_a = 0.0
    share = min(max(limit_a / resource.max_a, 0.0), 1.0)
    if limit_a <= 0.0 and not overridable:
        return Words(mode=Mode.GRID_EMERGENCY, overridable=False)
    if cap is not None and cap.step is not None and resource.kind in native.steps:
        mode = Mode.SHED if cap.step == 0 and limit_a > 0.0 else Mode.CRITICAL_PEAK
        return Words(mode=mode, overridable=overridable)
    return Words(mode=Mode.POWER_LEVEL, share=share, overridable=overridable)


def limiting(piece: Effective, plans: Iterable[ResourcePlan], at: datetime) -> Cap | None:
    """Return the cap of the event that sets an effective limit at ``at``, ``None`` if no event does."""
    for plan in plans:
        if plan.event_id == piece.event_id:
            return next((cap for cap in plan.caps if cap.contains(at)), None)
    return None


def load_ups(
    plans: Iterable[ResourcePlan], overrides: Sequence[Override], resource_id: str, now: datetime
) -> tuple[Order, ...]:
    """Return the wishes for more load that are in force or to come, those left by an override excepted."""
    return tuple(
        Order(
            key=f"{cap.event_id} {cap.start:%Y%m%dT%H%M%S}",
            mode=Mode.LOAD_UP,
            start=cap.start,
            end=cap.end,
            energy_wh=cap.energy_wh,
            rank=LOAD_UP_RANK,
            overridable=cap.overridable,
        )
        for plan in plans
        if plan.resource_id == resource_id
        for cap in plan.caps
        if cap.effect is Effect.LOAD_UP
        and (cap.end is None or now < cap.end)
        and (cap.end is None or cap.start < cap.end)
        and overridden_by(cap, overrides, max(now, cap.start)) is None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Relative prices (1.0 is the usual one): now, next, and when the next begins; ``None`` is unknown."""

    present: float | None = None
    following: float | None = None
    ends: datetime | None = None


def price_events(known: Iterable[KnownEvent], programmes: Programmes) -> tuple[tuple[KnownEvent, Programme], ...]:
    """Return the events that carry prices which their programme understands."""
    carrying = (each for each in known if each.cancelled_at is None and any(map(_is_price, each.event.signals)))
    return tuple((each, programme) for each in carrying if (programme := programmes.usable(each.event)) is not None)


def prices(
    events: Iterable[tuple[KnownEvent, Programme]], resource: Resource, ven_id: str | None, now: datetime
) -> Prices | None:
    """Return the prices that a device is told at ``now``, ``None`` if there are none (CTA-13).

    ``events`` are those of ``price_events``; the one of highest priority counts, then the one that began first.
    """
    found: list[tuple[tuple[int, datetime, str], Prices]] = []
    for each, programme in events:
        if not select((resource,), each.event.target, ven_id) or refusal(each.event, programme, resource) is not None:
            continue
        descriptor = each.event.descriptor
        for signal in each.event.signals:
            mine = _is_price(signal) and in_class(resource, signal.target)
            told = _told(each, signal, programme.cta2045, now) if mine else None
            if told is not None:
                order = (descriptor.priority or _LAST, each.event.active_period.dtstart, descriptor.event_id)
                found.append((order, told))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _is_price(signal: Signal) -> bool:
    return signal.signal_name in PRICE_SIGNALS and signal.signal_type in _PRICE_TYPES


def _told(known: KnownEvent, signal: Signal, native: Native, now: datetime) -> Prices | None:
    segments = timeline.segments(known.event, signal)
    for number, each in enumerate(segments):
        if each.start <= now and (each.end is None or now < each.end):
            present = ratio(signal.signal_type, each.value, native.base_price)
            after = segments[number + 1].value if number + 1 < len(segments) else None
            following = None if after is None else ratio(signal.signal_type, after, native.base_price)
            return None if present is None else Prices(present=present, following=following, ends=each.end)
    return None


def ratio(kind: SignalType, value: float, base: float | None) -> float | None:
    """Return a price relative to the usual one, ``None`` where that is not known."""
    if kind is SignalType.PRICE_MULTIPLIER:
        return max(value, 0.0)
    if base is None:
        return None
    return max(value / base if kind is SignalType.PRICE else 1.0 + value / base, 0.0)
