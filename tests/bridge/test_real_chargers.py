"""The supervisor over real websockets: simulated charge points of both OCPP versions, one clock that the test steps."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import aiohttp
import ocpp.messages
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core import Parts
from bridge.fleet import Fleet
from bridge.metrics import BridgeMetrics
from bridge.ocpp.central import CentralSystem
from bridge.ocpp.settings import ChargerConfig
from bridge.resources import Resource
from bridge.simulators.charge_point import SimulatedChargePoint
from bridge.simulators.ev import Ev
from bridge.store import BridgeStore
from bridge.supervisor import Supervisor
from openadr.model import SignalType
from runtime.clock import FakeClock
from tests.bridge.ocpp import harness
from tests.bridge.parts import AGGREGATOR, PROGRAMMES, QUICK, VEN_ID, Upstream, dispatch, event, signal, simple

STEP_S = 5.0


class Site:
    """A bridge with a real central system and simulated chargers that dial in."""

    def __init__(self, engine: AsyncEngine, identities: tuple[str, ...], ocpp: dict[str, Any]) -> None:
        self.clock, self.upstream, self.registry = FakeClock(harness.START), Upstream(engine), CollectorRegistry()
        self.resources = [
            Resource(resource_id=f"evse-{name}", charger=name, max_a=32.0, battery_wh=60_000.0) for name in identities
        ]
        self.fleet = Fleet(identities, self.clock)
        self.central = CentralSystem(
            settings=harness.make_settings(**ocpp),
            chargers=[ChargerConfig(identity=name, soc=True) for name in identities],
            events=self.fleet,
            clock=self.clock,
            registry=self.registry,
        )
        self.points: dict[str, SimulatedChargePoint] = {}
        self.supervisor = Supervisor(
            Parts(
                resources=self.resources,
                programmes=PROGRAMMES,
                fleet=self.fleet,
                target=self.central,
                store=BridgeStore(engine),
                events=self.upstream,
                opts=self.upstream,
                ven_id=lambda: VEN_ID,
                clock=self.clock,
                draw=lambda: 0.0,
                metrics=BridgeMetrics(self.registry),
                settings=replace(QUICK, policy=replace(QUICK.policy, settle_s=40.0)),
            )
        )

    def state(self, name: str) -> str:
        outcome = self.supervisor.ledger.outcomes.get(("event-1", f"evse-{name}"))
        return "" if outcome is None else outcome.state.value

    async def until(self, condition: Callable[[], bool], steps: int = 120) -> None:
        """Step the clock until ``condition`` holds, letting the sockets work in between."""
        for _ in range(steps):
            await self.supervisor.reconcile(self.clock.now())
            await self.supervisor.dispatcher.settle()
            if condition():
                return
            self.clock.advance(STEP_S)
            await asyncio.sleep(0.02)
        raise AssertionError("it did not happen")


@asynccontextmanager
async def site(
    engine: AsyncEngine, ocpp_settings: dict[str, Any] | None = None, /, **chargers: dict[str, Any]
) -> AsyncIterator[Site]:
    ocpp.messages.ASYNC_VALIDATION = False
    found = Site(engine, tuple(chargers), ocpp_settings or {})
    await found.central.start()
    await found.supervisor.load()
    async with aiohttp.ClientSession() as http:
        bench = harness.Bench(
            central=found.central, fleet=harness.Fleet(), clock=found.clock, registry=found.registry, http=http
        )
        found.points = {name: harness.simulated(bench, name, **how) for name, how in chargers.items()}
        tasks = [asyncio.create_task(point.run()) for point in found.points.values()]
        try:
            yield found
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await found.supervisor.dispatcher.close()
            await found.central.stop()


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_one_event_over_real_sockets_is_verified_and_released(bridge_db: AsyncEngine, version: str) -> None:
    async with site(bridge_db, CP1={"version": version}) as found:
        await found.until(lambda: found.fleet.get("CP1").session)
        await found.until(lambda: (reading := found.fleet.get("CP1").reading) is not None and bool(reading.power_w))
        found.clock.advance(STEP_S)  # the power before the event is taken from readings before its start
        found.upstream.send(event(simple((300, 2)), start=found.clock.now().replace(microsecond=0)))
        found.supervisor.events_changed()
        await found.until(lambda: found.state("CP1") == "verified")
        await found.until(lambda: found.supervisor.dispatcher.installed == {})
        await found.until(lambda: found.supervisor.ledger.outcomes == {})
        [outcome] = await found.supervisor._store.outcomes()
        assert outcome.kw_before is not None
        assert outcome.kw_during is not None
        assert outcome.kw_after is not None
        assert outcome.kw_during <= 16.0 * 3 * 0.23 + 0.3
        assert outcome.kw_after > outcome.kw_during


async def test_refusing_and_ignoring_chargers_are_found_out_over_real_sockets(bridge_db: AsyncEngine) -> None:
    chargers = {"CP1": {"behaviour": "refuses"}, "CP2": {"behaviour": "ignores", "version": "2.0.1"}}
    async with site(bridge_db, **chargers) as found:
        await found.until(lambda: all(found.fleet.get(name).session for name in chargers))
        found.upstream.send(event(simple((900, 2)), start=found.clock.now().replace(microsecond=0)))
        found.supervisor.events_changed()
        await found.until(lambda: {found.state(name) for name in chargers} == {"failed"})
        assert {opt.reason for opt in found.upstream.opts} == {"notParticipating"}
        assert {name for opt in found.upstream.opts for name in opt.resource_ids} == {"evse-CP1", "evse-CP2"}


@pytest.mark.parametrize(("by_use", "kilowatts"), [(False, 1.38), (True, 4.14)])
async def test_map_08_a_1_phase_car_on_a_4_2_kw_limit_in_watts_is_judged_by_its_power(
    bridge_db: AsyncEngine, by_use: bool, kilowatts: float
) -> None:
    """OCPP has a station divide W by the phases wired, so the car gets 6 A; some give all to the phase in use."""
    one_phase = Ev(phases=1, max_a=32.0, ramp_a_s=16.0)
    how = {"units": frozenset({"W"}), "ev": one_phase, "divides_by_use": by_use}
    async with site(bridge_db, CP1=how) as found:
        await found.until(lambda: found.fleet.get("CP1").session)
        start = found.clock.now().replace(microsecond=0)
        setpoint = dispatch(SignalType.SETPOINT, (900, 4.2))
        found.upstream.send(event(setpoint, start=start, context=AGGREGATOR))
        found.supervisor.events_changed()
        await found.until(lambda: found.state("CP1") == "verified")
        outcome = found.supervisor.ledger.outcomes["event-1", "evse-CP1"]
        reading = found.fleet.get("CP1").reading
        assert reading is not None
        assert reading.power_w == pytest.approx(kilowatts * 1000, rel=0.02)
        assert outcome.reason.endswith("limit 4.14 kW in all")
        assert found.upstream.opts == []


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_tel_10_a_charge_state_over_real_sockets_is_a_limit_that_is_kept(
    bridge_db: AsyncEngine, version: str
) -> None:
    """The station tells what its car holds; what is missing to 70 % in an hour is the mean power."""
    car = Ev(battery_kwh=60.0, soc=0.5, ramp_a_s=16.0)
    async with site(bridge_db, CP1={"version": version, "ev": car}) as found:
        await found.until(lambda: bool(found.supervisor.contents()), steps=600)
        start = found.clock.now().replace(microsecond=0)
        given = event(signal("CHARGE_STATE", SignalType.MULTIPLIER, (3600, 0.7)), start=start, context=AGGREGATOR)
        found.upstream.send(given)
        found.upstream.stored["event-1"] = replace(found.upstream.stored["event-1"], received_at=start)
        found.supervisor.events_changed()
        await found.until(lambda: found.state("CP1") == "verified", steps=600)
        taken = (await found.supervisor._store.references(["event-1"]))["event-1", "evse-CP1"].content
        assert taken is not None
        assert taken.full_wh == 60_000.0
        assert taken.content_wh == pytest.approx(30_000.0, abs=12_000.0)
        limit = found.supervisor.effective("evse-CP1", found.clock.now()).limit_a
        assert limit == pytest.approx((42_000.0 - taken.content_wh) / 690.0, abs=0.2)
        reading = found.fleet.get("CP1").reading
        assert reading is not None
        assert (reading.power_w or 0.0) <= (limit or 0.0) * 690.0 + 10.0
