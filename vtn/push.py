"""HTTP push: finds the VENs that have something due and serves each of them in a turn of its own.

Rule: the payloads of one VEN go out one after the other; VENs do not wait for each other. At most so many turns run at
once, and those of VENs that lately failed only take a part of the places, so that dead VENs cannot fill them all. What
is due is known to the database alone: several processes may look, one of them gets the lease.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

from openadr.messages import DistributeEvent
from runtime.clock import Clock, Draw
from runtime.database import is_transient
from runtime.logs import bound_reference, get_logger
from vtn.metrics import PushMetrics
from vtn.pushline import Line
from vtn.services.context import Desk, PushPolicy
from vtn.services.pushing import Failed, Outcome, Parcel, claim, judged, parcels, settle
from vtn.store.push import Backlog
from vtn.store.rows import Ven
from vtn.store.store import Store, Tx

LOOK_S = 1.0  # how late this process may learn what another one has changed; one indexed query
REVIVE = timedelta(seconds=30)  # how often VENs that were given up are looked for among those heard of since
FAILING_SHARE = 4  # of all places one in so many is for VENs that lately failed
TURN = 100  # payloads for one VEN before others get its place
log = get_logger(__name__)


class Lines(Protocol):
    """Opens connections to VENs."""

    def open(self, ven: Ven) -> AbstractAsyncContextManager[Line]:
        """Give a line to a VEN."""
        ...


class Pusher:
    """Pushes to VENs; one per process. ``flush`` writes what polls were given, ``seen`` notes a sign of life."""

    def __init__(
        self,
        *,
        store: Store,
        desk: Desk,
        policy: PushPolicy,
        clock: Clock,
        draw: Draw,
        lines: Lines,
        flush: Callable[[], Awaitable[None]],
        seen: Callable[[str, datetime], None],
        metrics: PushMetrics,
        owner: str,
        places: int = 64,
    ) -> None:
        self._store = store
        self._desk = desk
        self._policy = policy
        self._clock = clock
        self._draw = draw
        self._lines = lines
        self._flush = flush
        self._seen = seen
        self._metrics = metrics
        self._owner = owner
        self._places = places
        self._turns: dict[str, asyncio.Task[None]] = {}
        self._failing: set[str] = set()  # venIDs among the turns
        self._woken = asyncio.Event()
        self._revived_at: datetime | None = None
        store.listen_for_news(self._woken.set)

    async def run(self) -> None:
        """Push for ever."""
        try:
            await self._guarded(self._begin)
            while True:
                self._woken.clear()
                await self._guarded(self.look)
                await self._pause()
        finally:
            await self.stop()

    async def stop(self) -> None:
        """End the turns and give back the leases, so that nobody waits for them to run out."""
        turns = tuple(self._turns.values())
        for turn in turns:
            turn.cancel()
        await asyncio.gather(*turns, return_exceptions=True)
        if turns:
            await self._guarded(lambda: self._release(self._owner))

    async def idle(self) -> None:
        """Return when no turn runs."""
        while self._turns:
            await asyncio.wait(self._turns.values())

    async def backlog(self) -> Backlog:
        """Count push VENs, those with something due, and those that fail."""
        async with self._store.read() as tx:
            found = await tx.push.backlog(self._clock.now())
        self._metrics.backlog(vens=found.vens, waiting=found.waiting, failing=found.failing)
        return found

    async def look(self) -> int:
        """Start a turn for every VEN that is due, as far as there are places; return how many."""
        now = self._clock.now()
        await self._revive(now)
        failing = max(1, self._places // FAILING_SHARE) - len(self._failing)
        places = self._places - len(self._turns)
        if places <= 0:
            return 0
        if not await self._store.push_due(now):
            return 0
        await self._flush()  # what a poll has just been given is not pushed

        async def take(tx: Tx) -> tuple[str, ...]:
            return await claim(tx, self._owner, now, self._policy, places=places, failing=max(0, failing))

        claimed = [ven_id for ven_id in await self._store.group.run(take) if ven_id not in self._turns]
        if not claimed:
            return 0
        async with self._store.read() as tx:
            found = await parcels(tx, claimed, now, self._desk)
        for ven_id in claimed:
            self._start(ven_id, found[ven_id])
        return len(claimed)

    def _start(self, ven_id: str, first: Parcel | datetime | None) -> None:
        turn = self._turns[ven_id] = asyncio.create_task(self._turn(ven_id, first), name=f"push {ven_id}")
        if isinstance(first, Parcel) and first.failures:
            self._failing.add(ven_id)

        def over(_turn: asyncio.Task[None]) -> None:
            del self._turns[ven_id]
            self._failing.discard(ven_id)
            self._woken.set()  # a place is free

        turn.add_done_callback(over)

    async def _turn(self, ven_id: str, first: Parcel | datetime | None) -> None:
        """Push to one VEN until nothing is due or it fails. After a fault of our own the lease runs out by itself."""
        try:
            parcel: Parcel | None = None
            if isinstance(first, Parcel):
                parcel = await self._serve(first)
                if parcel is None:
                    return
            await self._give_back(ven_id)  # nothing is due after all, or it is the turn of others
        except Exception as error:
            log.error("push turn failed", ven_id=ven_id, exc_info=error)

    async def _serve(self, first: Parcel) -> Parcel | None:
        """Send payload after payload; return one that is left for another turn."""
        parcel: Parcel | None = first
        async with self._lines.open(first.ven) as line:
            for _ in range(TURN):
                if parcel is None or _way(parcel) != _way(first):
                    break
                with bound_reference():
                    outcome = judged(parcel, await line.send(parcel.message))
                    self._tell(parcel, outcome)
                    parcel = await self._settle(parcel, outcome)
        return parcel

    async def _settle(self, parcel: Parcel, outcome: Outcome) -> Parcel | None:
        now, draw = self._clock.now(), self._draw()
        if not isinstance(outcome, Failed):
            self._seen(parcel.ven.fingerprint, now)

        async def work(tx: Tx) -> Parcel | None:
            return await settle(tx, parcel, outcome, self._owner, now, self._desk, self._policy, draw)

        return await self._store.group.run(work)

    async def _give_back(self, ven_id: str) -> None:
        now = self._clock.now()

        async def work(tx: Tx) -> None:
            state = (await tx.push.states((ven_id,))).get(ven_id)
            if state is not None:
                found = (await parcels(tx, (ven_id,), now, self._desk))[ven_id]
                await tx.push.release(ven_id, self._owner, state.news, now if isinstance(found, Parcel) else found)

        await self._store.group.run(work)

    def _tell(self, parcel: Parcel, outcome: Outcome) -> None:
        name = f"oadr{type(parcel.message).__name__}"
        facts = {"message": name, "ven_id": parcel.ven.ven_id}
        if isinstance(parcel.message, DistributeEvent):
            facts["events"] = str(len(parcel.message.events))
        if isinstance(outcome, Failed):
            self._metrics.pushed.labels(name, outcome.failure.value).inc()
            attempt = parcel.failures + 1
            log.warning("push failed", **facts, failure=outcome.failure.value, detail=outcome.detail, attempt=attempt)
            return
        self._metrics.pushed.labels(name, "taken").inc()
        answer = outcome.answer
        response = getattr(answer, "response", None)
        code = None if response is None else int(response.response_code)
        said = "empty" if answer is None else f"oadr{type(answer).__name__}"
        if response is None or response.ok:
            log.info("pushed", **facts, answer=said, code=code)
        else:
            log.warning("pushed and refused", **facts, answer=said, code=code, detail=response.response_description)

    async def _begin(self) -> None:
        if self._store.engine.dialect.name == "sqlite":  # one process serves a file: leases are those of a dead one
            await self._release(None)

    async def _release(self, owner: str | None) -> None:
        async with self._store.write() as tx:
            await tx.push.release_all(owner)

    async def _revive(self, now: datetime) -> None:
        if self._revived_at is not None and timedelta(0) <= now - self._revived_at < REVIVE:
            return
        self._revived_at = now
        async with self._store.write() as tx:
            await tx.push.revive()
        await self.backlog()

    async def _guarded(self, action: Callable[[], Awaitable[object]]) -> None:
        try:
            await action()
        except Exception as error:
            (log.info if is_transient(error) else log.warning)("push will be tried again", exc_info=error)

    async def _pause(self) -> None:
        waits = [
            asyncio.ensure_future(self._clock.sleep(LOOK_S)),
            asyncio.ensure_future(self._woken.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _way(parcel: Parcel) -> tuple[str | None, str, bool]:
    """Return what a line to a VEN depends on."""
    return parcel.ven.transport_address, parcel.ven.fingerprint, parcel.ven.xml_signature
