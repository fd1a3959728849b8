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

from bridge.fleet import Fleet
from bridge.metrics import BridgeMetrics
from bridge.ocpp.central import CentralSystem
from bridge.ocpp.settings import ChargerConfig
from bridge.resources import Resource
from bridge.store import BridgeStore
from bridge.supervisor import Supervisor
from runtime.clock import FakeClock
from tests.bridge.ocpp import harness
from tests.bridge.parts import PROGRAMMES, QUICK, VEN_ID, Upstream, event, simple

STEP_S = 5.0


class Site:
    """A bridge with a real central system and simulated chargers that dial in."""

    def __init__(self, engine: AsyncEngine, identities: tuple[str, ...]) -> None:
        self.clock, self.upstream, self.registry = FakeClock(harness.START), Upstream(engine), CollectorRegistry()
        self.resources = [Resource(resource_id=f"evse-{name}", charger=name, max_a=32.0) for name in identities]
        self.fleet = Fleet(identities, self.clock)
        self.central = CentralSystem(
            settings=harness.make_settings(),
            chargers=[ChargerConfig(identity=name) for name in identities],
            events=self.fleet,
            clock=self.clock,
            registry=self.registry,
        )
        self.supervisor = Supervisor(
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
async def site(engine: AsyncEngine, **chargers: dict[str, Any]) -> AsyncIterator[Site]:
    ocpp.messages.ASYNC_VALIDATION = False
    found = Site(engine, tuple(chargers))
    await found.central.start()
    await found.supervisor.load()
    async with aiohttp.ClientSession() as http:
        bench = harness.Bench(
            central=found.central, fleet=harness.Fleet(), clock=found.clock, registry=found.registry, http=http
        )
        tasks = [asyncio.create_task(harness.simulated(bench, name, **how).run()) for name, how in chargers.items()]
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
