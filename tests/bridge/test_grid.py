"""MAP-11: limits at the grid connection: own supply comes on top while a site's meter is fresh, never without it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.cap import Cap
from bridge.grid import FRESH_S, Loan, SiteReading, at_grid, lent, own_supply_w
from bridge.program import ApplyAt, Programmes
from tests.bridge.api.test_api import api_of
from tests.bridge.parts import DNO, PROGRAMMES, T0, SimCharger, World, at, capacity, event, resource

HOUR = 3600
AT_SITE = (resource(1, site="home"), resource(2, site="home", max_a=16.0))
CAP = Cap(
    resource_id="evse-1",
    event_id="e-1",
    modification_number=0,
    start=T0,
    end=at(HOUR),
    limit_a=8.0,
    value=0.25,
    reason="test",
    priority=1,
    emergency=False,
    overridable=True,
    programme="p 1",
    at_grid=True,
)


def reading(net_w: float, second: float = 0.0) -> SiteReading:
    return SiteReading(site="home", net_w=net_w, at=at(second))


def pieces(cap: Cap, loan: Loan | None) -> list[tuple[float, float | None]]:
    return [((each.start - T0).total_seconds(), each.limit_a) for each in at_grid(cap, AT_SITE[0], loan)]


def loan(amperes: float, since_s: float = 60, until_s: float = 660) -> Loan:
    return Loan(amperes=amperes, since=at(since_s), until=at(until_s), words="on top")


def test_map_11_own_supply_is_what_chargers_draw_and_the_grid_does_not_give() -> None:
    assert own_supply_w(reading(5_000.0), [11_040.0]) == 6_040.0
    assert own_supply_w(reading(-2_000.0), [0.0]) == 2_000.0
    assert own_supply_w(reading(12_000.0), [11_040.0]) == 0.0  # other loads take more than the site makes


def test_map_11_own_supply_is_shared_by_installed_power_and_lent_for_a_short_time() -> None:
    found = lent(reading(0.0), AT_SITE, 9_936.0, {}, at(30))
    assert {name: each.amperes for name, each in found.items()} == {"evse-1": 9.6, "evse-2": 4.8}
    assert {each.until for each in found.values()} == {at(FRESH_S)}
    assert lent(reading(0.0), AT_SITE, 9_936.0, {}, at(FRESH_S)) == {}


def test_map_11_a_small_gain_changes_nothing_and_a_loss_does_at_once() -> None:
    present = lent(reading(0.0), AT_SITE[:1], 6_900.0, {}, at(0))
    assert lent(reading(0.0, 10), AT_SITE[:1], 7_000.0, present, at(10)) == present
    assert lent(reading(0.0, 10), AT_SITE[:1], 7_600.0, present, at(10))["evse-1"].amperes == 11.0
    assert lent(reading(0.0, 10), AT_SITE[:1], 6_800.0, present, at(10))["evse-1"].amperes == 9.8
    renewed = lent(reading(0.0, 400), AT_SITE[:1], 7_000.0, present, at(400))["evse-1"]
    assert (renewed.amperes, renewed.until) == (10.1, at(400 + FRESH_S))


def test_map_11_a_limit_is_the_devices_again_where_the_loan_ends() -> None:
    assert pieces(CAP, loan(10.0)) == [(0, 8.0), (60, 18.0), (660, 8.0)]
    assert pieces(CAP, loan(90.0, 0, 2 * HOUR)) == [(0, 32.0)]
    assert pieces(replace(CAP, end=None), loan(10.0, 0)) == [(0, 18.0), (660, 8.0)]
    assert pieces(CAP, None) == [(0, 8.0)]
    assert pieces(CAP, loan(10.0, HOUR, 2 * HOUR)) == [(0, 8.0)]
    assert pieces(replace(CAP, limit_a=None), loan(10.0)) == [(0, None)]


def test_map_09_map_11_what_is_on_top_of_a_stop_is_nothing_below_6_a() -> None:
    stop = replace(CAP, limit_a=0.0)
    assert pieces(stop, loan(5.9)) == [(0, 0.0)]
    assert pieces(stop, loan(6.0)) == [(0, 0.0), (60, 6.0), (660, 0.0)]


@given(st.floats(0, 40), st.floats(-20_000, 20_000), st.floats(0, 22_080))
def test_property_map_11_the_grid_never_gives_more_than_the_limits(
    limit_a: float, elsewhere_w: float, drawn_w: float
) -> None:
    """``elsewhere_w``: the site's other loads less what it makes, which stays while the car takes all it may."""
    limit_a = 0.0 if limit_a < 6.0 else min(limit_a, 32.0)
    supply = own_supply_w(reading(drawn_w + elsewhere_w), [drawn_w])
    loans = lent(reading(drawn_w + elsewhere_w), AT_SITE[:1], supply, {}, T0)
    device_a = max(each.limit_a or 0.0 for each in at_grid(replace(CAP, limit_a=limit_a), AT_SITE[0], loans["evse-1"]))
    from_grid_w = device_a * 690.0 + min(elsewhere_w, 0.0)
    assert from_grid_w <= limit_a * 690.0 + 0.001


# -- kept by the bridge ------------------------------------------------------------------------------------------------


@pytest.fixture
async def world(bridge_db: AsyncEngine) -> AsyncIterator[World]:
    dno = PROGRAMMES.by_context[DNO]
    at_grid_too = dno.model_copy(update={"apply_at": ApplyAt.GRID, "version": "grid"})
    programmes = Programmes.of([at_grid_too])
    found = World(bridge_db, [SimCharger("CP1")], resources=AT_SITE[:1], programmes=programmes)
    await found.start()
    await found.publish(event(capacity((2 * HOUR, 0.25))))
    yield found
    await found.close()


def drawn(world: World) -> float:
    return world.park["CP1"].draw_a(world.clock.now())


async def test_map_11_pv_feeds_the_car_above_the_cap_and_a_silent_meter_takes_it_back(world: World) -> None:
    await world.step(30)
    assert drawn(world) == 8.0
    async with api_of(world) as call:
        # the car draws 5.52 kW and the site gives 3 kW to the grid: 8.52 kW of its own
        status, found = await call("PUT", "/api/v1/sites/home/meter", {"kWNet": -3.0})
        assert (status, found["kWOwn"], found["resources"][0]["onTopA"]) == (200, 8.52, 12.3)
        await world.step(30)
        assert drawn(world) == 20.3
        assert world.outcome()[0] == "verified"
        reason = world.supervisor.effective("evse-1", world.clock.now()).reason
        assert "12.3 A of the site's own 8.52 kW on top until 14:10:30Z" in reason
    await world.step(FRESH_S, every=30)
    assert drawn(world) == 8.0  # nobody has said anything since


async def test_map_11_the_end_of_a_loan_is_in_the_charger_and_needs_no_bridge(world: World) -> None:
    await world.step(10)
    await world.supervisor.site_reading(SiteReading(site="home", net_w=-3_000.0, at=world.clock.now()))
    await world.round()
    assert drawn(world) == 20.3
    world.clock.advance(FRESH_S)
    assert drawn(world) == 8.0


async def test_map_11_after_a_restart_and_with_an_old_reading_the_limit_is_the_devices(world: World) -> None:
    await world.step(10)
    await world.supervisor.site_reading(SiteReading(site="home", net_w=-3_000.0, at=world.clock.now()))
    await world.restart()
    assert drawn(world) == 8.0
    old = world.clock.now() - timedelta(seconds=FRESH_S)
    await world.supervisor.site_reading(SiteReading(site="home", net_w=-9_000.0, at=old))
    await world.round()
    assert drawn(world) == 8.0
    assert world.supervisor.effective("evse-1", world.clock.now()).reason.endswith(
        "at the device, for no fresh supply of the site's own is known"
    )


async def test_map_11_a_wrong_reading_is_refused(world: World) -> None:
    async with api_of(world) as call:
        assert (await call("PUT", "/api/v1/sites/nowhere/meter", {"kWNet": 1.0}))[0] == 404
        assert (await call("PUT", "/api/v1/sites/home/meter", {"kWNet": 1.0, "at": "2026-03-02T10:00:00"}))[0] == 400
        assert (await call("PUT", "/api/v1/sites/home/meter", {}))[0] == 400
