"""Lists of events for an operator: what to leave out, and how each event stands with its VENs.

Rule: a status is a condition on columns at an instant, the same that ``openadr.timeline.status`` says; counts are of
the VENs that are in the event now.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from openadr.model import EventStatus, OptType, ResponseRequired
from openadr.uris import normal
from vtn.store.eventrows import EventCounts
from vtn.store.tables import event, event_resource, event_ven, handout, payload_event, ven_resource


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events; ``None`` leaves nothing out. ``start`` to ``end`` (exclusive) is a time they touch."""

    now: datetime
    status: EventStatus | None = None
    market_context: str | None = None
    ven_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None


def conditions(wanted: EventFilter) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter."""
    found: list[ColumnElement[bool]] = []
    if wanted.status is not None:
        found.append(_in_status(wanted.status, wanted.now))
    if wanted.market_context is not None:
        found.append(event.c.market_context.in_({wanted.market_context, normal(wanted.market_context)}))
    if wanted.ven_id is not None:
        found.append(
            exists().where(
                event_ven.c.event_id == event.c.event_id,
                event_ven.c.ven_id == wanted.ven_id,
                event_ven.c.withdrawn.is_(None),
            )
        )
    if wanted.start is not None:
        found.append(or_(event.c.ends_at.is_(None), event.c.ends_at > wanted.start))
    if wanted.end is not None:
        found.append(event.c.dtstart < wanted.end)
    return found


def _in_status(status: EventStatus, now: datetime) -> ColumnElement[bool]:
    if status is EventStatus.CANCELLED:
        return event.c.cancelled.is_(True)
    near = func.coalesce(event.c.near_at, event.c.dtstart)
    by_time: dict[EventStatus, ColumnElement[bool]] = {
        EventStatus.FAR: near > now,
        EventStatus.NEAR: and_(near <= now, event.c.dtstart > now),
        EventStatus.ACTIVE: and_(event.c.dtstart <= now, or_(event.c.ends_at.is_(None), event.c.ends_at > now)),
        EventStatus.COMPLETED: event.c.ends_at <= now,
        EventStatus.NONE: event.c.event_id.is_(None),
    }
    return and_(event.c.cancelled.is_(False), by_time[status])


_PRESENT = event.c.modification_number
_REFUSED = or_(event_ven.c.response_code < 200, event_ven.c.response_code >= 300)  # a 4xx answer is a refusal
_OPT = case(
    (event_ven.c.qualified.is_not(None), event_ven.c.qualified),
    (and_(event_ven.c.answer.is_not(None), _REFUSED), str(OptType.OPT_OUT)),
    else_=event_ven.c.answer,
)
_ACKNOWLEDGED = and_(event_ven.c.answered_modification.is_not(None), event_ven.c.answered_modification == _PRESENT)
_DUE = and_(
    event.c.response_required == str(ResponseRequired.ALWAYS),
    func.coalesce(event_ven.c.answered_modification, -1) != _PRESENT,
)


def _number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


async def counts(connection: AsyncConnection, event_ids: Sequence[str]) -> dict[str, EventCounts]:
    """Return how events stand, by eventID."""
    if not event_ids:
        return {}
    mine = and_(event_ven.c.event_id.in_(event_ids), event_ven.c.withdrawn.is_(None))
    query = (
        select(
            event_ven.c.event_id,
            func.count().label("vens"),
            _number(_ACKNOWLEDGED).label("acknowledged"),
            _number(_OPT.is_not_distinct_from(str(OptType.OPT_IN))).label("opted_in"),
            _number(_OPT.is_not_distinct_from(str(OptType.OPT_OUT))).label("opted_out"),
            _number(_DUE).label("unanswered"),
        )
        .join(event, event.c.event_id == event_ven.c.event_id)
        .where(mine)
        .group_by(event_ven.c.event_id)
    )
    resources = await _resources(connection, mine)
    delivered = await _delivered(connection, event_ids, mine)
    found = {row.event_id: _counts(row, resources, delivered) for row in await connection.execute(query)}
    return {event_id: found.get(event_id, EventCounts()) for event_id in event_ids}


def _counts(row: Any, resources: dict[str, int], delivered: dict[str, int]) -> EventCounts:
    values = {name: int(value) for name, value in row._mapping.items() if name != "event_id"}
    name = row.event_id
    return EventCounts(**values, delivered=delivered.get(name, 0), resources=resources.get(name, 0))


async def _delivered(
    connection: AsyncConnection, event_ids: Sequence[str], mine: ColumnElement[bool]
) -> dict[str, int]:
    """Return how many VENs were handed the present version of each event."""
    given = (  # worked out first: joined with the VENs at once, PostgreSQL may compare each payload with each VEN
        select(payload_event.c.event_id, handout.c.ven_id)
        .join(
            event, and_(event.c.event_id == payload_event.c.event_id, payload_event.c.modification_number == _PRESENT)
        )
        .join(handout, handout.c.payload_id == payload_event.c.payload_id)
        .where(payload_event.c.event_id.in_(event_ids))
        .distinct()
        .subquery()
    )
    query = (
        select(given.c.event_id, func.count())
        .join(event_ven, and_(event_ven.c.event_id == given.c.event_id, event_ven.c.ven_id == given.c.ven_id))
        .where(mine)
        .group_by(given.c.event_id)
    )
    return {event_id: int(count) for event_id, count in await connection.execute(query)}


async def _resources(connection: AsyncConnection, mine: ColumnElement[bool]) -> dict[str, int]:
    """Return how many resources are in each event: those named, and all behind a VEN that is in as a whole."""
    named = (
        select(event_ven.c.event_id, func.count().label("resources"))
        .join(
            event_resource,
            and_(event_resource.c.event_id == event_ven.c.event_id, event_resource.c.ven_id == event_ven.c.ven_id),
        )
        .where(mine, event_ven.c.whole_ven.is_(False))
        .group_by(event_ven.c.event_id)
    )
    whole = (
        select(event_ven.c.event_id, func.count().label("resources"))
        .join(ven_resource, ven_resource.c.ven_id == event_ven.c.ven_id)
        .where(mine, event_ven.c.whole_ven.is_(True))
        .group_by(event_ven.c.event_id)
    )
    found: dict[str, int] = {}
    for query in (named, whole):
        for event_id, number in await connection.execute(query):
            found[event_id] = found.get(event_id, 0) + number
    return found
