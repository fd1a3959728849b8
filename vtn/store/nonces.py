"""Nonces of signed messages let in (R514): each is taken once, by whichever process asks first.

Rule: the database decides, by the key of the table, so that two processes cannot both take one. A nonce is written in
the transaction that acts on its message, or before anything acts; asking and writing are one statement whose cost does
not grow with the nonces kept. They are forgotten by instant, in batches, never while a request waits.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from openadr.errors import Replayed
from openadr.wire.replay import UsedNonce
from vtn.store.tables import nonce as table

_TAKE = {
    "sqlite": sqlite.insert(table).on_conflict_do_nothing().returning(table.c.fingerprint, table.c.nonce),
    "postgresql": postgresql.insert(table).on_conflict_do_nothing().returning(table.c.fingerprint, table.c.nonce),
}
_OLD = (
    select(table.c.fingerprint, table.c.nonce)
    .where(table.c.forget_after < bindparam("b_now"))
    .order_by(table.c.forget_after)
    .limit(bindparam("b_limit"))
)
_FORGET = delete(table).where(
    table.c.fingerprint == bindparam("b_fingerprint"),
    table.c.nonce == bindparam("b_nonce"),
)


# One statement in SQLite's own commit: through the usual layers a transaction costs ten times as much (two turns of the
# connection's thread instead of eight).
_TAKE_AT_ONCE = (
    "INSERT INTO nonce (fingerprint, nonce, forget_after) SELECT value->>0, value->>1, value->>2 FROM json_each(?) "
    "WHERE true ON CONFLICT DO NOTHING RETURNING fingerprint, nonce"
)


async def take_at_once(engine: AsyncEngine, used: Sequence[UsedNonce]) -> frozenset[tuple[str, str]]:
    """Take many, different ones, in a transaction of their own; return as ``Nonces.take`` does, once it is durable."""
    if engine.dialect.name != "sqlite":
        async with engine.begin() as connection:
            return await Nonces(connection).take(used)
    rows = [(each.fingerprint, each.nonce, _kept(each.forget_after)) for each in used]
    async with engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None  # noqa: S101  of a connection that is open
        taken = await driver.execute_fetchall(_TAKE_AT_ONCE, (json.dumps(rows),))
    return frozenset((fingerprint, nonce) for fingerprint, nonce in taken)


def _kept(instant: datetime) -> str:
    """Return an instant as SQLAlchemy keeps it in SQLite."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


class Nonces:
    """Nonces within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def use(self, used: UsedNonce) -> None:
        """Take one. Raises ``Replayed`` if it was taken before."""
        if not await self.take((used,)):
            raise Replayed("this nonce was used before (R514)")

    async def take(self, used: Sequence[UsedNonce]) -> frozenset[tuple[str, str]]:
        """Take many, different ones; return the (fingerprint, nonce) of those that nobody had taken."""
        ordered = sorted(used, key=lambda each: (each.fingerprint, each.nonce))  # so that two processes cannot deadlock
        rows = [
            {"fingerprint": each.fingerprint, "nonce": each.nonce, "forget_after": each.forget_after}
            for each in ordered
        ]
        taken = await self._connection.execute(_TAKE[self._connection.dialect.name], rows)
        return frozenset((row[0], row[1]) for row in taken)

    async def forget(self, now: datetime, limit: int) -> int:
        """Forget at most ``limit`` of those whose time is over, oldest first; return how many."""
        old = (await self._connection.execute(_OLD, {"b_now": now, "b_limit": limit})).all()
        if old:
            rows = [{"b_fingerprint": fingerprint, "b_nonce": nonce} for fingerprint, nonce in old]
            await self._connection.execute(_FORGET, rows)
        return len(old)
