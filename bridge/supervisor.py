"""The loop that keeps every charger at its effective limit, proves it by meter, and says upstream what came of it.

Rule: ``reconcile(now)`` compares what should be with what is and only then acts; it may run at any moment and
twice. The database is the truth: draws, shares, schedules sent, outcomes and overrides are on disk before they are
acted on or reported, so a restart continues to the same outcome (OUT-04). What to do is decided in the pure modules;
this one carries it, and only where something has happened or a time has come: the agenda knows.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from bridge.batches import in_turns
from bridge.core import Parts
from bridge.enrolment import Enrolled
from bridge.halfhour import to_make_again
from bridge.program import Programmes
from bridge.sharing import event_dividends
from bridge.steps import Step
from bridge.store import Changes
from runtime.logs import bound_reference, get_logger

SET_BACK_S = 2.0  # the clock went back by more than this: a step, not the jitter of two readers
GATHER_S = 0.05  # after something happened: a burst of answers makes one round, not hundreds
LOOKED = 500  # resources attended in one round: nobody else waits longer for the loop, or for an override
NOTED = 250  # resources whose presence and limits are noted in one transaction
FOLLOWED = 500  # chargers whose own view is compared in one round: small fleets at every tick, large ones in turn

log = get_logger(__name__)


class Supervisor(Enrolled):
    """One bridge's loop over all its resources. ``fleet`` holds what the chargers of ``target`` say."""

    def __init__(self, given: Parts) -> None:
        super().__init__(given)
        self._ceilings: dict[str, float | None] = {}  # what others than its groups let a member have, as last divided
        self._all = True  # every resource has to be arbitrated anew
        self._fault = ""  # the text of the last round's fault: its trace is logged once
        self._tidied = -1
        self._followed = 0
        self._group_edge: datetime | None = None
        self._refresh_at = self._flush_at = self._seen_at = given.clock.now()

    # -- life ---------------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Take up where the last run stopped."""
        now = self._clock.now()
        await self.dispatcher.load(now)
        await self.desk.load(now)
        await self.book.load()
        await self.sharer.load()
        await self.ledger.load()
        await self.attributor.load(now)
        await self.escalator.load()
        await self.presence.load()
        await self._link.load(now)
        await self._load_needs(now)
        await self._load_enrolment(now)
        await self._set_back(now)

    async def run(self) -> None:
        """Reconcile at every tick and whenever something happens, until cancelled."""
        try:
            while True:
                self._awake.clear()
                with bound_reference():
                    more = await self._guarded()
                if more:  # the rest waits: others come first, then the next round
                    await asyncio.sleep(0)
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.settings.rhythm.tick_s):
                        await self._awake.wait()
                        await asyncio.sleep(GATHER_S)
        finally:
            await self.dispatcher.close()
            await self.escalator.close()
            with suppress(Exception):  # what was metered since the last flush; the loop has logged a database's fault
                await self.flush()

    async def _guarded(self) -> bool:
        """Reconcile once; a fault (database away) is logged and met again at the next tick. True: more is due now."""
        try:
            more = await self.reconcile(self._clock.now())
            self._fault = ""
            return more
        except Exception as error:
            self._metrics.faults.inc()
            again, self._fault = self._fault, str(error)
            log.error("reconcile failed", fault=self._fault[:500], exc_info=None if again == self._fault else error)
            await self._clock.sleep(self.settings.rhythm.tick_s)
            return False

    def use(self, programmes: Programmes) -> None:
        """Take over programmes that were read anew, for events under way as well."""
        self.planner.use(programmes)
        self._roll_at = self._activated_at = self._clock.now()
        self.events_changed()

    def events_changed(self) -> None:
        """Tell that the VEN's events may have changed."""
        self._stale = True
        self._awake.set()

    # -- one round ----------------------------------------------------------------------------------------------------

    async def reconcile(self, now: datetime) -> bool:
        """Do what is due at ``now``, for ``LOOKED`` resources at most; True if there are more."""
        async with self._lock:
            if now < self._seen_at - timedelta(seconds=SET_BACK_S):
                log.warning("the clock was set back", seconds=(self._seen_at - now).total_seconds())
                await self._set_back(now)
            self._seen_at = now
            self._follow(now)
            if now >= self._flush_at:
                await self._flush(now)
            self._stale |= await self._link.update(now)
            await self._mind_enrolment(now)
            if self._stale or now >= self._refresh_at or self.planner.reference_due(now):
                await self._replan(now)
            await self._driver_actions(now)
            await self._mind_needs(now)
            await self._mind_modes(now)
            await self._close_overrides(now)
            await self._arbitrate(now)
            looked = self.agenda.take(now, LOOKED)
            try:
                more = await self._attend(looked, now)
            except BaseException:
                self.agenda.touch(looked)
                raise
            await self._tidy(now)
            if more or self._again:
                self.wake()
            self.reconciled_at = now
            return len(looked) == LOOKED

    async def _attend(self, looked: Sequence[str], now: datetime) -> bool:
        """Look at some resources: send, judge, note, report; True if more may be due at once."""
        steps: list[Step] = []
        async for some in in_turns(looked):
            steps += self._steps(some, now)
        await self._send(steps, now)
        again = await self.ledger.judge(self.planner.plans, looked, lambda name: self._scene(name, now))
        self._again |= dict.fromkeys(charger for charger in again if self.fleet.get(charger).connected)
        for charger in self._again:
            self._look(charger)
        more = await self.ledger.measure(now, lambda: self._flush(now))
        async for some in in_turns(looked, NOTED):
            await self.presence.note(
                ((each.charger, *self._present(each, now)) for each in map(self.resources.get, some) if each), now
            )
            await self.attributor.note({name: self.effective(name, now) for name in some}, now)
        await self.attributor.write(self.planner.plans, lambda: self._flush(now), now, self.claims)
        await self._escalate(looked, now)
        await self._report(now)
        async for some in in_turns(looked):
            for name in some:
                self._appoint(name, now)
        return self._edges(looked, now) or more

    async def _report(self, now: datetime) -> None:
        """Tell upstream what the outcomes that have changed mean; all of them if the last telling failed."""
        behind, fresh = self.reporter.behind, self.ledger.take_fresh()
        if behind or fresh:
            outcomes = self.ledger.outcomes
            told = tuple(outcomes.values()) if behind else fresh
            await self.reporter.report(told, now, {event_id for event_id, _ in outcomes})

    def _edges(self, looked: Sequence[str], now: datetime) -> bool:
        """Have the groups divided anew at whose members another limit has begun or ended; True if there are any."""
        moved = False
        for name in filter(self.sharer.divided, looked):
            ceiling = self.planner.ceiling_a(name, self.desk.of(name), now)
            if name not in self._ceilings or self._ceilings[name] != ceiling:
                self._ceilings[name] = ceiling
                self.sharer.touch(name)
                moved = True
        return moved

    def _follow(self, now: datetime) -> None:
        """Take over what has happened to the chargers, and compare some with the device family's own view."""
        chargers = list(self._resource_of)
        part = [chargers[(self._followed + i) % len(chargers)] for i in range(min(FOLLOWED, len(chargers)))]
        self._followed = (self._followed + len(part)) % max(1, len(chargers))
        for identity in part:
            self.fleet.follow(self._target.status(identity), now)
        for identity in self.fleet.take_touched():
            self._again.pop(identity, None)
            self._look(identity)
        for identity in self.fleet.take_read():
            name = self._resource_of[identity]
            if name in self.planner.plans:
                self.agenda.touch((name,))

    async def _set_back(self, now: datetime) -> None:
        """Bring everything that remembers an instant back to ``now``, and plan anew: what was over may be in force."""
        self._stale = self._all = True
        self._activated_at = None
        self._refresh_at = self._flush_at = self._modes_at = self._roll_at = now
        self.agenda.clear()
        self.fleet.set_back(now)
        self.dispatcher.set_back(now)
        await self.ledger.set_back(now)

    async def _replan(self, now: datetime) -> None:
        self._stale = False
        try:
            changed = await self.planner.replan(now, lambda: self._flush(now))
            if changed or self._all:
                await self.ledger.follow(self.planner.plans, self.resources, now)
        except BaseException:
            self._stale = self._all = True  # what has changed is still to be carried out
            raise
        names: Collection[str] = self.resources if self._all else changed
        self._look_at(names)
        await self._rearbitrate(names, now)
        if changed or self._all:
            self._group_edge = now  # the divided limits of events are read anew
            self._tidied = -1
        self._all = False
        self._refresh_at = now + timedelta(seconds=self.settings.rhythm.refresh_s)
        await self.desk.tell(now)
        if self.planner.refused:
            await self.reporter.refuse(self.planner.refused, now, {event_id for event_id, _ in self.ledger.outcomes})

    async def _arbitrate(self, now: datetime) -> None:
        """Divide the limits of groups anew where something has changed, and let the changed limits count."""
        ended = await self.book.close(now)
        for limit in ended:
            self._standing_changed(limit, now)
        if self._group_edge is not None and now >= self._group_edge:
            events = event_dividends(self.planner.plans, self.settings.sharing, now)
            edges = [at for at in self.planner.group_edges if at > now]
            self._group_edge = edges[0] if edges else None
        else:
            events = self.sharer.events
        changed = self.sharer.follow(events, self.book.dividends(now))
        if self.sharer.empty:
            return
        self.planner.price(changed)
        changed |= await self.sharer.update(lambda name: self._facts(name, now), self.planner.price, now)
        if changed:
            await self._rearbitrate(sorted(changed), now)
            self.agenda.touch(sorted(changed))

    async def _rearbitrate(self, names: Iterable[str], now: datetime) -> None:
        """Work out many limits anew, some at a time: the loop is everybody's."""
        async for some in in_turns(tuple(names)):
            self.planner.arbitrate(some, self.desk.by_resource, now)

    # -- last resort --------------------------------------------------------------------------------------------------

    async def _escalate(self, looked: Sequence[str], now: datetime) -> None:
        """Cut the supply of chargers that ignore an emergency, and give it back when it is over (ARB-17)."""
        for name in looked:
            charger = self.fleet.get(self.resources[name].charger)
            await self.escalator.attend(charger, self.planner.plans.get(name, ()), self.ledger.outcomes, now)

    # -- housekeeping -------------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        """Store the readings that have come in (before a report is made of them)."""
        async with self._lock:
            await self._flush(self._clock.now())

    async def _flush(self, now: datetime) -> None:
        """Store the readings that have come in, many in one transaction."""
        self._flush_at = now + timedelta(seconds=self.settings.rhythm.flush_s)
        readings = self.fleet.take_readings()
        try:
            late = to_make_again((reading.at for reading in readings), now)
            await self._store.write(Changes(readings=readings, late=tuple((start, now) for start in late)))
        except BaseException:  # cancelled too: a report that took too long must not cost readings
            self.fleet.put_back(readings)
            raise

    async def _tidy(self, now: datetime) -> None:
        """Forget closed outcomes of events that are gone, and their draws with them."""
        if self._tidied != self.ledger.version or self.planner.release_due(now):
            self._tidied = self.ledger.version
            if await self.planner.release(self.ledger.outcomes, now):
                self._stale = True
            self.planner.drop_draws(self.ledger.forget(self.planner.plans))
