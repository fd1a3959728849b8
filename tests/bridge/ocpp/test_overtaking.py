"""An emergency does not wait for the answer to an ordinary limit, from the dispatcher to the wire."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.dispatch import Dispatcher
from bridge.fleet import Charger
from bridge.ocpp.settings import ChargerConfig
from bridge.steps import Calm, Kind, Need, Patience, Step, overtakes
from bridge.store import BridgeStore
from bridge.store.records import InstallState
from tests.bridge.ocpp.harness import START, Bench, Raw, bench, raw, settled

CHARGER = ChargerConfig(identity="CP-1")


@asynccontextmanager
async def dispatching(at: Bench, engine: AsyncEngine) -> AsyncIterator[Dispatcher]:
    dispatcher = Dispatcher(
        target=at.central,
        store=BridgeStore(engine),
        clock=at.clock,
        draw=lambda: 0.5,
        patience=Patience(),
        calm=Calm(),
        wake=lambda _: None,
    )
    try:
        yield dispatcher
    finally:
        await dispatcher.close()


def connected(at: Bench) -> Charger:
    charger = Charger("CP-1", START)
    charger.connected, charger.connected_since = True, at.clock.now()
    return charger


def send(dispatcher: Dispatcher, at: Bench, need: Need) -> Step | None:
    step = dispatcher.plan(connected(at), need, at.clock.now())
    if step is not None:
        dispatcher.start(step, dispatcher.intent(step, at.clock.now()))
    return step


async def accept(charger: Raw) -> float:
    frame = await charger.asked("SetChargingProfile")
    await charger.send(3, frame[1], {"status": "Accepted"})
    limit: float = frame[3]["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
    return limit


async def test_arb_04_an_emergency_overtakes_an_ordinary_limit_without_an_answer(
    bridge_db: AsyncEngine,
) -> None:
    async with bench(CHARGER, yield_s=0.2) as at, raw(at) as charger, dispatching(at, bridge_db) as dispatcher:
        await charger.boot()
        await at.fleet.heard("connected", "CP-1")
        ordinary, emergency = Need(wanted=at.schedule(16.0), urgent=False), Need(wanted=at.schedule(0.0))
        assert send(dispatcher, at, ordinary) is not None
        unanswered = await charger.asked("SetChargingProfile")
        assert send(dispatcher, at, replace(ordinary, urgent=True)) is None  # urgent, and no stricter
        assert send(dispatcher, at, emergency) is not None
        assert await accept(charger) == 0.0
        await dispatcher.settle()
        held = dispatcher.installed["CP-1"]
        assert held.state is InstallState.ACCEPTED
        assert held.schedule.periods[0].limit_a == 0.0
        await charger.send(3, unanswered[1], {"status": "Accepted"})  # too late to count
        await settled(lambda: at.value("ocpp_late_answers_total") == 1)
        assert dispatcher.installed["CP-1"] == held
        log = await BridgeStore(bridge_db).commands("CP-1")
        assert [(each.outcome.value, each.schedule) for each in log] == [
            ("accepted", emergency.wanted),
            ("timeout", ordinary.wanted),
        ]


@pytest.mark.parametrize(
    ("need", "flying", "expected"),
    [
        ((16.0, True), (32.0, Kind.SET), True),
        ((16.0, True), (16.0, Kind.CLEAR), True),
        ((16.0, True), (16.0, Kind.SET), False),
        ((32.0, True), (16.0, Kind.SET), False),
        ((0.0, False), (16.0, Kind.SET), False),
        ((None, True), (16.0, Kind.SET), False),
    ],
)
async def test_only_what_is_urgent_and_stricter_overtakes(
    need: tuple[float | None, bool], flying: tuple[float, Kind], expected: bool
) -> None:
    async with bench(CHARGER) as at:
        step = Step(charger="CP-1", kind=flying[1], schedule=at.schedule(flying[0]), cause="test", attempt=1)
        wanted = Need(wanted=at.schedule(need[0]), urgent=need[1])
        assert overtakes(wanted, step, at.clock.now()) is expected
        assert not overtakes(Need(wanted=None), step, at.clock.now())
