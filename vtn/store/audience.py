"""Who has an event: writing the VENs and resources of a new one, and their changes when it is modified.

Rule: rows are written in the order of venIDs, so that transactions about the same VENs wait instead of deadlocking.
Every change of a VEN's events moves its ``changed_at`` on and never back (R115).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, case, delete, func, insert, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.columns import Instant
from vtn.store.codec import dump, upsert
from vtn.store.eventrows import EventResource, EventVen, OptSource
from vtn.store.rows import NEVER
from vtn.store.tables import event, event_resource, event_ven, ven_payload

_WITHDRAW = (
    update(event_ven)
    .where(event_ven.c.event_id == bindparam("b_event_id"), event_ven.c.ven_id == bindparam("b_ven_id"))
    .values(
        withdrawn=bindparam("b_number"),
        withdrawn_at=bindparam("b_at", type_=Instant),
        withdrawn_end=bindparam("b_end", type_=Instant),
        told_until=bindparam("b_end", type_=Instant),
        due_at=bindparam("b_at", type_=Instant),
        answer=None,
        response_code=None,
        response_description=None,
    )
)

_UNNAME = delete(event_resource).where(
    event_resource.c.event_id == bindparam("b_event_id"), event_resource.c.ven_id == bindparam("b_ven_id")
)


def told_until(event_id: str) -> Select[tuple[datetime]]:
    """Select until when the present version of an event is in payloads."""
    return select(func.coalesce(event.c.payload_end, literal(NEVER, Instant))).where(event.c.event_id == event_id)


def _state_row(state: EventVen) -> dict[str, Any]:
    row = {name: getattr(state, name) for name in event_ven.c.keys()}  # noqa: SIM118  columns, not a dict
    return {**row, "parts": None if state.parts is None else dump(state.parts)}


def _resource_row(row: EventResource) -> dict[str, Any]:
    return {name: getattr(row, name) for name in event_resource.c.keys()}  # noqa: SIM118


async def assign(
    connection: AsyncConnection, states: Sequence[EventVen], resources: Sequence[EventResource]
) -> dict[str, datetime]:
    """Insert the VENs of an event and the resources its target names; return ``changed_at`` by venID."""
    event_ids = {each.event_id for each in states}
    until = {each: (await connection.execute(told_until(each))).scalar_one() for each in event_ids}
    if states:
        rows = [{**_state_row(each), "told_until": until[each.event_id]} for each in states]
        await connection.execute(insert(event_ven), rows)
    if resources:
        await connection.execute(insert(event_resource), [_resource_row(each) for each in resources])
    times: dict[str, datetime] = {}
    for event_id in event_ids:
        times |= await changed(connection, event_id)
    return times


async def changed(connection: AsyncConnection, event_id: str) -> dict[str, datetime]:
    """Note for every VEN of an event's present version that its events have changed; return when, by venID."""
    found = (
        select(event_ven.c.ven_id, event.c.modified_at)
        .join(event, event.c.event_id == event_ven.c.event_id)
        .where(
            event_ven.c.event_id == event_id,
            or_(event_ven.c.withdrawn.is_(None), event_ven.c.withdrawn == event.c.modification_number),
        )
        .order_by(event_ven.c.ven_id)
    )
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = make(ven_payload).from_select(["ven_id", "changed_at"], found)
    later = case(
        (statement.excluded.changed_at > ven_payload.c.changed_at, statement.excluded.changed_at),
        else_=ven_payload.c.changed_at,
    )
    noted = statement.on_conflict_do_update(index_elements=["ven_id"], set_={"changed_at": later})
    rows = await connection.execute(noted.returning(ven_payload.c.ven_id, ven_payload.c.changed_at))
    return {ven_id: at for ven_id, at in rows}


async def withdraw(
    connection: AsyncConnection, event_id: str, ven_ids: Sequence[str], number: int, now: datetime, end: datetime | None
) -> None:
    """Leave VENs out of an event."""
    rows = [
        {"b_event_id": event_id, "b_ven_id": ven_id, "b_number": number, "b_at": now, "b_end": end}
        for ven_id in sorted(ven_ids)
    ]
    if rows:
        await connection.execute(_WITHDRAW, rows)


async def reassign(
    connection: AsyncConnection,
    states: Sequence[EventVen],
    named: Mapping[str, Sequence[str]],
    qualified: Iterable[EventResource],
) -> None:
    """Write states anew, and for each of these VENs the resources its target names; ``Events.modified`` follows.

    A resource that an oadrCreateOpt has qualified stays qualified while the VEN keeps it in the event (R206).
    """
    rows = sorted(map(_state_row, states), key=lambda row: str(row["ven_id"]))
    await upsert(connection, event_ven, rows, ("event_id", "ven_id"))
    kept: dict[str, dict[str, EventResource]] = {}
    for each in qualified:
        if each.source is OptSource.CREATE_OPT:
            kept.setdefault(each.ven_id, {})[each.resource_id] = each
    gone = [{"b_event_id": each.event_id, "b_ven_id": each.ven_id} for each in states]
    if gone:
        await connection.execute(_UNNAME, gone)
    resources: list[EventResource] = []
    for state in states:
        mine = kept.get(state.ven_id, {})
        for name in mine if state.whole_ven else named.get(state.ven_id, ()):
            plain = EventResource(event_id=state.event_id, ven_id=state.ven_id, resource_id=name)
            resources.append(mine.get(name, plain))
    if resources:
        await connection.execute(insert(event_resource), [_resource_row(each) for each in resources])
