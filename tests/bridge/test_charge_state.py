"""CHARGE_STATE where cars tell their state of charge: contents, limits, who takes part, what is told and offered."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.asks import Ask, Content, Effect, FloorPolicy, Limit, Reference, Terms, limit
from bridge.assess import Assessor
from bridge.contents import STALE_S
from bridge.filling import begun, filled, until
from bridge.points import FLEXIBILITY, Sampling
from bridge.schedule import limit_at
from bridge.target import CarNeeds, MeterReading
from bridge.telemetry import Telemetry
from openadr.model import Event, ItemBase, OptType, SignalType, energy_real
from tests.bridge.parts import (
    AGGREGATOR,
    PROGRAMMES,
    T0,
    VEN_ID,
    SimCharger,
    World,
    at,
    event,
    resource,
    signal,
)

KWH = energy_real(scale="k")
HOUR = 3600


def charge_state(kind: SignalType, *values: tuple[int, float], start_s: int = 0) -> Event:
    unit: ItemBase | None = None if kind is SignalType.MULTIPLIER else KWH
    return event(signal("CHARGE_STATE", kind, *values, unit=unit), context=AGGREGATOR, start=at(start_s))


@pytest.fixture
async def world(bridge_db: AsyncEngine) -> AsyncIterator[World]:
    """Two chargers: at the first a car of 60 kWh that tells its state of charge, at the other one that does not."""
    chargers = [SimCharger("CP1", battery_wh=60_000.0, soc=0.5), SimCharger("CP2")]
    found = World(bridge_db, chargers, resources=[resource(1, battery_wh=60_000.0), resource(2, battery_wh=60_000.0)])
    for identity in ("CP1", "CP2"):
        found.supervisor.fleet.connected(identity, T0)
        found.supervisor.fleet.transaction(identity, True, T0)
    await found.start()
    found.park.meter(found.supervisor.fleet, 0.0)
    yield found
    await found.close()


def limits(world: World, *seconds: float, charger: str = "CP1") -> list[float | None]:
    held = world.park[charger].schedules.values()
    return [min((a for each in held if (a := limit_at(each, at(s))) is not None), default=None) for s in seconds]


@pytest.mark.parametrize(
    ("given", "amperes"),
    [
        # 18 kWh in 2 h are 9 kW: 13.04 A on three phases
        (charge_state(SignalType.MULTIPLIER, (2 * HOUR, 0.8)), 13.0),
        (charge_state(SignalType.SETPOINT, (2 * HOUR, 48.0)), 13.0),
        (charge_state(SignalType.DELTA, (2 * HOUR, 18.0)), 13.0),
        (charge_state(SignalType.MULTIPLIER, (2 * HOUR, 0.4)), 0.0),  # it holds more: nothing to charge
    ],
)
async def test_map_04_tel_10_a_charge_state_is_the_mean_power_that_reaches_it(
    world: World, given: Event, amperes: float
) -> None:
    await world.publish(given)
    await world.step(60)
    assert limits(world, 60) == [amperes]
    assert world.outcome()[0] == "verified"


async def test_tel_10_a_car_that_follows_has_its_energy_in_time(world: World) -> None:
    world.park["CP1"].demand_a = 20.0
    await world.publish(charge_state(SignalType.MULTIPLIER, (HOUR, 0.6)))
    await world.step(HOUR, every=60)
    assert world.park["CP1"].soc == pytest.approx(0.6, abs=0.005)


async def test_map_09_a_content_reached_at_the_floor_is_a_pause_from_then_on(world: World) -> None:
    await world.publish(charge_state(SignalType.DELTA, (2 * HOUR, 2.0)))  # 1 kW: 6 A for 1,739.1 s, then nothing
    await world.step(30)
    assert limits(world, 30, 1739, 1740, 2 * HOUR - 1) == [6.0, 6.0, 0.0, 0.0]
    reasons = [cap.reason for each in world.supervisor.planner.plans["evse-1"] for cap in each.caps]
    assert "raised to the 6 A floor" in reasons[0]
    assert reasons[1].endswith("the content is reached: paused")


async def test_map_04_each_interval_goes_on_from_the_content_of_the_one_before(world: World) -> None:
    await world.publish(charge_state(SignalType.MULTIPLIER, (HOUR, 0.65), (HOUR, 0.8)))
    await world.step(30)
    assert limits(world, 30, HOUR + 30) == [13.0, 13.0]  # 9 kWh each hour, not 18 in the second


async def test_ven_11_who_cannot_is_opted_out_with_the_reason_and_the_others_take_part(world: World) -> None:
    given = charge_state(SignalType.MULTIPLIER, (HOUR, 0.8))
    answer = Assessor(PROGRAMMES, world.resources, lambda: VEN_ID, lambda: frozenset(world.supervisor.contents()))
    assert answer(given, T0).opt_type is OptType.OPT_IN
    await world.publish(given)
    await world.round()
    told = [(each.resource_ids, each.opt_type, each.reason) for each in world.upstream.opts]
    assert told == [(("evse-2",), OptType.OPT_OUT, "notParticipating")]
    assert "its state of charge is not known" in world.supervisor.planner.refused[0].reason
    assert limits(world, 60, charger="CP2") == [None]
    await world.restart()
    assert len(world.upstream.opts) == 1
    world.upstream.away = True
    world.park["CP2"].connected = False


async def test_tel_10_without_any_state_of_charge_the_event_is_opted_out(world: World) -> None:
    world.clock.advance(STALE_S + 1)
    answer = Assessor(PROGRAMMES, world.resources, lambda: VEN_ID, lambda: frozenset(world.supervisor.contents()))
    refused = answer(charge_state(SignalType.MULTIPLIER, (HOUR, 0.8)), T0)
    assert (refused.response_code, refused.opt_type) == (469, OptType.OPT_OUT)
    assert "state of charge is not known" in (refused.description or "")


async def test_out_04_after_a_kill_the_same_limit_holds_although_no_car_has_spoken_yet(world: World) -> None:
    await world.publish(charge_state(SignalType.MULTIPLIER, (2 * HOUR, 0.8)))
    await world.step(60)
    before = world.supervisor.planner.plans
    await world.restart()
    assert world.supervisor.contents() == {}
    assert world.supervisor.planner.plans == before


async def test_map_05_another_car_has_a_content_of_its_own(world: World) -> None:
    await world.publish(charge_state(SignalType.MULTIPLIER, (2 * HOUR, 0.8)))
    await world.step(60)
    charger = world.park["CP1"]
    charger.session_name, charger.soc = "tx-2", 0.4
    await world.step(HOUR - 60, every=60)
    assert limits(world, HOUR) == [pytest.approx(24_000 / 690 * HOUR / (2 * HOUR - 120), abs=0.5)]
    charger.session_name, charger.battery_wh = "tx-3", None  # one that says nothing is not held to the other's figures
    await world.step(60)
    assert world.supervisor.planner.plans == {}
    assert limits(world, HOUR + 60) == [None]


async def test_tel_10_a_content_is_fresh_and_of_the_session_and_the_battery_that_are_there(world: World) -> None:
    contents, fleet = world.supervisor.contents, world.supervisor.fleet
    assert contents() == {"evse-1": Content(content_wh=30_000.0, full_wh=60_000.0, at=T0, session="tx-1")}
    contents.learn("evse-1", "tx-1", 80_000.0)
    assert contents()["evse-1"].content_wh == 40_000.0
    fleet.reading(MeterReading(charger="CP1", at=T0, power_w=0.0, session="tx-2"))
    assert contents.battery_wh("evse-1") == 60_000.0
    assert contents() == {}
    fleet.reading(MeterReading(charger="CP1", at=T0, soc=0.9, session="tx-2"))
    assert fleet.get("CP1").reading is not None  # what only the car says is no meter reading
    assert contents()["evse-1"].content_wh == 54_000.0
    fleet.reading(MeterReading(charger="CP1", at=T0 - timedelta(seconds=60), soc=0.1, session="tx-1"))
    assert contents()["evse-1"].content_wh == 54_000.0
    fleet.set_back(T0 - timedelta(seconds=60))
    assert contents() == {}  # it seemed to be told ahead of time
    fleet.reading(MeterReading(charger="CP1", at=T0, soc=0.9, session="tx-2"))
    fleet.transaction("CP1", False, T0)
    assert contents() == {}
    fleet.needs("CP2", CarNeeds(session="tx-9", soc=0.25), T0)
    assert contents()["evse-2"].content_wh == 15_000.0
    fleet.needs("nobody", CarNeeds(session="tx-9"), T0)
    fleet.disconnected("CP2", T0)
    assert contents() == {}


async def test_tel_10_flexibility_is_offered_once_a_car_has_told_and_has_no_value_where_it_does_not(
    world: World,
) -> None:
    contents = world.supervisor.contents

    def telemetry() -> Telemetry:
        return Telemetry(
            resources=world.resources,
            samples=world.store,
            flush=world.supervisor.flush,
            sampling=Sampling(),
            contents=contents,
            tellers=lambda: contents.tellers,
        )

    found = telemetry()
    assert FLEXIBILITY not in [each.report_specifier_id for each in found.capabilities()]
    await world.step(10)
    offered = {each.report_specifier_id: each for each in found.capabilities()}
    assert [row.r_id for row in offered[FLEXIBILITY].descriptions] == ["U-evse-1", "D-evse-1", "H-evse-1"]
    world.clock.advance(STALE_S + 1)
    assert found.capabilities() == tuple(offered.values())  # a car that leaves does not change what is offered
    await world.restart()
    assert world.supervisor.contents.tellers == frozenset({"evse-1"})


def test_tel_10_filling_is_pure_arithmetic() -> None:
    on, ask = resource(), Ask(effect=Effect.CONSTRAIN, target_share=1.0)
    known = Reference(
        event_id="e", resource_id="evse-1", at=T0, power_w=None, window_s=300, content=Content(content_wh=0, full_wh=1)
    )
    nothing = Limit(amperes=None, words="", effect=Effect.NORMAL)
    assert begun(ask, None, at(5)) == at(5)
    assert filled(ask, nothing, on, known, at(0), 60.0) == (known, None)
    assert filled(ask, nothing, on, None, at(0), 60.0) == (None, None)
    full = limit(ask, on, Terms(floor=FloorPolicy.PAUSE), known, 3600.0)
    after, reached = filled(ask, full, on, known, at(0), 3600.0)
    assert (full.amperes, reached) == (0.0, None)
    assert after == known
    assert list(until(world_cap := object(), None)) == [world_cap]  # type: ignore[arg-type]
