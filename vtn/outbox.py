"""Poll queues kept cheap: which VENs have nothing waiting, who they are, and when they were last seen, in memory.

Rule: the database decides, this only remembers. What is remembered of a VEN is dropped when a commit touches it;
what other processes change shows in the change counter, read every second. A lost cache costs one query.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from runtime.logs import get_logger
from vtn.services.polling import pending
from vtn.store.rows import Ven
from vtn.store.store import Store

WATCH_S = 1.0  # how late another process may learn of an event; a tenth of the usual poll interval
FLUSH_S = 5.0  # how old last_seen in the database may be
log = get_logger(__name__)


class Sleeper(Protocol):
    """The part of a clock that the loops need."""

    async def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` s have passed."""
        ...


@dataclass(frozen=True, slots=True)
class _Idle:
    """A registered VEN with nothing due before ``until`` (``None``: until something changes)."""

    ven: Ven
    until: datetime | None


class Outbox:
    """What this process remembers about its VENs between polls."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._idle: dict[str, _Idle] = {}  # by fingerprint
        self._fingerprints: dict[str, str] = {}  # by venID
        self._epoch = 0  # moves with every change, so that an answer read before it is not remembered after it
        self._seen: dict[str, datetime] = {}  # by fingerprint
        self._counter: int | None = None
        store.listen(self.forget)

    def forget(self, ven_ids: frozenset[str]) -> None:
        """Drop what is remembered of these VENs."""
        self._epoch += 1
        for ven_id in ven_ids:
            fingerprint = self._fingerprints.pop(ven_id, None)
            if fingerprint is not None:
                self._idle.pop(fingerprint, None)

    def forget_all(self) -> None:
        """Drop everything: another process has changed something."""
        self._epoch += 1
        self._idle.clear()
        self._fingerprints.clear()

    def remembers_idle(self, fingerprint: str, ven_id: str, now: datetime) -> bool:
        """True if this VEN is known to be registered and to have nothing waiting."""
        known = self._idle.get(fingerprint)
        return known is not None and known.ven.ven_id == ven_id and (known.until is None or now < known.until)

    async def idle(self, fingerprint: str, ven_id: str, now: datetime) -> bool:
        """Tell whether a poll of this VEN is answered with oadrResponse; False also if it must be looked into."""
        if self.remembers_idle(fingerprint, ven_id, now):
            return True
        epoch = self._epoch
        async with self._store.read() as tx:
            ven = await tx.vens.by_fingerprint(fingerprint)
            if ven is None or not ven.registered or ven.ven_id != ven_id:
                return False
            found = await pending(tx, ven.ven_id, now)
        if found.reply_due:
            return False
        if epoch == self._epoch:
            self._idle[fingerprint] = _Idle(ven, found.look_again_at)
            self._fingerprints[ven_id] = fingerprint
        return True

    def seen(self, fingerprint: str, now: datetime) -> None:
        """Note a sign of life; written in batches."""
        self._seen[fingerprint] = now

    async def flush(self) -> None:
        """Write the signs of life."""
        if not self._seen:
            return
        batch, self._seen = self._seen, {}
        async with self._store.write() as tx:
            await tx.vens.seen(batch)

    async def look(self) -> None:
        """Forget everything if the change counter moved, whoever moved it."""
        counter = await self._store.changes()
        if self._counter is not None and counter != self._counter:
            self.forget_all()
        self._counter = counter

    async def watch(self, clock: Sleeper) -> None:
        """Look for changes of other processes for ever."""
        await _every(WATCH_S, clock, self.look)

    async def keep_seen(self, clock: Sleeper) -> None:
        """Flush signs of life for ever."""
        await _every(FLUSH_S, clock, self.flush)


async def _every(seconds: float, clock: Sleeper, action: Callable[[], Awaitable[None]]) -> None:
    while True:
        await clock.sleep(seconds)
        try:
            await action()
        except Exception as error:
            log.warning("will be tried again", action=action.__name__, exc_info=error)
