"""The supervisor when things change or go wrong: modified and revived events, a failing database, the loop."""

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.overrides import UnknownEvent
from bridge.store import Changes
from openadr.model import OptType
from tests.bridge.parts import EMERGENCY, SimCharger, World, at, capacity, event, simple

PATIENCE_S = 120.0  # only ends a test that hangs


async def test_evt_06_a_higher_modification_replaces_the_limit_in_mid_event_and_keeps_the_draw(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")], draws=[0.5, 0.0])
    await world.start()
    await world.publish(event(simple((600, 2)), startafter=20))
    await world.step(60)
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    await world.publish(event(simple((900, 1)), startafter=20, modification=1))
    assert world.park["CP1"].draw_a(world.clock.now()) == 24.0
    assert world.park["CP1"].schedules[1].end == at(910)
    await world.step(60)
    assert world.outcome() == ("verified", "meter reads 24.0 A per phase, limit 24 A")
    assert world.supervisor.ledger.outcomes[("event-1", "evse-1")].modification_number == 1


async def test_an_event_that_ends_is_measured_and_then_let_go(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((60, 2))))
    await world.step(100)
    assert world.upstream.forgotten == []
    await world.step(30)
    assert world.upstream.forgotten == ["event-1"]
    assert world.supervisor.ledger.outcomes == {}
    assert len(await world.store.outcomes()) == 1


async def test_an_event_revived_after_its_cancellation_counts_again(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    given = event(simple((900, 2)))
    await world.publish(given)
    await world.step(60)
    world.upstream.cancel("event-1", world.clock.now())
    world.supervisor.events_changed()
    await world.step(10)
    assert world.park["CP1"].schedules == {}
    await world.publish(given)
    await world.step(60)
    assert world.outcome()[0] == "verified"


async def test_an_event_that_vanishes_before_its_start_is_withdrawn(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((600, 2)), start=at(300)))
    assert world.park["CP1"].schedules != {}
    await world.upstream.forget("event-1")
    world.supervisor.events_changed()
    await world.round()
    assert world.park["CP1"].schedules == {}
    [outcome] = await world.store.outcomes()
    assert (outcome.phase, outcome.reason[:26]) == ("closed", "withdrawn before its start")


async def test_events_we_opted_out_of_move_nothing(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    world.upstream.send(event(simple((600, 2))), opt_type=OptType.OPT_OUT)
    world.supervisor.events_changed()
    await world.step(30)
    assert world.park["CP1"].sent == []


async def test_rnd_03_an_emergency_inside_a_delayed_event_acts_at_once(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], draws=[0.9, 0.0, 0.9, 0.5])
    await world.start()
    await world.publish(event(simple((900, 2)), startafter=600))
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0
    await world.publish(
        event(simple((900, 2)), startafter=600),
        event(capacity((300, 0.0)), event_id="event-2", context=EMERGENCY, startafter=600, start=world.clock.now()),
    )
    assert world.park["CP1"].draw_a(world.clock.now()) == 0.0
    await world.step(445)
    assert world.park["CP1"].draw_a(world.clock.now()) == 0.0
    await world.step(10)
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0


async def test_arb_07_a_bounded_override_returns_to_the_event(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((900, 2))))
    await world.step(60)
    await world.supervisor.override("evse-1", event_id="event-1", reason="x", duration_s=120, source="user")
    await world.step(100)
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0
    await world.step(30)
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    await world.step(60)
    assert world.outcome()[0] == "verified"
    assert [opt.opt_type for opt in world.upstream.opts] == [OptType.OPT_OUT, OptType.OPT_IN]


async def test_out_04_an_override_survives_a_restart(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((900, 2))))
    await world.supervisor.override("evse-1", event_id=None, reason="x", duration_s=None, source="user")
    await world.restart()
    await world.step(60)
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0
    assert world.outcome()[0] == "opted_out"


async def test_an_override_of_an_unknown_event_changes_nothing(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    with pytest.raises(UnknownEvent):
        await world.supervisor.override("evse-1", event_id="nobody", reason="x", duration_s=None, source="user")
    with pytest.raises(KeyError):
        await world.supervisor.override("evse-9", event_id=None, reason="x", duration_s=None, source="user")
    assert await world.store.overrides() == ()


class FailingDisk:
    """Makes every write of a store fail while it is on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._real = world.store.engine

    async def break_it(self) -> None:
        async with self._real.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE bridge_override RENAME TO gone")
            await connection.exec_driver_sql("ALTER TABLE bridge_installed RENAME TO gone_too")

    async def mend_it(self) -> None:
        async with self._real.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE gone RENAME TO bridge_override")
            await connection.exec_driver_sql("ALTER TABLE gone_too RENAME TO bridge_installed")


async def test_nothing_is_sent_that_could_not_be_written_first(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    disk = FailingDisk(world)
    await disk.break_it()
    world.upstream.send(event(simple((900, 2))))
    world.supervisor.events_changed()
    with pytest.raises(Exception, match="no such table"):
        await world.supervisor.reconcile(world.clock.now())
    assert world.park["CP1"].sent == []
    await disk.mend_it()
    await world.round()
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0


async def test_an_override_that_cannot_be_written_is_not_in_force(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((900, 2))))
    disk = FailingDisk(world)
    await disk.break_it()
    with pytest.raises(Exception, match="no such table"):
        await world.supervisor.override("evse-1", event_id=None, reason="x", duration_s=None, source="user")
    assert world.supervisor.overrides == ()
    await disk.mend_it()
    await world.step(30)
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0


async def test_out_08_a_lost_answer_at_the_moment_of_death_is_asserted_again(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", answers=asyncio.Event())])
    await world.start()
    world.upstream.send(event(simple((900, 2))))
    world.supervisor.events_changed()
    await world.supervisor.reconcile(world.clock.now())
    assert (await world.store.installed())["CP1"].state == "sent"
    world.park["CP1"].answers = None
    await world.restart()
    assert (await world.store.installed())["CP1"].state == "accepted"
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0


async def test_evt_17_a_verdict_stands_while_the_same_limit_with_another_end_waits_for_its_answer(
    bridge_db: AsyncEngine,
) -> None:
    """An event that ends sooner than planned, for example by a cancel with a random end."""
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(capacity((900, 0.5))))
    await world.step(60)
    assert world.outcome()[0] == "verified"
    world.park["CP1"].answers = asyncio.Event()
    world.upstream.send(event(capacity((120, 0.5)), modification=1))
    world.supervisor.events_changed()
    for _ in range(4):
        await world.supervisor.reconcile(world.clock.now())
        assert (await world.store.installed())["CP1"].state == "sent"
        assert world.outcome()[0] == "verified"
        world.park.meter(world.supervisor.fleet, 15)
        world.clock.advance(15)
    world.park["CP1"].answers.set()
    await world.step(30)
    (outcome,) = await world.store.outcomes()
    assert (outcome.state, outcome.failed) == ("verified", 0)
    assert outcome.met > 1


async def test_the_loop_goes_on_after_a_fault_and_reacts_at_once(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.supervisor.load()
    running = asyncio.create_task(world.supervisor.run())
    try:
        world.upstream.send(event(simple((900, 2))))
        world.supervisor.events_changed()
        async with asyncio.timeout(PATIENCE_S):
            while not world.park["CP1"].schedules:
                await asyncio.sleep(0.01)
        disk = FailingDisk(world)
        await disk.break_it()
        world.upstream.send(event(simple((900, 3)), modification=1))
        world.supervisor.events_changed()
        async with asyncio.timeout(PATIENCE_S):
            while world.clock.sleepers == 0:
                await asyncio.sleep(0.01)
        await disk.mend_it()
        world.clock.advance(1)
        async with asyncio.timeout(PATIENCE_S):
            while world.park["CP1"].draw_a(world.clock.now()) != 0.0:
                world.supervisor.wake()
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert world.supervisor.dispatcher.in_flight == 0


async def test_readings_are_stored_in_batches_and_old_ones_deleted(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.store.write(Changes(readings=()))
    await world.step(60)
    assert len(await world.store.samples(["CP1"], at(0), at(100))) >= 10
    await world.step(8 * 86_400, every=86_400)
    await world.store.prune(at(86_400))
    kept = await world.store.samples(["CP1"], at(0), at(9 * 86_400))
    assert all(sample.at >= at(86_400) for sample in kept)
