"""Column types that every room's tables share.

Rule: an instant is aware and in UTC on both sides of the database, whatever the database keeps.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import repeat
from operator import attrgetter

from sqlalchemy import DateTime, Dialect
from sqlalchemy.types import TypeDecorator

_LENGTH = 26  # YYYY-MM-DD hh:mm:ss.ffffff
_ZONE = attrgetter("tzinfo")


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite keeps no zone, so it is cut on the way in and put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC. Raises ``ValueError`` for a naive value."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("instant without time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def sqlite_text(value: datetime) -> str:
    """Return an instant as ``Instant`` keeps it in SQLite, for statements that go straight to the driver.

    Raises ``ValueError`` for a naive value.
    """
    if value.tzinfo is None:
        raise ValueError("instant without time zone")
    utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    return utc.isoformat(" ", "microseconds")[:_LENGTH]


def sqlite_texts(values: Iterable[datetime]) -> list[str]:
    """Return many instants as ``sqlite_text`` does, at half the cost of one by one."""
    given = tuple(values)
    if list(map(_ZONE, given)).count(UTC) < len(given):
        return [sqlite_text(value) for value in given]
    return [text[:_LENGTH] for text in map(datetime.isoformat, given, repeat(" "), repeat("microseconds"))]


def sqlite_bare(texts: Sequence[str]) -> list[str]:
    """Return what ``sqlite_texts`` makes of instants that are written ``2026-01-01T00:00:00Z``, each of them."""
    return "\n".join(texts).replace("T", " ").replace("Z", ".000000").split("\n")
