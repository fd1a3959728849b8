"""Overrides with a budget, opt schedules ahead, and resources taken out of service."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.arbiter import SCHEDULE, SUSPENSION
from bridge.overrides import Budget, OverrideRefused
from bridge.program import EventClass
from openadr.model import Availability, OptType
from openadr.times import Duration
from tests.bridge.parts import EMERGENCY, QUICK, SimCharger, World, at, event, simple
from ven.opts import ScheduleOpt

ONCE = replace(QUICK, budget=Budget(per_day=1))
DAY_S = 86_400


async def override(world: World, event_id: str | None = None) -> str:
    made = await world.supervisor.override("evse-1", event_id=event_id, reason="doctor", duration_s=None, source="user")
    return made.override_id


async def test_arb_06_one_override_a_day_then_refused_with_the_rule(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], settings=ONCE)
    await world.start()
    await world.publish(event(simple((600, 2))), event(simple((600, 2)), event_id="event-2", start=at(3600)))
    first = await override(world, "event-1")
    assert await override(world, "event-1") == first, "asked again is no second one"
    await world.supervisor.end_override(first)
    with pytest.raises(OverrideRefused) as refusal:
        await override(world, "event-2")
    assert (refusal.value.rule, "1 of 1 times in 24 h" in refusal.value.detail) == ("ARB-06", True)
    await world.restart()
    with pytest.raises(OverrideRefused):
        await override(world, "event-2")


async def test_arb_06_the_budget_is_back_after_a_day_and_bounded_by_the_week(bridge_db: AsyncEngine) -> None:
    settings = replace(QUICK, budget=Budget(per_day=1, per_week=2))
    world = World(bridge_db, [SimCharger("CP1")], settings=settings)
    await world.start()
    for number in range(3):
        world.clock.advance(DAY_S + 1)
        name = f"event-{number}"
        await world.publish(event(simple((600, 2)), event_id=name, start=world.clock.now()))
        if number < 2:
            await override(world, name)
    with pytest.raises(OverrideRefused, match="7 days"):
        await override(world, "event-2")


async def test_arb_05_classes_that_cost_no_budget_may_be_overridden_again_and_again(bridge_db: AsyncEngine) -> None:
    free = replace(QUICK, budget=Budget(per_day=1, classes=frozenset({EventClass.REGULATION})))
    world = World(bridge_db, [SimCharger("CP1")], settings=free)
    await world.start()
    await world.publish(event(simple((600, 2))))
    for _ in range(3):
        await world.supervisor.end_override(await override(world, "event-1"))


async def test_arb_06_a_driver_at_the_charger_has_the_same_budget(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], settings=ONCE)
    await world.start()
    await world.publish(event(simple((600, 2))))
    await world.supervisor.end_override(await override(world))
    world.supervisor.fleet.driver_action("CP1", "override", world.clock.now())
    await world.round()
    assert world.supervisor.overrides == ()


async def test_ven_08_an_override_counts_at_once_though_the_charger_does_not_answer(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    world.park["CP1"].answers = asyncio.Event()
    world.upstream.send(event(simple((600, 2))))
    world.supervisor.events_changed()
    await world.supervisor.reconcile(world.clock.now())
    for _ in range(3):
        await asyncio.sleep(0)
    assert world.supervisor.dispatcher.in_flight == 1
    await override(world)
    assert [each.reason for each in await world.store.overrides()] == ["doctor"]
    assert world.outcome()[0] == "opted_out"
    assert [opt.opt_type for opt in world.upstream.opts] == [OptType.OPT_OUT]
    world.park["CP1"].answers.set()
    await world.round()
    assert world.park["CP1"].schedules == {}


async def test_arb_07_an_opt_out_sticks_until_the_event_ends_through_modifications(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((600, 2))))
    await override(world)
    await world.publish(event(simple((600, 3)), modification=1))
    await world.step(60)
    assert world.park["CP1"].schedules == {}
    await world.publish(event(simple((600, 2)), event_id="event-2"))
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0, "the next event applies"
    await world.step(700)
    assert world.supervisor.overrides == ()


async def test_ven_06_an_opt_schedule_is_told_ahead_and_keeps_events_away_but_no_emergency(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    made = await world.supervisor.opt_ahead("evse-1", source=SCHEDULE, start=at(100), end=at(400), reason="night shift")
    assert world.upstream.schedules == [
        (
            made.opt_id,
            ScheduleOpt(
                windows=(Availability(dtstart=at(100), duration=Duration(seconds=300)),),
                resource_ids=("evse-1",),
                opt_type=OptType.OPT_OUT,
                reason="x-schedule",
            ),
        )
    ]
    await world.publish(event(simple((600, 2))))
    await world.step(90)
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    await world.restart()
    await world.step(60)
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0
    assert world.outcome()[0] == "opted_out"
    await world.publish(event(simple((60, 3)), event_id="event-2", context=EMERGENCY, start=world.clock.now()))
    assert world.park["CP1"].draw_a(world.clock.now()) == 0.0
    await world.step(400)
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    assert world.supervisor.overrides == ()
    assert len(world.upstream.schedules) == 1
    with pytest.raises(OverrideRefused, match="over before it begins"):
        await world.supervisor.opt_ahead("evse-1", source=SCHEDULE, start=at(0), end=at(1), reason="late")


async def test_ven_09_a_suspended_resource_is_cleared_then_left_alone_and_its_meter_goes_on(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((3600, 2))), event(simple((3600, 3)), event_id="event-2", context=EMERGENCY))
    await world.step(30)
    made = await world.supervisor.opt_ahead(
        "evse-1", source=SUSPENSION, start=world.clock.now(), end=None, reason="rebuilding"
    )
    await world.round()
    assert world.park["CP1"].schedules == {}
    [(_, told)] = world.upstream.schedules
    assert told.reason == "notParticipating"
    assert told.windows == (Availability(dtstart=at(30), duration=Duration()),)
    sent = len(world.park["CP1"].sent)
    await world.publish(event(simple((600, 1)), event_id="event-3"))
    await world.step(60)
    assert len(world.park["CP1"].sent) == sent, "nothing is sent to a suspended resource"
    assert {world.outcome(name)[0] for name in ("event-1", "event-2", "event-3")} == {"opted_out"}
    assert len(await world.store.samples(("CP1",), at(30), at(100))) > 5
    again = await world.supervisor.opt_ahead(
        "evse-1", source=SUSPENSION, start=world.clock.now(), end=None, reason="twice"
    )
    assert again.override_id == made.override_id
    await world.supervisor.end_override(made.override_id)
    await world.round()
    assert world.upstream.cancelled == [made.opt_id]
    assert world.park["CP1"].draw_a(world.clock.now()) == 0.0


async def test_ven_06_without_a_registration_the_telling_waits(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    world.upstream.unregistered = True
    made = await world.supervisor.opt_ahead("evse-1", source=SCHEDULE, start=at(100), end=at(400), reason="later")
    assert (made.opt_id, world.upstream.schedules) == ("", [])
    await world.step(40)
    world.upstream.unregistered = False
    await world.step(40)
    assert len(world.upstream.schedules) == 1
    world.upstream.unregistered = True
    await world.supervisor.end_override(made.override_id)
    assert (world.supervisor.overrides, world.upstream.cancelled) == ((), [])
    with pytest.raises(KeyError):
        await world.supervisor.end_override(made.override_id)
