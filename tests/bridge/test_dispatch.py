"""How an answer changes what a charger holds, and what the fleet knows of chargers."""

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.fleet import BUFFER, Fleet
from bridge.steps import Need
from bridge.target import ChargerStatus, MeterReading
from runtime.clock import FakeClock
from tests.bridge.parts import T0, SimCharger, World, at, event, simple


async def test_a_charger_that_goes_offline_during_the_command_keeps_what_it_held(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((600, 2))))
    world.supervisor.fleet.transaction("CP1", True, world.clock.advance(1))
    held = world.supervisor.dispatcher.installed["CP1"]
    step = world.supervisor.dispatcher.plan(
        world.supervisor.fleet.get("CP1"), Need(wanted=held.schedule), world.clock.now()
    )
    assert step is not None
    world.park["CP1"].connected = False
    world.supervisor.dispatcher.start(step, world.supervisor.dispatcher.intent(step, world.clock.now()))
    assert world.supervisor.dispatcher.in_flight == 1
    await world.supervisor.dispatcher.settle()
    assert world.supervisor.dispatcher.installed["CP1"] == held


def test_a_reading_from_the_future_is_dated_at_its_arrival_and_an_older_one_is_not_the_latest() -> None:
    fleet = Fleet(["CP1"], FakeClock(T0))
    fleet.reading(MeterReading(charger="CP1", at=at(3600), power_w=1.0))
    fleet.reading(MeterReading(charger="CP1", at=at(-10), power_w=2.0))
    latest = fleet.get("CP1").reading
    assert latest is not None
    assert (latest.at, latest.power_w) == (at(0), 1.0)
    assert [reading.at for reading in fleet.take_readings()] == [at(0), at(-10)]
    assert fleet.take_readings() == ()


def test_unknown_chargers_are_noted_and_nothing_else() -> None:
    woken: list[str] = []
    fleet = Fleet(["CP1"], FakeClock(T0))
    fleet.watch(lambda: woken.append("x"))
    fleet.connected("CP9", T0)
    fleet.disconnected("CP9", T0)
    fleet.transaction("CP9", True, T0)
    fleet.driver_action("CP9", "override", T0)
    fleet.reading(MeterReading(charger="CP9", at=T0, power_w=1.0))
    fleet.follow(ChargerStatus(identity="CP9", connected=True), T0)
    fleet.follow(None, T0)
    assert (fleet.unknown, woken, fleet.take_readings(), fleet.take_actions()) == ({"CP9"}, [], (), ())


def test_missed_callbacks_are_made_good_by_the_target_s_own_view() -> None:
    fleet = Fleet(["CP1"], FakeClock(T0))
    fleet.follow(ChargerStatus(identity="CP1", connected=True, connected_since=at(-5), transaction=True), T0)
    assert (fleet.get("CP1").connected_since, fleet.get("CP1").session) == (at(-5), True)
    fleet.follow(ChargerStatus(identity="CP1", connected=False), at(10))
    assert (fleet.get("CP1").offline_since, fleet.get("CP1").renewed_at) == (at(10), None)


def test_tel_readings_wait_for_the_database_and_the_oldest_go_first() -> None:
    fleet = Fleet(["CP1"], FakeClock(T0))
    fleet.reading(MeterReading(charger="CP1", at=at(1), power_w=1.0))
    taken = fleet.take_readings()
    fleet.reading(MeterReading(charger="CP1", at=at(2), power_w=2.0))
    fleet.put_back(taken)
    assert [reading.power_w for reading in fleet.take_readings()] == [1.0, 2.0]
    for second in range(BUFFER + 2):
        fleet.reading(MeterReading(charger="CP1", at=at(-second), power_w=1.0))
    fleet.put_back(taken)
    assert fleet.dropped == 3
    assert len(fleet.take_readings()) == BUFFER
