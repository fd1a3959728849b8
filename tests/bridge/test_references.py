"""Dynamic references end to end: simulated chargers, real store; taken at the start, kept over restart and change."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.asks import Content
from bridge.reference import Wanted
from bridge.references import ReferenceBook
from bridge.schedule import limit_at
from openadr.model import SignalType
from tests.bridge.parts import AGGREGATOR, SimCharger, World, at, database, dispatch, event, resource, signal

HALF = dispatch(SignalType.MULTIPLIER, (600, 0.5))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with database(tmp_path) as engine:
        chargers = [SimCharger("CP1", demand_a=20.0), SimCharger("CP2", session=False), SimCharger("CP3", phases=1)]
        world = World(engine, chargers, draws=iter(lambda: 0.0, None))
        await world.start()
        yield world
        await world.supervisor.dispatcher.close()


def held_a(world: World, charger: str) -> float | None:
    limits = [limit_at(each, world.clock.now()) for each in world.park[charger].schedules.values()]
    return min((limit for limit in limits if limit is not None), default=None)


async def test_map_05_half_of_what_each_car_drew_before_the_start_is_frozen_there_and_told(world: World) -> None:
    await world.publish(event(HALF, context=AGGREGATOR, start=at(400)))
    await world.step(395)
    ahead = world.park["CP1"].schedules[1]
    assert limit_at(ahead, at(450)) == 16.0  # should we die now: half of the installed maximum
    await world.step(10)
    assert [held_a(world, name) for name in ("CP1", "CP2", "CP3")] == [10.0, 16.0, 16.0]
    reason = world.supervisor.effective("evse-1", world.clock.now()).reason
    assert reason == (
        "LOAD_DISPATCH multiplier 0.5: 50 % of 13.8 kW (the mean of 300 s before the start) = 6.9 kW = 10 A per phase"
    )
    assert "nothing was charging" in world.supervisor.effective("evse-2", world.clock.now()).reason
    world.park["CP1"].demand_a = 8.0
    await world.step(120)
    assert held_a(world, "CP1") == 10.0  # it does not follow the load


async def test_map_05_the_reference_survives_a_restart_and_a_modification_and_is_logged(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    given = event(HALF, context=AGGREGATOR, start=at(300))
    await world.publish(given)
    await world.step(320)
    assert "reference frozen" in capsys.readouterr().out
    world.park["CP1"].demand_a = 32.0
    await world.restart()
    assert held_a(world, "CP1") == 10.0
    quarter = dispatch(SignalType.MULTIPLIER, (600, 0.4))
    modified = replace(given, descriptor=replace(given.descriptor, modification_number=1), signals=(quarter,))
    world.upstream.send(modified)
    world.upstream.stored["event-1"] = replace(world.upstream.stored["event-1"], received_at=world.clock.now())
    world.supervisor.events_changed()
    await world.round()
    assert held_a(world, "CP1") == 8.0  # 0.4 of the 20 A from before


async def test_rnd_07_a_dispatch_with_ramp_up_takes_the_reference_before_the_ramp(world: World) -> None:
    await world.publish(event(HALF, context=AGGREGATOR, start=at(600), ramp_up=200, recovery=100))
    await world.step(405)
    stored = await world.store.references(["event-1"])
    assert stored[("event-1", "evse-1")].at == at(400)
    assert stored[("event-1", "evse-1")].power_w == pytest.approx(13_800.0)
    await world.step(200)
    assert held_a(world, "CP1") == 10.0
    await world.step(600)
    assert held_a(world, "CP1") == 15.5  # a quarter of the way back to 32 A
    await world.step(100)
    assert held_a(world, "CP1") is None


async def test_rnd_08_the_recovery_is_carried_out_though_the_event_is_over_and_measured(world: World) -> None:
    await world.publish(event(dispatch(SignalType.MULTIPLIER, (60, 0.5)), context=AGGREGATOR, recovery=900))
    await world.step(700)
    assert "event-1" in world.upstream.stored
    assert held_a(world, "CP1") is not None
    await world.step(400)
    assert world.upstream.forgotten == ["event-1"]
    assert held_a(world, "CP1") is None


async def test_arb_16_a_set_point_for_all_is_divided_among_the_chargers_and_never_exceeded(world: World) -> None:
    await world.publish(event(dispatch(SignalType.SETPOINT, (600, 9.0)), context=AGGREGATOR))
    await world.step(60)
    held = {name: held_a(world, name) or 0.0 for name in ("CP1", "CP2", "CP3")}
    total_kw = (held["CP1"] * 3 + held["CP2"] * 3 + held["CP3"]) * 0.23
    assert 0.0 < total_kw <= 9.0
    assert all(amperes == 0.0 or amperes >= 6.0 for amperes in held.values())


async def test_tel_10_a_measured_content_is_frozen_with_the_reference_and_old_events_are_dropped(world: World) -> None:
    content = Content(content_wh=1000.0, full_wh=2000.0)
    book = ReferenceBook(world.store, {"evse-1": resource(1)}, lambda: {"evse-1": content})
    wanted = Wanted(event_id="e", resource_id="evse-1", at=at(0), window_s=300, running=False)
    flushed: list[int] = []

    async def flush() -> None:
        flushed.append(1)

    found = await book.update((wanted,), at(0), flush)
    assert found.valid[("e", "evse-1")].content == content
    assert (found.valid[("e", "evse-1")].power_w, flushed) == (None, [1])
    assert book.measured == frozenset({"evse-1"})
    book.drop(frozenset())
    assert (await book.update((wanted,), at(1), flush)).valid == found.valid
    assert flushed == [1]  # read from the store, not taken again


async def test_tel_10_a_charge_state_moves_nothing_while_no_state_of_charge_is_known(world: World) -> None:
    await world.publish(event(signal("CHARGE_STATE", SignalType.MULTIPLIER, (600, 0.8)), context=AGGREGATOR))
    assert world.supervisor.planner.plans == {}
