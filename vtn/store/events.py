"""Repository of events: the present version, every version kept, and the state per VEN and per resource.

Rule: an event's document is replaced only together with a new row in ``event_version``; opt states follow the
precedence that the services decided.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Row, Select, and_, bindparam, case, exists, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openadr.model import Event, OptType
from runtime.columns import Instant
from vtn.store.codec import Touched, dump, load, upsert
from vtn.store.decoded import Decoded, Version
from vtn.store.rows import (
    Assignment,
    Delivery,
    EventResource,
    EventVen,
    EventVersion,
    OptSource,
    StoredEvent,
)
from vtn.store.tables import event, event_delivery, event_resource, event_ven, event_version

_STATE = tuple(event_ven.c)
_STATE_NAMES = tuple(column.name for column in _STATE)


def _stored(row: Row[Any]) -> StoredEvent:
    return StoredEvent(
        event=load(row.document, Event),
        cancelled=row.cancelled,
        created_at=row.created_at,
        modified_at=row.modified_at,
        payload_end=row.payload_end,
    )


def _opt(text: str | None) -> OptType | None:
    return None if text is None else OptType(text)


def _state(values: dict[str, Any]) -> EventVen:
    return EventVen(**{**values, "answer": _opt(values["answer"]), "qualified": _opt(values["qualified"])})


def _resource(row: Row[Any]) -> EventResource:
    values = dict(row._mapping)
    source = values["source"]
    return EventResource(
        **{**values, "opt_type": _opt(values["opt_type"]), "source": None if source is None else OptSource(source)}
    )


class Events:
    """Events within one transaction; ``touched`` is told of every VEN that gets something new to fetch."""

    def __init__(self, connection: AsyncConnection, touched: Touched, decoded: Decoded, *, writing: bool) -> None:
        self._connection = connection
        self._writing = writing
        self._touched = touched
        self._decoded = decoded

    async def put(self, stored: StoredEvent, actor: str) -> None:
        """Write a new event or a new version of one."""
        described = stored.event.descriptor
        row = {
            "event_id": described.event_id,
            "modification_number": described.modification_number,
            "market_context": described.market_context,
            "dtstart": stored.event.active_period.dtstart,
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

    async def assign(self, states: Sequence[EventVen], resources: Sequence[EventResource]) -> None:
        """Give an event to VENs and to the resources its target names."""
        if states:
            await self._connection.execute(insert(event_ven), [_values(each, event_ven.c.keys()) for each in states])
        if resources:
            await self._connection.execute(
                insert(event_resource), [_values(each, event_resource.c.keys()) for each in resources]
            )
        for each in states:
            self._touched.everywhere(each.ven_id)

    async def modified(self, event_id: str, now: datetime) -> None:
        """Make the new version due for every VEN of the event."""
        await self._connection.execute(
            update(event_ven).where(event_ven.c.event_id == event_id).values(due_at=now, deliveries=0)
        )
        rows = await self._connection.execute(select(event_ven.c.ven_id).where(event_ven.c.event_id == event_id))
        for ven_id in rows.scalars():
            self._touched.everywhere(ven_id)

    async def get(self, event_id: str) -> StoredEvent | None:
        """Return an event by eventID."""
        row = (await self._connection.execute(select(event).where(event.c.event_id == event_id))).one_or_none()
        return None if row is None else _stored(row)

    async def page(self, *, after: tuple[datetime, str] | None, limit: int) -> tuple[StoredEvent, ...]:
        """Return events, newest dtstart first, those after the (dtstart, eventID) ``after``."""
        query = select(event)
        if after is not None:
            at, event_id = after
            query = query.where(or_(event.c.dtstart < at, and_(event.c.dtstart == at, event.c.event_id > event_id)))
        rows = await self._connection.execute(query.order_by(event.c.dtstart.desc(), event.c.event_id).limit(limit))
        return tuple(_stored(row) for row in rows)

    async def versions(self, event_id: str) -> tuple[EventVersion, ...]:
        """Return every version of an event, oldest first."""
        query = select(event_version).where(event_version.c.event_id == event_id)
        rows = await self._connection.execute(query.order_by(event_version.c.modification_number))
        return tuple(EventVersion(event=load(row.document, Event), at=row.at, actor=row.actor) for row in rows)

    async def of_ven(self, ven_id: str, now: datetime) -> tuple[Assignment, ...]:
        """Return the events of a VEN that belong into its payloads (R50, R52, R66), in the order of their making."""
        return (await self.of_vens((ven_id,), now)).get(ven_id, ())

    async def of_vens(self, ven_ids: Sequence[str], now: datetime) -> dict[str, tuple[Assignment, ...]]:
        """Return the same for many VENs at once, by venID; those without events are left out."""
        rows = (await self._connection.execute(_OF_VENS, {"b_ven_ids": ven_ids, "b_now": now})).all()
        events = await self._events({(row.event_id, row.modification_number, row.modified_at) for row in rows})
        states = [_state(dict(zip(_STATE_NAMES, row, strict=False))) for row in rows]
        named = await self._named(states)
        found: dict[str, list[Assignment]] = {}
        for state in states:
            stored = events.get(state.event_id)
            if stored is not None:
                names = named.get((state.ven_id, state.event_id), ())
                found.setdefault(state.ven_id, []).append(Assignment(stored=stored, state=state, resource_ids=names))
        return {ven_id: tuple(assignments) for ven_id, assignments in found.items()}

    async def _events(self, wanted: set[Version]) -> dict[str, StoredEvent]:
        """Return events by eventID, each document decoded once for all its VENs.

        What a write transaction reads may never be committed and is therefore not remembered.
        """
        found = {version[0]: stored for version in wanted if (stored := self._decoded.get(version)) is not None}
        missing = [version[0] for version in wanted if version[0] not in found]
        if missing:
            for row in await self._connection.execute(select(event).where(event.c.event_id.in_(missing))):
                stored = found[row.event_id] = _stored(row)
                if not self._writing:
                    self._decoded.keep((row.event_id, row.modification_number, row.modified_at), stored)
        return found

    async def one_of_ven(self, ven_id: str, event_id: str) -> Assignment | None:
        """Return one event of a VEN whatever its status, ``None`` if the VEN never had it.

        In a write transaction no new version can come in between (PostgreSQL locks the row, SQLite has one writer).
        """
        query = _joined().where(event_ven.c.ven_id == ven_id, event_ven.c.event_id == event_id)
        found = await self._assignments(query.with_for_update(read=True, of=event) if self._writing else query)
        return found[0] if found else None

    async def _assignments(self, query: Select[Any]) -> tuple[Assignment, ...]:
        rows = (await self._connection.execute(query)).all()
        states = [_state({column.name: getattr(row, f"v_{column.name}") for column in _STATE}) for row in rows]
        named = await self._named(states)
        return tuple(
            Assignment(stored=_stored(row), state=state, resource_ids=named.get((state.ven_id, state.event_id), ()))
            for row, state in zip(rows, states, strict=True)
        )

    async def _named(self, states: Sequence[EventVen]) -> dict[tuple[str, str], tuple[str, ...]]:
        """Return the resources that targets name, by (venID, eventID)."""
        narrowed = [each for each in states if not each.whole_ven]
        if not narrowed:
            return {}
        values = {
            "b_ven_ids": sorted({each.ven_id for each in narrowed}),
            "b_event_ids": sorted({each.event_id for each in narrowed}),
        }
        found: dict[tuple[str, str], list[str]] = {}
        for ven_id, event_id, resource_id in await self._connection.execute(_NAMED, values):
            found.setdefault((ven_id, event_id), []).append(resource_id)
        return {key: tuple(names) for key, names in found.items()}

    async def states(self, event_id: str) -> tuple[EventVen, ...]:
        """Return the state of an event per VEN."""
        query = select(event_ven).where(event_ven.c.event_id == event_id).order_by(event_ven.c.ven_id)
        return tuple(_state(dict(row._mapping)) for row in await self._connection.execute(query))

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

    async def delivered(self, deliveries: Sequence[Delivery]) -> None:
        """Write what was handed out; a newer version or an answer that came in the meantime stays what it is."""
        if not deliveries:
            return
        keys = ("event_id", "ven_id", "modification_number", "request_id", "at")
        await self._connection.execute(insert(event_delivery), [_values(each, keys) for each in deliveries])
        names = ("event_id", "ven_id", "modification_number", "at", "due_at")
        await self._connection.execute(
            _DELIVERED, [{f"b_{name}": getattr(each, name) for name in names} for each in deliveries]
        )

    async def delivery_ids(self, event_id: str, ven_id: str) -> tuple[str, ...]:
        """Return the requestIDs of the payloads that carried an event to a VEN, oldest first."""
        query = select(event_delivery.c.request_id).where(
            event_delivery.c.event_id == event_id, event_delivery.c.ven_id == ven_id
        )
        return tuple((await self._connection.execute(query.order_by(event_delivery.c.id))).scalars())

    async def make_due(self, ven_id: str, now: datetime) -> None:
        """Hand out every event of a VEN that still belongs into its payloads, at its next poll."""
        for each in await self.of_ven(ven_id, now):
            await self.set_state(each.stored.event_id, ven_id, due_at=now, deliveries=0)
        self._touched.everywhere(ven_id)


_OF_VENS = (
    select(*_STATE, event.c.modification_number, event.c.modified_at)
    .join(event, event_ven.c.event_id == event.c.event_id)
    .where(
        event_ven.c.ven_id.in_(bindparam("b_ven_ids", expanding=True)),
        or_(event.c.payload_end.is_(None), event.c.payload_end > bindparam("b_now", type_=Instant)),
        or_(
            event.c.cancelled.is_(False),
            event_ven.c.answered_modification.is_(None),
            event_ven.c.answered_modification != event.c.modification_number,
        ),
    )
    .order_by(event.c.created_at, event.c.event_id)
)
_NAMED = (
    select(event_resource.c.ven_id, event_resource.c.event_id, event_resource.c.resource_id)
    .where(
        event_resource.c.ven_id.in_(bindparam("b_ven_ids", expanding=True)),
        event_resource.c.event_id.in_(bindparam("b_event_ids", expanding=True)),
    )
    .order_by(event_resource.c.resource_id)
)
_NUMBER = bindparam("b_modification_number", type_=Integer)
_DELIVERED = (
    update(event_ven)
    .where(
        event_ven.c.event_id == bindparam("b_event_id"),
        event_ven.c.ven_id == bindparam("b_ven_id"),
        exists().where(event.c.event_id == event_ven.c.event_id, event.c.modification_number == _NUMBER),
    )
    .values(
        delivered_modification=_NUMBER,
        delivered_at=bindparam("b_at", type_=Instant),
        deliveries=case((event_ven.c.delivered_modification == _NUMBER, event_ven.c.deliveries + 1), else_=1),
        due_at=case((event_ven.c.answered_modification == _NUMBER, None), else_=bindparam("b_due_at", type_=Instant)),
    )
)


def _values(row: object, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _joined() -> Select[Any]:
    return select(event, *(column.label(f"v_{column.name}") for column in _STATE)).join(
        event_ven, event_ven.c.event_id == event.c.event_id
    )
