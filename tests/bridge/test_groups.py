"""Sites and groups under one limit: shared, kept while cars come and go, over restarts and without contact."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.allocate import GroupLimit, Strategy
from bridge.arbiter import Source, StandingCap
from bridge.fleet import Charger
from bridge.groups import Facts, Group, Sharing, divide, held_a, member
from bridge.resources import Kind, Resource
from bridge.standing import UnknownTarget, on_resource
from bridge.store import Installed, StandingLimit
from bridge.store.records import InstallState
from bridge.target import LimitPeriod, LimitSchedule, MeterReading
from tests.bridge.parts import QUICK, T0, SimCharger, World, at, event, resource, simple

SITE = Group(group_id="depot", source=Source.SITE, limit=GroupLimit(per_phase_a=40.0))
HELD = LimitSchedule(
    schedule_id=1,
    start=at(0),
    end=at(600),
    expires=at(660),
    periods=(LimitPeriod(start_s=0, limit_a=10.0),),
    source="site",
    reason="share",
)
ROW = Installed(
    charger="CP1",
    schedule=HELD,
    state=InstallState.ACCEPTED,
    detail="",
    attempts=1,
    sent_at=at(0),
    accepted_at=at(0),
)


def site(engine: AsyncEngine, count: int = 4, *, sessions: bool = False, group: Group = SITE) -> World:
    chargers = [SimCharger(f"CP{i + 1}", session=sessions) for i in range(count)]
    resources = [resource(i + 1, site="depot", groups=()) for i in range(count)]
    return World(engine, chargers, resources=resources, settings=replace(QUICK, groups=(group,)))


def drawn(world: World) -> float:
    return round(sum(each.draw_a(world.clock.now()) for each in world.park.by_identity.values()), 6)


def limits(world: World) -> list[float | None]:
    now = world.clock.now()
    return [world.supervisor.effective(name, now).limit_a for name in world.supervisor.resources]


async def test_rnd_09_a_site_s_limit_does_not_wait_though_its_chargers_come_in_a_crowd(bridge_db: AsyncEngine) -> None:
    calm = replace(QUICK.calm, rejoin_s=600.0)
    chargers = [SimCharger(f"CP{i + 1}", session=True) for i in range(12)]
    resources = [resource(i + 1, site="depot", groups=()) for i in range(12)]
    world = World(bridge_db, chargers, resources=resources, settings=replace(QUICK, groups=(SITE,), calm=calm))
    await world.start()
    await world.step(5)
    assert drawn(world) <= 40.0


async def test_arb_16_a_site_s_limit_holds_at_every_moment_while_cars_come_and_go(bridge_db: AsyncEngine) -> None:
    world = site(bridge_db)
    await world.start()
    await world.step(60)
    seen = []
    for number, begins in [(1, True), (2, True), (3, True), (4, True), (2, False), (1, False), (2, True)]:
        world.park[f"CP{number}"].session = begins
        assert drawn(world) <= 40.0, "a car that starts draws what its charger holds already"
        for _ in range(10):
            world.clock.advance(4)
            world.park.meter(world.supervisor.fleet, 4)
            await world.supervisor.reconcile(world.clock.now())
            assert drawn(world) <= 40.0
            await world.supervisor.dispatcher.settle()
            assert drawn(world) <= 40.0
        seen.append(round(drawn(world), 1))
    assert seen[0] == 32.0
    assert all(total >= 39.0 for total in seen[1:]), "and what there is, is used"


async def test_arb_16_the_shares_outlive_a_kill(bridge_db: AsyncEngine) -> None:
    world = site(bridge_db, sessions=True)
    await world.start()
    await world.step(120)
    before, sent = limits(world), [len(each.sent) for each in world.park.by_identity.values()]
    assert before == [10.0] * 4
    await world.restart()
    await world.step(30)
    assert limits(world) == before
    assert [len(each.sent) - 1 for each in world.park.by_identity.values()] == sent  # asserted once on reconnecting


async def test_arb_16_a_charger_without_contact_keeps_its_room(bridge_db: AsyncEngine) -> None:
    world = site(bridge_db, 2, sessions=True)
    await world.start()
    await world.step(60)
    assert limits(world) == [20.0, 20.0]
    world.park["CP1"].connected = False
    await world.step(60)
    assert limits(world)[1] == 20.0
    assert drawn(world) <= 40.0


async def test_arb_16_a_charger_that_refuses_its_share_is_reserved_for(bridge_db: AsyncEngine) -> None:
    world = site(bridge_db, 2, sessions=True)
    world.park["CP1"].refuses = True
    await world.start()
    await world.step(60)
    assert limits(world)[1] == 8.0  # 40 A less the 32 A that CP1 may draw
    assert drawn(world) <= 40.0


async def test_arb_04_a_car_that_comes_moves_only_whom_it_must(bridge_db: AsyncEngine) -> None:
    world = site(bridge_db, 2, group=replace(SITE, limit=GroupLimit(per_phase_a=64.0)))
    await world.start()
    await world.step(60)
    sent = len(world.park["CP1"].sent)
    world.park["CP2"].session = True
    await world.step(60)
    world.park["CP2"].session = False
    await world.step(60)
    assert len(world.park["CP1"].sent) == sent


async def test_arb_16_who_waits_takes_turns_under_round_robin(bridge_db: AsyncEngine) -> None:
    group = replace(
        SITE,
        limit=GroupLimit(per_phase_a=13.0),
        sharing=Sharing(strategy=Strategy.ROUND_ROBIN, rotate_s=100.0),
    )
    world = site(bridge_db, 3, sessions=True, group=group)
    await world.start()
    await world.step(60)
    waited = set()
    for _ in range(3):
        await world.step(100)
        waited.add(tuple(name for name, limit in zip("abc", limits(world), strict=True) if limit == 0.0))
        assert drawn(world) <= 13.0
    assert waited == {("a",), ("b",), ("c",)}


async def test_arb_02_an_event_under_a_site_s_limit_frees_room_for_the_others(bridge_db: AsyncEngine) -> None:
    world = site(bridge_db, 2, sessions=True)
    await world.start()
    await world.step(60)
    one = event(simple((600, 3)), start=at(60))
    target = replace(one.target, resource_ids=("evse-1",))
    await world.publish(replace(one, target=target))
    await world.step(60)
    assert limits(world) == [0.0, 32.0]
    assert drawn(world) <= 40.0
    for _ in range(140):  # the event ends: nobody rises before the other has made room
        world.clock.advance(5)
        world.park.meter(world.supervisor.fleet, 5)
        await world.supervisor.reconcile(world.clock.now())
        await world.supervisor.dispatcher.settle()
        assert drawn(world) <= 40.0
    assert limits(world) == [20.0, 20.0]


async def test_arb_16_a_share_grows_again_when_an_event_ends_that_asked_for_no_less(bridge_db: AsyncEngine) -> None:
    world = site(bridge_db, 2, sessions=True)
    await world.start()
    await world.step(60)
    target = replace(event(simple((300, 1))).target, resource_ids=("evse-1",))
    tight = event(simple((300, 3)), event_id="stop", start=at(60), target=replace(target, resource_ids=("evse-2",)))
    await world.publish(replace(event(simple((120, 1)), start=at(60)), target=target), tight)
    await world.step(100)
    assert limits(world) == [24.0, 0.0]
    await world.step(60)  # its event is over, and no command has told it: the share was as low as the event
    assert limits(world) == [32.0, 0.0]


async def test_arb_11_a_supervisory_cap_on_a_group_reduces_all_and_the_rest_resumes(bridge_db: AsyncEngine) -> None:
    world = site(bridge_db, 2, sessions=True)
    await world.start()
    await world.step(60)
    cap = StandingLimit(
        limit_id="limit-1",
        source=Source.DSO,
        resource_id=None,
        group_id="depot",
        limit_a=None,
        limit_kw=11.04,
        reason="overload",
        start=world.clock.now(),
        end=world.clock.now() + timedelta(seconds=300),
    )
    await world.supervisor.set_standing(cap)
    await world.round()
    now = world.clock.now()
    found = world.supervisor.effective("evse-1", now)
    assert (found.limit_a, found.source, found.category) == (8.0, "dso", "SO")
    assert found.reason == "share 8 A of 11.04 kW of site depot, proportional; overload"
    assert found.losers == ("site (20 A)",)
    await world.restart()
    await world.step(5)
    assert limits(world) == [8.0, 8.0]
    await world.step(400)
    assert limits(world) == [20.0, 20.0]
    assert await world.store.standing() == ()


async def test_arb_11_a_standing_cap_on_one_resource_counts_until_it_is_taken_back(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    cap = StandingLimit(
        limit_id="limit-1",
        source=Source.USER,
        resource_id="evse-1",
        group_id=None,
        limit_a=12.0,
        limit_kw=None,
        reason="my fuse",
        start=T0,
        end=None,
    )
    await world.supervisor.set_standing(cap)
    await world.step(5)
    assert world.park["CP1"].draw_a(world.clock.now()) == 12.0
    schedule = world.park["CP1"].schedules[1]
    assert (schedule.end - world.clock.now()).total_seconds() > 80_000, "a site is protected while the bridge is down"
    await world.supervisor.end_standing("limit-1")
    await world.step(5)
    assert world.park["CP1"].schedules == {}
    with pytest.raises(KeyError):
        await world.supervisor.end_standing("limit-1")
    with pytest.raises(UnknownTarget):
        await world.supervisor.set_standing(replace(cap, resource_id="nobody"))
    with pytest.raises(UnknownTarget):
        await world.supervisor.set_standing(replace(cap, resource_id=None, group_id="nowhere"))


def test_map_08_a_cap_in_kw_is_a_per_phase_rounded_down_and_a_pause_below_6_a() -> None:
    limit = StandingLimit(
        limit_id="l",
        source=Source.DSO,
        resource_id="evse-1",
        group_id=None,
        limit_a=None,
        limit_kw=11.0,
        reason="r",
        start=at(0),
        end=None,
    )
    assert on_resource(limit, resource()).limit_a == 15.9
    assert on_resource(replace(limit, limit_kw=4.0), resource()).limit_a == 0.0
    assert on_resource(replace(limit, limit_kw=4.2), resource(phases=1)).limit_a == 18.2
    assert on_resource(replace(limit, limit_a=10.0), resource()).limit_a == 10.0
    assert on_resource(replace(limit, limit_kw=1.0), resource(kind=Kind.WATER_HEATER)).limit_a == 1.4


def facts(*, installed: Installed | None = ROW, connected: bool = True, watts: float | None = None) -> Facts:
    charger = Charger("CP1", T0)
    charger.connected = connected
    if watts is not None:
        charger.reading = MeterReading(charger="CP1", at=at(50), power_w=watts)
    return Facts(resource=resource(), charger=charger, installed=installed, ceiling_a=None)


def test_arb_16_what_a_charger_may_draw_is_its_limit_once_agreed_and_never_less_than_its_meter() -> None:
    assert held_a(facts(), at(60)) == 10.0
    assert held_a(facts(installed=None), at(60)) == 32.0
    assert held_a(facts(installed=replace(ROW, accepted_at=None)), at(60)) == 32.0
    assert held_a(facts(installed=replace(ROW, state=InstallState.REFUSED)), at(60)) == 32.0
    assert held_a(facts(), at(600)) == 32.0  # its schedule is over
    assert held_a(facts(watts=10 * 690.0), at(60)) == 10.0
    assert held_a(facts(watts=20 * 690.0), at(60)) == pytest.approx(20.0)
    assert held_a(facts(watts=20 * 690.0), at(300)) == 10.0  # too old to say anything


def test_out_09_without_contact_a_charger_is_reserved_for_or_taken_to_be_without_power() -> None:
    gone = facts(connected=False)
    assert member(gone, Sharing(), at(60)).fixed_a == 10.0
    assert member(gone, Sharing(reserve_offline=False), at(60)).fixed_a == 0.0
    assert member(facts(), Sharing(), at(60)).fixed_a is None
    assert member(replace(facts(), suspended=True), Sharing(), at(60)).fixed_a == 10.0
    assert member(replace(facts(), ceiling_a=16.0), Sharing(), at(60)).max_a == 16.0


def test_a_limit_still_to_come_is_divided_without_waiting_for_room() -> None:
    limit = GroupLimit(total_kw=6.9)
    known = [facts(installed=None)]
    found = divide(limit, Sharing(), known, {}, at(0), running=False)
    assert (found.shares, found.told, found.settled) == ({"evse-1": 10.0}, {"evse-1": 10.0}, True)


def test_a_default_limit_of_the_settings_always_holds() -> None:
    cap = StandingCap(source=Source.DEFAULT, limit_a=16.0, reason="settings")
    assert cap.contains(at(0))
    assert not replace(cap, end=at(0)).contains(at(0))
    assert not replace(cap, start=at(1)).contains(at(0))


def test_ven_02_a_resource_is_typed_and_answers_to_its_site_and_feeder() -> None:
    found: Resource = resource(site="depot", feeder="f7", groups=("g",), phases=2, wired_to=(2, 3))
    assert found.memberships == ("g", "depot", "f7")
    assert (found.lines, found.max_kw, found.least_a) == ((2, 3), 14.72, 6.0)
    assert resource(phases=2).lines == (1, 2)
    assert resource(kind=Kind.HEAT_PUMP).least_a == 0.0
