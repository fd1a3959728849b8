"""What must hold whatever comes: random events, drivers, faults and restarts against the whole bridge.

Never above the cap that counts, never between 0 and 6 A, the most restrictive wins, one end of each curtailment, and
the same inputs give the same plan.
"""

import asyncio
import random
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.arbiter import overridden_by
from bridge.overrides import OverrideRefused
from bridge.plan import Draw, KnownEvent, ResourcePlan, plan
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
    database,
    event,
    resource,
    simple,
)

CONTEXTS = (DNO, AGGREGATOR, EMERGENCY)


def least(world: World, name: str) -> float | None:
    """Return the lowest limit in force at a resource, worked out from the plans alone."""
    now, overrides = world.clock.now(), world.supervisor.desk.of(name)
    limits = [
        cap.limit_a
        for each in world.supervisor.planner.plans.get(name, ())
        for cap in each.caps
        if cap.limit_a is not None and cap.contains(now) and overridden_by(cap, overrides, now) is None
    ]
    return min(limits, default=None)


def check(world: World) -> None:
    now = world.clock.now()
    for name, on in world.supervisor.resources.items():
        charger, wanted = world.park[on.charger], least(world, name)
        effective = world.supervisor.effective(name, now)
        assert effective.limit_a == wanted, "the most restrictive wins"
        for schedule in charger.schedules.values():
            for period in schedule.periods:
                limit = period.limit_a
                assert limit is None or limit == 0.0 or 6.0 <= limit <= on.max_a, "0 A, or 6 A and more"
        if charger.connected and wanted is not None:
            assert charger.draw_a(now) <= wanted, "never above the cap"


async def story(engine: AsyncEngine, seed: int) -> None:
    """Let a fleet live through an hour of events, wishes, faults and restarts."""
    chance = random.Random(seed)
    chargers = [SimCharger(f"CP{number}") for number in (1, 2, 3)]
    world = World(engine, chargers, draws=[chance.random() for _ in range(100)])
    await world.start()
    for number in range(24):
        match chance.choice(("event", "event", "cancel", "override", "end", "offline", "restart", "session")):
            case "event":
                context = chance.choice(CONTEXTS)
                start, length = at(number * 120 + chance.randrange(0, 300)), chance.randrange(60, 600)
                signal = (
                    capacity((length, chance.choice((0.0, 0.2, 0.7))))
                    if context == EMERGENCY
                    else simple((length, chance.randrange(0, 4)))
                )
                window = chance.choice((0, 60))
                await world.publish(
                    event(signal, event_id=f"event-{number}", context=context, start=start, startafter=window)
                )
            case "cancel" if world.upstream.stored:
                world.upstream.cancel(chance.choice(sorted(world.upstream.stored)), world.clock.now())
                world.supervisor.events_changed()
            case "override":
                with suppress(OverrideRefused):
                    await world.supervisor.override(
                        "evse-1", event_id=None, reason="x", duration_s=chance.choice((None, 90.0)), source="user"
                    )
            case "end" if world.supervisor.overrides:
                await world.supervisor.end_override(world.supervisor.overrides[0].override_id)
            case "offline":
                chargers[1].connected = not chargers[1].connected
            case "restart":
                await world.restart()
            case "session":
                chargers[2].session = not chargers[2].session
        await world.round()
        check(world)
        await world.step(120, every=30)
        check(world)
    chargers[1].connected = True
    await world.step(1500, every=60)
    check(world)
    assert [each.schedules for each in chargers] == [{}, {}, {}], "every curtailment has ended"
    assert {each.phase.value for each in await world.store.outcomes()} <= {"closed"}


@pytest.mark.parametrize("seed", range(3))
def test_arb_02_map_09_whatever_comes_no_charger_is_above_its_cap_or_between_0_and_6_a(seed: int) -> None:
    async def told() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with database(Path(folder)) as engine:
                await story(engine, seed)

    asyncio.run(told())


async def test_out_02_every_curtailment_has_one_end(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    for number in range(3):
        await world.publish(event(simple((60, 2)), event_id=f"event-{number}", start=at(number * 300)))
        await world.step(30)
        sets = world.park["CP1"].sent.count("set")
        for _ in range(5):
            await world.round()
            world.supervisor.wake()
        if number == 1:
            await world.restart()
        assert world.park["CP1"].sent.count("set") == sets + (number == 1), "sent again only after a restart"
        await world.step(270)
        assert world.park["CP1"].sent.count("clear") == number + 1, "one end each"


def test_the_plan_is_a_pure_function_of_its_inputs_whatever_their_order() -> None:
    events = [
        KnownEvent(event=event(simple((600, 2)), event_id="event-1", startafter=300)),
        KnownEvent(event=event(capacity((300, 0.2)), event_id="event-2", context=EMERGENCY), cancelled_at=at(100)),
        KnownEvent(event=event(simple((600, 3)), event_id="event-3", context=AGGREGATOR, ramp_up=120)),
    ]
    fleet = [resource(1), resource(2, own_delay_s=60), resource(3)]
    draws = {
        (name, each.resource_id): Draw(event_id=name, resource_id=each.resource_id, start_u=0.3, release_u=0.7)
        for each in fleet
        for name in ("event-1", "event-2", "event-3")
    }
    first = plan(events, PROGRAMMES, fleet, draws, VEN_ID)
    assert plan(list(events), PROGRAMMES, list(fleet), dict(reversed(draws.items())), VEN_ID) == first
    turned = plan(events[::-1], PROGRAMMES, fleet[::-1], draws, VEN_ID)
    assert {(each.event_id, each.resource_id): each for each in turned} == {
        (each.event_id, each.resource_id): each for each in first
    }


async def test_the_plan_made_in_parts_and_kept_is_the_plan_made_at_once(bridge_db: AsyncEngine) -> None:
    """What is kept between rounds is never anything but what the pure function gives of the present inputs."""
    world = World(bridge_db, [SimCharger(f"CP{number}") for number in range(1, 8)], draws=[0.1 * n for n in range(10)])
    await world.start()

    async def same() -> None:
        await world.round()
        known = [
            KnownEvent(event=each.event, cancelled_at=each.cancelled_at, received_at=each.received_at)
            for each in await world.upstream.events()
        ]
        draws = await world.store.draws()
        at_once: dict[str, list[ResourcePlan]] = {}
        for each in plan(known, PROGRAMMES, world.resources, draws, VEN_ID):
            at_once.setdefault(each.resource_id, []).append(each)
        kept = {name: list(plans) for name, plans in world.supervisor.planner.plans.items()}
        assert kept == at_once

    await world.publish(event(simple((900, 2)), startafter=300))
    await same()
    await world.publish(event(simple((900, 3)), event_id="event-2", context=AGGREGATOR))
    await same()
    await world.publish(event(simple((900, 1)), startafter=300, modification=1))
    await same()
    world.upstream.cancel("event-2", at(50))
    world.supervisor.events_changed()
    await same()
    await world.restart()
    await same()
