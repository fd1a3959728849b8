"""Writing telemetry: thousands of typed values a report, column by column, straight to the driver.

Rule: what is written is what the columns of ``telemetry`` say, converted here once a value instead of in a chain of
processors; a value for the same point and time replaces the earlier one (R346). What all values of a point share is in
``data_point``. Many rows go in one statement, in which what they have in common stands once: the database does the work
of all of them without the GIL, and others get their turn between statements.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from itertools import chain, islice
from itertools import count as counting
from operator import lt
from typing import Any

from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.columns import sqlite_micros
from vtn.store.points import ids_of
from vtn.store.report_tables import telemetry
from vtn.store.rows import Point, Telemetry

KEY = ("point_id", "dtstart")
SLICE = 500  # rows in a statement: SQLite takes them in a millisecond or two, with a fifth of the parameters it allows
_SIZES = (SLICE, 100, 10, 1)  # rows of the statements for SQLite, which are compiled once
_STATEMENTS = 256  # kept: four sizes for each set of columns whose values differ, up to 35 kB of text each
_NAMES = tuple(column.name for column in telemetry.c if column.name != "id")
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in _NAMES if name not in KEY)
_INTO = f"INSERT INTO {telemetry.name} ({', '.join(_NAMES)})"
_CONFLICT = f"ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET {_REPLACED}"
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_TYPES = {name: telemetry.c[name].type.compile(_DIALECT) for name in _NAMES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Values of one report, column by column; every column is equally long."""

    ven_id: str
    report_request_id: str
    report_specifier_id: str
    report_name: str
    received_at: datetime
    points: Mapping[str, Point]  # what the rIDs mean, and maybe others
    r_id: Sequence[str]
    dtstart: Sequence[datetime]
    duration_s: Sequence[int | None]
    value: Sequence[float | None]
    online: Sequence[bool | None]
    manual_override: Sequence[bool | None]
    load_control_state: Sequence[str | None]
    data_quality: Sequence[str | None]
    confidence: Sequence[int | None]
    accuracy: Sequence[float | None]

    def __len__(self) -> int:
        return len(self.r_id)

    def row(self, index: int) -> Telemetry:
        """Return one value with all that is said of it."""
        point = self.points[self.r_id[index]]
        common = {name: getattr(self, name) for name in COMMON}
        own = {name: getattr(self, name)[index] for name in COLUMNS}
        return Telemetry(**common, **own, resource_id=point.resource_id, unit=point.unit)


COMMON = ("ven_id", "report_request_id", "report_specifier_id", "report_name", "received_at")
COLUMNS = tuple(field.name for field in fields(Block) if field.name not in {*COMMON, "points"})


async def write(connection: AsyncConnection, block: Block) -> None:
    """Write the values of a block; of those for the same point and time the last one counts."""
    if not len(block):
        return
    columns = {name: getattr(block, name) for name in COLUMNS}
    if not _ascending(block.dtstart) and len(set(zip(block.r_id, block.dtstart, strict=True))) < len(block):
        columns = _last_of_each(columns)
    columns["point_id"] = await _point_ids(connection, block, columns.pop("r_id"))
    alike: dict[str, Any] = {"received_at": block.received_at}
    to_sqlite = connection.dialect.name == "sqlite"
    if to_sqlite:
        columns["dtstart"] = sqlite_micros(columns["dtstart"])
        alike["received_at"] = sqlite_micros((block.received_at,))[0]
    alike |= {name: column[0] for name, column in columns.items() if _is_same(column)}
    differing = tuple(name for name in _NAMES if name not in alike)
    common = tuple(alike[name] for name in _NAMES if name in alike)
    values = [columns[name] for name in differing]
    for statement, rows in (_for_sqlite if to_sqlite else _for_postgresql)(differing, common, values):
        await connection.exec_driver_sql(statement, rows)


async def _point_ids(connection: AsyncConnection, block: Block, r_ids: Sequence[str]) -> Sequence[int]:
    report = (block.ven_id, block.report_request_id, block.report_specifier_id, block.report_name)
    found = await ids_of(connection, report, {r_id: block.points[r_id] for r_id in set(r_ids)})
    return tuple(found.values()) * len(r_ids) if len(found) == 1 else [found[r_id] for r_id in r_ids]


def _ascending(starts: Sequence[Any]) -> bool:
    return all(map(lt, starts, islice(starts, 1, None)))


def _last_of_each(columns: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a later value of the same point and time replaces."""
    places = {point: place for place, point in enumerate(zip(columns["r_id"], columns["dtstart"], strict=True))}
    kept = sorted(places.values())
    return {name: [column[place] for place in kept] for name, column in columns.items()}


def _is_same(column: Sequence[object]) -> bool:
    return column[0] == column[-1] and column.count(column[0]) == len(column)


def _for_sqlite(
    differing: tuple[str, ...], alike: tuple[Any, ...], columns: Sequence[Sequence[Any]]
) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Yield statements with the parameters of each time they are to be run."""
    count, start = len(columns[0]) if columns else 1, 0
    for size in _SIZES:
        times = (count - start) // size
        if times:
            places = range(start, start + times * size, size)
            yield _sqlite(differing, size), [(*alike, *_interleaved(columns, each, each + size)) for each in places]
        start += times * size


def _interleaved(columns: Sequence[Sequence[Any]], start: int, end: int) -> Iterable[Any]:
    """Return the values of some rows, row after row."""
    return chain.from_iterable(zip(*(column[start:end] for column in columns), strict=True))


@lru_cache(maxsize=_STATEMENTS)
def _sqlite(differing: tuple[str, ...], size: int) -> str:
    numbers = counting(1)
    alike = {name: f"?{next(numbers)}" for name in _NAMES if name not in differing}
    rows = ", ".join(f"({', '.join(alike.get(name) or f'?{next(numbers)}' for name in _NAMES)})" for _ in range(size))
    return f"{_INTO} VALUES {rows} {_CONFLICT}"


def _for_postgresql(
    differing: tuple[str, ...], alike: tuple[Any, ...], columns: Sequence[Sequence[Any]]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield statements with their parameters."""
    for start in range(0, len(columns[0]) if columns else 1, SLICE):
        yield _postgresql(differing), (*alike, *(list(column[start : start + SLICE]) for column in columns))


@lru_cache(maxsize=_STATEMENTS)
def _postgresql(differing: tuple[str, ...]) -> str:
    numbers = counting(1)
    alike = {name: f"${next(numbers)}::{_TYPES[name]}" for name in _NAMES if name not in differing}
    arrays = ", ".join(f"${next(numbers)}::{_TYPES[name]}[]" for name in differing)
    given = f" FROM unnest({arrays}) AS given ({', '.join(differing)})" if differing else ""
    return f"{_INTO} SELECT {', '.join(alike.get(name, f'given.{name}') for name in _NAMES)}{given} {_CONFLICT}"
