"""The one statement that both databases spell alike for us: insert, or update what has the same key; and its rows.

Rule: doing it again changes nothing. What is long goes in parts.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Executable, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

_PART = 500  # rows of a statement, names of an IN list: bound one by one, and SQLite binds 32,766 at most

T = TypeVar("T")


def in_parts(items: Sequence[T]) -> Iterator[list[T]]:
    """Return the items, as many at a time as go into one statement."""
    for start in range(0, len(items), _PART):
        yield list(items[start : start + _PART])


async def upsert(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Put rows into a table by its primary key."""
    if not rows:
        return
    statement = _upsert(table, connection.dialect.name)
    for part in in_parts(rows):  # between two parts the loop serves others
        await connection.execute(statement, part)


@cache
def _upsert(table: Table, dialect_name: str) -> Executable:
    keys = [column.name for column in table.primary_key]
    dialect = postgresql if dialect_name == "postgresql" else sqlite
    statement = dialect.insert(table)
    rest = {name: statement.excluded[name] for name in (column.name for column in table.c) if name not in keys}
    found: Executable = statement.on_conflict_do_update(index_elements=keys, set_=rest)
    return found


def plain(row: Any) -> dict[str, Any]:
    """Return a row's fields by name; its values are immutable and are not copied."""
    return {name: getattr(row, name) for name in row.__dataclass_fields__}
