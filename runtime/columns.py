"""Column types that every room's tables share.

Rule: an instant is aware and in UTC on both sides of the database, whatever the database keeps.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

_LENGTH = 26  # YYYY-MM-DD hh:mm:ss.ffffff
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


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


class Micros(TypeDecorator[datetime]):
    """An aware UTC datetime where there are millions of them: in SQLite the whole microseconds since 1970.

    That is a third of the text that ``Instant`` keeps there, in every row and every index.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Say what the database keeps."""
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Store UTC. Raises ``TypeError`` for a naive value."""
        if value is None:
            return None
        micros = sqlite_micros((value,))[0]
        return micros if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read aware UTC."""
        if value is None:
            return None
        found: datetime = _EPOCH + value * _MICROSECOND if dialect.name == "sqlite" else value.astimezone(UTC)
        return found


def sqlite_micros(values: Iterable[datetime]) -> list[int]:
    """Return instants as ``Micros`` keeps them in SQLite. Raises ``TypeError`` for a naive value."""
    return [(value - _EPOCH) // _MICROSECOND for value in values]


def sqlite_text(value: datetime) -> str:
    """Return an instant as ``Instant`` keeps it in SQLite, for statements that go straight to the driver.

    Raises ``ValueError`` for a naive value.
    """
    if value.tzinfo is None:
        raise ValueError("instant without time zone")
    utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    return utc.isoformat(" ", "microseconds")[:_LENGTH]
