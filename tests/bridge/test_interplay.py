"""Where parts meet: programmes taken over in the middle of planning, kinds of constraint side by side, mass return."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.fleet import Charger
from bridge.plan import KnownEvent, plan
from bridge.program import Programmes
from bridge.steps import Need, rejoins
from bridge.store import Installed
from bridge.store.records import InstallState
from bridge.target import LimitPeriod, LimitSchedule
from openadr.model import SignalType
from tests.bridge.parts import (
    DRM,
    EMERGENCY,
    PROGRAMMES,
    VEN_ID,
    SimCharger,
    World,
    at,
    capacity,
    dispatch,
    event,
    resource,
    simple,
)
from tests.bridge.test_plan import drawn


async def test_programmes_taken_over_while_a_plan_is_made_count_from_the_next_plan_on(bridge_db: AsyncEngine) -> None:
    few = Programmes.of([PROGRAMMES.by_context[EMERGENCY]])

    def draws() -> Iterator[float]:
        world.supervisor.use(PROGRAMMES)  # a file was read anew just now
        while True:
            yield 0.5

    world = World(bridge_db, [SimCharger("CP1")], programmes=few, draws=draws())
    await world.start()
    world.upstream.send(event(capacity((900, 0.5)), event_id="cut", context=EMERGENCY), event(simple((900, 3))))
    world.supervisor.events_changed()
    await world.supervisor.reconcile(world.clock.now())
    assert {each.event_id for each in world.supervisor.planner.plans["evse-1"]} == {"cut"}
    await world.round()
    assert {each.event_id for each in world.supervisor.planner.plans["evse-1"]} == {"cut", "event-1"}
    assert world.park["CP1"].draw_a(world.clock.now()) == 0.0


def test_map_03_steps_a_share_and_a_power_are_all_limits() -> None:
    on = resource()
    draws = drawn("event-1", on, 0.0)

    def limit(given: KnownEvent) -> float | None:
        [found] = plan([given], PROGRAMMES, [on], draws, VEN_ID)
        return found.caps[0].limit_a

    assert limit(KnownEvent(event=event(simple((60, 1))))) == 24.0
    assert limit(KnownEvent(event=event(capacity((60, 0.33))))) == 10.5
    power = event(dispatch(SignalType.SETPOINT, (60, 11.04)), context=DRM)
    assert limit(KnownEvent(event=power)) == 16.0


HELD = LimitSchedule(
    schedule_id=1,
    start=at(0),
    end=at(600),
    expires=at(660),
    periods=(LimitPeriod(start_s=0, limit_a=10.0),),
    source="event-1",
    reason="r",
)

ROW = Installed(
    charger="CP1",
    schedule=HELD,
    state=InstallState.ACCEPTED,
    detail="",
    attempts=1,
    sent_at=at(0),
    accepted_at=at(0),
)


def back() -> Charger:
    charger = Charger("CP1", at(0))
    charger.connected, charger.connected_since = True, at(100)
    return charger


@pytest.mark.parametrize(
    ("need", "waits"),
    [
        (Need(wanted=None, urgent=False, rejoin_until=at(200)), True),
        (Need(wanted=None, urgent=True, rejoin_until=at(200)), False),  # an emergency or an override
        (Need(wanted=None, urgent=False, rejoin_until=at(120)), False),  # its moment has come
        (Need(wanted=None, urgent=False), False),  # it came back alone
        (Need(wanted=HELD, urgent=False, rejoin_until=at(200)), False),  # nothing changes for it
        (Need(wanted=replace(HELD, start=at(110)), urgent=False, rejoin_until=at(200)), False),  # what begins later
    ],
)
def test_rnd_09_who_comes_back_among_many_goes_on_as_it_is_until_its_own_moment(need: Need, waits: bool) -> None:
    assert rejoins(need, ROW, back(), at(150)) is waits


def test_a_charger_that_was_told_since_it_came_back_has_had_its_moment() -> None:
    need = Need(wanted=None, urgent=False, rejoin_until=at(200))
    assert not rejoins(need, replace(ROW, sent_at=at(110)), back(), at(150))


async def test_arb_01_one_party_talks_to_a_charger_and_says_who_won_and_who_lost(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(
        event(simple((900, 2))),
        event(simple((900, 1)), event_id="milder"),
        event(capacity((600, 0.25)), event_id="cut", context=EMERGENCY),
    )
    found = world.supervisor.effective("evse-1", world.clock.now())
    assert (found.event_id, found.limit_a) == ("cut", 8.0)
    assert found.losers == ("event event-1 (16 A)", "event milder (24 A)")
    assert len(world.park["CP1"].schedules) == 1, "one schedule holds what all of them ask for"
