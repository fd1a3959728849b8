"""The parts that the supervisor holds together, and what they say of one resource at one moment.

Rule: what a charger should hold, what is known of it and when it must be looked at again are each asked in one place;
an intent is on disk before its command leaves.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bridge.agenda import Agenda
from bridge.arbiter import Effective, Override, Source, StandingCap
from bridge.attribution import Attributor
from bridge.contents import ContentBook
from bridge.desk import OverrideDesk
from bridge.dispatch import Dispatcher
from bridge.escalate import Escalator
from bridge.fleet import Fleet
from bridge.gridbook import GridBook
from bridge.groups import Facts
from bridge.ledger import Ledger
from bridge.metrics import BridgeMetrics
from bridge.opts import OptReporter
from bridge.outcomes import Scene
from bridge.plan import Cap
from bridge.planner import EventSource, Planner
from bridge.presence import PresenceBook
from bridge.program import Programmes
from bridge.resources import Resource
from bridge.schedule import desired, lasting_s
from bridge.service import NOTHING_PROMISED
from bridge.sharing import Sharer
from bridge.spread import places
from bridge.standing import StandingBook
from bridge.steps import Need, Step
from bridge.store import BridgeStore, Changes, Installed
from bridge.supervision import AlwaysHeard, Link, Supervision, Upstream
from bridge.target import LimitTarget
from bridge.verify import VerifyPolicy
from runtime.clock import Clock, Draw

_WIRES = frozenset({Source.SAFETY, Source.SITE, Source.GROUP})  # limits of what carries the current: they never wait
_GUARDED = frozenset({"event", "none"})  # what the frequency guard looks at: events, and what ends with them
BACKSTOP_S = 60.0  # whoever has a limit or an event is looked at this often, whatever else was foreseen


class _Others:
    """The arbiter's other parties, as the planner asks for them."""

    def __init__(
        self,
        book: StandingBook,
        sharer: Sharer,
        grid: GridBook,
        wishes: Callable[[str], tuple[StandingCap, ...]],
    ) -> None:
        self._book, self._sharer, self._grid, self._wishes = book, sharer, grid, wishes

    def at_grid(self, cap: Cap) -> tuple[Cap, ...]:
        return self._grid.at_grid(cap)

    def caps(self, resource_id: str) -> tuple[StandingCap, ...]:
        return (*self._book.of(resource_id), *self._wishes(resource_id))

    def shares(self, resource_id: str) -> tuple[StandingCap, ...]:
        return self._sharer.caps(resource_id)

    def priced(self, cap: Cap) -> tuple[float, str]:
        return self._sharer.priced(cap)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a supervisor is made of; without ``contents`` it keeps them itself."""

    resources: Sequence[Resource]
    programmes: Programmes
    fleet: Fleet
    target: LimitTarget
    store: BridgeStore
    events: EventSource
    opts: Upstream
    ven_id: Callable[[], str | None]
    clock: Clock
    draw: Draw
    metrics: BridgeMetrics
    settings: Supervision = field(default_factory=Supervision)
    link: Link = field(default_factory=AlwaysHeard)
    contents: ContentBook | None = None


class Core:
    """Planner, dispatcher, ledgers and books of all resources."""

    def __init__(self, given: Parts) -> None:
        store = given.store
        self.settings, self.fleet = given.settings, given.fleet
        self._link, self._target, self._store = given.link, given.target, store
        self._clock, self._metrics = given.clock, given.metrics
        self.contents = given.contents or ContentBook(
            resources=given.resources, fleet=given.fleet, store=store, clock=given.clock
        )
        self.book = StandingBook(
            resources=given.resources,
            groups=self.settings.groups,
            configured=self.settings.configured,
            sharing=self.settings.sharing,
            store=store,
        )
        self.sharer = Sharer(store)
        self.grid = GridBook(given.resources, given.fleet)
        self.planner = self._planner(given)
        self.resources = self.planner.resources
        self._resource_of = {each.charger: each.resource_id for each in given.resources}
        self._places = places(self._resource_of)
        self._awake = asyncio.Event()
        self.fleet.watch(self.wake)
        self.agenda: Agenda[str] = Agenda()
        self.dispatcher = self._dispatcher(given)
        self.desk = OverrideDesk(store=store, sink=given.opts, budget=self.settings.budget, plans=self.planner.plans)
        self.reporter = OptReporter(given.opts, store)
        self.ledger = Ledger(store, given.metrics, self.settings.measuring)
        self.attributor = Attributor(store, self.resources, self.settings.rhythm.interval_s)
        self.escalator = Escalator(
            target=given.target, store=store, clock=given.clock, wake=self._answered, rules=self.settings.last_resort
        )
        self.presence = PresenceBook(store)
        self._lock = asyncio.Lock()
        self._begin()

    def _begin(self) -> None:
        """What is known of the moment: nothing yet."""
        self.reconciled_at: datetime | None = None
        self._stale = True  # what the plan follows from has changed
        self._again: dict[str, None] = {}  # chargers that must be told again: the meter disagrees
        self._asked: dict[str, datetime] = {}  # chargers whose override waits for its command to leave
        self.frequency: tuple[float, datetime] | None = None  # Hz as an operator's instrument told it, and when
        self.timetable: dict[str, tuple[StandingCap, ...]] = {}  # limits by the calendar, by resourceID
        self.paused: dict[str, tuple[StandingCap, ...]] = {}  # pauses of charging modes, by resourceID
        self._activated_at: datetime | None = None  # when programmes were read anew

    def _planner(self, given: Parts) -> Planner:
        return Planner(
            resources=given.resources,
            programmes=given.programmes,
            events=given.events,
            store=given.store,
            draw=given.draw,
            ven_id=given.ven_id,
            others=_Others(self.book, self.sharer, self.grid, self._wished),
            outages=self._link.outages,
            contents=self.contents,
            session_of=self.contents.session_of,
            promises={each.resource_id: each.promise for each in given.resources if each.promise != NOTHING_PROMISED},
        )

    def _dispatcher(self, given: Parts) -> Dispatcher:
        return Dispatcher(
            target=given.target,
            store=given.store,
            clock=given.clock,
            draw=given.draw,
            patience=self.settings.patience,
            calm=self.settings.calm,
            wake=self._answered,
            guard=self.settings.guard,
        )

    @property
    def overrides(self) -> tuple[Override, ...]:
        """Overrides in force or to come, opt schedules and suspensions included."""
        return self.desk.all

    def _wished(self, resource_id: str) -> tuple[StandingCap, ...]:
        """Return what the calendar and the charging mode ask for at a resource."""
        return (*self.timetable.get(resource_id, ()), *self.paused.get(resource_id, ()))

    def wake(self) -> None:
        """Ask for a reconciliation soon."""
        self._awake.set()

    def _answered(self, charger: str) -> None:
        """A command to the charger was answered, or given up."""
        self._look(charger)
        self._awake.set()

    def _look(self, charger: str) -> None:
        name = self._resource_of.get(charger)
        if name is not None:
            self._look_at((name,))

    def _look_at(self, names: Collection[str]) -> None:
        """Have resources looked at, and the groups that they are in divided anew."""
        self.agenda.touch(names)
        for name in names:
            self.sharer.touch(name)

    def _limits_changed(self, names: Collection[str], now: datetime) -> None:
        """What limits some resources has changed: work their limits out anew, and look at them."""
        self.planner.arbitrate(names, self.desk.by_resource, now)
        self._look_at(names)

    def _facts(self, resource_id: str, now: datetime) -> Facts:
        resource, overrides = self.resources[resource_id], self.desk.of(resource_id)
        return Facts(
            resource=resource,
            charger=self.fleet.get(resource.charger),
            installed=self.dispatcher.installed.get(resource.charger),
            ceiling_a=self.planner.ceiling_a(resource_id, overrides, now),
            suspended=self.desk.suspension(resource_id, now) is not None,
        )

    # -- limits -------------------------------------------------------------------------------------------------------

    def effective(self, resource_id: str, now: datetime) -> Effective:
        """Return the effective limit of a resource at ``now``."""
        return self.planner.line(resource_id, now)[0]

    def online(self, resource_id: str) -> bool:
        """True while the resource's charger is connected."""
        return self.fleet.get(self.resources[resource_id].charger).connected

    def overridden(self, resource_id: str, now: datetime) -> bool:
        """True while an override is in force at the resource."""
        return self.desk.in_force(resource_id, now)

    def _present(self, resource: Resource, now: datetime) -> tuple[bool, bool, bool, int | None]:
        charger = self.fleet.get(resource.charger)
        return charger.connected, self.overridden(resource.resource_id, now), charger.session, charger.level

    def _need(self, resource: Resource, now: datetime) -> Need:
        line = self.planner.line(resource.resource_id, now)
        limited = [piece for piece in line if piece.limit_a is not None]
        per_a, place = resource.kw(1.0), self._places[resource.charger]
        return Need(
            wanted=desired(line, now, self.settings.horizon, place),
            lasting_s=lasting_s(limited, self.settings.horizon) if limited and limited[-1].end is None else None,
            again=resource.charger in self._again,
            urgent=line[0].urgent or self.desk.in_force(resource.resource_id, now),
            loosen_from=self._activation(place, now),
            hz=self._hz(resource, now),
            guarded=line[0].source in _GUARDED and not self.desk.in_force(resource.resource_id, now),
            deadband_a=self.settings.calm.deadband_kw / per_a,
            rejoin_until=None
            if line[0].source in _WIRES
            else self.fleet.rejoin_until(resource.charger, place * self.settings.calm.rejoin_s, now),
        )

    def _activation(self, place: float, now: datetime) -> datetime | None:
        """Return when a charger may be loosened after programmes were read anew, ``None`` for at any time (RND-12)."""
        if self._activated_at is None:
            return None
        own = self._activated_at + timedelta(seconds=place * self.settings.calm.rejoin_s)
        return own if now < own else None

    def _hz(self, resource: Resource, now: datetime) -> float | None:
        """Return the frequency at a resource by its own meter, else as told; ``None`` without a fresh reading."""
        oldest = now - timedelta(seconds=self.settings.guard.fresh_s)
        reading = self.fleet.get(resource.charger).reading
        if reading is not None and reading.frequency_hz is not None and reading.at >= oldest:
            return reading.frequency_hz
        told = self.frequency
        return told[0] if told is not None and told[1] >= oldest else None

    def _steps(self, names: Iterable[str], now: datetime) -> list[Step]:
        steps = []
        for name in names:
            resource = self.resources[name]
            step = self.dispatcher.plan(self.fleet.get(resource.charger), self._need(resource, now), now)
            if step is not None:
                steps.append(step)
        return steps

    async def _send(self, steps: Sequence[Step], now: datetime) -> None:
        """Put the intents on disk, then send: each charger in its own task."""
        intents: list[tuple[Step, Installed]] = [(step, self.dispatcher.intent(step, now)) for step in steps]
        await self._store.write(Changes(installed=tuple(row for _, row in intents)))
        for step, row in intents:
            self.dispatcher.start(step, row)
            self._again.pop(step.charger, None)
            asked_at = self._asked.pop(step.charger, None)
            if asked_at is not None:
                self._metrics.override_to_command.observe((self._clock.now() - asked_at).total_seconds())

    def _scene(self, resource_id: str, now: datetime) -> Scene:
        resource = self.resources[resource_id]
        return Scene(
            resource=resource,
            charger=self.fleet.get(resource.charger),
            installed=self.dispatcher.installed.get(resource.charger),
            effective=self.effective(resource.resource_id, now),
            overrides=self.desk.of(resource_id),
            policy=self._policy(resource),
            now=now,
            held=self.dispatcher.held(resource.charger),
        )

    def _policy(self, resource: Resource) -> VerifyPolicy:
        """Return how proof is taken there: a device that delays by itself has so much longer to settle (RND-05)."""
        policy = self.settings.policy
        if not resource.own_delay_s:
            return policy
        return replace(policy, settle_s=policy.settle_s + resource.own_delay_s)

    def _appoint(self, name: str, now: datetime) -> None:
        """Say when the resource must be looked at again though nothing happens to it."""
        resource = self.resources[name]
        charger, plans = self.fleet.get(resource.charger), self.planner.plans.get(name, ())
        row = self.dispatcher.installed.get(resource.charger)
        line = self.planner.line(name, now)
        if not plans and row is None and len(line) == 1 and line[0].limit_a is None:
            return
        policy, lead = self._policy(resource), timedelta(seconds=self.settings.horizon.lead_s)
        times: list[datetime | None] = [now + timedelta(seconds=BACKSTOP_S), self.desk.next_edge(name, now)]
        times += [piece.end for piece in line] + [piece.start - lead for piece in line]
        times.append(self.dispatcher.due(resource.charger))
        marks = [at for each in plans for cap in each.caps for at in (cap.start, cap.end)]
        marks += [charger.connected_since, charger.offline_since, charger.silent_since]
        marks.append(None if row is None else row.accepted_at)
        waits = (timedelta(), timedelta(seconds=policy.settle_s), timedelta(seconds=policy.offline_after_s))
        times += [mark + wait for mark in marks if mark is not None for wait in waits]
        times += [each.timing.end for each in plans]
        if charger.reading is not None:
            times.append(charger.reading.at + timedelta(seconds=policy.stale_s))
        self.agenda.appoint(name, min(at for at in times if at is not None and at > now))
