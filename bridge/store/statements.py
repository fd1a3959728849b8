"""The one statement that both databases spell alike for us: insert, or update what has the same key.

Rule: doing it again changes nothing.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Executable, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

_PART = 500  # rows a statement: their values are bound one by one


async def upsert(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Put rows into a table by its primary key."""
    if not rows:
        return
    statement = _upsert(table, connection.dialect.name)
    for start in range(0, len(rows), _PART):  # between two parts the loop serves others
        await connection.execute(statement, list(rows[start : start + _PART]))


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
