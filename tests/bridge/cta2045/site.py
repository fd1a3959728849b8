"""A whole bridge core with CTA-2045 devices on cables, in virtual time, on a real database: events in, opts out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core import Parts
from bridge.cta2045.bodies import Info
from bridge.cta2045.delivery import Patience
from bridge.cta2045.fleet import CtaFleet
from bridge.cta2045.ladder import DeviceModel
from bridge.cta2045.metrics import CtaMetrics
from bridge.cta2045.module import Rhythm
from bridge.cta2045.unit import CtaDevice
from bridge.cta2045.values import Capability
from bridge.ecoport import DeviceNotes, EcoPorts, Spokesman
from bridge.fleet import Fleet
from bridge.link import LinkWatch
from bridge.metrics import BridgeMetrics
from bridge.program import Programmes
from bridge.resources import Kind, Resource
from bridge.simulators.cta_appliances import Appliance, Evse, WaterHeater
from bridge.simulators.cta_device import SimulatedDevice
from bridge.store import BridgeStore
from bridge.store.cta import StandingStore
from bridge.supervisor import Supervisor
from openadr.model import Event
from runtime.database import create_engine
from tests.bridge.cta2045.virtual import T0, Cable, VirtualClock, VirtualLoop, virtually
from tests.bridge.parts import PROGRAMMES, QUICK, VEN_ID, Upstream, database

MODELS = {"SIM-EVSE": DeviceModel(shed=0.5, critical_peak=0.25), "SIM-WH": DeviceModel(shed=0.0, critical_peak=0.0)}
WATTS = {"EV": 240.0, "WH": 240.0}


def resource(identity: str) -> Resource:
    """Return a device as a resource: EV..., or WH..."""
    evse = identity.startswith("EV")
    return Resource(
        resource_id=identity.lower(),
        charger=identity,
        max_a=32.0 if evse else 18.75,
        phases=1,
        voltage=240.0,
        kind=Kind.EVSE if evse else Kind.WATER_HEATER,
        device_classes=("EVSE",) if evse else ("Water_Heater",),
    )


class CtaSite:
    """Devices that outlive the bridge, the VEN's outbox that does too, and a bridge that can be killed."""

    def __init__(self, engine: AsyncEngine, appliances: dict[str, Appliance], programmes: Programmes) -> None:
        self.engine, self.programmes = engine, programmes
        self.upstream = Upstream(engine)
        self.devices = {
            name: SimulatedDevice(
                appliance,
                info=Info(
                    version="B",
                    device_type=0x1102 if isinstance(appliance, Evse) else 0x0002,
                    capability=Capability.ADVANCED_LOAD_UP,
                    model="SIM-EVSE" if isinstance(appliance, Evse) else "SIM-WH",
                ),
                draw=Random(1).random,
            )
            for name, appliance in appliances.items()
        }
        self.resources = [resource(name) for name in appliances]
        self.clock = VirtualClock()
        self.cables: dict[str, Cable] = {}
        self.away: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the bridge: only its database survives it."""
        store, registry = BridgeStore(self.engine), CollectorRegistry()
        fleet = Fleet([each.charger for each in self.resources], self.clock)
        self.notes = DeviceNotes(fleet, CtaMetrics(registry))
        self.cta = CtaFleet(
            [
                CtaDevice(
                    identity=each.charger, port=f"/dev/{each.charger}", reference_a=each.max_a, least_a=each.least_a
                )
                for each in self.resources
            ],
            memory=StandingStore(self.engine),
            events=fleet,
            more=self.notes,
            clock=self.clock,
            draw=Random(2).random,
            zone=UTC,
            models=MODELS,
            rhythm=Rhythm(poll_s=10.0),
            patience=Patience(effect_s=20.0, guidance_s=20.0),
            connect={each.charger: self._connect(each.charger) for each in self.resources},
            phrasing=Spokesman(self.resources, lambda: self.supervisor),
        )
        watch = LinkWatch(store, {"": self.upstream}, lambda: 60.0, lambda _: "")
        self.supervisor = Supervisor(
            Parts(
                resources=self.resources,
                programmes=self.programmes,
                fleet=fleet,
                target=self.cta,
                store=store,
                events=self.upstream,
                opts=self.upstream,
                ven_id=lambda: VEN_ID,
                clock=self.clock,
                draw=lambda: 0.5,
                metrics=BridgeMetrics(registry),
                settings=QUICK,
                link=watch,
            )
        )
        self.ports = EcoPorts(
            resources=self.resources,
            devices=self.cta,
            notes=self.notes,
            supervisor=self.supervisor,
            silent=lambda _: watch.silent_since("") is not None,
            ven_id=lambda: VEN_ID,
            clock=self.clock,
        )
        await self.supervisor.load()
        runs = (self.supervisor.run, self.cta.run, self.ports.run)
        self._tasks = [asyncio.create_task(run()) for run in runs]

    async def kill(self) -> None:
        """End the bridge without a word to its devices."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for cable in self.cables.values():
            cable.pull(tell=False)

    def _connect(self, name: str) -> Any:
        async def connect(factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
            if name in self.away:
                raise OSError("no such device")
            self.cables[name] = Cable(self.devices[name], factory())
            return self.cables[name]

        return connect

    def send(self, *events: Event) -> None:
        """The VEN has these events."""
        self.upstream.send(*events)
        self.supervisor.events_changed()

    async def wait(self, seconds: float) -> None:
        """Let time pass; whatever ends before it should is a fault."""
        for task in self._tasks:
            assert not task.done(), task
        await asyncio.sleep(seconds)

    def press(self, name: str, on: bool = True) -> None:
        """The customer's button."""
        self.cables[name].do(self.devices[name].press_override(asyncio.get_running_loop().time(), on))

    def heard(self, name: str) -> list[str]:
        """The commands that arrived, less heartbeats, questions and time."""
        quiet = ("COMM_STATUS", "QUERY_STATE", "TIME_SYNC", "APP_ACK", "PENDING_TIME", "PENDING_TYPE")
        names = [each.op.name for _, each in self.devices[name].heard if hasattr(each, "op")]
        return [each for each in names if each not in quiet]

    def power_a(self, name: str) -> float:
        """What the device draws now, A."""
        return self.devices[name].appliance.power_w / 240

    def outcome(self, name: str, event_id: str = "event-1") -> tuple[str, str]:
        """State and reason of an event at a device."""
        found = self.supervisor.ledger.outcomes[(event_id, name.lower())]
        return found.state.value, found.reason


def at(seconds: float) -> datetime:
    """Return an instant of the virtual clock."""
    return T0 + timedelta(seconds=seconds)


def on_site(
    folder: Path,
    main: Callable[[CtaSite], Coroutine[Any, Any, None]],
    *,
    devices: Iterable[str] = ("EV1", "WH1"),
    programmes: Programmes = PROGRAMMES,
    **changes: Appliance,
) -> None:
    """Run ``main`` on a site with these devices in virtual time; the first half minute is their start-up."""

    async def whole() -> None:
        async with _site(folder, devices, programmes, changes) as site:
            await site.wait(30)
            await main(site)

    asyncio.run(_migrate(folder))
    virtually(whole)


@asynccontextmanager
async def _site(
    folder: Path, devices: Iterable[str], programmes: Programmes, changes: dict[str, Appliance]
) -> AsyncIterator[CtaSite]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    engine = create_engine(f"sqlite+aiosqlite:///{folder / 'bridge.db'}")
    loop.waits_for(engine)
    try:
        made = {name: changes.get(name) or (Evse() if name.startswith("EV") else _heating()) for name in devices}
        site = CtaSite(engine, made, programmes)
        await site.start()
        try:
            yield site
        finally:
            await site.kill()
    finally:
        await engine.dispose()


async def _migrate(folder: Path) -> None:
    async with database(folder):
        pass


def _heating() -> WaterHeater:
    """A tank that heats, and would for hours."""
    return WaterHeater(capacity_wh=60_000.0, stored_wh=40_000.0, heating=True)
