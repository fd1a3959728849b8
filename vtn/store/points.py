"""Data points: what values are of, in a row of its own with a number that stands for it in ``telemetry``.

Rule: a point never changes. Each value keeps what was said of it when it was stored: the same rID of the same request
with another meaning is another point. Points are looked up in every transaction, so that none is taken for known that
was undone, or removed by another process.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from vtn.store.codec import dump
from vtn.store.report_tables import data_point
from vtn.store.rows import Point

_OF_REPORT = ("ven_id", "report_request_id", "report_specifier_id", "report_name")
_OF_POINT = ("r_id", "resource_id", "unit")
_GIVEN = {  # what differs from point to point, as rows
    "sqlite": "(SELECT json_extract(value, '$[0]') AS r_id, json_extract(value, '$[1]') AS resource_id, "
    "json_extract(value, '$[2]') AS unit FROM json_each(?5)) AS given",
    "postgresql": "unnest($5::varchar[], $6::varchar[], $7::text[]) AS given (r_id, resource_id, unit)",
}
_MARK = {"sqlite": "?", "postgresql": "$"}


def _statements(dialect: str) -> tuple[str, str]:
    """Return how points are found, and how those that are missing are made."""
    marks = {name: f"{_MARK[dialect]}{number}" for number, name in enumerate(_OF_REPORT, start=1)}
    same = [f"{data_point.name}.{name} = {mark}" for name, mark in marks.items()]
    same += [f"{data_point.name}.{name} = given.{name}" for name in _OF_POINT]
    values = ", ".join([*marks.values(), *(f"given.{name}" for name in _OF_POINT)])
    return (
        f"SELECT given.r_id, {data_point.name}.id FROM {_GIVEN[dialect]} "
        f"CROSS JOIN {data_point.name} WHERE {' AND '.join(same)}",  # SQLite then takes them in this order
        f"INSERT INTO {data_point.name} ({', '.join((*_OF_REPORT, *_OF_POINT))}) "
        f"SELECT {values} FROM {_GIVEN[dialect]} WHERE true ON CONFLICT DO NOTHING",
    )


_STATEMENTS = {dialect: _statements(dialect) for dialect in _GIVEN}


async def ids_of(connection: AsyncConnection, report: tuple[str, ...], points: Mapping[str, Point]) -> dict[str, int]:
    """Return the numbers of points by rID; ``report``: venID, reportRequestID, reportSpecifierID, reportName."""
    dialect = connection.dialect.name
    find, make = _STATEMENTS[dialect]
    given = [(r_id, points[r_id].resource_id or "", points[r_id].unit or "") for r_id in sorted(points)]
    columns: tuple[Any, ...] = (dump(given),) if dialect == "sqlite" else tuple(map(list, zip(*given, strict=True)))
    found = await _found(connection, find, (*report, *columns))
    if len(found) < len(points):
        await connection.exec_driver_sql(make, (*report, *columns))  # in order, so that two writers do not deadlock
        found = await _found(connection, find, (*report, *columns))
    return found


async def _found(connection: AsyncConnection, find: str, parameters: tuple[Any, ...]) -> dict[str, int]:
    rows = await connection.exec_driver_sql(find, parameters)
    return dict(map(tuple, rows))
