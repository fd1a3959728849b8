"""No limit stays on a charger, and none is lost or repeated, when links, clocks and the database fail in between."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store.records import InstallState
from bridge.target import CommandOutcome, CommandResult, LimitSchedule
from tests.bridge.parts import QUICK, Park, SimCharger, World, at, capacity, event, simple


async def test_out_02_a_clear_in_mid_event_is_tried_until_the_schedule_has_expired(bridge_db: AsyncEngine) -> None:
    """A cancelled event must not curtail its driver to the end because a charger was busy for a few minutes."""
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(capacity((3000, 0.0))))
    await world.step(60)
    world.park["CP1"].drops = QUICK.patience.attempts + 2
    world.upstream.cancel("event-1", world.clock.now())
    world.supervisor.events_changed()
    await world.step(900)
    assert world.park["CP1"].schedules == {}
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0


async def test_out_02_after_the_expiry_a_clear_without_answer_is_left(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((60, 2))))
    world.park["CP1"].drops = 10_000
    await world.step(400)
    tried = world.park["CP1"].sent.count("clear")
    assert tried >= QUICK.patience.attempts
    await world.step(3600, every=30)
    assert world.park["CP1"].sent.count("clear") == tried
    assert world.supervisor.dispatcher.installed["CP1"].state is InstallState.CLEARING
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0


async def test_a_limit_without_answer_is_tried_again_slowly_while_its_event_lasts(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", drops=QUICK.patience.attempts)])
    await world.start()
    await world.publish(event(capacity((3600, 0.5))))
    await world.step(120)
    assert world.outcome()[0] == "unresponsive"
    assert world.park["CP1"].sent == ["set"] * QUICK.patience.attempts
    await world.step(900)
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    assert world.outcome()[0] == "verified"


class LossyPark(Park):
    """The charger takes the schedule and the link breaks before its answer."""

    async def set_limit(self, identity: str, schedule: LimitSchedule) -> CommandResult:
        await super().set_limit(identity, schedule)
        self[identity].connected = False
        return CommandResult(outcome=CommandOutcome.TIMEOUT, detail="link lost", at=self.clock.now())


async def test_a_limit_whose_answer_was_lost_with_the_link_is_cleared_at_the_return(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    world.park = LossyPark(world.clock, [SimCharger("CP1")])
    world.supervisor = world._build()
    await world.start()
    await world.publish(event(capacity((3000, 0.0))))
    assert world.park["CP1"].schedules != {}
    world.upstream.cancel("event-1", world.clock.now())
    world.supervisor.events_changed()
    await world.step(60)
    world.park["CP1"].connected = True
    await world.step(10)
    assert world.park["CP1"].schedules == {}


@pytest.mark.parametrize("kind", ["unplug", "stop"])
async def test_ocp_11_ending_a_session_is_no_override(bridge_db: AsyncEngine, kind: str) -> None:
    """The next car at the same charger must find the limit, and the VTN no opt-out."""
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((900, 2))))
    await world.step(60)
    world.supervisor.fleet.driver_action("CP1", kind, world.clock.now())
    await world.step(30)
    assert world.supervisor.overrides == ()
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    assert world.upstream.opts == []


async def test_arb_08_a_driver_s_override_outlives_a_database_fault(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((900, 2))))
    await world.step(30)
    async with bridge_db.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE bridge_override RENAME TO gone")
    world.supervisor.fleet.driver_action("CP1", "override", world.clock.now())
    with pytest.raises(Exception, match="no such table"):
        await world.supervisor.reconcile(world.clock.now())
    async with bridge_db.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE gone RENAME TO bridge_override")
    await world.round()
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0


async def test_a_change_whose_plan_failed_is_planned_at_the_next_round(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    async with bridge_db.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE bridge_draw RENAME TO gone")
    world.upstream.send(event(simple((900, 2))))
    world.supervisor.events_changed()
    with pytest.raises(Exception, match="no such table"):
        await world.supervisor.reconcile(world.clock.now())
    async with bridge_db.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE gone RENAME TO bridge_draw")
    await world.round()
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0


async def test_a_charger_that_leaves_while_the_meter_disagrees_does_not_make_the_loop_spin(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1", ignores=True)])
    await world.start()
    await world.publish(event(capacity((900, 0.5))))
    world.park["CP1"].answers = asyncio.Event()
    await world.step(15)
    now = world.clock.advance(10)
    world.park.meter(world.supervisor.fleet, 10)
    world.park["CP1"].answers = None
    await world.supervisor.reconcile(now)
    world.park["CP1"].connected = False
    await world.supervisor.reconcile(now)
    world.supervisor._awake.clear()
    await world.supervisor.reconcile(now)
    assert not world.supervisor._awake.is_set()


async def step_back(world: World, seconds: float) -> None:
    world.clock.set(world.clock.now() - timedelta(seconds=seconds))
    await world.round()


async def test_ops_01_a_clock_set_back_neither_repeats_commands_nor_blinds_the_meter(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], start=at(3600))
    await world.start()
    await world.step(30)
    await step_back(world, 3600)
    await world.publish(event(capacity((900, 0.5))))
    await world.step(120)
    assert world.park["CP1"].sent == ["set"]
    assert world.outcome()[0] == "verified"


async def test_ops_01_an_event_that_seemed_over_is_in_force_again_when_the_clock_is_set_back(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((600, 2)), start=at(100)))
    await world.step(90)
    world.clock.set(at(710))
    await world.round()
    assert world.park["CP1"].schedules == {}
    await step_back(world, 510)
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0


async def test_ops_01_a_reconnect_after_the_clock_was_set_back_is_seen(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], start=at(3600))
    await world.start()
    await world.publish(event(capacity((7200, 0.5)), start=at(0)))
    await step_back(world, 1800)
    await world.step(10)
    world.park["CP1"].connected = False
    await world.step(10)
    world.park["CP1"].schedules.clear()  # it forgets its profiles when the link is lost
    world.park["CP1"].connected = True
    await world.step(10)
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0


async def test_arb_07_an_override_asked_for_twice_is_one_and_is_taken_back_at_once(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((900, 2))))
    made = [
        await world.supervisor.override("evse-1", event_id=None, reason="x", duration_s=None, source="user")
        for _ in range(3)
    ]
    assert len({each.override_id for each in made}) == len(await world.store.overrides()) == 1
    await world.supervisor.end_override(made[0].override_id)
    await world.round()
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0


async def test_out_10_what_was_metered_last_is_stored_when_the_bridge_stops(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.supervisor.load()
    running = asyncio.create_task(world.supervisor.run())
    async with asyncio.timeout(10):
        while world.supervisor.reconciled_at is None:
            await asyncio.sleep(0.01)
    world.clock.advance(1)
    world.park.meter(world.supervisor.fleet, 1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(await world.store.samples(["CP1"], at(0), at(10))) == 1
