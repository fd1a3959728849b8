"""Column types that every room's tables share.

Rule: an instant is aware and in UTC on both sides of the database, whatever the database keeps.
"""

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect
from sqlalchemy.types import TypeDecorator

_LENGTH = 26  # YYYY-MM-DD hh:mm:ss.ffffff


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
