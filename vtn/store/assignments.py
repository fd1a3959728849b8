"""Which events VENs have: what belongs into their payloads, each VEN with its own part.

Rule: many VENs are read in one set of queries, and each event is decoded once for all of them. A VEN that a version
left out has the event it had before, cancelled, with the number of that version.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, bindparam, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from openadr.model import Event, EventStatus, OptType
from runtime.columns import Instant
from vtn.store import handouts
from vtn.store.codec import load
from vtn.store.decoded import Decoded, Version
from vtn.store.eventrows import Assignment, EventVen, StoredEvent
from vtn.store.tables import event, event_resource, event_ven, event_version, ven, ven_payload

_TOGETHER = 500  # events named in one query
_STATE = tuple(event_ven.c)
_STATE_NAMES = tuple(column.name for column in _STATE)


def stored_of(row: Row[Any]) -> StoredEvent:
    """Return the event of a row."""
    return StoredEvent(
        event=load(row.document, Event),
        cancelled=row.cancelled,
        created_at=row.created_at,
        modified_at=row.modified_at,
        payload_end=row.payload_end,
    )


def opt_of(text: str | None) -> OptType | None:
    """Return an optType column."""
    return None if text is None else OptType(text)


def state_of(values: dict[str, Any]) -> EventVen:
    """Return the state of an event at a VEN from its columns."""
    parts = values["parts"]
    return EventVen(
        **{
            **values,
            "answer": opt_of(values["answer"]),
            "qualified": opt_of(values["qualified"]),
            "parts": None if parts is None else load(parts, tuple[str, ...]),
        }
    )


def _cancelled_for(version: Event, state: EventVen) -> StoredEvent:
    """Return the event as a VEN gets it that a version left out: what it had before, cancelled (R10)."""
    assert state.withdrawn is not None  # noqa: S101  the caller's case
    assert state.withdrawn_at is not None  # noqa: S101
    descriptor = replace(
        version.descriptor,
        modification_number=state.withdrawn,
        modification_date_time=state.withdrawn_at.replace(microsecond=0),
        modification_reason="this VEN is no longer a target",
        event_status=EventStatus.CANCELLED,
    )
    return StoredEvent(
        event=replace(version, descriptor=descriptor),
        cancelled=True,
        created_at=state.withdrawn_at,
        modified_at=state.withdrawn_at,
        payload_end=state.withdrawn_end,
    )


class Assignments:
    """Events of VENs within one transaction."""

    def __init__(self, connection: AsyncConnection, decoded: Decoded, *, writing: bool) -> None:
        self._connection = connection
        self._writing = writing
        self._decoded = decoded

    async def of_vens(self, ven_ids: Sequence[str], now: datetime) -> dict[str, tuple[Assignment, ...]]:
        """Return the events that belong into payloads (R50, R52, R66), by venID, in the order of their making."""
        rows = (await self._connection.execute(_OF_VENS, {"b_ven_ids": ven_ids, "b_now": now})).all()
        events = await self._events(
            {(row.event_id, row.modification_number, row.modified_at) for row in rows if row.withdrawn is None}
        )
        states = [state_of(dict(zip(_STATE_NAMES, row, strict=False))) for row in rows]
        gone = await self._withdrawn(states)
        named = await self._named(states)
        handed = await handouts.handed(self._connection, ven_ids, now) if states else {}
        found: dict[str, list[Assignment]] = {}
        for state, row in zip(states, rows, strict=True):
            stored = events.get(state.event_id) if state.withdrawn is None else gone[_left_out(state)]
            if stored is not None:
                key = state.ven_id, state.event_id
                found.setdefault(state.ven_id, []).append(
                    Assignment(
                        stored=stored,
                        state=state,
                        resource_ids=named.get(key, ()),
                        changed_at=row.changed_at,
                        handed=handed.get(key),
                    )
                )
        return {ven_id: tuple(assignments) for ven_id, assignments in found.items()}

    async def _withdrawn(self, states: Sequence[EventVen]) -> dict[Version, StoredEvent]:
        """Return the events of VENs that were left out, as these VENs get them."""
        wanted = {_left_out(state): state for state in states if state.withdrawn is not None}
        found = {key: known for key in wanted if (known := self._decoded.get(key)) is not None}
        missing = {key: state for key, state in wanted.items() if key not in found}
        if missing:
            versions = await self._versions_before(missing.values())
            for key, state in missing.items():
                stored = found[key] = _cancelled_for(versions[state.event_id, state.withdrawn or 0], state)
                if not self._writing:
                    self._decoded.keep(key, stored)
        return found

    async def _versions_before(self, states: Iterable[EventVen]) -> dict[tuple[str, int], Event]:
        """Return what each of these VENs had before it was left out, by eventID and the version that left it out."""
        keys = {(state.event_id, (state.withdrawn or 0) - 1) for state in states}
        query = select(event_version).where(
            tuple_(event_version.c.event_id, event_version.c.modification_number).in_(keys)
        )
        rows = await self._connection.execute(query)
        return {(row.event_id, row.modification_number + 1): load(row.document, Event) for row in rows}

    async def _events(self, wanted: set[Version]) -> dict[str, StoredEvent]:
        """Return events by eventID, each document decoded once for all its VENs.

        What a write transaction reads may never be committed and is therefore not remembered.
        """
        found = {version[0]: stored for version in wanted if (stored := self._decoded.get(version)) is not None}
        missing = [version[0] for version in wanted if version[0] not in found]
        if missing:
            for row in await self._connection.execute(select(event).where(event.c.event_id.in_(missing))):
                stored = found[row.event_id] = stored_of(row)
                if not self._writing:
                    self._decoded.keep((row.event_id, row.modification_number, row.modified_at), stored)
        return found

    async def some_of_ven(self, ven_id: str, event_ids: Iterable[str]) -> dict[str, Assignment]:
        """Return events of a VEN whatever their status, by eventID, without what of them was handed out.

        Those that the VEN never had are left out.

        In a write transaction no new version can come in between (PostgreSQL locks the rows, SQLite has one writer).
        """
        found: dict[str, Assignment] = {}
        names = sorted(set(event_ids))
        for start in range(0, len(names), _TOGETHER):
            some = event_ven.c.event_id.in_(names[start : start + _TOGETHER])
            query = _joined().where(event_ven.c.ven_id == ven_id, some).order_by(event.c.event_id)
            if self._writing:
                query = query.with_for_update(read=True, of=event)
            found |= {each.stored.event_id: each for each in await self._assignments(query)}
        return found

    async def _assignments(self, query: Select[Any]) -> tuple[Assignment, ...]:
        rows = (await self._connection.execute(query)).all()
        states = [state_of({column.name: getattr(row, f"v_{column.name}") for column in _STATE}) for row in rows]
        named = await self._named(states)
        gone = await self._withdrawn(states)
        return tuple(
            Assignment(
                stored=stored_of(row) if state.withdrawn is None else gone[_left_out(state)],
                state=state,
                resource_ids=named.get((state.ven_id, state.event_id), ()),
            )
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


def _left_out(state: EventVen) -> Version:
    assert state.withdrawn is not None  # noqa: S101  the caller's case
    assert state.withdrawn_at is not None  # noqa: S101
    return (state.event_id, -state.withdrawn, state.withdrawn_at)


_NOW = bindparam("b_now", type_=Instant)
_IN = event_ven.c.withdrawn.is_(None)
_OF_VENS = (
    select(*_STATE, event.c.modification_number, event.c.modified_at, ven_payload.c.changed_at)
    .join(event, event_ven.c.event_id == event.c.event_id)
    .join(ven, ven.c.ven_id == event_ven.c.ven_id)
    .outerjoin(ven_payload, ven_payload.c.ven_id == event_ven.c.ven_id)
    .where(
        event_ven.c.ven_id.in_(bindparam("b_ven_ids", expanding=True)),
        ven.c.report_only.is_(False),  # a report-only VEN has no EiEvent
        event_ven.c.told_until > _NOW,
        or_(
            and_(_IN, event.c.cancelled.is_(False)),
            event_ven.c.answered_modification.is_(None),
            event_ven.c.answered_modification != func.coalesce(event_ven.c.withdrawn, event.c.modification_number),
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


def _joined() -> Select[Any]:
    return select(event, *(column.label(f"v_{column.name}") for column in _STATE)).join(
        event_ven, event_ven.c.event_id == event.c.event_id
    )
