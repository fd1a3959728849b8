"""The last resort of an emergency: out of service, then the session stopped, and everything given back."""

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.escalate import Emergency, LastResort, Measure, next_measure
from bridge.fleet import Charger
from bridge.store import Stage, Supply
from bridge.target import MeterReading
from tests.bridge.parts import EMERGENCY, QUICK, T0, SimCharger, World, at, event, simple

RULES = LastResort()
FAILED, HELD = Emergency(event_id="e", failed=True), Emergency(event_id="e", failed=False)
CUT = Supply(charger="CP1", event_id="e", stage=Stage.UNAVAILABLE, detail="", at=at(0))


def charger(watts: float = 0.0, second: float = 30, *, connected: bool = True) -> Charger:
    found = Charger("CP1", T0)
    found.connected = connected
    found.reading = MeterReading(charger="CP1", at=at(second), power_w=watts)
    return found


@pytest.mark.parametrize(
    ("supply", "emergency", "given", "second", "expected"),
    [
        (None, FAILED, charger(), 0, Measure.DISABLE),
        (None, HELD, charger(), 0, None),
        (None, None, charger(), 0, None),
        (None, FAILED, charger(connected=False), 0, None),
        (CUT, FAILED, charger(5000.0), 59, None),
        (CUT, FAILED, charger(5000.0), 60, Measure.STOP),
        (CUT, FAILED, charger(100.0), 60, None),
        (CUT, FAILED, charger(5000.0, -5), 60, None),  # read before it was cut
        (replace(CUT, stage=Stage.STOPPED), FAILED, charger(5000.0), 600, None),
        (CUT, None, charger(), 60, Measure.RESTORE),
        (replace(CUT, stage=Stage.RESTORING), FAILED, charger(), 60, Measure.RESTORE),
    ],
)
def test_arb_17_one_step_at_a_time_with_a_meter_check_between(
    supply: Supply | None, emergency: Emergency | None, given: Charger, second: float, expected: Measure | None
) -> None:
    assert next_measure(supply, emergency, given, RULES, at(second)) is expected


def test_arb_17_switched_off_nothing_is_cut_but_what_was_cut_comes_back() -> None:
    rules = LastResort(enabled=False)
    assert next_measure(None, FAILED, charger(), rules, at(0)) is None
    assert next_measure(CUT, None, charger(), rules, at(0)) is Measure.RESTORE


async def test_arb_17_a_charger_that_ignores_an_emergency_is_cut_off_and_given_back(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", ignores=True, keeps_charging=True)])
    await world.start()
    await world.publish(event(simple((900, 3)), context=EMERGENCY))
    for _ in range(30):
        await world.step(5)
        if "unavailable" in world.park["CP1"].sent:
            break
    assert world.park["CP1"].sent == ["set", "set", "set", "unavailable"]
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0
    await world.restart()
    await world.step(70)
    assert "stop" in world.park["CP1"].sent
    assert world.park["CP1"].draw_a(world.clock.now()) == 0.0
    await world.step(1200)
    assert world.park["CP1"].available
    assert world.park["CP1"].sent.count("stop") == 1
    assert await world.store.supplies() == {}
    kinds = [each.kind for each in await world.store.commands("CP1")]
    assert {"disable", "stop", "restore"} <= set(kinds)
    found = (await world.store.outcomes(event_id="event-1"))[0]
    assert found.state.value in ("partial", "failed")


async def test_arb_17_only_emergencies_cut_the_supply(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", ignores=True)], settings=QUICK)
    await world.start()
    await world.publish(event(simple((900, 3))))
    await world.step(300)
    assert world.outcome()[0] == "failed"
    assert "unavailable" not in world.park["CP1"].sent
