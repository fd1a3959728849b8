"""Hand-outs: one row a payload, its events apart, and what VENs were handed of an event as these rows say.

Rule: payloads with the same events share the rows of these, found by a digest of them. What was handed out is never
copied into the state of an event: a newer version or an answer that came in the meantime stays what it is. What was
handed out to a VEN that is gone by now is no longer of interest.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from operator import attrgetter
from typing import Any

from sqlalchemy import and_, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.columns import Instant, sqlite_text
from vtn.store.eventrows import Contents, Handed, Handout
from vtn.store.tables import handout, payload_event

_TOGETHER = 5_000  # payloads named in one query
_EVENTS = (
    "INSERT INTO payload_event (payload_id, event_id, modification_number, again_s) "
    "SELECT {0}, {1}, {2}, {3} WHERE EXISTS (SELECT 1 FROM event WHERE event_id = {1}) ON CONFLICT DO NOTHING"
)
_PAYLOAD = (
    "INSERT INTO handout (ven_id, payload_id, request_id, at, told_until) "
    "SELECT {0}, {1}, {2}, {3}, {4} WHERE EXISTS (SELECT 1 FROM ven WHERE ven_id = {0})"
)
_POSTGRESQL = (
    _EVENTS.format("$1::varchar", "$2::varchar", "$3::integer", "$4::float"),
    _PAYLOAD.format("$1::varchar", "$2::varchar", "$3::text", "$4::timestamptz", "$5::timestamptz"),
)
_SQLITE = tuple(each.format(*(f"?{number}" for number in range(1, 6))) for each in (_EVENTS, _PAYLOAD))


async def write(connection: AsyncConnection, made: Sequence[Handout]) -> None:
    """Write hand-outs in the order of their making at each VEN.

    This is the hot path of every event at every VEN, so it goes straight to the driver. Rows are written in one order
    of payloads and of VENs, so that two writers on PostgreSQL wait for each other instead of deadlocking.
    """
    if not made:
        return
    on_sqlite = connection.dialect.name == "sqlite"
    instant: Callable[[datetime], Any] = sqlite_text if on_sqlite else _as_it_is
    contents = {id(each.events): each.events for each in made}
    names = {place: payload_id(events) for place, events in contents.items()}
    untils = {until: instant(until) for until in {each.until for each in made}}
    inner = sorted({(names[place], *each) for place, events in contents.items() for each in _rows(events)})
    outer = [
        (each.ven_id, names[id(each.events)], each.request_id, instant(each.at), untils[each.until])
        for each in sorted(made, key=attrgetter("ven_id"))
    ]
    of_events, of_payloads = _SQLITE if on_sqlite else _POSTGRESQL
    await connection.exec_driver_sql(of_events, inner)
    await connection.exec_driver_sql(of_payloads, outer)


def _as_it_is(value: datetime) -> datetime:
    return value


def payload_id(events: Contents) -> str:
    """Return a digest of what a payload has: the same for all the VENs that got the same."""
    return blake2b(json.dumps(_rows(events)).encode(), digest_size=12).hexdigest()


def _rows(events: Contents) -> list[tuple[str, int, float | None]]:
    return [(event_id, number, None if again is None else again.total_seconds()) for event_id, number, again in events]


async def handed(connection: AsyncConnection, ven_ids: Sequence[str], now: datetime) -> dict[tuple[str, str], Handed]:
    """Return what VENs were handed since they registered last, by venID and eventID; what is over may be left out."""
    given = (await connection.execute(_TOLD, {"b_ven_ids": ven_ids, "b_now": now})).all()
    if not given:
        return {}
    contents = await _contents(connection, sorted({row.payload_id for row in given}))
    found: dict[tuple[str, str], Handed] = {}
    for ven_id, payload, at in given:
        for event_id, number, again in contents.get(payload, ()):
            key = ven_id, event_id
            found[key] = Handed.after(found.get(key), number, at, again)
    return found


async def _contents(
    connection: AsyncConnection, payload_ids: Sequence[str]
) -> dict[str, list[tuple[str, int, timedelta | None]]]:
    found: dict[str, list[tuple[str, int, timedelta | None]]] = {}
    for start in range(0, len(payload_ids), _TOGETHER):
        some = {"b_payload_ids": payload_ids[start : start + _TOGETHER]}
        for payload, event_id, number, again_s in await connection.execute(_CONTENTS, some):
            found.setdefault(payload, []).append((event_id, number, _span(again_s)))
    return found


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


async def of_event(connection: AsyncConnection, event_id: str) -> dict[str, tuple[Handed, tuple[str, ...]]]:
    """Return what VENs were ever handed of an event, and the requestIDs of these payloads in order, by venID."""
    found: dict[str, tuple[Handed, tuple[str, ...]]] = {}
    for row in await connection.execute(_OF_EVENT, {"b_event_id": event_id}):
        before, request_ids = found.get(row.ven_id, (None, ()))
        last = Handed.after(before, row.modification_number, row.at, _span(row.again_s))
        found[row.ven_id] = last, (*request_ids, row.request_id)
    return found


async def forget(connection: AsyncConnection, ven_id: str, now: datetime) -> None:
    """Have what a VEN was handed count no more for what it is to be handed; ``of_event`` still tells of it."""
    told = and_(handout.c.ven_id == ven_id, handout.c.told_until > now)
    await connection.execute(update(handout).where(told).values(told_until=None))


_TOLD = (
    select(handout.c.ven_id, handout.c.payload_id, handout.c.at)
    .where(
        handout.c.ven_id.in_(bindparam("b_ven_ids", expanding=True)),
        handout.c.told_until > bindparam("b_now", type_=Instant),
    )
    .order_by(handout.c.id)
)
_CONTENTS = select(
    payload_event.c.payload_id, payload_event.c.event_id, payload_event.c.modification_number, payload_event.c.again_s
).where(payload_event.c.payload_id.in_(bindparam("b_payload_ids", expanding=True)))
_OF_EVENT = (
    select(
        handout.c.ven_id,
        handout.c.request_id,
        handout.c.at,
        payload_event.c.modification_number,
        payload_event.c.again_s,
    )
    .join(payload_event, payload_event.c.payload_id == handout.c.payload_id)
    .where(payload_event.c.event_id == bindparam("b_event_id"))
    .order_by(handout.c.id)
)
