"""The price in force at a resource, as events tell it (EVT-11): shown, never a limit; pure.

Rule: among several events the arbiter's order of events holds: active ones by priority. A unit is told as it came.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.cap import KnownEvent
from bridge.resources import Resource, in_class, select
from openadr.model import Event, EventStatus, Signal, SignalName
from openadr.timeline import current_value, order, status

PRICES = frozenset({SignalName.ELECTRICITY_PRICE, SignalName.ENERGY_PRICE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One price: ``kind`` is the signalType (price, priceRelative, priceMultiplier), ``unit`` as the event says."""

    value: float
    kind: str
    unit: str
    event_id: str


def prices_in_force(known: Iterable[KnownEvent], now: datetime) -> tuple[tuple[Event, Signal], ...]:
    """Return the price signals of the events that are active now, the one that counts first."""
    events = [each.event for each in known if each.cancelled_at is None]
    active = [each for each in order(events, now) if status(each, now) is EventStatus.ACTIVE]
    return tuple((each, signal) for each in active for signal in each.signals if signal.signal_name in PRICES)


def price_of(
    resource: Resource, prices: Sequence[tuple[Event, Signal]], ven_id: str | None, now: datetime
) -> Price | None:
    """Return the price of a resource, ``None`` without one; ``prices`` are those in force."""
    for event, signal in prices:
        value = current_value(signal, event.active_period, now)
        if value is not None and select((resource,), event.target, ven_id) and in_class(resource, signal.target):
            unit = signal.item_base
            words = "" if unit is None else f"{unit.item_units} {unit.kind}".strip()
            return Price(value=value, kind=signal.signal_type, unit=words, event_id=event.descriptor.event_id)
    return None
