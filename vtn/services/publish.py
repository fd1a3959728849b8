"""Publishing and cancelling events: an operator's draft becomes an event of the VENs that own its targets.

Rule: everything is checked before anything is written, and a refusal names the field. A new version, its delivery
to every VEN and the operator's name are one transaction.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from openadr.errors import InvalidData, InvalidId, NotAllowed
from openadr.model import (
    ActivePeriod,
    EiTarget,
    Event,
    EventDescriptor,
    EventStatus,
    Interval,
    ItemBase,
    ResponseRequired,
    Signal,
    SignalType,
)
from openadr.signals import check_event, default_item_base
from openadr.timeline import in_payload, status
from openadr.times import ZERO, Duration, whole_second
from vtn.services.context import Desk
from vtn.store.rows import EventResource, EventVen, StoredEvent
from vtn.store.store import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftInterval:
    """One value; without ``duration`` it fills the event (only if it is the only one)."""

    value: float
    duration: Duration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftSignal:
    """A signal without ids; the unit defaults to the one its name and type demand (R104)."""

    signal_name: str
    signal_type: SignalType
    intervals: tuple[DraftInterval, ...]
    item_base: ItemBase | None = None
    device_classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What an operator asks for; ``dtstart`` ``None`` is now, targets are OR'd and at least one is needed."""

    market_context: str
    duration: Duration
    signals: tuple[DraftSignal, ...]
    ven_ids: tuple[str, ...] = ()
    resource_ids: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()
    dtstart: datetime | None = None
    priority: int = 0
    startafter: Duration | None = None
    notification: Duration = ZERO
    ramp_up: Duration | None = None
    recovery: Duration | None = None
    response_required: ResponseRequired = ResponseRequired.ALWAYS
    test_event: str | None = None
    vtn_comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who gets an event: VENs as a whole, and single resources of others."""

    whole: frozenset[str]
    resources: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by venID


async def publish(tx: Tx, draft: Draft, now: datetime, desk: Desk, actor: str) -> StoredEvent:
    """Write a new event. Raises ``OadrError`` whose ``field`` names what to correct."""
    event = build(draft, now, desk)
    check_event(replace(event, target=replace(event.target, ven_ids=event.target.ven_ids[:1])))  # each VEN gets its own
    _check_time(event, now)
    audience = await resolve(tx, draft)
    stored = stored_event(event, created_at=now, modified_at=now)
    await tx.events.put(stored, actor)
    event_id = event.descriptor.event_id
    states = [
        EventVen(event_id=event_id, ven_id=ven_id, whole_ven=ven_id in audience.whole, due_at=now)
        for ven_id in sorted(audience.whole | audience.resources.keys())
    ]
    rows = [
        EventResource(event_id=event_id, ven_id=ven_id, resource_id=resource_id)
        for ven_id, names in audience.resources.items()
        for resource_id in names
    ]
    await tx.events.assign(states, rows)
    return stored


def build(draft: Draft, now: datetime, desk: Desk) -> Event:
    """Return the event of a draft: version 0, ids made, uids counted from 0 (R2, R4)."""
    start = whole_second(now if draft.dtstart is None else draft.dtstart)
    return Event(
        descriptor=EventDescriptor(
            event_id=desk.new_id("evt"),
            modification_number=0,
            market_context=draft.market_context,
            created_date_time=whole_second(now),
            event_status=EventStatus.FAR,
            priority=draft.priority,
            test_event=draft.test_event,
            vtn_comment=draft.vtn_comment,
        ),
        active_period=ActivePeriod(
            dtstart=start,
            duration=draft.duration,
            startafter=draft.startafter,
            notification=draft.notification,
            ramp_up=draft.ramp_up,
            recovery=draft.recovery,
        ),
        signals=tuple(_signal(each, draft, desk) for each in draft.signals),
        target=EiTarget(ven_ids=draft.ven_ids, resource_ids=draft.resource_ids, group_ids=draft.group_ids),
        response_required=draft.response_required,
    )


def _signal(given: DraftSignal, draft: Draft, desk: Desk) -> Signal:
    lengths = [each.duration for each in given.intervals]
    if lengths == [None]:
        lengths = [draft.duration]
    intervals = []
    for uid, (each, length) in enumerate(zip(given.intervals, lengths, strict=True)):
        if length is None:
            raise InvalidData("duration: needed in each of several intervals", field="signals.intervals.duration")
        intervals.append(Interval(duration=length, uid=uid, value=each.value))
    return Signal(
        signal_name=given.signal_name,
        signal_type=given.signal_type,
        signal_id=desk.new_id("sig"),
        intervals=tuple(intervals),
        target=EiTarget(end_device_assets=given.device_classes) if given.device_classes else None,
        item_base=given.item_base or default_item_base(given.signal_name, given.signal_type),
    )


def _check_time(event: Event, now: datetime) -> None:
    period = event.active_period
    if period.dtstart < whole_second(now) and status(event, now) is EventStatus.COMPLETED:
        raise NotAllowed("dtstart: the event would be over already", field="dtstart")


async def resolve(tx: Tx, draft: Draft) -> Audience:
    """Return who owns the targets. Raises ``InvalidId`` naming the first target that nobody has."""
    if not (draft.ven_ids or draft.resource_ids or draft.group_ids):
        raise InvalidData("targets: name at least one venID, resourceID or groupID", field="targets")
    known = await tx.vens.known(draft.ven_ids)
    found = await tx.vens.resources(resource_ids=draft.resource_ids, group_ids=draft.group_ids)
    _all_known("venID", draft.ven_ids, known)
    _all_known("resourceID", draft.resource_ids, {each.resource_id for each in found})
    _all_known("groupID", draft.group_ids, {group for each in found for group in each.group_ids})
    narrowed: dict[str, tuple[str, ...]] = {}
    for each in found:
        if each.ven_id not in known:
            narrowed[each.ven_id] = (*narrowed.get(each.ven_id, ()), each.resource_id)
    return Audience(whole=known, resources=narrowed)


def _all_known(element: str, named: Iterable[str], known: Iterable[str]) -> None:
    missing = sorted(set(named) - set(known))
    if missing:
        raise InvalidId(f"{element} {missing[0][:80]!r} is not enrolled", field=f"targets.{element}")


def stored_event(event: Event, *, created_at: datetime, modified_at: datetime) -> StoredEvent:
    """Return the row of an event; its payload end is computed once per version (R66)."""
    return StoredEvent(
        event=event,
        cancelled=event.descriptor.event_status is EventStatus.CANCELLED,
        created_at=created_at,
        modified_at=modified_at,
        payload_end=_payload_end(event.active_period),
    )


def _payload_end(period: ActivePeriod) -> datetime | None:
    try:
        end = period.end
        return end if end is None or period.startafter is None else period.startafter.after(end)
    except (OverflowError, ValueError):
        raise InvalidData("dtstart and duration lie beyond the calendar", field="duration") from None


async def cancel(tx: Tx, event_id: str, now: datetime, actor: str, reason: str | None = None) -> StoredEvent | None:
    """Cancel an event: one version more (R10). ``None`` if unknown; a second cancel changes nothing.

    Raises ``NotAllowed`` if the event is over.
    """
    stored = await tx.events.get(event_id)
    if stored is None or stored.cancelled:
        return stored
    if not in_payload(stored.event, now):
        raise NotAllowed("the event is over; nothing is left to cancel", field="eventID")
    descriptor = replace(
        stored.event.descriptor,
        modification_number=stored.modification_number + 1,
        modification_date_time=whole_second(now),
        modification_reason=reason,
        event_status=EventStatus.CANCELLED,
    )
    event = replace(stored.event, descriptor=descriptor)
    cancelled = stored_event(event, created_at=stored.created_at, modified_at=now)
    await tx.events.put(cancelled, actor)
    await tx.events.modified(event_id, now)
    return cancelled
