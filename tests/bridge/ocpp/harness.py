"""What the OCPP tests share: a central system on loopback, a fleet listener to wait on, raw and simulated chargers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import ocpp.messages
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from bridge.ocpp.central import CentralSystem
from bridge.ocpp.knowledge import Knowledge
from bridge.ocpp.settings import ChargerConfig, OcppSettings
from bridge.simulators.charge_point import Access, Script, SimulatedChargePoint
from bridge.simulators.charger import BEHAVIOURS, Charger
from bridge.simulators.ev import Ev
from bridge.simulators.hardware import Hardware
from bridge.store import BridgeStore
from bridge.target import CarNeeds, LimitPeriod, LimitSchedule, MeterReading
from runtime.clock import FakeClock

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PATIENCE_S = 10.0


@dataclass
class Fleet:
    """A ``FleetEvents`` that keeps all it hears and lets a test wait for something."""

    log: list[tuple[Any, ...]] = field(default_factory=list)
    readings: list[MeterReading] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def _note(self, *entry: Any) -> None:
        self.log.append(entry)
        self._changed.set()

    def connected(self, identity: str, now: datetime) -> None:
        self._note("connected", identity)

    def disconnected(self, identity: str, now: datetime) -> None:
        self._note("disconnected", identity)

    def reading(self, reading: MeterReading) -> None:
        self.readings.append(reading)
        self._note("reading", reading.charger, reading.power_w)

    def transaction(self, identity: str, started: bool, now: datetime) -> None:
        self._note("transaction", identity, started)

    def driver_action(self, identity: str, kind: str, now: datetime) -> None:
        self._note("driver", identity, kind)

    def needs(self, identity: str, needs: CarNeeds, now: datetime) -> None:
        self._note("needs", identity, needs)

    async def until(self, condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Wait until ``condition`` holds; looked at after every event."""
        async with asyncio.timeout(patience_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def heard(self, *entry: Any, times: int = 1) -> None:
        await self.until(lambda: self.log.count(entry) >= times)


def make_settings(**changes: Any) -> OcppSettings:
    """Settings on a free port without TLS."""
    values: dict[str, Any] = {"port": 0, "security_profile": 0, "allow_insecure": True, "meter_interval_s": 10}
    values["read_back_s"] = None  # it is asked for where it is the matter
    values["probe"] = False  # likewise
    return OcppSettings(**(values | changes))


@dataclass
class Bench:
    """A running central system and what belongs to it."""

    central: CentralSystem
    fleet: Fleet
    clock: FakeClock
    registry: CollectorRegistry
    http: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.central.port}/ocpp"

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def schedule(
        self, limit_a: float | None, *, number: int = 7, start_s: float = 0, length_s: float = 3600
    ) -> LimitSchedule:
        start = self.clock.now() + timedelta(seconds=start_s)
        end = start + timedelta(seconds=length_s)
        return LimitSchedule(
            schedule_id=number,
            start=start,
            end=end,
            expires=end + timedelta(seconds=60),
            periods=(LimitPeriod(start_s=0, limit_a=limit_a),),
            source="test",
            reason="test",
        )


@asynccontextmanager
async def bench(
    *chargers: ChargerConfig, knowledge: Knowledge | None = None, store: BridgeStore | None = None, **settings: Any
) -> AsyncIterator[Bench]:
    """Run a central system that knows ``chargers``."""
    ocpp.messages.ASYNC_VALIDATION = False  # as the fleet does: in line is quicker than in a thread
    fleet, clock, registry = Fleet(), FakeClock(START), CollectorRegistry()
    central = CentralSystem(
        settings=make_settings(**settings),
        chargers=chargers,
        events=fleet,
        clock=clock,
        registry=registry,
        knowledge=knowledge,
        store=store,
    )
    await central.start()
    async with aiohttp.ClientSession() as http:
        try:
            yield Bench(central=central, fleet=fleet, clock=clock, registry=registry, http=http)
        finally:
            await central.stop()


def simulated(
    at: Bench,
    identity: str = "CP-1",
    version: str = "1.6",
    behaviour: str = "obeys",
    *,
    phases: int = 3,
    max_a: float = 32.0,
    units: frozenset[str] = frozenset({"A", "W"}),
    password: str | None = None,
    access: Access | None = None,
    ev: Ev | None = None,
    divides_by_use: bool = False,
    override_by_app: Any = None,
    **script: Any,
) -> SimulatedChargePoint:
    """Make a simulated charge point that dials ``at``."""
    charger = Charger(
        identity=identity,
        ev=ev or Ev(phases=phases, max_a=max_a, ramp_a_s=16.0),
        phases=phases,
        max_a=max_a,
        behaviour=BEHAVIOURS[behaviour],
        units=units,
        divides_by_use=divides_by_use,
        now=at.clock.now(),
    )
    return SimulatedChargePoint(
        hardware=Hardware(charger=charger, clock=at.clock, sample_interval_s=30),
        access=access or Access(url=at.url, version=version, password=password),
        script=Script(**script),
        http=at.http,
        override_by_app=override_by_app,
    )


@asynccontextmanager
async def running(point: SimulatedChargePoint) -> AsyncIterator[asyncio.Task[None]]:
    """Run a simulated charge point for the length of the block."""
    task = asyncio.create_task(point.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def charging(at: Bench, point: SimulatedChargePoint) -> None:
    """Wait until the charger is in a session and its meter interval is the one that the central system set."""
    identity = point.hardware.charger.identity
    async with asyncio.timeout(PATIENCE_S):
        await point.charging.wait()
    await at.fleet.heard("connected", identity)
    await at.fleet.heard("transaction", identity, True)
    await settled(lambda: point.hardware.sample_interval_s == 10)


async def settled(condition: Callable[[], bool]) -> None:
    """Let the loop turn until ``condition`` holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0)


async def metered(at: Bench, point: SimulatedChargePoint, *, seconds: float = 31.0) -> float:
    """Let ``seconds`` pass (again, if the charger was busy) and return its next reading's power (W)."""
    identity = point.hardware.charger.identity

    def mine() -> list[MeterReading]:
        return [reading for reading in at.fleet.readings if reading.charger == identity]

    before = len(mine())
    async with asyncio.timeout(PATIENCE_S):
        while len(mine()) == before:
            at.clock.advance(seconds)
            with suppress(TimeoutError):
                await at.fleet.until(lambda: len(mine()) > before, patience_s=0.2)
    power_w = mine()[-1].power_w
    assert power_w is not None
    return power_w


class Raw:
    """A charger by hand: frames as lists, on the ``websockets`` library."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, *frame: Any) -> None:
        await self.socket.send(json.dumps(list(frame)))

    async def receive(self) -> list[Any]:
        async with asyncio.timeout(PATIENCE_S):
            return list(json.loads(await self.socket.recv()))

    async def answer(self, unique_id: str) -> list[Any]:
        """Return the answer to ``unique_id``; calls of the central system in between are answered NotSupported."""
        while True:
            frame = await self.receive()
            if frame[0] == 2:
                await self.send(4, frame[1], "NotSupported", "", {})
            elif frame[1] == unique_id:
                return frame

    async def asked(self, action: str) -> list[Any]:
        """Return the central system's next call of ``action``; others are answered NotSupported."""
        while True:
            frame = await self.receive()
            if frame[0] == 2 and frame[2] == action:
                return frame
            if frame[0] == 2:
                await self.send(4, frame[1], "NotSupported", "", {})

    async def decline(self, action: str) -> None:
        """Answer the next call of ``action`` NotSupported."""
        await self.send(4, (await self.asked(action))[1], "NotSupported", "", {})

    async def ask(self, unique_id: str, action: Any, payload: Any) -> list[Any]:
        await self.send(2, unique_id, action, payload)
        return await self.answer(unique_id)

    async def boot(self) -> None:
        answer = await self.ask("boot", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
        assert answer[2]["status"] == "Accepted"
        await self.decline("GetConfiguration")

    async def boot201(self) -> None:
        station = {"vendorName": "V", "model": "M"}
        answer = await self.ask("boot", "BootNotification", {"chargingStation": station, "reason": "PowerUp"})
        assert answer[2]["status"] == "Accepted"
        await self.decline("GetVariables")


@asynccontextmanager
async def raw(at: Bench, identity: str = "CP-1", *protocols: str, **options: Any) -> AsyncIterator[Raw]:
    """Dial as a bare websocket client."""
    offered = [Subprotocol(name) for name in protocols or ("ocpp1.6",)]
    async with connect(f"{at.url}/{identity}", subprotocols=offered, compression=None, **options) as socket:
        yield Raw(socket)
