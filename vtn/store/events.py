"""Repository of events: the present version, every version kept, and the state per VEN and per resource.

Rule: an event's document is replaced only together with a new row in ``event_version``; opt states follow the
precedence that the services decided.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openadr.model import Event
from openadr.timeline import near_start, scheduled_end
from openadr.uris import normal
from vtn.store import handouts
from vtn.store.assignments import Assignments, opt_of, state_of, stored_of
from vtn.store.audience import assign, changed, reassign, told_until, withdraw
from vtn.store.codec import Touched, dump, load, upsert
from vtn.store.decoded import Decoded
from vtn.store.eventlist import EventFilter, conditions, counts
from vtn.store.eventrows import (
    Assignment,
    EventCounts,
    EventResource,
    EventVen,
    EventVersion,
    Handed,
    Handout,
    OptSource,
    StoredEvent,
)
from vtn.store.tables import event, event_resource, event_ven, event_version


def _resource(row: Row[Any]) -> EventResource:
    values = dict(row._mapping)
    source = values["source"]
    return EventResource(
        **{**values, "opt_type": opt_of(values["opt_type"]), "source": None if source is None else OptSource(source)}
    )


class Events:
    """Events within one transaction; ``touched`` is told of every VEN that gets something new to fetch."""

    def __init__(self, connection: AsyncConnection, touched: Touched, decoded: Decoded, *, writing: bool) -> None:
        self._connection = connection
        self._touched = touched
        self._assigned = Assignments(connection, decoded, writing=writing)

    async def put(self, stored: StoredEvent, actor: str) -> None:
        """Write a new event or a new version of one."""
        described = stored.event.descriptor
        row = {
            "event_id": described.event_id,
            "modification_number": described.modification_number,
            "market_context": normal(described.market_context),
            "dtstart": stored.event.active_period.dtstart,
            "near_at": near_start(stored.event.active_period),
            "ends_at": scheduled_end(stored.event.active_period),
            "payload_end": stored.payload_end,
            "cancelled": stored.cancelled,
            "response_required": str(stored.event.response_required),
            "created_at": stored.created_at,
            "modified_at": stored.modified_at,
            "document": dump(stored.event),
        }
        await upsert(self._connection, event, [row], ("event_id",))
        await self._connection.execute(
            insert(event_version).values(
                event_id=described.event_id,
                modification_number=described.modification_number,
                at=stored.modified_at,
                actor=actor,
                document=row["document"],
            )
        )

    async def assign(
        self, states: Sequence[EventVen], resources: Sequence[EventResource], *, new: StoredEvent | None = None
    ) -> None:
        """Give an event to VENs and to the resources its target names; ``new``: the event, if it is just made."""
        times = await assign(self._connection, states, resources)
        named: dict[str, list[str]] = {}
        for row in resources:
            named.setdefault(row.ven_id, []).append(row.resource_id)
        for each in states:
            if new is None:
                self._touched.everywhere(each.ven_id)
                continue
            names = () if each.whole_ven else tuple(sorted(named.get(each.ven_id, ())))
            self._touched.gift(
                Assignment(stored=new, state=each, resource_ids=names, changed_at=times.get(each.ven_id))
            )

    async def withdraw(
        self, event_id: str, ven_ids: Sequence[str], number: int, now: datetime, end: datetime | None
    ) -> None:
        """Leave VENs out from version ``number`` on: to them the event is cancelled, told until ``end``."""
        await withdraw(self._connection, event_id, ven_ids, number, now, end)
        for ven_id in ven_ids:
            self._touched.everywhere(ven_id)

    async def reassign(
        self, states: Sequence[EventVen], named: Mapping[str, Sequence[str]], qualified: Iterable[EventResource]
    ) -> None:
        """Write the states of VENs anew and which resources the target names now, by venID.

        ``qualified`` are the opt states of these VENs' resources before.
        """
        await reassign(self._connection, states, named, qualified)

    async def modified(self, event_id: str, now: datetime, *, answers_again: bool = False) -> None:
        """Make the new version due for every VEN of the event, which, after a change, has not answered any more."""
        until = told_until(event_id).scalar_subquery()
        values: dict[str, Any] = {"due_at": now, "told_until": until}
        if answers_again:
            values |= {"answer": None, "response_code": None, "response_description": None}
        mine = and_(event_ven.c.event_id == event_id, event_ven.c.withdrawn.is_(None))
        await self._connection.execute(update(event_ven).where(mine).values(**values))
        await changed(self._connection, event_id)
        for ven_id in (await self._connection.execute(select(event_ven.c.ven_id).where(mine))).scalars():
            self._touched.everywhere(ven_id)

    async def get(self, event_id: str) -> StoredEvent | None:
        """Return an event by eventID."""
        row = (await self._connection.execute(select(event).where(event.c.event_id == event_id))).one_or_none()
        return None if row is None else stored_of(row)

    async def for_change(self, event_id: str) -> StoredEvent | None:
        """Return an event that nobody else changes until this transaction ends."""
        query = select(event).where(event.c.event_id == event_id).with_for_update()
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else stored_of(row)

    async def counts(self, event_ids: Sequence[str]) -> dict[str, EventCounts]:
        """Return how events stand with their VENs, by eventID."""
        return await counts(self._connection, event_ids)

    async def page(
        self, *, after: tuple[datetime, str] | None, limit: int, where: EventFilter | None = None
    ) -> tuple[StoredEvent, ...]:
        """Return events, newest dtstart first, those after the (dtstart, eventID) ``after``."""
        query = select(event)
        if where is not None:
            query = query.where(*conditions(where))
        if after is not None:
            at, event_id = after
            query = query.where(or_(event.c.dtstart < at, and_(event.c.dtstart == at, event.c.event_id > event_id)))
        rows = await self._connection.execute(query.order_by(event.c.dtstart.desc(), event.c.event_id).limit(limit))
        return tuple(stored_of(row) for row in rows)

    async def versions(self, event_id: str) -> tuple[EventVersion, ...]:
        """Return every version of an event, oldest first."""
        query = select(event_version).where(event_version.c.event_id == event_id)
        rows = await self._connection.execute(query.order_by(event_version.c.modification_number))
        return tuple(EventVersion(event=load(row.document, Event), at=row.at, actor=row.actor) for row in rows)

    async def of_ven(self, ven_id: str, now: datetime) -> tuple[Assignment, ...]:
        """Return the events of a VEN that belong into its payloads (R50, R52, R66), in the order of their making."""
        return (await self._assigned.of_vens((ven_id,), now)).get(ven_id, ())

    async def of_vens(self, ven_ids: Sequence[str], now: datetime) -> dict[str, tuple[Assignment, ...]]:
        """Return the same for many VENs at once, by venID; those without events are left out."""
        return await self._assigned.of_vens(ven_ids, now)

    async def one_of_ven(self, ven_id: str, event_id: str) -> Assignment | None:
        """Return one event of a VEN whatever its status, ``None`` if the VEN never had it.

        In a write transaction no new version can come in between (PostgreSQL locks the row, SQLite has one writer).
        """
        return (await self._assigned.some_of_ven(ven_id, (event_id,))).get(event_id)

    async def some_of_ven(self, ven_id: str, event_ids: Iterable[str]) -> dict[str, Assignment]:
        """Return the same for several events in few queries, by eventID."""
        return await self._assigned.some_of_ven(ven_id, event_ids)

    async def states(self, event_id: str) -> tuple[EventVen, ...]:
        """Return the state of an event per VEN."""
        query = select(event_ven).where(event_ven.c.event_id == event_id).order_by(event_ven.c.ven_id)
        return tuple(state_of(dict(row._mapping)) for row in await self._connection.execute(query))

    async def resource_states(self, event_id: str, ven_id: str | None = None) -> tuple[EventResource, ...]:
        """Return the opt state of an event per resource, of all VENs or of one."""
        query = select(event_resource).where(event_resource.c.event_id == event_id)
        if ven_id is not None:
            query = query.where(event_resource.c.ven_id == ven_id)
        query = query.order_by(event_resource.c.ven_id, event_resource.c.resource_id)
        return tuple(_resource(row) for row in await self._connection.execute(query))

    async def set_resources(self, rows: Iterable[EventResource]) -> None:
        """Write the opt states of resources."""
        values = [_values(each, event_resource.c.keys()) for each in rows]
        await upsert(self._connection, event_resource, values, ("event_id", "ven_id", "resource_id"))

    async def set_state(self, event_id: str, ven_id: str, **values: Any) -> None:
        """Change columns of an event's state at one VEN."""
        await self._connection.execute(
            update(event_ven).where(event_ven.c.event_id == event_id, event_ven.c.ven_id == ven_id).values(**values)
        )
        self._touched.here(ven_id)

    async def delivered(self, made: Sequence[Handout]) -> None:
        """Write what was handed out; a newer version or an answer that came in the meantime stays what it is."""
        await handouts.write(self._connection, made)

    async def handed(self, event_id: str) -> dict[str, tuple[Handed, tuple[str, ...]]]:
        """Return what VENs were handed of an event, and the requestIDs of these payloads in order, by venID."""
        return await handouts.of_event(self._connection, event_id)

    async def make_due(self, ven_id: str, now: datetime) -> None:
        """Hand out every event of a VEN that still belongs into its payloads, at its next poll."""
        for each in await self.of_ven(ven_id, now):
            await self.set_state(each.stored.event_id, ven_id, due_at=now)
        await handouts.forget(self._connection, ven_id, now)
        self._touched.everywhere(ven_id)


def _values(row: object, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
