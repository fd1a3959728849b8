"""What an operator sees of an event: per VEN what was delivered and answered, per resource who is in or out and the
meter.

Rule: read only; states are derived from rows, never stored twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from vtn.services.absence import Absences, absences_of
from vtn.services.availability import Verdict
from vtn.services.optstate import OptState, of_resource, of_ven
from vtn.store.eventrows import EventCounts, EventResource, EventVen, EventVersion, Handed, StoredEvent, times_of
from vtn.store.rows import Telemetry
from vtn.store.store import Tx


class DeliveryState(StrEnum):
    """How far the present version of an event has got with a VEN."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceView:
    """One resource in an event, with the newest value of each report about it."""

    resource_id: str
    opt: OptState
    telemetry: tuple[Telemetry, ...] = ()
    unavailable: Verdict | None = None  # when an opt schedule has it out during the event, the first time


@dataclass(frozen=True, slots=True, kw_only=True)
class VenView:
    """One VEN in an event."""

    state: EventVen
    handed: Handed | None
    deliveries: int  # of the present version
    delivery: DeliveryState
    opt: OptState
    request_ids: tuple[str, ...]
    resources: tuple[ResourceView, ...]
    unavailable: Verdict | None = None  # of the VEN as a whole
    signal_ids: tuple[str, ...] | None = None  # the signals that concern it; None: all


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """An event with everything known about it."""

    stored: StoredEvent
    counts: EventCounts
    versions: tuple[EventVersion, ...]
    vens: tuple[VenView, ...]


def delivery_state(state: EventVen, modification_number: int, deliveries: int) -> DeliveryState:
    """Return how far ``modification_number`` has got, which was handed out so often."""
    if state.answered_modification == modification_number:
        return DeliveryState.ACKNOWLEDGED
    return DeliveryState.DELIVERED if deliveries else DeliveryState.QUEUED


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """All that is read of an event's VENs and resources; mappings are by (venID, resourceID) or by venID."""

    stored: StoredEvent
    names: Mapping[str, Sequence[str]]
    rows: Mapping[tuple[str, str], EventResource]
    readings: Mapping[tuple[str, str], Sequence[Telemetry]]
    absences: Absences
    handed: Mapping[str, tuple[Handed, tuple[str, ...]]]


async def event_view(tx: Tx, event_id: str, now: datetime) -> EventView | None:
    """Return an event with its states, ``None`` if unknown."""
    stored = await tx.events.get(event_id)
    if stored is None:
        return None
    states = await tx.events.states(event_id)
    facts = await _facts(tx, stored, states, now)
    counts = await tx.events.counts((event_id,))
    return EventView(
        stored=stored,
        counts=counts[event_id],
        versions=await tx.events.versions(event_id),
        vens=tuple(_ven(state, facts) for state in states),
    )


async def _facts(tx: Tx, stored: StoredEvent, states: Sequence[EventVen], now: datetime) -> _Facts:
    event_id, ven_ids = stored.event_id, [each.ven_id for each in states]
    rows = {(each.ven_id, each.resource_id): each for each in await tx.events.resource_states(event_id)}
    owned = await tx.vens.resources(ven_ids=[each.ven_id for each in states if each.whole_ven])
    names: dict[str, list[str]] = {}
    for ven_id, resource_id in sorted({*rows, *((each.ven_id, each.resource_id) for each in owned)}):
        names.setdefault(ven_id, []).append(resource_id)
    readings: dict[tuple[str, str], list[Telemetry]] = {}
    for reading in await tx.reports.latest(ven_ids):
        if reading.resource_id is not None:
            readings.setdefault((reading.ven_id, reading.resource_id), []).append(reading)
    return _Facts(
        stored=stored,
        names=names,
        rows=rows,
        readings=readings,
        absences=await absences_of(tx, stored, ven_ids, now),
        handed=await tx.events.handed(event_id),
    )


def _ven(state: EventVen, facts: _Facts) -> VenView:
    ven_id, event = state.ven_id, facts.stored.event
    handed, request_ids = facts.handed.get(ven_id, (None, ()))
    number = facts.stored.modification_number if state.withdrawn is None else state.withdrawn
    deliveries = times_of(handed, number)
    known = frozenset(each.signal_id for each in event.signals)
    return VenView(
        state=state,
        handed=handed,
        deliveries=deliveries,
        delivery=delivery_state(state, number, deliveries),
        opt=of_ven(state),
        request_ids=request_ids,
        resources=tuple(_resource(state, name, facts) for name in facts.names.get(ven_id, ())),
        unavailable=facts.absences.of(ven_id, None),
        signal_ids=None if state.parts is None else tuple(each for each in state.parts if each in known),
    )


def _resource(state: EventVen, resource_id: str, facts: _Facts) -> ResourceView:
    key = state.ven_id, resource_id
    return ResourceView(
        resource_id=resource_id,
        opt=of_resource(state, facts.rows.get(key)),
        telemetry=tuple(facts.readings.get(key, ())),
        unavailable=facts.absences.of(*key),
    )
