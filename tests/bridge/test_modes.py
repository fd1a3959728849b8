"""Charging modes: they pause where a better hour is ahead, never miss a known need, and never bar urgent charging."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.modes import Mode, Slot, Target, pauses
from bridge.needs import DriverNeed
from bridge.overrides import OverrideRefused
from bridge.store import Agreement
from openadr.model import SignalType
from tests.bridge.parts import EMERGENCY, EUR, TARIFF, SimCharger, World, at, capacity, event, signal, simple
from tests.bridge.test_authority import agreement

HOUR = 3600
KW = 22.08  # of a charger with 3 x 32 A


def slots(*values: float) -> tuple[Slot, ...]:
    return tuple(
        Slot(start=at(HOUR * hour), end=at(HOUR * (hour + 1)), value=value) for hour, value in enumerate(values)
    )


def hours(mode: Mode, values: tuple[Slot, ...], target: Target) -> list[tuple[float, float]]:
    found = pauses(mode, values, target, KW, at(0))
    return [((start - at(0)).total_seconds() / HOUR, (end - at(0)).total_seconds() / HOUR) for start, end in found]


def need(kwh: float | None, departure_h: float | None) -> Target:
    departure = None if departure_h is None else at(departure_h * HOUR)
    return Target(left_wh=None if kwh is None else kwh * 1000, departure=departure)


@pytest.mark.parametrize("mode", [Mode.PLUG_AND_CHARGE, Mode.BOOST])
def test_arb_18_plug_and_charge_and_boost_wait_for_nothing(mode: Mode) -> None:
    assert hours(mode, slots(9, 1), need(1, 2)) == []


def test_arb_18_the_cheapest_hours_that_are_enough_are_taken() -> None:
    assert hours(Mode.CHEAPEST, slots(5, 1, 4, 2), need(19, 4)) == [(0, 1), (2, 4)]
    assert hours(Mode.CHEAPEST, slots(5, 1, 4, 2), need(25, 4)) == [(0, 1), (2, 3)]
    assert hours(Mode.CHEAPEST, slots(5, 1, 4, 2), need(999, 4)) == [], "all of it is needed"
    assert hours(Mode.CHEAPEST, slots(5, 1, 4, 2), need(None, None)) == [(0, 1), (2, 3)], "the better half"
    assert hours(Mode.CHEAPEST, (), need(10, 4)) == [], "without a forecast nothing waits"


def test_arb_18_the_lowest_carbon_goes_by_its_own_forecast_and_ready_by_needs_a_departure() -> None:
    assert hours(Mode.LOWEST_CARBON, slots(300, 80), need(10, 2)) == [(0, 1)]
    assert hours(Mode.READY_BY, slots(5, 1, 4), need(10, 3)) == [(0, 1), (2, 3)]
    assert hours(Mode.READY_BY, slots(5, 1, 4), need(10, None)) == []
    assert hours(Mode.READY_BY, slots(5, 1, 4), need(None, 3)) == []


@given(st.lists(st.floats(-5, 500), min_size=1, max_size=24), st.floats(0, 400), st.integers(1, 30))
def test_arb_18_property_a_mode_never_pauses_so_much_that_a_need_is_missed(
    values: list[float], kwh: float, departure_h: int
) -> None:
    paused_h = sum(end - start for start, end in hours(Mode.READY_BY, slots(*values), need(kwh, departure_h)))
    possible = kwh <= KW * departure_h
    assert not possible or (departure_h - paused_h) * KW >= kwh - 1e-6


async def test_arb_18_cheapest_waits_by_the_tariff_that_events_tell_and_events_still_limit(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    price = signal("ELECTRICITY_PRICE", SignalType.PRICE, (HOUR, 0.12), (HOUR, 0.05), unit=EUR)
    await world.publish(event(price, event_id="tariff", context=TARIFF))
    await world.supervisor.choose("evse-1", Mode.CHEAPEST)
    await world.round()
    limit = world.supervisor.effective("evse-1", world.clock.now())
    assert (limit.limit_a, limit.source, limit.authority) == (0.0, "user", "customer")
    assert limit.reason == "mode cheapest: waits until 15:00Z"
    await world.restart()
    assert world.park["CP1"].draw_a(world.clock.now()) == 0.0
    await world.step(HOUR + 60, every=60)
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0
    await world.publish(event(simple((600, 2)), start=world.clock.now()))
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0


async def test_arb_18_a_forecast_and_a_need_decide_and_the_need_is_met(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.supervisor.set_forecast("carbon", slots(300, 80, 200))
    await world.supervisor.ask_need(
        DriverNeed(resource_id="evse-1", asked_at=at(0), departure=at(3 * HOUR), energy_wh=30_000.0)
    )
    await world.supervisor.choose("evse-1", Mode.LOWEST_CARBON)
    await world.round()
    assert world.park["CP1"].draw_a(at(60)) == 0.0
    await world.step(3 * HOUR, every=120)
    assert world.park.energy_wh["CP1"] >= 30_000.0


async def test_arb_18_boost_leaves_every_event_that_may_be_left_until_the_car_goes(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.supervisor.set_forecast("price", slots(9, 1, 1))
    await world.supervisor.choose("evse-1", Mode.CHEAPEST)
    await world.publish(event(simple((HOUR, 2))))
    assert world.park["CP1"].draw_a(world.clock.now()) == 0.0
    await world.supervisor.choose("evse-1", Mode.BOOST)
    await world.round()
    assert world.park["CP1"].schedules == {}
    assert world.outcome()[0] == "opted_out"
    assert [asked.reason for _, asked in world.upstream.schedules] == ["overrideStatus"]
    await world.restart()
    assert world.park["CP1"].schedules == {}
    await world.publish(event(capacity((60, 0.0)), event_id="event-2", context=EMERGENCY, start=world.clock.now()))
    assert world.park["CP1"].draw_a(world.clock.now()) == 0.0, "an emergency goes before a boost"
    with pytest.raises(OverrideRefused) as refusal:
        await world.supervisor.choose("evse-1", Mode.BOOST)
    assert refusal.value.rule == "ARB-05"
    await world.step(400)
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0
    world.park["CP1"].session = False
    await world.step(10)
    assert (world.supervisor.overrides, dict(world.supervisor.modes)) == ((), {})
    world.park["CP1"].session = True
    await world.step(10)
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0, "the next car has another driver"


async def test_arb_19_by_agreement_a_programme_s_events_go_before_the_user_s_own_schedule(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.supervisor.set_forecast("price", slots(9, 1, 1))
    await world.supervisor.choose("evse-1", Mode.CHEAPEST)
    given_event = event(simple((1800, 2)))
    await world.publish(given_event)
    assert world.park["CP1"].draw_a(world.clock.now()) == 0.0, "the user's pause goes before the event"
    over: Agreement = agreement(over_user=True, until=at(0) + timedelta(seconds=900))
    await world.supervisor.agree(over)
    await world.step(5)
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    await world.step(900, every=30)
    assert world.park["CP1"].draw_a(world.clock.now()) == 0.0, "it lapses with the agreement"
