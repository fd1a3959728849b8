"""An event loop whose time jumps to the next timer, and a module, its port and a simulated device in it."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from bridge.cta2045.bodies import Info
from bridge.cta2045.delivery import Delivery, OrderOutcome, Patience
from bridge.cta2045.dialogue import Facts
from bridge.cta2045.energy import Commodity
from bridge.cta2045.frames import MessageType
from bridge.cta2045.inbox import refuses
from bridge.cta2045.ladder import DeviceModel
from bridge.cta2045.link import Link
from bridge.cta2045.memory import InMemory, Memory
from bridge.cta2045.module import Module, Rhythm
from bridge.cta2045.orders import Mode, Order
from bridge.cta2045.serial import SerialPort
from bridge.cta2045.values import Capability, OperationalState
from bridge.simulators.cta_appliances import Appliance, Evse
from bridge.simulators.cta_device import Out, SimulatedDevice

T0 = datetime(2026, 11, 21, 12, 20, tzinfo=UTC)
ADVANCED = Capability.ADVANCED_LOAD_UP


class _Jump(selectors.SelectSelector):
    """Never waits: what would be waited for has passed at once."""

    passed = 0.0
    engine: AsyncEngine | None = None  # time stands still while one of its connections is in use

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        while not events and timeout and _in_use(self.engine):
            events = super().select(0.01)
        if not events and timeout is not None:
            self.passed += timeout
        return events


def _in_use(engine: AsyncEngine | None) -> bool:
    pools = () if engine is None else (engine.sync_engine.pool, getattr(engine, "readers", engine).sync_engine.pool)
    return any(pool.checkedout() for pool in pools if isinstance(pool, QueuePool))


class VirtualLoop(asyncio.SelectorEventLoop):
    """When nothing is ready, the time of the next timer has come."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.passed

    def waits_for(self, engine: AsyncEngine) -> None:
        """Let no time pass while this database works."""
        self._jump.engine = engine


def virtually(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run ``main`` to its end in virtual time; whatever it left running is cancelled."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


class VirtualClock:
    """The loop's time as a wall clock."""

    def now(self) -> datetime:
        return T0 + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0))


class Cable(asyncio.Transport):
    """The port's end of a cable to a simulated device. 19200 bit/s in both directions."""

    def __init__(self, device: SimulatedDevice, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.device, self._protocol = device, protocol
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.open = True
        self.written: list[tuple[float, bytes]] = []
        self._loop.call_soon(protocol.connection_made, self)
        self._loop.call_soon(self._tick)

    def write(self, data: Any) -> None:
        self.written.append((self._loop.time(), bytes(data)))
        if self.open:
            self._loop.call_later(len(data) * 10 / 19200, self._arrive, bytes(data))

    def abort(self) -> None:
        self.pull(tell=False)

    def is_closing(self) -> bool:
        return not self.open

    def pull(self, *, tell: bool = True) -> None:
        if self.open:
            self.open = False
            if self._timer is not None:
                self._timer.cancel()
            if tell:
                self._loop.call_soon(self._protocol.connection_lost, OSError("cable pulled"))

    def do(self, outs: Iterable[Out]) -> None:
        for delay, data in outs:
            self._loop.call_later(delay + len(data) * 10 / 19200, self._deliver, data)
        if self._timer is not None:
            self._timer.cancel()
        if self.open:
            self._timer = self._loop.call_at(self.device.due(self._loop.time()), self._tick)

    def _deliver(self, data: bytes) -> None:
        if self.open:
            self._protocol.data_received(data)

    def _arrive(self, data: bytes) -> None:
        if self.open:
            self.do(self.device.receive(data, self._loop.time()))

    def _tick(self) -> None:
        if self.open:
            self.do(self.device.tick(max(self._loop.time(), self.device.due(self._loop.time()) - 1.0)))


class Notes:
    """A ``Listener`` that keeps everything."""

    def __init__(self) -> None:
        self.connections: list[bool] = []
        self.states: list[OperationalState] = []
        self.overrides: list[bool] = []
        self.readings: list[tuple[Commodity, ...]] = []
        self.deliveries: list[Delivery] = []

    def connected(self, device: str, facts: Facts, now: datetime) -> None:
        self.connections.append(True)

    def disconnected(self, device: str, now: datetime) -> None:
        self.connections.append(False)

    def state(self, device: str, state: OperationalState, now: datetime) -> None:
        self.states.append(state)

    def override(self, device: str, on: bool, now: datetime) -> None:
        self.overrides.append(on)

    def commodities(self, device: str, readings: tuple[Commodity, ...], now: datetime) -> None:
        self.readings.append(readings)

    def delivery(self, device: str, delivery: Delivery) -> None:
        self.deliveries.append(delivery)

    def outcomes(self, key: str = "") -> list[OrderOutcome]:
        return [each.outcome for each in self.deliveries if each.key.startswith(key)]


class World:
    """One module and one device on a cable that can be pulled."""

    def __init__(
        self,
        appliance: Appliance | None = None,
        *,
        model: DeviceModel | None = None,
        patience: Patience | None = None,
        rhythm: Rhythm | None = None,
        plugged: bool = True,
        capability: Capability = ADVANCED,
        **device: Any,
    ) -> None:
        self.clock = VirtualClock()
        self.memory: Memory = InMemory()
        self.notes = Notes()
        self.plugged = plugged
        self.cable: Cable | None = None
        self.device = SimulatedDevice(
            appliance or Evse(),
            info=Info(version="B", device_type=0x1102, model="SIM", capability=capability),
            draw=Random(1).random,
            **device,
        )
        self._model = model or DeviceModel()
        self._patience, self._rhythm = patience or Patience(), rhythm or Rhythm()
        self.written: list[tuple[float, bytes]] = []
        self.start()

    def start(self) -> None:
        """Start the bridge's side, as after a restart: only memory survives."""
        link = Link(
            draw=Random(2).random,
            types=frozenset({MessageType.BASIC, MessageType.INTERMEDIATE}),
            refuses=refuses,
        )
        holder: list[Module] = []

        class Events:
            def up(self) -> None:
                holder[0].up()

            def down(self, reason: str) -> None:
                holder[0].down(reason)

            def heard(self, message: Any) -> None:
                holder[0].heard(message)

        self.port = SerialPort(self._connect, link, Events(), retry_s=1.0)
        self.module = Module(
            "ev-1",
            port=self.port,
            memory=self.memory,
            listener=self.notes,
            clock=self.clock,
            zone=UTC,
            model=lambda _: self._model,
            patience=self._patience,
            rhythm=self._rhythm,
        )
        holder.append(self.module)
        self._tasks = [asyncio.create_task(self.port.run()), asyncio.create_task(self.module.run())]

    async def kill(self) -> None:
        """The bridge's process ends without a word."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        if not self.plugged:
            raise OSError("no such device")
        self.cable = Cable(self.device, factory())
        self.cable.written = self.written
        return self.cable

    def pull(self) -> None:
        self.plugged = False
        assert self.cable is not None
        self.cable.pull()

    def press(self, on: bool = True) -> None:
        assert self.cable is not None
        self.cable.do(self.device.press_override(asyncio.get_running_loop().time(), on))

    async def run(self, seconds: float) -> None:
        for task in self._tasks:
            assert not task.done(), task
        await asyncio.sleep(seconds)

    def heard(self) -> list[str]:
        """The Basic DR commands that arrived, less heartbeats, questions and time."""
        return [
            each.op.name
            for _, each in self.device.heard
            if hasattr(each, "op") and each.op.name not in ("COMM_STATUS", "QUERY_STATE", "TIME_SYNC", "APP_ACK")
        ]

    def count(self, name: str) -> int:
        return sum(getattr(getattr(each, "op", None), "name", "") == name for _, each in self.device.heard)


def order(mode: Mode = Mode.SHED, start: float = 0, end: float | None = 1800, key: str = "e1", **more: Any) -> Order:
    """Return an order with its times in seconds after T0."""
    return Order(
        key=key,
        mode=mode,
        start=T0 + timedelta(seconds=start),
        end=None if end is None else T0 + timedelta(seconds=end),
        **more,
    )
