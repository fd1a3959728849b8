"""Random windows: one for each resource, set from afar, watched for steps; and exactly one layer that delays."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.ocpp.owndelay import own_delay_s
from bridge.plan import Draw, KnownEvent, plan, scenes, spread_s, start_window_s
from bridge.spread import step
from bridge.watch import Facts, Thresholds, conditions
from tests.bridge.parts import (
    AGGREGATOR,
    DNO,
    EMERGENCY,
    PROGRAMMES,
    VEN_ID,
    SimCharger,
    World,
    at,
    capacity,
    event,
    resource,
    simple,
)

PROGRAMME = PROGRAMMES.by_context[DNO]


def test_rnd_04_the_event_s_window_goes_first_then_the_resource_s_then_the_programme_s() -> None:
    silent, said = event(simple((60, 2)), startafter=None), event(simple((60, 2)), startafter=30)
    own = resource(random_window_s=1200)
    assert [start_window_s(silent, PROGRAMME, each) for each in (resource(), own)] == [600.0, 1200]
    assert start_window_s(said, PROGRAMME, own) == 30.0
    emergency = event(capacity((60, 0.0)), context=EMERGENCY, startafter=30)
    assert start_window_s(emergency, PROGRAMMES.by_context[EMERGENCY], own) == 0.0


def test_rnd_04_a_window_counts_for_events_that_come_after_it() -> None:
    on = resource(random_windows=((at(100), 60), (at(200), None), (at(300), 0)), random_window_s=1200)
    assert [on.window_s(at(second)) for second in (0, 100, 250, 300)] == [1200, 60, 1200, 0]
    assert on.window_s(None) == 0


async def test_rnd_04_a_window_is_set_from_afar_outlives_a_restart_and_moves_no_running_event(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    world.clock.advance(10)
    await world.supervisor.set_window("evse-1", 100)
    await world.publish(event(simple((900, 2)), startafter=None))
    [plan_] = world.supervisor.planner.plans["evse-1"]
    assert plan_.timing.start_offset_s == 300, "learnt before the window was set: half of the programme's 600 s"
    world.upstream.stored.clear()
    await world.restart()
    later = event(simple((900, 2)), event_id="event-2", startafter=None, start=at(5000))
    world.upstream.send(later)
    stored = world.upstream.stored["event-2"]
    world.upstream.stored["event-2"] = type(stored)(
        event=stored.event, received_at=at(20), opt_type=stored.opt_type, request_id=stored.request_id
    )
    world.supervisor.events_changed()
    await world.round()
    [plan_] = world.supervisor.planner.plans["evse-1"]
    assert plan_.timing.start_offset_s == 50
    with pytest.raises(KeyError):
        await world.supervisor.set_window("nobody", 5)


def test_rnd_04_a_fleet_whose_windows_are_too_short_for_it_is_steep() -> None:
    assert not step("e", [(22.0, 1.0)] * 10).steep, "no grid notices ten chargers"
    thousand = [(22.0, 600.0)] * 1000
    assert not step("e", thousand).steep
    assert step("e", [(22.0, 20.0)] * 1000).steep
    assert step("e", [(22.0, 600.0)] * 20_000).most_kw_s == 500.0
    assert step("e", [(22.0, 600.0)] * 20_000).steep, "one size of window is too short for a fleet that has grown"


def test_rnd_04_a_steep_event_is_an_alert() -> None:
    steps = (step("event-1", [(22.0, 20.0)] * 1000), step("event-2", [(22.0, 600.0)] * 1000))
    [found] = conditions(Facts(steps=steps), Thresholds())
    assert (found.kind, found.subject) == ("event_steep", "event-1")
    assert found.text.endswith("1100 kW/s of 22000 kW, at most 220 kW/s")


async def test_rnd_04_a_steep_event_is_said_once_and_shown(
    bridge_db: AsyncEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    on = [resource(number, max_a=1000.0) for number in (1, 2)]
    world = World(bridge_db, [SimCharger("CP1"), SimCharger("CP2")], resources=on)
    await world.start()
    await world.publish(event(simple((900, 2)), startafter=5, start=at(600)))
    await world.publish(event(simple((900, 2)), event_id="event-2", startafter=600, start=at(600)))
    await world.publish(event(capacity((900, 0.0)), event_id="event-3", context=EMERGENCY, start=at(600)))
    shown = {each.event_id: (round(each.kw_s), each.steep) for each in world.supervisor.planner.steps}
    assert shown == {"event-1": (276, True), "event-2": (2, False), "event-3": (0, False)}
    out = capsys.readouterr().out
    assert out.count("faster than its ramp limit") == 1


def test_rnd_05_a_charger_that_delays_by_itself_is_not_delayed_by_us() -> None:
    own, given_event = resource(own_delay_s=600), event(simple((300, 2)), startafter=300, context=AGGREGATOR)
    draw = {("event-1", "evse-1"): Draw(event_id="event-1", resource_id="evse-1", start_u=0.99, release_u=0.99)}
    [theirs] = plan([KnownEvent(event=given_event)], PROGRAMMES, [own], draw, VEN_ID)
    assert (theirs.timing.start_offset_s, theirs.timing.release_offset_s) == (0, 0)
    [ours] = plan([KnownEvent(event=given_event)], PROGRAMMES, [resource()], draw, VEN_ID)
    assert ours.timing.start_offset_s > 290
    assert ours.timing.release_offset_s > 50
    [scene] = scenes([KnownEvent(event=given_event)], PROGRAMMES, (own,), VEN_ID, frozenset())
    assert spread_s(scene) == 600, "its own delay counts as the window"


def test_rnd_05_a_ramp_is_not_shifted_by_a_second_draw() -> None:
    given_event = event(simple((600, 3)), ramp_up=400)
    for u in (0.0, 0.5, 0.99):
        draw = {("event-1", "evse-1"): Draw(event_id="event-1", resource_id="evse-1", start_u=u, release_u=u)}
        [found] = plan([KnownEvent(event=given_event)], PROGRAMMES, [resource(own_delay_s=60)], draw, VEN_ID)
        assert found.caps[0].start == at(-400)


async def test_rnd_05_its_own_delay_is_time_to_settle_and_no_failure(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", ignores=True)], resources=[resource(own_delay_s=120)])
    await world.start()
    await world.publish(event(simple((900, 2))))
    await world.step(120)
    assert world.outcome()[0] == "applied", "it may still be waiting"
    world.park["CP1"].ignores = False
    await world.step(60)
    assert world.outcome()[0] == "verified"


def test_rnd_05_what_a_charger_says_of_its_own_delay_is_read_by_the_vendor_s_key() -> None:
    assert own_delay_s({"RandomisedDelayDuration": "600"}) == 600
    assert own_delay_s({"RandomisedDelay": "90.0"}) == 90
    assert own_delay_s({"RandomisedDelayDuration": "600000", "RandomisedDelay": "0"}) == 0, (
        "milliseconds are no seconds"
    )
    assert own_delay_s({"RandomisedDelayDuration": "true"}) is None
    assert own_delay_s({}) is None


async def test_rnd_05_a_charger_that_says_that_it_delays_is_delayed_by_nobody_else(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", own_delay_s=300), SimCharger("CP2", own_delay_s=0)])
    await world.start()
    await world.publish(event(simple((900, 2)), startafter=60))
    offsets = {name: plans[0].timing.start_offset_s for name, plans in world.supervisor.planner.plans.items()}
    assert offsets == {"evse-1": 0, "evse-2": 30}
