"""Delivery from memory: who the VENs are, what waits for each, what was handed out and not yet written, last signs of
life.

Rule: the database decides, this only remembers. What is remembered of a VEN is dropped by every commit that touches
it, but for one that only gives it new events: these are added. What other processes change shows in the change counter,
read every second. VENs are read together: those that ask while a reading runs share the next one, and those that were
dropped come along before they ask. A hand-out is written within half a second; one lost with the process is repeated,
which VENs must bear anyway.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from openadr.messages import DistributeEvent, Poll, RequestEvent
from runtime.logs import get_logger
from vtn.known import Known, News
from vtn.payloads import Parcel, Payloads
from vtn.services.context import Desk, SignaturePolicy
from vtn.services.events import after, hand_out, handout
from vtn.services.polling import Turn, look, quiet_until, repeats, turn
from vtn.store.eventrows import Handout
from vtn.store.store import Gifts, Store

WATCH_S = 1.0  # how late another process may learn of an event; a tenth of the usual poll interval
FLUSH_S = 0.5  # how old an unwritten hand-out may be
SEEN_S = 5.0  # how old last_seen in the database may be
AHEAD_S = 0.05  # how long VENs are gathered before they are read ahead; far less than a poll interval
FRESH = timedelta(seconds=2)  # after this an answer may have reached another process: read again before repeating
TOGETHER = 200  # VENs in one set of queries: the loop stands still for about 5 ms
REMEMBERED = 100_000  # VENs, about 2 kB each with an event
log = get_logger(__name__)


class Sleeper(Protocol):
    """The part of a clock that the loops need."""

    def now(self) -> datetime:
        """Return the present instant."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` s have passed."""
        ...


class _Reading:
    """One reading of many VENs: gathers until it begins, then notes what commits change in the meantime."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.fingerprints: dict[str, None] = {}
        self.outdated: set[str] = set()  # venIDs that have changed since it began
        self.void = False  # everything may have changed
        self.task: asyncio.Task[dict[str, Known]] | None = None

    def serves(self, fingerprint: str, ven_id: str) -> bool:
        """True if a poll that comes now may be answered with what is being read."""
        return fingerprint in self.fingerprints and not self.void and ven_id not in self.outdated


class Outbox:
    """What this process remembers about its VENs."""

    def __init__(self, store: Store, desk: Desk, *, remembered: int = REMEMBERED) -> None:
        self._store = store
        self._remembered = remembered
        self._desk = desk
        self._alone = store.engine.dialect.name == "sqlite"  # one process serves a file
        self._known: dict[str, Known] = {}  # by fingerprint
        self._fingerprints: dict[str, str] = {}  # by venID
        self._gathering: _Reading | None = None
        self._running: _Reading | None = None
        self._one_reading = asyncio.Lock()
        self._dropped: dict[str, None] = {}  # fingerprints of VENs that will ask again
        self._to_read_ahead = asyncio.Event()
        self._payloads = Payloads(desk.events, current_value=desk.current_value)
        self._unwritten: list[Handout] = []
        self._writing = asyncio.Lock()  # who reads after writing must not read in the middle of it
        self._seen: dict[str, datetime] = {}  # by fingerprint
        self._foreign: int | None = None
        store.listen(self.forget, self.give)

    def __len__(self) -> int:
        """Return how many VENs are remembered."""
        return len(self._known)

    def forget(self, ven_ids: frozenset[str]) -> None:
        """Drop what is remembered of these VENs."""
        if self._running is not None:
            self._running.outdated |= ven_ids
        for ven_id in ven_ids:
            fingerprint = self._fingerprints.pop(ven_id, None)
            if fingerprint is not None and self._known.pop(fingerprint, None) is not None:
                self._dropped[fingerprint] = None
        if self._dropped:
            self._to_read_ahead.set()

    def give(self, gifts: Gifts) -> None:
        """Add the new events of VENs to what is remembered of them, instead of reading them again."""
        if not self._alone:  # what others have changed meanwhile has to be read anyway
            self.forget(frozenset(gifts))
            return
        if self._running is not None:
            self._running.outdated |= gifts.keys()
        for ven_id, new in gifts.items():
            fingerprint = self._fingerprints.get(ven_id)
            known = None if fingerprint is None else self._known.get(fingerprint)
            if fingerprint is None or known is None:
                continue
            self._known[fingerprint] = known.given(new)

    def _forget_all(self) -> None:
        if self._running is not None:
            self._running.void = True
        self._known.clear()
        self._fingerprints.clear()
        self._dropped.clear()

    def quiet(self, fingerprint: str, ven_id: str, now: datetime, *, signed: bool = False) -> bool:
        """True if this VEN is known to be registered and to have nothing waiting: its poll is answered at once."""
        known = self._known.get(fingerprint)
        if known is None or known.ven_id != ven_id or (known.signs and not signed):
            return False
        return known.quiet_until is None or now < known.quiet_until

    async def registered(self, fingerprint: str, request: Poll | RequestEvent, now: datetime) -> bool:
        """True if the holder of this certificate is registered under the venID of its request."""
        return await self._recall(fingerprint, request, now) is not None

    async def distribute(
        self, fingerprint: str, request: Poll | RequestEvent, now: datetime, *, signed: bool = False
    ) -> DistributeEvent | None:
        """Answer with events from memory; ``None``: the services must answer (or, see ``quiet``, nothing waits)."""
        known = await self._recall(fingerprint, request, now)
        if known is None or (known.signs and not signed):
            return None
        reply_to, reply_limit = "", None
        if isinstance(request, RequestEvent):
            reply_to, reply_limit = request.request_id, request.reply_limit
        else:
            whose = turn(known.waiting, now)
            if whose is not Turn.EVENTS:
                if whose is not Turn.NOTHING:
                    await self.write_deliveries()  # the services see only what is written
                elif not self.quiet(fingerprint, known.ven_id, now, signed=signed):
                    self.forget(frozenset({known.ven_id}))  # only what is over by now was due
                return None
        assignments = known.waiting.assignments
        events = self._payloads(assignments, now)
        reply, made = hand_out(assignments, events, now, self._desk, reply_to=reply_to, reply_limit=reply_limit)
        self._made(fingerprint, known, made)
        return reply

    def at_once(self, fingerprint: str, request: Poll, now: datetime) -> Parcel | None:
        """Answer an unsigned poll with events, if that needs nothing that is not in memory."""
        known = self._known.get(fingerprint)
        if known is None or known.ven_id != request.ven_id or known.signs:
            return None
        news = known.only_news(now)
        if news is not None and news.named is not None and self._alone:
            return self._first(fingerprint, known, news, now)
        known = self._known[fingerprint] = known.whole()
        if not self._current(known, request, now) or turn(known.waiting, now) is not Turn.EVENTS:
            return None
        payload, due = self._payloads.shared(known.waiting.assignments, now)
        request_id = self._desk.new_id("req")
        made = handout(due, payload.first, request_id, now, self._desk.events)
        if made is not None:
            self._note(known, made)
            self._known[fingerprint] = known.handed(made)
        return payload.around(due, request_id, self._desk.vtn_id)

    def _first(self, fingerprint: str, known: Known, news: News, now: datetime) -> Parcel:
        """Answer with nothing but events that the VEN has never had."""
        payload = self._payloads.of(news.assignments, news.changed, news.contents, now)
        request_id = self._desk.new_id("req")
        made = Handout(ven_id=known.ven_id, request_id=request_id, at=now, events=payload.first, until=payload.over_at)
        self._note(known, made)
        self._known[fingerprint] = known.handed_news(news, payload, made)
        return payload.around_same(known.ven_id, news.named or (), request_id, self._desk.vtn_id)

    def _note(self, known: Known, made: Handout) -> None:
        """Note what was handed out to a VEN."""
        self._unwritten.append(made)
        if self._running is not None:
            self._running.outdated.add(known.ven_id)  # it may have begun before this

    def _made(self, fingerprint: str, known: Known, made: Handout | None) -> None:
        """Note what was handed out to a VEN, and remember it."""
        if made is None:
            return
        self._note(known, made)
        if self._known.get(fingerprint) is known:
            waiting = replace(known.waiting, assignments=after(known.waiting.assignments, made))
            self._known[fingerprint] = replace(known, waiting=waiting, quiet_until=quiet_until(waiting))

    async def _recall(self, fingerprint: str, request: Poll | RequestEvent, now: datetime) -> Known | None:
        known = self._known.get(fingerprint)
        if known is not None:
            known = self._known[fingerprint] = known.whole()
        if known is None or known.ven_id != request.ven_id or not self._current(known, request, now):
            reading = self._running
            if reading is None or not reading.serves(fingerprint, request.ven_id):
                reading = self._gather(now)
                reading.fingerprints[fingerprint] = None
            assert reading.task is not None  # noqa: S101  set where it is made
            read = (await asyncio.shield(reading.task)).get(fingerprint)
            known = self._known.get(fingerprint)  # the same VEN may have been handed or given events since
            if known is None:
                known = read
            else:
                known = self._known[fingerprint] = known.whole()
            if known is not None and fingerprint in self._known:
                known = self._known[fingerprint] = known.whole()
        return None if known is None or known.ven_id != request.ven_id else known

    def _current(self, known: Known, request: Poll | RequestEvent, now: datetime) -> bool:
        """True if a reply may be made from memory: it is fresh, or a first hand-out that nobody else can have made."""
        if timedelta(0) <= now - known.read_at < FRESH:  # a clock that was set back says nothing
            return True
        return self._alone and isinstance(request, Poll) and not repeats(known.waiting, now)

    def _gather(self, now: datetime) -> _Reading:
        """Return the reading that has not begun yet."""
        reading = self._gathering
        if reading is None or (reading.task is not None and reading.task.done()):
            reading = self._gathering = _Reading(now)
            reading.task = asyncio.create_task(self._read(reading), name="read VENs")
        reading.now = max(reading.now, now)
        return reading

    async def _read(self, reading: _Reading) -> dict[str, Known]:
        async with self._one_reading:
            self._gathering, self._running = None, reading
            while self._dropped and len(reading.fingerprints) < TOGETHER:
                reading.fingerprints[self._dropped.popitem()[0]] = None
            for fingerprint in reading.fingerprints:
                self._dropped.pop(fingerprint, None)
            try:
                await self.write_deliveries()
                found = await self._look(tuple(reading.fingerprints), reading.now)
            finally:
                self._running = None
            for fingerprint, known in found.items():
                if not reading.void and known.ven_id not in reading.outdated:
                    self._remember(fingerprint, known)
            return found

    async def _look(self, fingerprints: tuple[str, ...], now: datetime) -> dict[str, Known]:
        """Read registered VENs and what waits for them, by fingerprint."""
        found: dict[str, Known] = {}
        async with self._store.read() as tx:
            for start in range(0, len(fingerprints), TOGETHER):
                registered = await tx.vens.registered(fingerprints[start : start + TOGETHER])
                waiting = await look(tx, tuple(ven_id for ven_id, _ in registered.values()), now)
                for fingerprint, (ven_id, xml_signature) in registered.items():
                    waits = waiting[ven_id]
                    found[fingerprint] = Known(
                        ven_id=ven_id,
                        signs=xml_signature and self._desk.signatures is not SignaturePolicy.OFF,
                        waiting=waits,
                        read_at=now,
                        quiet_until=quiet_until(waits),
                    )
        return found

    def _remember(self, fingerprint: str, known: Known) -> None:
        if fingerprint not in self._known and len(self._known) >= self._remembered:
            oldest = next(iter(self._known))
            self._fingerprints.pop(self._known.pop(oldest).ven_id, None)
        self._known[fingerprint] = known
        self._fingerprints[known.ven_id] = fingerprint

    async def read_ahead(self, now: datetime) -> None:
        """Read VENs that were dropped, before they ask."""
        self._to_read_ahead.clear()
        while self._dropped:
            task = self._gather(now).task
            assert task is not None  # noqa: S101  set where it is made
            await task

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
        store, announced = self._store, self._store.announced
        found = await store.changes()
        if self._foreign is not None:
            if found - store.announced - store.announcing <= self._foreign <= found - announced:
                return  # all that has come can be our own
            self._forget_all()
        self._foreign = found - store.announced

    async def watch(self, clock: Sleeper) -> None:
        """Look around for ever."""
        await _every(WATCH_S, clock, self.look_around)

    async def ahead(self, clock: Sleeper) -> None:
        """Read ahead for ever."""

        async def read_ahead() -> None:
            await self.read_ahead(clock.now())

        while True:
            await self._to_read_ahead.wait()
            await _once(AHEAD_S, clock, read_ahead)

    async def write_on(self, clock: Sleeper) -> None:
        """Write hand-outs for ever."""
        await _every(FLUSH_S, clock, self.write_deliveries)

    async def keep_seen(self, clock: Sleeper) -> None:
        """Write signs of life for ever."""
        await _every(SEEN_S, clock, self.write_seen)


async def _every(seconds: float, clock: Sleeper, action: Callable[[], Awaitable[None]]) -> None:
    while True:
        await _once(seconds, clock, action)


async def _once(seconds: float, clock: Sleeper, action: Callable[[], Awaitable[None]]) -> None:
    await clock.sleep(seconds)
    try:
        await action()
    except Exception as error:
        log.warning("will be tried again", action=action.__name__, exc_info=error)
