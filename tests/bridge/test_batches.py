"""Long work in small parts: nothing is lost or turned around, others get their turn, and an override its place."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.batches import batches, gathered
from bridge.supervisor import LOOKED
from tests.bridge.parts import SimCharger, World, event, simple

MANY = 2 * LOOKED + 100


def test_parts_keep_everything_in_order() -> None:
    assert [list(part) for part in batches(range(5), 2)] == [[0, 1], [2, 3], [4]]
    assert list(batches((), 2)) == []


async def test_gathering_gives_way_to_others() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    assert await gathered(iter(range(10)), 3) == list(range(10))
    assert turns == 3
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_ven_08_an_override_does_not_wait_until_an_event_has_reached_everybody(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger(f"CP{i}") for i in range(MANY)])
    await world.start()
    while await world.supervisor.reconcile(world.clock.now()):
        await world.supervisor.dispatcher.settle()
    world.upstream.send(event(simple((900, 2))))
    world.supervisor.events_changed()
    assert await world.supervisor.reconcile(world.clock.now()), "there is more to do"
    await world.supervisor.dispatcher.settle()
    limited = [name for name, charger in world.park.by_identity.items() if charger.schedules]
    assert len(limited) <= LOOKED
    last = f"evse-{MANY - 1}"
    await world.supervisor.override(last, event_id=None, reason="late", duration_s=None, source="user")
    rounds = 1
    while await world.supervisor.reconcile(world.clock.now()):
        await world.supervisor.dispatcher.settle()
        rounds += 1
    await world.supervisor.dispatcher.settle()
    assert rounds <= 2 * MANY // LOOKED + 2
    now = world.clock.now()
    free = [name for name in world.supervisor.resources if world.supervisor.effective(name, now).limit_a is None]
    assert free == [last]
    unlimited = [name for name, charger in world.park.by_identity.items() if charger.draw_a(now) > 16.0]
    assert unlimited == [f"CP{MANY - 1}"]
