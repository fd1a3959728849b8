"""Events in the operator API: publish, change, list, show, cancel.

Rule: handlers carry no rule of the protocol.
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel

from runtime.http import ACTOR, Problem
from vtn.operator import events_present as present
from vtn.operator.events_models import (
    CancelIn,
    EventChangeIn,
    EventDetail,
    EventIn,
    EventPage,
    EventQuery,
    EventSummary,
)
from vtn.operator.fields import utc
from vtn.operator.handling import Handling, Route, cursor, json, next_cursor
from vtn.services import modify, overview, publish
from vtn.store.eventlist import EventFilter
from vtn.store.eventrows import EventCounts, StoredEvent
from vtn.store.store import Tx

T = TypeVar("T")

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/v1/events",
        handler="post_event",
        summary="Publish an event",
        answer=EventSummary,
        status=201,
        body=EventIn,
    ),
    Route(
        method="GET",
        path="/api/v1/events",
        handler="get_events",
        summary="List events, latest dtstart first",
        answer=EventPage,
        query=EventQuery,
    ),
    Route(
        method="GET",
        path="/api/v1/events/{eventID}",
        handler="get_event",
        summary="Show an event with its versions and its state per VEN and resource",
        answer=EventDetail,
    ),
    Route(
        method="PUT",
        path="/api/v1/events/{eventID}",
        handler="put_event",
        summary="Change an event that is far, near or active",
        answer=EventSummary,
        body=EventChangeIn,
    ),
    Route(
        method="POST",
        path="/api/v1/events/{eventID}/cancel",
        handler="cancel_event",
        summary="Cancel an event",
        answer=EventSummary,
        body=CancelIn,
    ),
)


SETTLED = timedelta(minutes=10)  # after an event has left payloads, hardly anybody answers it any more
REMEMBERED = 2_000  # events whose counts are settled; counting 10,000 VENs takes 40 ms


class EventsApi:
    """The handlers of ``ROUTES``."""

    def __init__(self, handling: Handling) -> None:
        self._with = handling
        self._settled: OrderedDict[tuple[str, int], EventCounts] = OrderedDict()

    async def post_event(self, request: web.Request) -> web.StreamResponse:
        """Publish an event."""

        async def act(tx: Tx, body: EventIn, now: datetime) -> tuple[int, BaseModel]:
            stored = await publish.publish(tx, body.draft(), now, self._with.desk, request[ACTOR])
            return 201, await _summary(tx, stored, now)

        return await self._with.change(request, EventIn, act)

    async def get_events(self, request: web.Request) -> web.StreamResponse:
        """List events, latest dtstart first."""
        query = EventQuery.model_validate(dict(request.query))
        await self._with.flush()
        now = self._with.clock.now()
        where = EventFilter(
            now=now,
            status=query.status,
            market_context=query.marketContext,
            ven_id=query.venID,
            start=utc(query.start),
            end=utc(query.end),
        )
        async with self._with.store.read() as tx:
            after = cursor(query.cursor, tuple[datetime, str])
            rows = await tx.events.page(after=after, limit=query.limit, where=where)
            counts = await self._counts(tx, rows, now)
        last = (rows[-1].event.active_period.dtstart, rows[-1].event_id) if len(rows) == query.limit else None
        events = tuple(present.summary(row, counts[row.event_id], now) for row in rows)
        return json(EventPage(events=events, next=next_cursor(last)))

    async def _counts(self, tx: Tx, rows: tuple[StoredEvent, ...], now: datetime) -> dict[str, EventCounts]:
        """Return the counts of events by eventID; those of events long over are counted once."""
        known = {row.event_id: self._settled.get((row.event_id, row.modification_number)) for row in rows}
        fresh = await tx.events.counts([event_id for event_id, counts in known.items() if counts is None])
        for row in rows:
            if row.event_id in fresh and row.payload_end is not None and row.payload_end + SETTLED < now:
                self._settled[row.event_id, row.modification_number] = fresh[row.event_id]
        while len(self._settled) > REMEMBERED:
            self._settled.popitem(last=False)
        return {event_id: counts if counts is not None else fresh[event_id] for event_id, counts in known.items()}

    async def get_event(self, request: web.Request) -> web.StreamResponse:
        """Show an event with its versions and its state per VEN and resource."""
        await self._with.flush()
        now = self._with.clock.now()
        async with self._with.store.read() as tx:
            view = await overview.event_view(tx, request.match_info["eventID"], now)
        return json(present.detail(_found(view), now))

    async def put_event(self, request: web.Request) -> web.StreamResponse:
        """Change an event that is far, near or active."""

        async def act(tx: Tx, body: EventChangeIn, now: datetime) -> tuple[int, BaseModel]:
            event_id = request.match_info["eventID"]
            stored = await modify.modify(tx, event_id, body.change(), now, self._with.desk, request[ACTOR])
            return 200, await _summary(tx, _found(stored), now)

        return await self._with.change(request, EventChangeIn, act)

    async def cancel_event(self, request: web.Request) -> web.StreamResponse:
        """Cancel an event."""

        async def act(tx: Tx, body: CancelIn, now: datetime) -> tuple[int, BaseModel]:
            event_id, expected = request.match_info["eventID"], body.modificationNumber
            stored = await publish.cancel(tx, event_id, now, request[ACTOR], body.reason, expected)
            return 200, await _summary(tx, _found(stored), now)

        return await self._with.change(request, CancelIn, act)


async def _summary(tx: Tx, stored: StoredEvent, now: datetime) -> EventSummary:
    counts = await tx.events.counts([stored.event_id])
    return present.summary(stored, counts[stored.event_id], now)


def _found(found: T | None) -> T:
    if found is None:
        raise Problem(404, "no event has that eventID", field="eventID")
    return found
