"""Publishing and cancelling events: an operator's draft becomes an event of the VENs that own its targets.

Rule: everything is checked before anything is written, and a refusal names the field. A new version, its delivery
to every VEN and the operator's name are one transaction.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from openadr.errors import InvalidData, NotAllowed, OutOfSequence
from openadr.model import ActivePeriod, Event, EventStatus
from openadr.signals import check_event
from openadr.timeline import in_payload, status
from openadr.times import whole_second
from vtn.services.admission import admit
from vtn.services.context import Desk
from vtn.services.drafts import Draft, build
from vtn.services.programmes import check_terms, programme_of, terms_of
from vtn.services.targets import Audience, resolve
from vtn.store.eventrows import EventResource, EventVen, StoredEvent
from vtn.store.store import Tx

CANCEL_KEPT = timedelta(days=7)
"""How long a VEN that does not answer finds a cancel in its payloads; later it learns of it by absence (R52, R61)."""


async def publish(tx: Tx, draft: Draft, now: datetime, desk: Desk, actor: str) -> StoredEvent:
    """Write a new event. Raises ``OadrError`` whose ``field`` names what to correct."""
    terms = terms_of(await programme_of(tx, draft.market_context, desk))
    if draft.response_required is None:
        draft = replace(draft, response_required=terms.response_required)
    event = build(draft, now, desk.new_id)
    check_published(event)
    _check_time(event, now)
    check_terms(terms, event, draft.target_kinds(), now)
    audience = await admit(tx, event, await resolve(tx, event))
    stored = stored_event(event, created_at=now, modified_at=now)
    await tx.events.put(stored, actor)
    event_id = event.descriptor.event_id
    rows = [
        EventResource(event_id=event_id, ven_id=ven_id, resource_id=resource_id)
        for ven_id, names in audience.resources.items()
        for resource_id in names
    ]
    await tx.events.assign(new_states(event_id, audience, now), rows, new=stored)
    return stored


def check_published(event: Event) -> None:
    """Check an event as an operator gave it: its target may name many VENs, each of which gets its own (R63)."""
    check_event(replace(event, target=replace(event.target, ven_ids=event.target.ven_ids[:1])))


def new_states(event_id: str, audience: Audience, now: datetime) -> list[EventVen]:
    """Return the states of VENs that get an event they did not have."""
    return [
        EventVen(
            event_id=event_id,
            ven_id=ven_id,
            whole_ven=ven_id in audience.whole,
            parts=audience.parts.get(ven_id),
            due_at=now,
        )
        for ven_id in sorted(audience.ven_ids)
    ]


def _check_time(event: Event, now: datetime) -> None:
    period = event.active_period
    if period.dtstart < whole_second(now) and status(event, now) is EventStatus.COMPLETED:
        raise NotAllowed("dtstart: the event would be over already", field="dtstart")


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


def told_until(payload_end: datetime | None, now: datetime) -> datetime:
    """Return until when a cancel is in payloads: until the event would be over, but not for ever."""
    return now + CANCEL_KEPT if payload_end is None else min(payload_end, now + CANCEL_KEPT)


def check_number(stored: StoredEvent, expected: int | None) -> None:
    """Check that an operator has seen the present version. Raises ``OutOfSequence`` (450)."""
    number = stored.modification_number
    if expected is not None and expected != number:
        raise OutOfSequence(
            f"modificationNumber: the event has changed meanwhile, it is at {number}, not {expected}",
            field="modificationNumber",
        )


async def cancel(
    tx: Tx, event_id: str, now: datetime, actor: str, reason: str | None = None, expected: int | None = None
) -> StoredEvent | None:
    """Cancel an event: one version more (R10). ``None`` if unknown; a second cancel changes nothing.

    Raises ``NotAllowed`` if the event is over, ``OutOfSequence`` if ``expected`` is not its modificationNumber.
    """
    stored = await tx.events.for_change(event_id)
    if stored is None or stored.cancelled:
        return stored
    check_number(stored, expected)
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
    cancelled = replace(
        stored_event(event, created_at=stored.created_at, modified_at=now),
        payload_end=told_until(stored.payload_end, now),
    )
    await tx.events.put(cancelled, actor)
    await tx.events.modified(event_id, now)
    return cancelled
