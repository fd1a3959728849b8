"""Delivery from memory: who the VENs are, what waits for each, what was handed out and not yet written, last signs of
life.

Rule: the database decides, this only remembers. What is remembered of a VEN is dropped by every commit that touches
it; what other processes change shows in the change counter, read every second. A hand-out is written within half a
second; one lost with the process is repeated, which VENs must bear anyway.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from openadr.errors import OadrError
from openadr.messages import DistributeEvent, Poll, RequestEvent
from openadr.model import Event
from openadr.timeline import next_change
from runtime.logs import get_logger
from vtn.services.context import Desk
from vtn.services.dispatch import identify
from vtn.services.events import after, fresh, hand_out, payload
from vtn.services.polling import Turn, Waiting, look, quiet_until, turn
from vtn.store.rows import Assignment, Delivery, Ven
from vtn.store.store import Store

WATCH_S = 1.0  # how late another process may learn of an event; a tenth of the usual poll interval
FLUSH_S = 0.5  # how old an unwritten hand-out may be
SEEN_S = 5.0  # how old last_seen in the database may be
FRESH = timedelta(seconds=2)  # events are handed out from memory this long; an answer may have reached another process
log = get_logger(__name__)


class Sleeper(Protocol):
    """The part of a clock that the loops need."""

    async def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` s have passed."""
        ...


@dataclass(frozen=True, slots=True)
class _Payload:
    """The events of a VEN as made at ``since``, the same until a status changes."""

    events: tuple[Event, ...]
    since: datetime
    until: datetime | None

    def holds(self, now: datetime) -> bool:
        """True while it is still what would be made at ``now``."""
        return self.since <= now and (self.until is None or now < self.until)


def _payload(assignments: tuple[Assignment, ...], now: datetime) -> _Payload:
    events = payload(fresh(assignments, now), now)
    return _Payload(events, now, next_change(events, now))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A registered VEN and what waits for it, as read at ``read_at``."""

    ven: Ven
    waiting: Waiting
    payload: _Payload
    read_at: datetime
    quiet_until: datetime | None  # nothing is due before; None: not before something changes


class Outbox:
    """What this process remembers about its VENs."""

    def __init__(self, store: Store, desk: Desk) -> None:
        self._store = store
        self._desk = desk
        self._known: dict[str, _Known] = {}  # by fingerprint
        self._fingerprints: dict[str, str] = {}  # by venID
        self._epoch = 0  # moves with every change, so that what was read before it is not remembered after it
        self._unwritten: list[Delivery] = []
        self._writing = asyncio.Lock()  # who reads after writing must not read in the middle of it
        self._seen: dict[str, datetime] = {}  # by fingerprint
        self._foreign: int | None = None
        store.listen(self.forget)

    def forget(self, ven_ids: frozenset[str]) -> None:
        """Drop what is remembered of these VENs."""
        self._epoch += 1
        for ven_id in ven_ids:
            fingerprint = self._fingerprints.pop(ven_id, None)
            if fingerprint is not None:
                self._known.pop(fingerprint, None)

    def quiet(self, fingerprint: str, ven_id: str, now: datetime) -> bool:
        """True if this VEN is known to be registered and to have nothing waiting: its poll is answered at once."""
        known = self._known.get(fingerprint)
        if known is None or known.ven.ven_id != ven_id:
            return False
        return known.quiet_until is None or now < known.quiet_until

    async def distribute(self, fingerprint: str, request: Poll | RequestEvent, now: datetime) -> DistributeEvent | None:
        """Answer with events from memory; ``None``: the services must answer (or, see ``quiet``, nothing waits)."""
        known = await self._recall(fingerprint, request, now)
        if known is None:
            return None
        reply_to, reply_limit = "", None
        if isinstance(request, RequestEvent):
            reply_to, reply_limit = request.request_id, request.reply_limit
        elif turn(known.waiting, now) is not Turn.EVENTS:
            return None
        assignments = known.waiting.assignments
        made_up = known.payload if known.payload.holds(now) else _payload(assignments, now)
        reply, made = hand_out(assignments, made_up.events, now, self._desk, reply_to=reply_to, reply_limit=reply_limit)
        self._unwritten += made
        if self._known.get(fingerprint) is known and (made or made_up is not known.payload):
            waiting = replace(known.waiting, assignments=after(assignments, made)) if made else known.waiting
            self._known[fingerprint] = replace(
                known, waiting=waiting, payload=made_up, quiet_until=quiet_until(waiting)
            )
        return reply

    async def _recall(self, fingerprint: str, request: Poll | RequestEvent, now: datetime) -> _Known | None:
        known = self._known.get(fingerprint)
        if known is not None and known.ven.ven_id == request.ven_id and now - known.read_at < FRESH:
            return known
        await self.write_deliveries()
        epoch = self._epoch
        async with self._store.read() as tx:
            try:
                ven = identify(await tx.vens.by_fingerprint(fingerprint), request)
            except OadrError:
                return None
            waiting = await look(tx, ven.ven_id, now)
        made_up = _payload(waiting.assignments, now)
        known = _Known(ven=ven, waiting=waiting, read_at=now, quiet_until=quiet_until(waiting), payload=made_up)
        if epoch == self._epoch:
            self._known[fingerprint] = known
            self._fingerprints[ven.ven_id] = fingerprint
        return known

    def seen(self, fingerprint: str, now: datetime) -> None:
        """Note a sign of life; written in batches."""
        self._seen[fingerprint] = now

    async def write_deliveries(self) -> None:
        """Write what was handed out."""
        async with self._writing:
            if not self._unwritten:
                return
            batch, self._unwritten = self._unwritten, []
            try:
                async with self._store.write() as tx:
                    await tx.events.delivered(batch)
            except BaseException:
                self._unwritten[:0] = batch
                raise

    async def write_seen(self) -> None:
        """Write the signs of life."""
        if not self._seen:
            return
        batch, self._seen = self._seen, {}
        async with self._store.write() as tx:
            await tx.vens.seen(batch)

    async def flush(self) -> None:
        """Write everything that is only in memory."""
        await self.write_deliveries()
        await self.write_seen()

    async def look_around(self) -> None:
        """Forget everything if another process has moved the change counter."""
        foreign = await self._store.changes() - self._store.announced
        if self._foreign is not None and foreign != self._foreign:
            self._epoch += 1
            self._known.clear()
            self._fingerprints.clear()
        self._foreign = foreign

    async def watch(self, clock: Sleeper) -> None:
        """Look around for ever."""
        await _every(WATCH_S, clock, self.look_around)

    async def write_on(self, clock: Sleeper) -> None:
        """Write hand-outs for ever."""
        await _every(FLUSH_S, clock, self.write_deliveries)

    async def keep_seen(self, clock: Sleeper) -> None:
        """Write signs of life for ever."""
        await _every(SEEN_S, clock, self.write_seen)


async def _every(seconds: float, clock: Sleeper, action: Callable[[], Awaitable[None]]) -> None:
    while True:
        await clock.sleep(seconds)
        try:
            await action()
        except Exception as error:
            log.warning("will be tried again", action=action.__name__, exc_info=error)
