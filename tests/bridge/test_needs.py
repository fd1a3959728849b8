"""VEN-12: what drivers and cars need, whether limits let it happen, and what must run; through the operator API."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.arbiter import Source, StandingCap
from bridge.asks import Content
from bridge.needs import CAR, Controllers, DriverNeed, by_event, feasibility, left_wh, to_leave
from bridge.plan import Cap
from bridge.target import CarNeeds
from tests.bridge.api.test_api import api_of
from tests.bridge.parts import EMERGENCY, T0, SimCharger, World, at, capacity, event, resource, simple

HOUR = 3600
NEED = DriverNeed(resource_id="evse-1", departure=at(2 * HOUR), asked_at=T0, energy_wh=30_000.0)


def cap(event_id: str, limit_a: float, *, overridable: bool = True, start_s: int = 0, end_s: int = HOUR) -> Cap:
    return Cap(
        resource_id="evse-1",
        event_id=event_id,
        modification_number=0,
        start=at(start_s),
        end=at(end_s),
        limit_a=limit_a,
        value=0.0,
        reason="test",
        priority=1,
        emergency=False,
        overridable=overridable,
        programme="p 1",
    )


def by(*caps: Cap, standing: tuple[StandingCap, ...] = ()) -> Controllers:
    return Controllers(caps=caps, overrides=(), standing=standing)


def test_ven_12_energy_needed_time_left_and_limits_give_feasible_or_a_shortfall() -> None:
    free = feasibility(NEED, 30_000.0, resource(), by(), T0)  # 22.08 kW for 2 h
    assert (free.reachable_wh, free.shortfall_wh, free.words) == (44_160.0, 0.0, "30.0 kWh will be charged in time")
    stopped = feasibility(NEED, 30_000.0, resource(), by(cap("e-1", 0.0)), T0)
    assert stopped.reachable_wh == 22_080.0
    assert stopped.words == "7.9 kWh short of 30.0 kWh at departure"
    late = feasibility(NEED, 30_000.0, resource(), by(cap("e-1", 0.0)), at(HOUR))
    assert late.reachable_wh == 22_080.0
    over = feasibility(NEED, 30_000.0, resource(), by(), at(3 * HOUR))
    assert over.reachable_wh == 0.0


def test_ven_12_what_is_left_follows_from_the_meter_or_from_the_state_of_charge() -> None:
    metered = DriverNeed(resource_id="r", departure=at(HOUR), asked_at=T0, energy_wh=10_000.0, meter_wh=500.0)
    assert [left_wh(metered, None, wh) for wh in (500.0, 4_500.0, 20_000.0, None)] == [10_000.0, 6_000.0, 0.0, 10_000.0]
    target = DriverNeed(resource_id="r", departure=at(HOUR), asked_at=T0, target_soc=0.8)
    assert left_wh(target, Content(content_wh=30_000.0, full_wh=60_000.0), None) == 18_000.0
    assert left_wh(target, Content(content_wh=55_000.0, full_wh=60_000.0), None) == 0.0
    assert left_wh(target, None, 500.0) is None
    assert left_wh(DriverNeed(resource_id="r", departure=at(HOUR), asked_at=T0), None, 1.0) is None
    unknown = feasibility(target, None, resource(), by(), T0)
    assert (unknown.shortfall_wh, unknown.words) == (0.0, "the state of charge is not known: nobody can say")


def test_ven_12_each_event_is_judged_alone() -> None:
    found = by_event(
        NEED, 30_000.0, resource(), by(cap("e-1", 0.0), cap("e-2", 16.0), cap("e-3", 0.0, start_s=9_000)), T0
    )
    assert {name: round(each.shortfall_wh) for name, each in found.items()} == {"e-1": 7_920, "e-2": 0}


def test_ven_12_what_must_run_leaves_as_few_events_as_it_needs() -> None:
    limits = by(cap("e-1", 0.0), cap("e-2", 16.0, start_s=HOUR, end_s=2 * HOUR))
    chosen, stands = to_leave(NEED, 30_000.0, resource(), limits, T0)
    assert (chosen, stands.shortfall_wh) == (("e-1",), 0.0)
    assert to_leave(NEED, 40_000.0, resource(), limits, T0)[0] == ("e-1", "e-2")
    assert to_leave(NEED, 1_000.0, resource(), limits, T0)[0] == ()


def test_ven_12_only_what_may_not_be_left_makes_it_miss() -> None:
    firm = by(cap("e-1", 0.0, overridable=False), cap("e-2", 0.0))
    chosen, stands = to_leave(NEED, 30_000.0, resource(), firm, T0)
    assert (chosen, round(stands.shortfall_wh)) == ((), 7_920)
    site = StandingCap(source=Source.SITE, limit_a=6.0, reason="fuse")
    assert to_leave(NEED, 30_000.0, resource(), by(cap("e-1", 8.0), standing=(site,)), T0)[0] == ()


# -- minded by the bridge ----------------------------------------------------------------------------------------------


@pytest.fixture
async def world(bridge_db: AsyncEngine) -> AsyncIterator[World]:
    found = World(bridge_db, [SimCharger("CP1", battery_wh=60_000.0)], resources=[resource(battery_wh=60_000.0)])
    found.supervisor.fleet.connected("CP1", T0)
    found.supervisor.fleet.transaction("CP1", True, T0)
    await found.start()
    found.park.meter(found.supervisor.fleet, 0.0)
    yield found
    await found.close()


def asked(**changes: object) -> dict[str, object]:
    return {"resourceID": "evse-1", "departure": "2026-03-02T16:00:00Z", "kWhNeeded": 30} | changes


async def test_ven_12_a_driver_is_told_what_events_cost_and_keeps_the_need_over_a_restart(world: World) -> None:
    await world.publish(event(capacity((HOUR, 0.0)), context=EMERGENCY))
    async with api_of(world) as call:
        status, made = await call("PUT", "/api/v1/needs", asked())
        assert (status, made["source"], made["mustRun"], made["kWhNeeded"]) == (200, "driver", False, 30.0)
        assert made["stands"] == {
            "feasible": False,
            "kWhLeft": 30.0,
            "kWhReachable": 21.16,  # the emergency is released at random, here after 150 s
            "kWhShortfall": 8.84,
            "words": "8.8 kWh short of 30.0 kWh at departure",
        }
        assert [(each["eventID"], each["stands"]["feasible"]) for each in made["events"]] == [("event-1", False)]
        await world.restart()
    async with api_of(world) as call:
        [known] = (await call("GET", "/api/v1/needs"))[1]
        assert known["kWhNeeded"] == 30.0
        assert (await call("DELETE", "/api/v1/needs/evse-1"))[0] == 204
        assert (await call("DELETE", "/api/v1/needs/evse-1"))[0] == 404


async def test_ven_12_what_must_run_leaves_the_event_and_the_vtn_is_told(world: World) -> None:
    await world.publish(event(simple((2 * HOUR, 3))))
    await world.step(30)
    async with api_of(world) as call:
        _, made = await call("PUT", "/api/v1/needs", asked(mustRun=True))
        assert made["stands"]["feasible"] is False
    await world.step(15)
    assert world.outcome() == ("opted_out", "driver override: must run: departure 16:00Z")
    assert [(each.opt_type.value, each.reason) for each in world.upstream.opts] == [("optOut", "overrideStatus")]
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0
    await world.step(2 * HOUR, every=300)
    assert world.supervisor.needs == {}  # it ended at its departure


async def test_ven_12_arb_07_a_need_ends_with_its_session(world: World) -> None:
    await world.supervisor.ask_need(NEED)
    assert world.supervisor.needs["evse-1"].session == "tx-1"
    world.park["CP1"].session_name = "tx-2"
    await world.step(15)
    assert world.supervisor.needs == {}


async def test_ven_12_a_need_before_the_car_comes_belongs_to_the_next_session(world: World) -> None:
    fleet = world.supervisor.fleet
    fleet.transaction("CP1", False, T0)
    world.park["CP1"].session = False
    await world.supervisor.ask_need(NEED)
    assert world.supervisor.needs["evse-1"].session == ""
    fleet.transaction("CP1", True, T0)
    world.park["CP1"].session, world.park["CP1"].session_name = True, "tx-2"
    await world.step(15)
    assert world.supervisor.needs["evse-1"].session == "tx-2"


async def test_ven_12_a_car_speaks_for_itself_until_its_driver_does(world: World) -> None:
    fleet, said = (
        world.supervisor.fleet,
        CarNeeds(session="tx-1", departure=at(HOUR), full_soc=0.9, battery_wh=80_000.0),
    )
    fleet.needs("CP1", said, T0)
    await world.round()
    need = world.supervisor.needs["evse-1"]
    assert (need.source, need.target_soc, need.session) == (CAR, 0.9, "tx-1")
    view = world.supervisor.stands(need, T0)
    assert view.stands.left_wh == pytest.approx(32_000.0)  # 40 % of 80 kWh
    await world.supervisor.ask_need(NEED)
    fleet.needs("CP1", said, T0)
    await world.round()
    assert world.supervisor.needs["evse-1"].source == "driver"
    await world.supervisor.end_need("evse-1")
    for useless in (
        CarNeeds(session="tx-1", energy_wh=5_000.0),
        CarNeeds(session="tx-1", energy_wh=5_000.0, departure=T0 - timedelta(seconds=1)),
        CarNeeds(session="tx-1", departure=at(HOUR)),
    ):
        fleet.needs("CP1", useless, T0)
        await world.round()
        assert world.supervisor.needs == {}
    fleet.needs("CP1", CarNeeds(session="tx-1", energy_wh=5_000.0, departure=at(HOUR)), T0)
    await world.round()
    assert world.supervisor.needs["evse-1"].energy_wh == 5_000.0


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (asked(resourceID="nobody"), 404, "nobody"),
        (asked(kWhNeeded=None), 400, "exactly one"),
        (asked(socTarget=0.8), 400, "exactly one"),
        (asked(departure="2026-03-02T16:00:00"), 400, "offset"),
        (asked(departure="2026-03-02T13:00:00Z"), 400, "over"),
        (asked(kWhNeeded=-1), 400, "kWhNeeded"),
    ],
)
async def test_ven_12_a_senseless_need_is_refused(world: World, body: object, status: int, word: str) -> None:
    async with api_of(world) as call:
        answer, problem = await call("PUT", "/api/v1/needs", body)
        assert (answer, word in problem["detail"]) == (status, True)
        assert (await call("GET", "/api/v1/needs"))[1] == []
        _, known = await call("PUT", "/api/v1/needs", asked(kWhNeeded=None, socTarget=0.8, kWhBattery=50))
        assert known["stands"]["kWhLeft"] == 15.0
