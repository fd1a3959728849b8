"""Which command a charger gets next, and how an answer changes what it holds."""

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.dispatch import Kind, Need, next_step
from bridge.fleet import BUFFER, Charger, Fleet
from bridge.schedule import Horizon
from bridge.store import Installed
from bridge.store.records import InstallState
from bridge.target import ChargerStatus, LimitPeriod, LimitSchedule, MeterReading
from runtime.clock import FakeClock
from tests.bridge.parts import T0, SimCharger, World, at, event, simple

H = Horizon()
WANTED = LimitSchedule(
    schedule_id=1,
    start=at(0),
    end=at(600),
    expires=at(660),
    periods=(LimitPeriod(start_s=0, limit_a=16.0),),
    source="event-1",
    reason="half",
)
HELD = Installed(
    charger="CP1",
    schedule=WANTED,
    state=InstallState.ACCEPTED,
    detail="",
    attempts=1,
    sent_at=at(0),
    accepted_at=at(0),
)
OVER = replace(HELD, schedule=replace(WANTED, start=at(-900), end=at(-300), expires=at(-240)))


def charger(*, connected: bool = True, since: float = -100, session_since: float | None = None) -> Charger:
    found = Charger("CP1", T0)
    found.connected, found.connected_since = connected, at(since) if connected else None
    found.session_since = None if session_since is None else at(session_since)
    return found


@pytest.mark.parametrize(
    ("need", "installed", "given", "expected"),
    [
        (Need(wanted=WANTED), None, charger(), (Kind.SET, "new limit", 1)),
        (Need(wanted=WANTED), None, charger(connected=False), None),
        (Need(wanted=WANTED), HELD, charger(), None),
        (Need(wanted=WANTED, again=True), HELD, charger(), (Kind.SET, "meter disagrees", 1)),
        (Need(wanted=replace(WANTED, end=at(900))), HELD, charger(), (Kind.SET, "changed limit", 1)),
        (Need(wanted=WANTED), HELD, charger(since=5), (Kind.SET, "charger connected or began a session", 1)),
        (Need(wanted=WANTED), HELD, charger(session_since=5), (Kind.SET, "charger connected or began a session", 1)),
        (Need(wanted=WANTED), replace(HELD, state=InstallState.SENT), charger(), (Kind.SET, "no answer", 2)),
        (
            Need(wanted=WANTED),
            replace(HELD, state=InstallState.SENT, attempts=4),
            charger(),
            (Kind.SET, "no answer", 5),
        ),
        (Need(wanted=WANTED, again=True), replace(HELD, state=InstallState.REFUSED), charger(), None),
        (Need(wanted=WANTED), replace(HELD, state=InstallState.UNANSWERED), charger(), (Kind.SET, "no answer", 2)),
        (Need(wanted=WANTED), replace(HELD, state=InstallState.CLEARING), charger(), (Kind.SET, "new limit", 1)),
        (Need(wanted=None), None, charger(), None),
        (Need(wanted=None), HELD, charger(), (Kind.CLEAR, "nothing to limit", 1)),
        (Need(wanted=None), HELD, charger(connected=False), None),
        (Need(wanted=None), replace(HELD, state=InstallState.CLEARING), charger(), (Kind.CLEAR, "nothing to limit", 2)),
        (
            Need(wanted=None),
            replace(HELD, state=InstallState.CLEARING, attempts=4),
            charger(),
            (Kind.CLEAR, "nothing to limit", 5),
        ),
        (Need(wanted=None), replace(OVER, state=InstallState.CLEARING, attempts=4), charger(), None),
        (Need(wanted=None), replace(OVER, state=InstallState.CLEARING), charger(), (Kind.CLEAR, "nothing to limit", 2)),
        (
            Need(wanted=None),
            replace(HELD, state=InstallState.CLEARING, attempts=4),
            charger(since=5),
            (Kind.CLEAR, "nothing to limit", 1),
        ),
    ],
)
def test_the_next_command_follows_from_need_and_state(
    need: Need, installed: Installed | None, given: Charger, expected: tuple[Kind, str, int] | None
) -> None:
    step = next_step(need, installed, given, 4, at(10))
    assert (None if step is None else (step.kind, step.cause, step.attempt)) == expected


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
