"""``plan_10000``: how long others wait for the loop while one event is planned for 10,000 chargers.

The naive form is the same work in one piece: the event planned for every charger and every limit arbitrated, as the
pure functions do it. Ours is the supervisor's whole round over the same fleet, database included, in small parts. Both
are the longest turn of the loop in ms of this thread's CPU time, so that other processes of the machine do not count.
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from benchmarks.harness import Benchmark
from bridge.arbiter import timeline
from bridge.core import Parts
from bridge.fleet import Fleet
from bridge.metrics import BridgeMetrics
from bridge.plan import Draw, KnownEvent, plan
from bridge.programmes import load
from bridge.resources import Resource
from bridge.store import MIGRATIONS, VERSION_TABLE, BridgeStore
from bridge.supervisor import Supervisor
from bridge.target import ChargerStatus, CommandOutcome, CommandResult, LimitSchedule
from openadr.errors import NotRegistered
from openadr.model import ActivePeriod, EiTarget, Event, EventDescriptor, EventStatus, Interval, OptType, Signal
from openadr.model import SignalType as Type
from openadr.times import Duration
from runtime import collector, logs
from runtime.clock import FakeClock, system_draw
from runtime.database import create_engine, upgrade
from ven.model import StoredEvent
from ven.opts import EventOpt, ScheduleOpt
from ven.state import Beside

COUNT, QUICK_COUNT = 10_000, 2_000
START = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
PROGRAMMES = load(("dno-curtailment",))
CONTEXT = next(iter(PROGRAMMES.by_context.values())).market_context


def _event(number: int) -> Event:
    return Event(
        descriptor=EventDescriptor(
            event_id=f"event-{number}",
            modification_number=0,
            market_context=CONTEXT,
            created_date_time=START,
            event_status=EventStatus.FAR,
            priority=1,
        ),
        active_period=ActivePeriod(
            dtstart=START + timedelta(hours=2 * number),
            duration=Duration(seconds=3600),
            startafter=Duration(seconds=300),
        ),
        signals=(
            Signal(
                signal_name="SIMPLE",
                signal_type=Type.LEVEL,
                signal_id="level",
                intervals=(Interval(duration=Duration(seconds=3600), uid=0, value=2.0),),
            ),
        ),
        target=EiTarget(),
    )


class _Absent:
    """Chargers that are not connected: planning is measured, not commands."""

    async def set_limit(self, identity: str, schedule: LimitSchedule) -> CommandResult:
        return self._no()

    async def clear_limit(self, identity: str, schedule_id: int) -> CommandResult:
        return self._no()

    async def set_available(self, identity: str, available: bool) -> CommandResult:
        return self._no()

    async def stop_session(self, identity: str) -> CommandResult:
        return self._no()

    def _no(self) -> CommandResult:
        return CommandResult(outcome=CommandOutcome.OFFLINE, detail="not connected", at=START)

    def status(self, identity: str) -> ChargerStatus | None:
        return None

    def chargers(self) -> tuple[ChargerStatus, ...]:
        return ()


class _Ven:
    """A VEN that lists events and has no registration."""

    def __init__(self) -> None:
        self.listed: list[StoredEvent] = []

    async def events(self) -> tuple[StoredEvent, ...]:
        return tuple(self.listed)

    async def forget(self, event_id: str) -> None:
        raise KeyError(event_id)

    async def opt(self, asked: EventOpt, now: datetime, beside: Beside[str]) -> str:
        raise NotRegistered("no registration")

    async def opt_schedule(self, asked: ScheduleOpt, now: datetime, beside: Beside[str]) -> str:
        raise NotRegistered("no registration")

    async def cancel_opt(self, opt_id: str, now: datetime, beside: Beside[str]) -> None:
        raise NotRegistered("no registration")


async def _longest_ms(work: Awaitable[object]) -> float:
    """Return the longest turn of the loop while ``work`` is done."""
    longest = 0.0

    async def others() -> None:
        nonlocal longest
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    task = asyncio.create_task(others())
    await asyncio.sleep(0)
    try:
        await work
        await asyncio.sleep(0)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return longest * 1000


async def _in_one_piece(resources: tuple[Resource, ...]) -> None:
    known = [KnownEvent(event=_event(0))]
    draws = {
        (name, each.resource_id): Draw(event_id=name, resource_id=each.resource_id, start_u=0.5, release_u=0.5)
        for each in resources
        for name in ("event-0",)
    }
    for each in plan(known, PROGRAMMES, resources, draws):
        timeline(each.caps, (), (), START)


async def _round(folder: Path, resources: tuple[Resource, ...]) -> tuple[float, float]:
    clock, ven = FakeClock(START), _Ven()
    engine = create_engine(f"sqlite+aiosqlite:///{folder / 'plan.db'}")
    try:
        await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
        supervisor = Supervisor(
            Parts(
                resources=resources,
                programmes=PROGRAMMES,
                fleet=Fleet((each.charger for each in resources), clock),
                target=_Absent(),
                store=BridgeStore(engine),
                events=ven,
                opts=ven,
                ven_id=lambda: None,
                clock=clock,
                draw=system_draw,
                metrics=BridgeMetrics(CollectorRegistry()),
            )
        )
        await supervisor.load()

        async def settled() -> None:
            while await supervisor.reconcile(clock.now()):
                pass

        await settled()
        collector.settle()
        ven.listed.append(
            StoredEvent(event=_event(0), received_at=START, opt_type=OptType.OPT_IN, request_id="request")
        )
        supervisor.events_changed()
        ours = await _longest_ms(settled())
        naive = await _longest_ms(_in_one_piece(resources))
        print(f"  longest turn of the loop: {ours:.1f} ms in parts, {naive:.1f} ms in one piece")
        return ours, naive
    finally:
        await engine.dispose()


async def _run(quick: bool) -> list[tuple[float, float]]:
    logs.configure("error", json=False)
    resources = tuple(
        Resource(resource_id=f"evse-{number}", charger=f"CP{number}", max_a=32.0)
        for number in range(QUICK_COUNT if quick else COUNT)
    )
    rounds = []
    for _ in range(2 if quick else 3):
        with tempfile.TemporaryDirectory() as name:
            rounds.append(await _round(Path(name), resources))
        gc.unfreeze()  # one process serves one bridge: the next round must not clear up after this one
        gc.collect()
    return rounds


BENCHMARKS = (Benchmark(name="plan_10000", unit="ms longest turn", peer="the same plan in one piece", run=_run),)
