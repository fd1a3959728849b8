"""VEN-13: fatigue limits, service floors and plug-ins: pure decisions, and the bridge that keeps them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.load_settings import LoadSection
from bridge.service import Past, Promise, decide, dropped
from openadr.model import OptType
from tests.bridge.api.test_api import api_of
from tests.bridge.parts import EMERGENCY, SimCharger, World, at, capacity, event, resource

HOUR, DAY = 3600, 86_400


def past(number: int, start_h: float, hours: float = 1.0, **changes: object) -> Past:
    base = Past(event_id=f"e-{number}", start=at(start_h * HOUR), end=at((start_h + hours) * HOUR))
    return replace(base, **changes)  # type: ignore[arg-type]


def rests(promise: Promise, *events: Past) -> dict[str, str]:
    return {name: found.rest for name, found in decide(promise, events).items() if found.rest}


def test_ven_13_events_a_week_are_counted_from_each_start_and_emergencies_count_but_never_rest() -> None:
    promise = Promise(events_per_week=2)
    events = [past(1, 0), past(2, 24), past(3, 48), past(4, 49, emergency=True), past(5, 7 * 24 + 1)]
    assert rests(promise, *events) == {
        "e-3": "it has had 2 of 2 events in 7 days",
        "e-5": "it has had 2 of 2 events in 7 days",  # the emergency of hour 49 and the event of hour 24
    }
    assert rests(promise, past(1, 0), past(2, 24), past(3, 7 * 24)) == {}  # the first is a week ago


def test_ven_13_a_gap_lies_between_two_events() -> None:
    promise = Promise(gap_hours=4.0)
    assert rests(promise, past(1, 0), past(2, 4.9)) == {"e-2": "its last event is less than 4 h before"}
    assert rests(promise, past(1, 0), past(2, 5)) == {}
    assert list(rests(promise, past(1, 0, end=None), past(2, 90))) == ["e-2"]


def test_ven_13_the_floor_holds_but_for_the_stops_that_are_agreed() -> None:
    promise = Promise(floor=0.5, stops_per_week=1)
    events = [past(1, 0, deep=True), past(2, 24, deep=True), past(3, 30), past(4, 48, deep=True, emergency=True)]
    found = decide(promise, events)
    assert [each.raised for each in found.values()] == [False, True, False, False]


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 20), st.booleans()), max_size=12),
    st.integers(1, 4),
    st.tuples(st.integers(0, 400), st.integers(1, 20)),
)
def test_property_ven_13_a_later_event_never_takes_back_an_earlier_one(
    events: list[tuple[int, int, bool]], most: int, new: tuple[int, int]
) -> None:
    promise = Promise(events_per_week=most, gap_hours=2.0, floor=0.5)
    known = [past(i, start, length, deep=deep) for i, (start, length, deep) in enumerate(events)]
    before, after = decide(promise, known), decide(promise, [*known, past(99, *new)])
    for each in known:
        if each.start < at(new[0] * HOUR):
            assert before[each.event_id] == after[each.event_id]


def test_ven_13_a_fall_in_plug_ins_is_flagged_once_there_were_enough() -> None:
    now, day = at(28 * DAY), timedelta(days=1)
    daily = [now - n * day for n in range(28)]
    assert dropped(daily, now) == (14, 14, False)
    assert dropped(daily[14:], now) == (0, 14, True)
    assert dropped([now - 20 * day] * 3, now) == (0, 3, False)  # too few to say anything
    assert dropped([now - 20 * day] * 4 + [now - day] * 3, now) == (3, 4, False)


# -- kept by the bridge ------------------------------------------------------------------------------------------------


@pytest.fixture
async def world(bridge_db: AsyncEngine) -> AsyncIterator[World]:
    promise = Promise(events_per_week=2, hours_per_event=1.0, floor=0.5)
    resources = [resource(1, promise=promise), resource(2)]
    found = World(bridge_db, [SimCharger("CP1"), SimCharger("CP2")], resources=resources)
    await found.start()
    yield found
    await found.close()


def limits(world: World, identity: str = "CP1") -> float:
    return world.park[identity].draw_a(world.clock.now())


async def test_ven_13_an_event_is_raised_to_the_floor_and_let_go_in_time(world: World) -> None:
    await world.publish(event(capacity((2 * HOUR, 0.25))))
    await world.step(60)
    assert (limits(world), limits(world, "CP2")) == (16.0, 8.0)
    [cap] = world.supervisor.planner.plans["evse-1"][0].caps
    assert cap.reason.endswith("raised to the agreed 50 % = 16 A (VEN-13)")
    assert world.outcome()[0] == "verified"
    await world.step(HOUR, every=300)
    assert (limits(world), limits(world, "CP2")) == (32.0, 8.0)  # an hour is what was agreed


async def test_ven_13_an_emergency_is_no_matter_of_contract(world: World) -> None:
    await world.publish(event(capacity((2 * HOUR, 0.0)), context=EMERGENCY))
    await world.step(HOUR + 60, every=300)
    assert limits(world) == 0.0


async def test_ven_13_a_tired_resource_rests_over_a_restart_and_the_vtn_is_told_why(world: World) -> None:
    for number in (1, 2):
        await world.publish(event(capacity((600, 0.75)), event_id=f"event-{number}", start=at((number - 1) * 900)))
        await world.step(900, every=60)
    await world.restart()
    await world.publish(event(capacity((600, 0.75)), event_id="event-3", start=at(1800)))
    await world.step(60)
    assert (limits(world), limits(world, "CP2")) == (32.0, 24.0)
    told = [(each.event_id, each.resource_ids, each.opt_type, each.reason) for each in world.upstream.opts]
    assert told == [("event-3", ("evse-1",), OptType.OPT_OUT, "notParticipating")]
    assert world.supervisor.planner.refused[0].reason == "evse-1 rests: it has had 2 of 2 events in 7 days"
    async with api_of(world) as call:
        mine, other = (await call("GET", "/api/v1/service"))[1]
        assert (mine["resourceID"], mine["eventsPerWeek"], mine["eventsLastWeek"]) == ("evse-1", 2, 2)
        assert (other["eventsPerWeek"], other["eventsLastWeek"]) == (0, 3)


async def test_ven_13_plug_ins_are_counted_once_over_restarts_and_a_fall_is_flagged(world: World) -> None:
    for number in range(5):
        world.park["CP1"].session_name = f"tx-{number}"
        await world.step(10)
    await world.restart()
    await world.step(10)
    now = world.clock.now()
    assert world.supervisor.plug_ins("evse-1", now) == (5, 0, False)
    later = now + timedelta(days=15)
    assert world.supervisor.plug_ins("evse-1", later) == (0, 5, True)
    await world.supervisor.flag_dropped(later)
    await world.supervisor.flag_dropped(now + timedelta(days=40))
    assert world.supervisor.plug_ins("evse-1", now) == (0, 0, False)


def test_ven_13_the_terms_come_from_the_settings() -> None:
    section = LoadSection.model_validate(
        {"identity": "CP1", "resource_id": "evse-1", "promise": {"events_per_week": 3, "floor": 0.5}}
    )
    assert section.resource.promise == Promise(events_per_week=3, floor=0.5)


async def test_ven_13_what_begins_after_the_agreed_time_is_left_out(world: World) -> None:
    await world.publish(event(capacity((2 * HOUR, 0.75), (HOUR, 0.5))))
    [plan] = world.supervisor.planner.plans["evse-1"]
    assert [(cap.limit_a, cap.end) for cap in plan.caps] == [(24.0, at(HOUR))]
    await world.publish(event(capacity((600, 0.75)), event_id="event-2", start=at(4 * HOUR)))
    assert [each.over for each in world.supervisor.planner.plans["evse-1"]] == [at(HOUR), at(4 * HOUR + 600)]
