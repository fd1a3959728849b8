"""Overrides that a second step must confirm: by the programme or by the class, through the API and at the charger."""

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.overrides import Budget, ConfirmationNeeded
from bridge.program import EventClass, Programmes
from tests.bridge.parts import QUICK, SimCharger, World, event, programme, simple

TWICE = replace(QUICK, budget=Budget(per_day=1, two_step=frozenset({EventClass.RELIABILITY}), confirm_s=60.0))


async def leave(world: World, confirmation: str | None = None) -> str:
    made = await world.supervisor.override(
        "evse-1", event_id=None, reason="doctor", duration_s=None, source="user", confirmation=confirmation
    )
    return made.override_id


async def test_arb_06_the_first_step_changes_nothing_and_the_second_counts(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], settings=TWICE)
    await world.start()
    await world.publish(event(simple((900, 2))))
    with pytest.raises(ConfirmationNeeded) as first:
        await leave(world)
    assert (world.supervisor.overrides, world.upstream.opts) == ((), [])
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    assert first.value.event_ids == ("event-1",)
    with pytest.raises(ConfirmationNeeded) as again:
        await leave(world)
    assert again.value.token == first.value.token, "the answer was lost: the same step"
    with pytest.raises(ConfirmationNeeded):
        await leave(world, "something else")
    made = await leave(world, first.value.token)
    await world.round()
    assert world.park["CP1"].schedules == {}
    assert [each.override_id for each in world.supervisor.overrides] == [made]


async def test_arb_06_a_confirmation_that_comes_too_late_is_a_first_step(bridge_db: AsyncEngine) -> None:
    programmes = Programmes.of([programme(two_step_override=True)])
    world = World(bridge_db, [SimCharger("CP1")], programmes=programmes)
    await world.start()
    await world.publish(event(simple((900, 2))))
    with pytest.raises(ConfirmationNeeded) as first:
        await leave(world)
    world.clock.advance(61)
    with pytest.raises(ConfirmationNeeded) as second:
        await leave(world, first.value.token)
    assert second.value.token != first.value.token
    assert await leave(world, second.value.token)


async def test_arb_06_at_the_charger_the_second_press_confirms(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], settings=TWICE)
    await world.start()
    await world.publish(event(simple((900, 2))))
    for seconds, count in ((0.0, 0), (0.5, 0), (10.0, 1)):
        world.clock.advance(seconds)
        world.supervisor.fleet.driver_action("CP1", "override", world.clock.now())
        await world.round()
        assert len(world.supervisor.overrides) == count, f"after {seconds} s"
    assert world.park["CP1"].schedules == {}


async def test_arb_06_where_no_policy_asks_for_it_one_step_is_enough(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((900, 2))))
    assert await leave(world)
