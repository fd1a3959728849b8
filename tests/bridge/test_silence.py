"""A charger that falls silent while it is connected: nothing that was proven before says anything about now."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.bridge.parts import SimCharger, World, event, simple


async def test_out_09_a_silence_of_a_connected_charger_is_unresponsive_and_ends_with_its_next_reading(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((3600, 2))))
    await world.step(60)
    assert world.outcome()[0] == "verified"
    world.park["CP1"].silent = True
    await world.step(20)
    assert world.outcome()[0] == "verified", "a short silence is none"
    await world.step(40)
    state, reason = world.outcome()
    assert (state, "without an answer" in reason) == ("unresponsive", True)
    assert [opt.opt_type.value for opt in world.upstream.opts] == ["optOut"]
    world.park["CP1"].silent = False
    await world.step(60)
    assert world.outcome()[0] == "verified"
    assert [opt.opt_type.value for opt in world.upstream.opts] == ["optOut", "optIn"]


async def test_out_09_an_event_that_ends_inside_a_silence_says_what_was_met_before(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((300, 2))))
    await world.step(60)
    world.park["CP1"].silent = True
    world.clock.advance(1)
    await world.step(250)
    [outcome] = await world.store.outcomes(event_id="event-1")
    assert outcome.state.value == "unresponsive"
    assert "met in" in outcome.reason
    assert outcome.effective_end is not None
    assert world.clock.now() >= outcome.effective_end + timedelta(seconds=10)
