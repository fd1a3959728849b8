"""The loop that keeps every charger at its effective limit, proves it by meter, and says upstream what came of it.

Rule: ``reconcile(now)`` compares what should be with what is and only then acts; it may run at any moment and
twice. The database is the truth: draws, schedules sent, outcomes and overrides are on disk before they are acted on
or reported, so a restart continues to the same outcome (OUT-04). What to do is decided in the pure modules; this
one carries it.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bridge.arbiter import Effective, Override
from bridge.dispatch import Dispatcher, Need, Patience, Step
from bridge.fleet import Fleet
from bridge.ledger import Ledger
from bridge.metrics import BridgeMetrics
from bridge.opts import OptReporter, OptSink
from bridge.outcomes import Measuring, Scene
from bridge.overrides import OverrideRefused, finished, make_override
from bridge.planner import EventSource, Planner, Standing, no_standing
from bridge.program import Programmes
from bridge.resources import Resource
from bridge.schedule import Horizon, desired
from bridge.store import BridgeStore, Changes, Installed
from bridge.target import LimitTarget
from bridge.verify import VerifyPolicy
from runtime.clock import Clock, Draw, new_id
from runtime.logs import bound_reference, get_logger

SET_BACK_S = 2.0  # the clock went back by more than this: a step, not the jitter of two readers
OVERRIDE = "override"  # the only thing done at a charger that is a wish to leave an event (OCP-11)
GATHER_S = 0.05  # after something happened: a burst of answers makes one round, not hundreds

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """Times of the loop, all in seconds."""

    tick_s: float = 1.0
    refresh_s: float = 30.0  # events are read again this often even if nobody said that they changed
    flush_s: float = 5.0  # readings are stored this often in one transaction
    keep_s: float = 7 * 86_400.0  # readings and commands older than this are deleted (telemetry.buffer_days)
    keep_outcomes_s: float = 400 * 86_400.0  # closed outcomes and what belongs to them likewise (database.keep_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """Everything that an operator sets about supervision."""

    policy: VerifyPolicy = field(default_factory=VerifyPolicy)
    horizon: Horizon = field(default_factory=Horizon)
    patience: Patience = field(default_factory=Patience)
    rhythm: Rhythm = field(default_factory=Rhythm)
    measuring: Measuring = field(default_factory=Measuring)


class Supervisor:
    """One bridge's loop over all its resources. ``fleet`` holds what the chargers of ``target`` say."""

    def __init__(
        self,
        *,
        resources: Sequence[Resource],
        programmes: Programmes,
        fleet: Fleet,
        target: LimitTarget,
        store: BridgeStore,
        events: EventSource,
        opts: OptSink,
        ven_id: Callable[[], str | None],
        clock: Clock,
        draw: Draw,
        metrics: BridgeMetrics,
        settings: Supervision | None = None,
        standing: Standing = no_standing,
    ) -> None:
        self.settings = settings or Supervision()
        self.planner = Planner(
            resources=resources,
            programmes=programmes,
            events=events,
            store=store,
            draw=draw,
            ven_id=ven_id,
            standing=standing,
        )
        self.resources = self.planner.resources
        self._awake = asyncio.Event()
        self.fleet = fleet
        fleet.watch(self.wake)
        self.dispatcher = Dispatcher(
            target=target,
            store=store,
            clock=clock,
            draw=draw,
            patience=self.settings.patience,
            horizon=self.settings.horizon,
            wake=self.wake,
        )
        self.reporter = OptReporter(opts, store)
        self.ledger = Ledger(store, metrics)
        self.overrides: tuple[Override, ...] = ()
        self.reconciled_at: datetime | None = None
        self._target, self._store, self._clock, self._metrics = target, store, clock, metrics
        self._again: set[str] = set()
        self._stale = True
        self._fault = ""  # the text of the last round's fault: its trace is logged once
        self._refresh_at = self._flush_at = self._prune_at = self._seen_at = clock.now()
        self._lock = asyncio.Lock()

    # -- life ---------------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Take up where the last run stopped."""
        await self.dispatcher.load()
        self.overrides = await self._store.overrides()
        await self.ledger.load()
        await self._set_back(self._clock.now())

    async def run(self) -> None:
        """Reconcile at every tick and whenever something happens, until cancelled."""
        try:
            while True:
                self._awake.clear()
                with bound_reference():
                    await self._guarded()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.settings.rhythm.tick_s):
                        await self._awake.wait()
                        await asyncio.sleep(GATHER_S)
        finally:
            await self.dispatcher.close()
            with suppress(Exception):  # what was metered since the last flush; the loop has logged a database's fault
                await self.flush()

    async def _guarded(self) -> None:
        """Reconcile once; a fault (database away) is logged and met again at the next tick."""
        try:
            await self.reconcile(self._clock.now())
            self._fault = ""
        except Exception as error:
            self._metrics.faults.inc()
            again, self._fault = self._fault, str(error)
            log.error("reconcile failed", fault=self._fault[:500], exc_info=None if again == self._fault else error)
            await self._clock.sleep(self.settings.rhythm.tick_s)

    def wake(self) -> None:
        """Ask for a reconciliation soon."""
        self._awake.set()

    def events_changed(self) -> None:
        """Tell that the VEN's events may have changed."""
        self._stale = True
        self._awake.set()

    # -- one round ----------------------------------------------------------------------------------------------------

    async def reconcile(self, now: datetime) -> None:
        """Do everything that is due at ``now``."""
        async with self._lock:
            if now < self._seen_at - timedelta(seconds=SET_BACK_S):
                log.warning("the clock was set back", seconds=(self._seen_at - now).total_seconds())
                await self._set_back(now)
            self._seen_at = now
            for identity in [resource.charger for resource in self.resources.values()]:
                self.fleet.follow(self._target.status(identity), now)
            if now >= self._flush_at:
                await self._flush(now)
            if self._stale or now >= self._refresh_at:
                await self._replan(now)
            await self._driver_actions(now)
            await self._close_overrides(now)
            await self._send(self._steps(self.resources.values(), now), now)
            self._again |= await self.ledger.judge(
                self.planner.plans, lambda resource_id: self._scene(resource_id, now)
            )
            more = await self.ledger.measure(self.settings.measuring, now, lambda: self._flush(now))
            await self.reporter.report(tuple(self.ledger.outcomes.values()), now)
            await self._tidy(now)
            self._again = {identity for identity in self._again if self.fleet.get(identity).connected}
            if more or self._again:
                self.wake()
            self.reconciled_at = now

    async def _set_back(self, now: datetime) -> None:
        """Bring everything that remembers an instant back to ``now``, and plan anew: what was over may be in force."""
        self._stale = True
        self._refresh_at = self._flush_at = self._prune_at = now
        self.fleet.set_back(now)
        self.dispatcher.set_back(now)
        await self.ledger.set_back(now)

    async def _replan(self, now: datetime) -> None:
        self._stale = False
        try:
            await self.planner.replan()
            await self.ledger.follow(self.planner.plans, self.resources, now)
        except BaseException:
            self._stale = True  # what has changed is still to be carried out
            raise
        self.planner.arbitrate(self.resources.values(), self.overrides, now)
        self._refresh_at = now + timedelta(seconds=self.settings.rhythm.refresh_s)

    # -- limits -------------------------------------------------------------------------------------------------------

    def effective(self, resource_id: str, now: datetime) -> Effective:
        """Return the effective limit of a resource at ``now``."""
        return self.planner.line(resource_id, now)[0]

    def online(self, resource_id: str) -> bool:
        """True while the resource's charger is connected."""
        return self.fleet.get(self.resources[resource_id].charger).connected

    def overridden(self, resource_id: str, now: datetime) -> bool:
        """True while an override is in force at the resource."""
        return any(each.resource_id == resource_id and (each.end is None or now < each.end) for each in self.overrides)

    def _need(self, resource: Resource, now: datetime) -> Need:
        line = self.planner.line(resource.resource_id, now)
        limited = [piece for piece in line if piece.limit_a is not None]
        return Need(
            wanted=desired(line, now, self.settings.horizon),
            open_ended=bool(limited) and limited[-1].end is None,
            again=resource.charger in self._again,
        )

    def _steps(self, resources: Iterable[Resource], now: datetime) -> list[Step]:
        steps = []
        for resource in resources:
            step = self.dispatcher.plan(self.fleet.get(resource.charger), self._need(resource, now), now)
            if step is not None:
                steps.append(step)
        return steps

    async def _send(self, steps: Sequence[Step], now: datetime, also: Changes | None = None) -> None:
        """Put the intents on disk, together with ``also``, then send: each charger in its own task."""
        intents: list[tuple[Step, Installed]] = [(step, self.dispatcher.intent(step, now)) for step in steps]
        overrides = () if also is None else also.overrides
        closed = () if also is None else also.closed_overrides
        await self._store.write(
            Changes(
                installed=tuple(row for _, row in intents),
                overrides=overrides,
                closed_overrides=closed,
            )
        )
        for step, row in intents:
            self.dispatcher.start(step, row)
            self._again.discard(step.charger)

    def _scene(self, resource_id: str, now: datetime) -> Scene:
        resource = self.resources[resource_id]
        return Scene(
            resource=resource,
            charger=self.fleet.get(resource.charger),
            installed=self.dispatcher.installed.get(resource.charger),
            effective=self.effective(resource.resource_id, now),
            overrides=self.overrides,
            policy=self.settings.policy,
            now=now,
        )

    # -- overrides ----------------------------------------------------------------------------------------------------

    async def override(
        self, resource_id: str, *, event_id: str | None, reason: str, duration_s: float | None, source: str
    ) -> Override:
        """Let a charger leave events: the charger first, everything else after (VEN-08).

        Raises ``KeyError`` for an unknown resource, ``UnknownEvent``, ``OverrideRefused``.
        """
        asked_at = self._clock.now()
        async with self._lock:
            made = make_override(
                override_id=new_id("override"),
                resource_id=self.resources[resource_id].resource_id,
                plans=self.planner.plans.get(resource_id, ()),
                event_id=event_id,
                reason=reason,
                duration_s=duration_s,
                source=source,
                now=asked_at,
            )
            same = (made.resource_id, made.event_ids, None)
            for each in self.overrides:
                if (each.resource_id, each.event_ids, each.end) == same and made.end is None:
                    return each  # asked again, perhaps because the answer was lost: one wish, one thing to take back
            await self._apply_overrides((*self.overrides, made), resource_id, Changes(overrides=(made,)), asked_at)
            self._metrics.override_to_command.observe((self._clock.now() - asked_at).total_seconds())
        self.wake()
        return made

    async def end_override(self, override_id: str) -> Override:
        """End an override before its time: the event counts again. Raises ``KeyError`` for an unknown one."""
        now = self._clock.now()
        async with self._lock:
            ended = next((each for each in self.overrides if each.override_id == override_id), None)
            if ended is None:
                raise KeyError(override_id)
            rest = tuple(each for each in self.overrides if each is not ended)
            await self._apply_overrides(rest, ended.resource_id, Changes(closed_overrides=(override_id,)), now)
        self.wake()
        return ended

    async def _apply_overrides(
        self, overrides: tuple[Override, ...], resource_id: str, also: Changes, now: datetime
    ) -> None:
        before, self.overrides = self.overrides, overrides
        resource = self.resources[resource_id]
        try:
            self.planner.arbitrate((resource,), self.overrides, now)
            await self._send(self._steps((resource,), now), now, also)
        except Exception:
            self.overrides = before
            self.planner.arbitrate((resource,), self.overrides, now)
            raise

    async def _driver_actions(self, now: datetime) -> None:
        """Turn what drivers did at the charger into overrides of the events in force (ARB-08)."""
        taken = self.fleet.take_actions()
        try:
            for identity, kind, at in taken:
                await self._driver_action(identity, kind, max(at, now), now)
        except Exception:
            self.fleet.put_back_actions(taken)  # doing one twice changes nothing
            raise

    async def _driver_action(self, identity: str, kind: str, at: datetime, now: datetime) -> None:
        if kind != OVERRIDE:
            log.info("driver action noted", charger=identity, kind=kind)
            return
        resource = next(each for each in self.resources.values() if each.charger == identity)
        try:
            made = make_override(
                override_id=new_id("override"),
                resource_id=resource.resource_id,
                plans=self.planner.plans.get(resource.resource_id, ()),
                event_id=None,
                reason=f"at the charger: {kind}",
                duration_s=None,
                source="driver",
                now=at,
            )
        except OverrideRefused as refusal:
            log.info("driver action without effect", charger=identity, kind=kind, why=refusal.detail)
            return
        covered = {
            event for each in self.overrides for event in each.event_ids if each.resource_id == resource.resource_id
        }
        if not covered.issuperset(made.event_ids):
            await self._apply_overrides((*self.overrides, made), resource.resource_id, Changes(overrides=(made,)), now)

    async def _close_overrides(self, now: datetime) -> None:
        over = finished(self.overrides, self.planner.live(now), now)
        if over:
            await self._store.write(Changes(closed_overrides=tuple(each.override_id for each in over)))
            self.overrides = tuple(each for each in self.overrides if each not in over)

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
            await self._store.write(Changes(readings=readings))
        except BaseException:  # cancelled too: a report that took too long must not cost readings
            self.fleet.put_back(readings)
            raise

    async def _tidy(self, now: datetime) -> None:
        """Forget closed outcomes of events that are gone, old draws with them, and old readings."""
        if await self.planner.release(self.ledger.outcomes, now):
            self._stale = True
        self.planner.drop_draws(self.ledger.forget(self.planner.plans))
        if now >= self._prune_at:
            self._prune_at = now + timedelta(hours=1)
            await self._store.prune(now - timedelta(seconds=self.settings.rhythm.keep_s))
            await self._store.forget(now - timedelta(seconds=self.settings.rhythm.keep_outcomes_s))
