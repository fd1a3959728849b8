"""Writing down what was handed out: one row a payload and event, and the state of the event at its VEN.

Rule: a newer version or an answer that came in the meantime stays what it is, and what was handed out to a VEN that is
gone by now is no longer of interest. This is the hot path of every event at every VEN, so it goes straight to the
driver: on SQLite, which has one writer, many payloads with the same events in two statements; on PostgreSQL row by row
in the order of venIDs, so that two writers wait for each other instead of deadlocking.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from operator import attrgetter

from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.columns import sqlite_text
from vtn.store.rows import Delivery, Handout

_PAYLOADS = 200  # in one statement: what is bound to it stays far below SQLite's least limit, and it lasts 5 ms
_EVENTS = 100  # of one payload in one statement, likewise

_LOG = (
    "INSERT INTO event_delivery (event_id, ven_id, modification_number, at, request_id) "
    "SELECT $1::varchar, $2::varchar, $3::integer, $4::timestamptz, $5::text "
    "WHERE EXISTS (SELECT 1 FROM event_ven v WHERE v.event_id = $1::varchar AND v.ven_id = $2::varchar)"
)
_STATE = (
    "UPDATE event_ven SET delivered_modification = $3::integer, delivered_at = $4::timestamptz, "
    "deliveries = CASE WHEN delivered_modification = $3::integer THEN deliveries + 1 ELSE 1 END, "
    "due_at = CASE WHEN answered_modification = $3::integer THEN NULL ELSE $5::timestamptz END "
    "WHERE event_id = $1::varchar AND ven_id = $2::varchar AND (withdrawn = $3::integer OR (withdrawn IS NULL AND "
    "EXISTS (SELECT 1 FROM event e WHERE e.event_id = $1::varchar AND e.modification_number = $3::integer)))"
)
_Events = tuple[tuple[str, int, timedelta | None], ...]  # as a ``Handout`` has them
_Contents = tuple[tuple[str, int], ...]  # eventID and modificationNumber
_Row = tuple[str, str, str, str | None]  # venID, at, requestID, due again at
_Wave = dict[_Contents, list[_Row]]


async def write(connection: AsyncConnection, handed: Sequence[Delivery | Handout]) -> None:
    """Write hand-outs in the order of their making at each VEN."""
    if connection.dialect.name == "sqlite":
        for wave in _waves(handed):
            for contents, rows in wave.items():
                await _write_many(connection, contents, rows)
    elif handed:
        await _write_each(connection, handed)


async def _write_each(connection: AsyncConnection, handed: Sequence[Delivery | Handout]) -> None:
    logged: list[tuple[str, str, int, datetime, str]] = []
    states: list[tuple[str, str, int, datetime, datetime | None]] = []
    for each in sorted(handed, key=attrgetter("ven_id")):
        for event_id, number, again in _events(each):
            logged.append((event_id, each.ven_id, number, each.at, each.request_id))
            states.append((event_id, each.ven_id, number, each.at, None if again is None else each.at + again))
    await connection.exec_driver_sql(_LOG, logged)
    await connection.exec_driver_sql(_STATE, states)


def _events(handed: Delivery | Handout) -> _Events:
    if isinstance(handed, Handout):
        return handed.events
    again = None if handed.due_at is None else handed.due_at - handed.at
    return ((handed.event_id, handed.modification_number, again),)


def _waves(handed: Sequence[Delivery | Handout]) -> list[_Wave]:
    """Sort into waves that are written one after the other: in each a VEN has an event once at most."""
    waves: list[_Wave] = []
    newest: dict[str, tuple[int, str]] = {}  # by venID: in which wave its last payload is, and its requestID
    for each in handed:
        nth, request_id = newest.get(each.ven_id, (-1, ""))
        if request_id != each.request_id:
            nth += 1
            newest[each.ven_id] = nth, each.request_id
            if nth == len(waves):
                waves.append({})
        at = sqlite_text(each.at)
        for contents, again in _by_due(_events(each)):
            due = None if again is None else sqlite_text(each.at + again)
            waves[nth].setdefault(contents, []).append((each.ven_id, at, each.request_id, due))
    return waves


@lru_cache(maxsize=100)
def _by_due(events: _Events) -> list[tuple[_Contents, timedelta | None]]:
    """Return the events of a payload that are due again at one time together; mostly it is the same for all."""
    dues = {again: None for _, _, again in events}
    return [(tuple((event_id, number) for event_id, number, each in events if each == again), again) for again in dues]


async def _write_many(connection: AsyncConnection, contents: _Contents, rows: list[_Row]) -> None:
    """Write payloads of different VENs that have the same events."""
    for first in range(0, len(contents), _EVENTS):
        some = contents[first : first + _EVENTS]
        for start in range(0, len(rows), _PAYLOADS):
            part = rows[start : start + _PAYLOADS]
            values = tuple([value for row in part for value in row] + [value for pair in some for value in pair])
            for statement in _statements(len(part), len(some)):
                await connection.exec_driver_sql(statement, values)


@lru_cache(maxsize=100)
def _statements(payloads: int, events: int) -> tuple[str, str]:
    """Return the insert of the log and the update of the state for so many payloads with so many events.

    ``x`` is made first and gone through, so that each row that changes is looked up by its key.
    """
    many = (
        f"WITH h (ven_id, at, request_id, due_at) AS (VALUES {','.join(['(?,?,?,?)'] * payloads)}), "
        f"n (event_id, number) AS (VALUES {','.join(['(?,?)'] * events)}), "
        "e AS MATERIALIZED (SELECT n.event_id, n.number, event.modification_number AS present "
        "FROM n LEFT JOIN event ON event.event_id = n.event_id), "
        "x AS MATERIALIZED (SELECT e.*, h.* FROM e CROSS JOIN h) "
    )
    log = (
        "INSERT INTO event_delivery (event_id, ven_id, modification_number, at, request_id) "
        "SELECT x.event_id, x.ven_id, x.number, x.at, x.request_id FROM x "
        "WHERE EXISTS (SELECT 1 FROM event_ven v WHERE v.event_id = x.event_id AND v.ven_id = x.ven_id)"
    )
    state = (
        "UPDATE event_ven SET delivered_modification = x.number, delivered_at = x.at, "
        "deliveries = CASE WHEN delivered_modification = x.number THEN deliveries + 1 ELSE 1 END, "
        "due_at = CASE WHEN answered_modification = x.number THEN NULL ELSE x.due_at END "
        "FROM x WHERE event_ven.event_id = x.event_id AND event_ven.ven_id = x.ven_id "
        "AND (withdrawn = x.number OR (withdrawn IS NULL AND x.number = x.present))"
    )
    return many + log, many + state
