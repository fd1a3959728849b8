"""Small questions that a process asks its database every second or so, at a fraction of what a transaction costs.

Rule: a question is one SELECT of one row, compiled once. On a SQLite file it is asked on a connection of its own, in no
transaction; the values that come back are the driver's: numbers, texts, NULL.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncEngine

from runtime.columns import sqlite_text
from runtime.database import SqliteEngine, read


class Probe:
    """A question; its bind parameters are given by name, instants as aware datetimes."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self._statement = statement
        self._sqlite: tuple[str, tuple[tuple[str, Any], ...]] | None = None  # text, names and values in order

    async def __call__(self, engine: AsyncEngine, **values: Any) -> tuple[Any, ...]:
        """Return the row."""
        if isinstance(engine, SqliteEngine):
            text, places = self._compiled(engine)
            given = [_bound(values.get(name, value)) for name, value in places]
            (row,) = await engine.ask(text, given)
            return tuple(row)
        async with read(engine) as connection:
            return tuple((await connection.execute(self._statement, values)).one())

    def _compiled(self, engine: AsyncEngine) -> tuple[str, tuple[tuple[str, Any], ...]]:
        if self._sqlite is None:
            compiled = self._statement.compile(dialect=engine.dialect)
            names = getattr(compiled, "positiontup", None) or ()
            self._sqlite = str(compiled), tuple((name, compiled.params[name]) for name in names)
        return self._sqlite


def _bound(value: Any) -> Any:
    return sqlite_text(value) if isinstance(value, datetime) else value
