"""A planning round in small parts: others have their turn, only what changed is worked out, nobody sees half a plan."""

import asyncio
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.batches import PART, in_turns
from tests.bridge.parts import SimCharger, World, event, simple

MANY = 400


async def turns_of(work: "asyncio.Future[object]") -> int:
    """Return how often others had their turn until ``work`` was done."""
    turns = 0
    while not work.done():
        turns += 1
        await asyncio.sleep(0)
    await work
    return turns


async def test_parts_give_way_after_each() -> None:
    seen: list[list[int]] = []

    async def work() -> None:
        async for some in in_turns(range(5), 2):
            seen.append(list(some))

    assert await turns_of(asyncio.ensure_future(work())) >= 3
    assert seen == [[0, 1], [2, 3], [4]]


async def test_a_round_over_many_resources_lets_others_in_between(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger(f"CP{number}", connected=False) for number in range(MANY)])
    await world.supervisor.load()
    now = world.clock.now()
    while await world.supervisor.reconcile(now):
        pass
    plans = world.supervisor.planner.plans
    seen: set[int] = set()

    async def reader() -> None:
        while True:
            seen.add(len(plans))
            await asyncio.sleep(0)

    task = asyncio.create_task(reader())
    world.upstream.send(event(simple((900, 2))))
    world.supervisor.events_changed()
    turns = await turns_of(asyncio.ensure_future(world.supervisor.reconcile(now)))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert turns >= 3 * MANY // PART, "planning, arbitrating and looking give way"
    assert seen <= {0, MANY}, "nobody sees a plan of which a part is old"


async def test_an_event_that_has_not_changed_is_not_worked_out_again(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1"), SimCharger("CP2")])
    await world.start()
    await world.publish(event(simple((900, 2))))
    before = {name: plans[0] for name, plans in world.supervisor.planner.plans.items()}
    await world.publish(event(simple((900, 3)), event_id="event-2"))
    after = {name: plans[0] for name, plans in world.supervisor.planner.plans.items()}
    assert all(after[name] is before[name] for name in before)


async def test_what_comes_in_the_middle_of_a_round_counts_in_the_next(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger(f"CP{number}") for number in range(120)])
    await world.start()
    world.upstream.send(event(simple((900, 2))))
    world.supervisor.events_changed()
    round_ = asyncio.ensure_future(world.supervisor.reconcile(world.clock.now()))
    for _ in range(20):
        await asyncio.sleep(0)
    world.upstream.send(event(simple((900, 3)), modification=1))
    world.supervisor.events_changed()
    await round_
    await world.round()
    now: datetime = world.clock.now()
    assert {world.supervisor.effective(name, now).limit_a for name in world.supervisor.resources} == {0.0}
