"""Real parts for the bridge tests: events, resources, a charger park, an opt sink, and a world that steps time.
time.

The park is a working ``LimitTarget``: it keeps schedules, carries them out by its own clock, and meters what its
cars draw.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core import Parts
from bridge.fleet import Fleet
from bridge.link import LinkWatch
from bridge.metrics import BridgeMetrics
from bridge.outage import lost_after_s
from bridge.outcomes import Measuring
from bridge.overrides import Budget
from bridge.program import Programme, Programmes
from bridge.programmes import load, names
from bridge.resources import Resource
from bridge.schedule import Horizon, limit_at
from bridge.steps import Calm, Patience
from bridge.store import MIGRATIONS, VERSION_TABLE, BridgeStore
from bridge.supervision import Rhythm, Supervision
from bridge.supervisor import Supervisor
from bridge.target import ChargerStatus, CommandOutcome, CommandResult, ForeignLimit, LimitSchedule, MeterReading
from bridge.verify import VerifyPolicy
from openadr.errors import NotRegistered
from openadr.model import (
    ActivePeriod,
    EiTarget,
    Event,
    EventDescriptor,
    EventStatus,
    Interval,
    ItemBase,
    OptType,
    Signal,
    SignalType,
    power_real,
)
from openadr.times import Duration
from runtime.clock import FakeClock
from runtime.database import create_engine, upgrade
from ven.contact import VenStatus
from ven.model import StoredEvent
from ven.opts import EventOpt, ScheduleOpt
from ven.state import Beside

T0 = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
DNO = "http://gateway.example/programmes/dno-curtailment"
EMERGENCY = "http://gateway.example/programmes/emergency-limit"
AGGREGATOR = "http://gateway.example/programmes/aggregator-dispatch"
DRM = "http://gateway.example/programmes/drm"
TARIFF = "http://gateway.example/programmes/time-of-use"
PROGRAMMES = load(names())
KW = power_real(scale="k")
EUR = ItemBase(kind="currencyPerKWh", item_description="currencyPerKWh", item_units="EUR")
VEN_ID = "ven-1"


def at(seconds: float) -> datetime:
    """Return T0 plus seconds."""
    return T0 + timedelta(seconds=seconds)


def simple(*levels: tuple[int, float]) -> Signal:
    """Return a SIMPLE signal from (seconds, level) pairs."""
    return signal("SIMPLE", SignalType.LEVEL, *levels)


def capacity(*values: tuple[int, float]) -> Signal:
    """Return an x-loadControlCapacity signal from (seconds, fraction) pairs."""
    return signal("LOAD_CONTROL", SignalType.LOAD_CONTROL_CAPACITY, *values)


def dispatch(kind: SignalType, *values: tuple[int, float]) -> Signal:
    """Return a LOAD_DISPATCH signal from (seconds, value) pairs, in kW where it is a power."""
    unit = KW if kind in (SignalType.SETPOINT, SignalType.DELTA) else None
    return signal("LOAD_DISPATCH", kind, *values, unit=unit)


def signal(
    name: str,
    kind: SignalType,
    *values: tuple[int, float],
    target: EiTarget | None = None,
    unit: ItemBase | None = None,
) -> Signal:
    return Signal(
        signal_name=name,
        signal_type=kind,
        signal_id=f"signal-{name}-{kind}",
        target=target,
        item_base=unit,
        intervals=tuple(
            Interval(duration=Duration(seconds=seconds), uid=uid, value=value)
            for uid, (seconds, value) in enumerate(values)
        ),
    )


def event(
    *signals: Signal,
    event_id: str = "event-1",
    start: datetime = T0,
    startafter: int | None = 0,
    context: str = DNO,
    target: EiTarget | None = None,
    priority: int = 1,
    modification: int = 0,
    status: EventStatus = EventStatus.FAR,
    test: str | None = None,
    open_ended: bool = False,
    ramp_up: int | None = None,
    recovery: int | None = None,
) -> Event:
    total = sum(interval.duration.seconds for interval in signals[0].intervals)
    return Event(
        descriptor=EventDescriptor(
            event_id=event_id,
            modification_number=modification,
            market_context=context,
            created_date_time=T0,
            event_status=status,
            priority=priority,
            test_event=test,
        ),
        active_period=ActivePeriod(
            dtstart=start,
            duration=Duration(seconds=0 if open_ended else total),
            startafter=None if startafter is None else Duration(seconds=startafter),
            ramp_up=None if ramp_up is None else Duration(seconds=ramp_up),
            recovery=None if recovery is None else Duration(seconds=recovery),
        ),
        signals=signals,
        target=target or EiTarget(),
    )


def resource(number: int = 1, **changes: object) -> Resource:
    base = Resource(resource_id=f"evse-{number}", charger=f"CP{number}", max_a=32.0, phases=3, groups=("feeder-7",))
    return replace(base, **changes)  # type: ignore[arg-type]


@dataclass
class SimCharger:
    """One charger of the park: what its car would draw, what it holds, how it behaves."""

    identity: str
    phases: int = 3
    demand_a: float = 32.0
    session: bool = True
    connected: bool = True
    refuses: bool = False
    ignores: bool = False
    available: bool = True
    keeps_charging: bool = False  # out of service, it finishes the running session first
    refuses_sets: int = 0  # so many new limits
    drops: int = 0  # commands that will get no answer
    broken: bool = False
    silent: bool = False  # connected; nothing that it is asked is answered, and it meters nothing
    own_delay_s: int | None = None  # what its settings say that it delays by itself
    foreign: tuple[ForeignLimit, ...] = ()  # limits of other systems that it tells of
    answers: asyncio.Event | None = None  # set: answers wait for it
    battery_wh: float | None = None  # of a car that tells its state of charge
    soc: float = 0.5
    session_name: str = "tx-1"
    schedules: dict[int, LimitSchedule] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)

    def draw_a(self, now: datetime) -> float:
        if not self.session or not (self.available or self.keeps_charging):
            return 0.0
        limits = [] if self.ignores else [limit_at(each, now) for each in self.schedules.values()]
        return min([self.demand_a, *(limit for limit in limits if limit is not None)])


class Park:
    """A ``LimitTarget`` in memory."""

    def __init__(self, clock: FakeClock, chargers: Iterable[SimCharger]) -> None:
        self.clock = clock
        self.by_identity = {charger.identity: charger for charger in chargers}
        self.energy_wh = dict.fromkeys(self.by_identity, 0.0)

    def __getitem__(self, identity: str) -> SimCharger:
        return self.by_identity[identity]

    def _result(self, charger: SimCharger) -> CommandResult:
        outcome, detail = CommandOutcome.ACCEPTED, "Accepted"
        if not charger.connected:
            outcome, detail = CommandOutcome.OFFLINE, "not connected"
        elif charger.broken:
            raise RuntimeError("a fault on our side")
        elif charger.drops or charger.silent:
            charger.drops = max(0, charger.drops - 1)
            outcome, detail = CommandOutcome.TIMEOUT, "no answer in 30 s"
        elif charger.refuses:
            outcome, detail = CommandOutcome.REJECTED, "Rejected"
        return CommandResult(outcome=outcome, detail=detail, at=self.clock.now())

    async def set_limit(self, identity: str, schedule: LimitSchedule) -> CommandResult:
        await asyncio.sleep(0)
        charger = self.by_identity[identity]
        charger.sent.append("set")
        result = self._result(charger)
        if charger.refuses_sets and result.outcome is CommandOutcome.ACCEPTED:
            charger.refuses_sets -= 1
            result = replace(result, outcome=CommandOutcome.REJECTED, detail="Rejected")
        if result.outcome is CommandOutcome.ACCEPTED:
            charger.schedules[schedule.schedule_id] = schedule
        if charger.answers is not None:
            await charger.answers.wait()
        return result

    async def clear_limit(self, identity: str, schedule_id: int) -> CommandResult:
        await asyncio.sleep(0)
        charger = self.by_identity[identity]
        charger.sent.append("clear")
        result = self._result(charger)
        if result.outcome is CommandOutcome.ACCEPTED:
            charger.schedules.pop(schedule_id, None)
        return result

    async def set_available(self, identity: str, available: bool) -> CommandResult:
        await asyncio.sleep(0)
        charger = self.by_identity[identity]
        charger.sent.append("available" if available else "unavailable")
        result = self._result(charger)
        if result.outcome is CommandOutcome.ACCEPTED:
            charger.available = available
        return result

    async def stop_session(self, identity: str) -> CommandResult:
        await asyncio.sleep(0)
        charger = self.by_identity[identity]
        charger.sent.append("stop")
        result = self._result(charger)
        if result.outcome is CommandOutcome.ACCEPTED:
            charger.session = False
        return result

    def status(self, identity: str) -> ChargerStatus | None:
        charger = self.by_identity.get(identity)
        if charger is None:
            return None
        return ChargerStatus(
            identity=identity,
            connected=charger.connected,
            protocol="memory",
            transaction=charger.session,
            connected_since=self.clock.now() if charger.connected else None,
            unresponsive=charger.silent,
            foreign=charger.foreign,
            own_delay_s=charger.own_delay_s,
        )

    def chargers(self) -> tuple[ChargerStatus, ...]:
        return tuple(status for name in sorted(self.by_identity) if (status := self.status(name)) is not None)

    def meter(self, fleet: Fleet, seconds: float) -> None:
        """Every connected charger reports what it draws now."""
        now = self.clock.now()
        for charger in self.by_identity.values():
            amperes = charger.draw_a(now)
            watts = amperes * charger.phases * 230.0
            self.energy_wh[charger.identity] += watts * seconds / 3600
            if charger.battery_wh is not None:
                charger.soc = min(1.0, charger.soc + watts * seconds / 3600 / charger.battery_wh)
            if charger.connected and not charger.silent:
                fleet.reading(
                    MeterReading(
                        charger=charger.identity,
                        at=now,
                        power_w=watts,
                        current_a=(amperes,) * charger.phases,
                        energy_wh=self.energy_wh[charger.identity],
                        soc=None if charger.battery_wh is None else charger.soc,
                        session=charger.session_name if charger.session else "",
                    )
                )


class Upstream:
    """The VEN as the bridge sees it: events to carry out, and an outbox for opts."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.stored: dict[str, StoredEvent] = {}
        self.opts: list[EventOpt] = []
        self.away = self.unregistered = False
        self.last_contact: datetime | None = None
        self.patience_s = 30.0
        self.schedules: list[tuple[str, ScheduleOpt]] = []
        self.cancelled: list[str] = []
        self.forgotten: list[str] = []

    async def events(self) -> tuple[StoredEvent, ...]:
        return tuple(self.stored.values())

    async def opt(self, asked: EventOpt, now: datetime, beside: Beside[str]) -> str:
        if self.away:
            raise ConnectionError("no outbox")
        opt_id = f"opt-{len(self.opts) + 1}"
        async with self._engine.begin() as connection:
            await beside(connection, opt_id)
        self.opts.append(asked)
        return opt_id

    def send(self, *events: Event, opt_type: OptType = OptType.OPT_IN) -> None:
        for each in events:
            self.stored[each.descriptor.event_id] = StoredEvent(
                event=each, received_at=T0, opt_type=opt_type, request_id="req-1"
            )

    def cancel(self, event_id: str, now: datetime) -> None:
        self.stored[event_id] = replace(self.stored[event_id], cancelled_at=now)

    async def opt_schedule(self, asked: ScheduleOpt, now: datetime, beside: Beside[str]) -> str:
        if self.unregistered:
            raise NotRegistered("not registered")
        opt_id = f"opt-s{len(self.schedules) + 1}"
        async with self._engine.begin() as connection:
            await beside(connection, opt_id)
        self.schedules.append((opt_id, asked))
        return opt_id

    async def cancel_opt(self, opt_id: str, now: datetime, beside: Beside[str]) -> None:
        if self.unregistered:
            raise NotRegistered("not registered")
        async with self._engine.begin() as connection:
            await beside(connection, opt_id)
        self.cancelled.append(opt_id)

    @property
    def status(self) -> VenStatus:
        return VenStatus(
            registered=not self.unregistered,
            withdrawn=self.unregistered,
            ven_id=None if self.unregistered else VEN_ID,
            vtn_id=None if self.unregistered else "vtn-1",
            last_contact=self.last_contact,
            clock_offset_s=0.4,
            outbox_depth=0,
            last_failure=None,
        )

    async def leave(self) -> None:
        self.unregistered = True

    async def enter(self) -> None:
        self.unregistered = False

    async def forget(self, event_id: str) -> None:
        self.forgotten.append(self.stored.pop(event_id).event.descriptor.event_id)


QUICK = Supervision(
    policy=VerifyPolicy(settle_s=20.0, offline_after_s=30.0, retries=2),
    horizon=Horizon(lead_s=3600, open_ended_s=600),
    patience=Patience(attempts=3, backoff_s=5.0),
    rhythm=Rhythm(flush_s=5.0),
    measuring=Measuring(settle_s=20.0, after_s=30.0),
    calm=Calm(min_dwell_s=0.0, deadband_kw=0.0, writes_per_hour=10_000),
    budget=Budget(per_day=0),
)


class World:
    """A bridge, its chargers and its VEN, on one clock that the test steps."""

    def __init__(
        self,
        engine: AsyncEngine,
        chargers: Iterable[SimCharger],
        *,
        resources: Iterable[Resource] | None = None,
        programmes: Programmes = PROGRAMMES,
        settings: Supervision = QUICK,
        draws: Iterable[float] = (),
        start: datetime = T0,
    ) -> None:
        self.clock = FakeClock(start)
        self.park = Park(self.clock, chargers)
        self.upstream = Upstream(engine)
        self.engine = engine
        self.store = BridgeStore(engine)
        self.resources = tuple(resources or self._resources())
        self.programmes, self.settings = programmes, settings
        self._draws = iter(draws)
        self.supervisor = self._build()
        _worlds.append(self)

    def _resources(self) -> list[Resource]:
        return [
            Resource(resource_id=f"evse-{each.identity[2:]}", charger=each.identity, max_a=32.0, phases=each.phases)
            for each in self.park.by_identity.values()
        ]

    def _build(self) -> Supervisor:
        return Supervisor(
            Parts(
                resources=self.resources,
                programmes=self.programmes,
                fleet=Fleet((each.charger for each in self.resources), self.clock),
                target=self.park,
                store=self.store,
                events=self.upstream,
                opts=self.upstream,
                ven_id=lambda: VEN_ID,
                clock=self.clock,
                draw=lambda: next(self._draws, 0.5),
                metrics=BridgeMetrics(CollectorRegistry()),
                settings=self.settings,
                link=LinkWatch(self.store, {"vtn": self.upstream}, self._lost_after_s, lambda _event_id: "vtn"),
            )
        )

    def _lost_after_s(self) -> float:
        return lost_after_s(self.programmes.by_context.values())

    def draw_from(self, draws: Iterable[float]) -> None:
        """Go on with other random numbers."""
        self._draws = iter(draws)

    async def start(self) -> None:
        await self.supervisor.load()
        await self.round()

    async def restart(self) -> None:
        """Kill the bridge and start another one on the same database: nothing in memory survives."""
        await self.close()
        self.store = BridgeStore(self.engine)
        self.supervisor = self._build()
        await self.start()

    async def close(self) -> None:
        """Give up what is still under way, so that nothing uses the database any more."""
        await self.supervisor.dispatcher.close()
        await self.supervisor.escalator.close()

    async def round(self) -> None:
        """Let the bridge do all it has to do at this instant."""
        for _ in range(6):
            await self.supervisor.reconcile(self.clock.now())
            await self.supervisor.dispatcher.settle()
            await self.supervisor.escalator.settle()

    async def step(self, seconds: float, every: float = 5.0) -> None:
        """Let time pass, metering and reconciling every few seconds."""
        left = seconds
        while left > 0:
            span = min(every, left)
            self.clock.advance(span)
            self.park.meter(self.supervisor.fleet, span)
            await self.round()
            left -= span

    async def publish(self, *events: Event) -> None:
        self.upstream.send(*events)
        self.supervisor.events_changed()
        await self.round()

    def outcome(self, event_id: str = "event-1", resource_id: str = "evse-1") -> tuple[str, str]:
        found = self.supervisor.ledger.outcomes[(event_id, resource_id)]
        return found.state.value, found.reason


_worlds: list[World] = []  # those of the running test: what they began ends before their database does


@asynccontextmanager
async def database(path: Path) -> AsyncIterator[AsyncEngine]:
    """Open a migrated SQLite file; at the end, close the worlds on it, then the file."""
    engine = create_engine(f"sqlite+aiosqlite:///{path / 'bridge.db'}")
    await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
    try:
        yield engine
    finally:
        for each in [world for world in _worlds if world.engine is engine]:
            await each.close()
            _worlds.remove(each)
        await engine.dispose()


def programme(**changes: object) -> Programme:
    return PROGRAMMES.by_context[DNO].model_copy(update=changes)
