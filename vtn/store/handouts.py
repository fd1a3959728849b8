"""Writing down what was handed out: one row a payload and event, and the state of the event at its VEN.

Rule: a newer version or an answer that came in the meantime stays what it is, and what was handed out to a VEN that is
gone by now is no longer of interest. This is the hot path of every event at every VEN, so it goes straight to the
driver.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache, lru_cache
from operator import attrgetter

from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.columns import sqlite_text
from vtn.store.rows import Delivery, Handout

_PLACES = {  # eventID, venID, modificationNumber, at; the fifth is the requestID in the one, the time due in the other
    "sqlite": ("?1", "?2", "?3", "?4", "?5", "?5"),
    "postgresql": ("$1::varchar", "$2::varchar", "$3::integer", "$4::timestamptz", "$5::text", "$5::timestamptz"),
}
_Instant = datetime | str
_Values = tuple[str, str, int, _Instant, _Instant | None]


@cache
def _statements(dialect: str) -> tuple[str, str]:
    """Return the insert of the log and the update of the state."""
    event, ven, number, at, request, due = _PLACES[dialect]
    log = (
        "INSERT INTO event_delivery (event_id, ven_id, modification_number, at, request_id) "
        f"SELECT {event}, {ven}, {number}, {at}, {request} "
        f"WHERE EXISTS (SELECT 1 FROM event_ven v WHERE v.event_id = {event} AND v.ven_id = {ven})"
    )
    state = (
        f"UPDATE event_ven SET delivered_modification = {number}, delivered_at = {at}, "
        f"deliveries = CASE WHEN delivered_modification = {number} THEN deliveries + 1 ELSE 1 END, "
        f"due_at = CASE WHEN answered_modification = {number} THEN NULL ELSE {due} END "
        f"WHERE event_id = {event} AND ven_id = {ven} AND (withdrawn = {number} OR (withdrawn IS NULL AND EXISTS "
        f"(SELECT 1 FROM event e WHERE e.event_id = {event} AND e.modification_number = {number})))"
    )
    return log, state


async def write(connection: AsyncConnection, handed: Sequence[Delivery | Handout]) -> None:
    """Write hand-outs in the order of their making at each VEN."""
    if not handed:
        return
    dialect = connection.dialect.name
    log, state = _statements(dialect)
    logged: list[_Values] = []
    states: list[_Values] = []
    written = _texts() if dialect == "sqlite" else _as_is
    for each in sorted(handed, key=attrgetter("ven_id")):  # two writers lock rows in the same order
        ven_id, request_id, at = each.ven_id, each.request_id, written(each.at)
        parts = each.events if isinstance(each, Handout) else ((each.event_id, each.modification_number, each.due_at),)
        for event_id, number, due_at in parts:
            logged.append((event_id, ven_id, number, at, request_id))
            states.append((event_id, ven_id, number, at, None if due_at is None else written(due_at)))
    await connection.exec_driver_sql(log, logged)
    await connection.exec_driver_sql(state, states)


def _as_is(instant: datetime) -> _Instant:
    return instant


def _texts() -> Callable[[datetime], _Instant]:
    """Return what writes instants for SQLite; the events of a payload share theirs."""
    return lru_cache(maxsize=4)(sqlite_text)
