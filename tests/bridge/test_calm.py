"""Controllers do not fight: a tighter limit goes at once, a looser one keeps dwell, dead band and write rate."""

import math
from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.arbiter import Source
from bridge.schedule import growth_a
from bridge.steps import Calm, Need, waits
from bridge.store import Installed, StandingLimit
from bridge.store.records import InstallState
from bridge.target import LimitPeriod, LimitSchedule
from tests.bridge.parts import EMERGENCY, QUICK, SimCharger, World, at, event, simple

CALM = Calm()


def schedule(*periods: tuple[int, float | None], start: float = 0, end: float = 600) -> LimitSchedule:
    return LimitSchedule(
        schedule_id=1,
        start=at(start),
        end=at(end),
        expires=at(end + 60),
        periods=tuple(LimitPeriod(start_s=s, limit_a=a) for s, a in periods),
        source="event-1",
        reason="half",
    )


def installed(limit: float = 10.0, state: InstallState = InstallState.ACCEPTED) -> Installed:
    return Installed(
        charger="CP1",
        schedule=schedule((0, limit)),
        state=state,
        detail="",
        attempts=1,
        sent_at=at(0),
        accepted_at=at(0),
    )


@pytest.mark.parametrize(
    ("have", "want", "growth"),
    [
        (schedule((0, 10.0)), schedule((0, 16.0)), 6.0),
        (schedule((0, 10.0)), schedule((0, 8.0)), -math.inf),
        (schedule((0, 10.0)), schedule((0, 16.0), (300, 8.0)), -math.inf),  # tighter anywhere counts
        (schedule((0, 10.0)), schedule((0, 10.0), end=900), -math.inf),  # longer is tighter
        (schedule((0, 10.0)), schedule((0, 10.0), end=300), math.inf),
        (schedule((0, 10.0)), schedule((0, None)), math.inf),
        (schedule((0, 10.0)), None, math.inf),
        (schedule((0, 10.0)), schedule((0, 10.0)), 0.0),
        (schedule((0, 10.0), end=5), None, -math.inf),  # over: there is nothing to loosen
    ],
)
def test_arb_04_what_a_change_loosens(have: LimitSchedule, want: LimitSchedule | None, growth: float) -> None:
    assert growth_a(have, want, at(10)) == growth


@pytest.mark.parametrize(
    ("need", "row", "writes", "second", "waiting"),
    [
        (Need(wanted=schedule((0, 16.0)), urgent=False), installed(), 0, 30, True),  # dwell
        (Need(wanted=schedule((0, 16.0)), urgent=False), installed(), 0, 60, False),
        (Need(wanted=schedule((0, 16.0)), urgent=True), installed(), 0, 30, False),  # emergency or override
        (Need(wanted=schedule((0, 8.0)), urgent=False), installed(), 99, 1, False),  # tighter
        (Need(wanted=schedule((0, 10.3)), urgent=False, deadband_a=0.43), installed(), 0, 90, True),  # dead band
        (Need(wanted=schedule((0, 16.0)), urgent=False), installed(), 10, 90, True),  # write rate
        (Need(wanted=None, urgent=False), installed(), 10, 30, True),
        (Need(wanted=None, urgent=False), installed(), 10, 90, False),  # a removal keeps the dwell only
        (Need(wanted=None, urgent=False), installed(), 0, 700, False),  # over already
        (Need(wanted=schedule((0, 16.0)), urgent=False), installed(state=InstallState.SENT), 0, 1, False),
        (Need(wanted=schedule((0, 16.0)), urgent=False), None, 0, 1, False),
    ],
)
def test_arb_04_only_a_loosening_waits(
    need: Need, row: Installed | None, writes: int, second: float, waiting: bool
) -> None:
    assert waits(need, row, CALM, [at(second - 5)] * writes, at(second)) is waiting


def user(number: int, amperes: float) -> StandingLimit:
    return StandingLimit(
        limit_id=f"limit-{number}",
        source=Source.USER,
        resource_id="evse-1",
        group_id=None,
        limit_a=amperes,
        limit_kw=None,
        reason="slider",
        start=at(0),
        end=None,
    )


async def test_arb_04_a_slider_that_is_played_with_costs_few_commands_and_never_a_higher_limit(
    bridge_db: AsyncEngine,
) -> None:
    calm = Calm(min_dwell_s=60.0, deadband_kw=0.3, writes_per_hour=3)
    world = World(bridge_db, [SimCharger("CP1")], settings=replace(QUICK, calm=calm))
    await world.start()
    for number in range(20):
        amperes = 10.0 if number % 2 else 16.0
        await world.supervisor.set_standing(user(number, amperes))
        await world.step(30)
        assert world.park["CP1"].draw_a(world.clock.now()) <= amperes
        await world.supervisor.end_standing(f"limit-{number}")
    assert len(world.park["CP1"].sent) <= 8


async def test_arb_04_an_emergency_and_an_override_do_not_wait(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], settings=replace(QUICK, calm=Calm()))
    await world.start()
    await world.publish(event(simple((900, 1))))
    await world.step(5)
    await world.publish(event(simple((900, 3)), event_id="event-2", context=EMERGENCY))
    assert world.park["CP1"].draw_a(world.clock.now()) == 0.0
    world.upstream.cancel("event-2", world.clock.now())
    world.supervisor.events_changed()
    await world.step(310)
    assert world.park["CP1"].draw_a(world.clock.now()) == 24.0
    await world.supervisor.override("evse-1", event_id=None, reason="doctor", duration_s=None, source="user")
    await world.round()
    assert world.park["CP1"].schedules == {}


async def test_a_refused_replacement_takes_a_stricter_older_schedule_away_and_is_offered_once_more(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((900, 3))))
    await world.step(5)
    world.park["CP1"].refuses_sets = 1
    await world.publish(event(simple((900, 1)), modification=1))
    await world.round()
    assert world.park["CP1"].sent == ["set", "set", "clear", "set"]
    assert world.park["CP1"].draw_a(world.clock.now()) == 24.0
    world.park["CP1"].refuses_sets = 9
    await world.publish(event(simple((900, 3)), modification=2))
    await world.step(30)
    assert world.park["CP1"].draw_a(world.clock.now()) == 24.0, "a looser older schedule is better than none"
    state, reason = world.outcome()
    assert state == "failed"
    assert "the earlier schedule stays" in reason
