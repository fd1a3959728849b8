"""The frequency guard: nothing is switched on while the frequency is low, nor off while it is high; off by default."""

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.arbiter import Source
from bridge.guard import Change, FrequencyGuard, change, held_back
from bridge.store import StandingLimit
from tests.bridge.parts import QUICK, SimCharger, World, at, event, simple

ON = FrequencyGuard(enabled=True, jitter_s=60.0)
GUARDED = replace(QUICK, guard=ON)


@pytest.mark.parametrize(
    ("have", "want", "what"),
    [(None, 16.0, Change.OFF), (16.0, None, Change.ON), (6.0, 16.0, Change.ON), (6.0, 6.0, Change.NONE)],
)
def test_rnd_11_what_a_command_does_to_the_load(have: float | None, want: float | None, what: Change) -> None:
    assert change(have, want) is what


def test_rnd_11_the_thresholds_look_at_one_direction_each() -> None:
    assert held_back(ON, Change.ON, 49.3) == "frequency guard: 49.30 Hz is below 49.4 Hz"
    assert held_back(ON, Change.OFF, 50.7) == "frequency guard: 50.70 Hz is above 50.6 Hz"
    assert held_back(ON, Change.OFF, 49.3) == held_back(ON, Change.ON, 50.7) == held_back(ON, Change.ON, 50.0) == ""
    assert held_back(ON, Change.ON, None) == held_back(FrequencyGuard(), Change.ON, 40.0) == ""


async def test_rnd_11_a_reduction_at_a_high_frequency_is_tried_again_and_told_as_held_back(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")], settings=GUARDED)
    await world.start()
    world.supervisor.note_frequency(50.7, world.clock.now())
    await world.publish(event(simple((900, 2))))
    assert world.park["CP1"].sent == []
    await world.step(5)
    assert world.outcome() == ("partial", "held back: frequency guard: 50.70 Hz is above 50.6 Hz")
    assert world.upstream.opts == [], "a refusal by the guard is no fault"
    world.supervisor.note_frequency(50.0, world.clock.now())
    await world.step(140)
    assert world.park["CP1"].sent == [], "again after 120 s and half of 60 s, as drawn"
    await world.step(60)
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    assert world.outcome()[0] == "verified"


async def test_rnd_11_a_release_waits_at_a_low_frequency_and_protection_waits_for_nothing(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")], settings=GUARDED)
    await world.start()
    await world.publish(event(simple((300, 2))))
    override = await world.supervisor.override("evse-1", event_id=None, reason="x", duration_s=None, source="user")
    await world.round()
    await world.supervisor.end_override(override.override_id)
    await world.round()
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    world.supervisor.note_frequency(49.2, world.clock.now())
    world.upstream.cancel("event-1", world.clock.now())
    world.supervisor.events_changed()
    await world.round()
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    world.supervisor.note_frequency(51.0, world.clock.now())
    limit = StandingLimit(
        limit_id="limit-1",
        source=Source.SAFETY,
        resource_id="evse-1",
        group_id=None,
        limit_a=6.0,
        limit_kw=None,
        reason="hot cable",
        start=at(0),
        end=None,
    )
    await world.supervisor.set_standing(limit)
    await world.round()
    assert world.park["CP1"].draw_a(world.clock.now()) == 6.0


async def test_rnd_11_a_driver_s_own_wish_waits_for_nothing(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], settings=GUARDED)
    await world.start()
    await world.publish(event(simple((900, 2))))
    world.supervisor.note_frequency(49.2, world.clock.now())
    await world.supervisor.override("evse-1", event_id=None, reason="x", duration_s=None, source="user")
    await world.round()
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0


async def test_rnd_11_a_stale_reading_and_a_guard_that_is_off_hold_nothing_back(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], settings=GUARDED)
    await world.start()
    world.supervisor.note_frequency(51.0, world.clock.now())
    await world.step(125)
    await world.publish(event(simple((900, 2))))
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    await world.close()
    world.settings = QUICK
    await world.restart()
    world.supervisor.note_frequency(51.0, world.clock.now())
    await world.publish(event(simple((900, 3)), modification=1))
    assert world.park["CP1"].draw_a(world.clock.now()) == 0.0
