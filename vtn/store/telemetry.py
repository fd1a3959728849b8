"""Writing telemetry: thousands of typed rows a report, straight to the driver.

Rule: what is written is what the columns of ``telemetry`` say, converted here once a value instead of in a chain of
processors; a value for the same point and time replaces the earlier one (R346). Rows go in slices, so that others get
their turn between them.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Column
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.columns import Instant, sqlite_text
from vtn.store.rows import Telemetry
from vtn.store.tables import telemetry

POINT = ("ven_id", "report_request_id", "r_id", "dtstart")
SLICE = 250  # rows at a time: the loop stands still for a millisecond or two
_COLUMNS: tuple[Column[Any], ...] = tuple(column for column in telemetry.c if column.name != "id")
_NAMES = tuple(column.name for column in _COLUMNS)
_values = attrgetter(*_NAMES)
_INSTANTS = tuple(index for index, column in enumerate(_COLUMNS) if isinstance(column.type, Instant))
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in _NAMES if name not in POINT)
_INTO = f"INSERT INTO {telemetry.name} ({', '.join(_NAMES)})"
_CONFLICT = f"ON CONFLICT ({', '.join(POINT)}) DO UPDATE SET {_REPLACED}"
_SQLITE = f"{_INTO} VALUES ({', '.join('?' * len(_NAMES))}) {_CONFLICT}"
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_ARRAYS = ", ".join(f"${index}::{column.type.compile(_DIALECT)}[]" for index, column in enumerate(_COLUMNS, start=1))
_POSTGRESQL = f"{_INTO} SELECT * FROM unnest({_ARRAYS}) {_CONFLICT}"


async def write(connection: AsyncConnection, rows: Sequence[Telemetry]) -> None:
    """Write rows, of which no two are of the same point and time."""
    to_sqlite = connection.dialect.name == "sqlite"
    for start in range(0, len(rows), SLICE):
        part = rows[start : start + SLICE]
        if to_sqlite:
            await connection.exec_driver_sql(_SQLITE, list(_for_sqlite(part)))
        else:
            arrays = [list(column) for column in zip(*map(_values, part), strict=True)]
            await connection.exec_driver_sql(_POSTGRESQL, tuple(arrays))


def _for_sqlite(rows: Sequence[Telemetry]) -> Iterator[tuple[Any, ...]]:
    texts: dict[datetime, str] = {}  # the instant of receipt is the same in all rows
    for row in rows:
        values = list(_values(row))
        for index in _INSTANTS:
            instant = values[index]
            text = texts.get(instant)
            if text is None:
                text = texts[instant] = sqlite_text(instant)
            values[index] = text
        yield tuple(values)
