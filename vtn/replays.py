"""Replay protection between the requests and the database (R514): many peers' nonces in one commit, and their end.

Rule: a nonce is on disk before the caller goes on; it waits a few milliseconds for others, and what comes while a
commit runs makes up the next one. What cannot be written is not let in. The cost of a nonce does not grow with the
nonces kept.
"""

import asyncio
from datetime import datetime
from typing import Protocol

from openadr.errors import Replayed
from openadr.wire.replay import UsedNonce
from runtime.logs import get_logger
from vtn.store.nonces import take_at_once
from vtn.store.store import Store

GATHER_S = 0.02  # a commit costs the work of ten nonces or more: worth a wait that no VEN notices
FORGET_S = 10.0  # how often nonces are forgotten; a sixth of the usual window
FORGET_AT_ONCE = 1000  # in one transaction: the database is held for some 10 ms
TOGETHER = 500  # nonces in one statement
log = get_logger(__name__)
_Asked = tuple[UsedNonce, asyncio.Future[bool]]


class Sleeper(Protocol):
    """The part of a clock that the loop needs."""

    def now(self) -> datetime:
        """Return the present instant."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` s have passed."""
        ...


class Replays:
    """The nonces of one process on their way into the database."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Asked] = []
        self._writing: asyncio.Task[None] | None = None

    async def use(self, nonce: UsedNonce) -> None:
        """Return once the nonce is written. Raises ``Replayed`` if it was taken before, here or elsewhere."""
        taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((nonce, taken))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="nonces")
        if not await taken:
            raise Replayed("this nonce was used before (R514)")

    async def _write(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(GATHER_S)
                batch, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
                await self._take(batch)
        finally:
            self._writing = None
            for _, taken in self._waiting:  # only if this task was cancelled
                taken.cancel()
            self._waiting.clear()

    async def _take(self, batch: list[_Asked]) -> None:
        first: dict[tuple[str, str], _Asked] = {}
        for nonce, taken in batch:
            if first.setdefault((nonce.fingerprint, nonce.nonce), (nonce, taken))[1] is not taken:
                _settle(taken, False)  # the same one twice at the same time
        nonces = [nonce for nonce, _ in first.values()]
        try:
            new = await take_at_once(self._store.engine, nonces)
        except Exception as error:
            for _, taken in first.values():
                _settle(taken, error)
        except BaseException:
            for _, taken in batch:
                taken.cancel()
            raise
        else:
            for key, (_, taken) in first.items():
                _settle(taken, key in new)

    async def forget(self, now: datetime) -> int:
        """Forget all nonces whose time is over, a batch a transaction; return how many."""
        total = 0
        while True:
            async with self._store.write() as tx:
                count = await tx.nonces.forget(now, FORGET_AT_ONCE)
            total += count
            if count < FORGET_AT_ONCE:
                return total

    async def forget_on(self, clock: Sleeper) -> None:
        """Forget for ever."""
        while True:
            await clock.sleep(FORGET_S)
            try:
                await self.forget(clock.now())
            except Exception as error:
                log.warning("will be tried again", action="forget", exc_info=error)


def _settle(taken: asyncio.Future[bool], value: bool | Exception) -> None:
    if taken.done():
        return
    if isinstance(value, bool):
        taken.set_result(value)
    else:
        taken.set_exception(value)
