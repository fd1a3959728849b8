"""The supervisor over a real store and a charger park in memory: from the event to the proof, and through restarts."""

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.overrides import OverrideRefused
from bridge.verify import VerifyPolicy
from openadr.model import OptType
from tests.bridge.parts import EMERGENCY, QUICK, SimCharger, World, at, capacity, event, simple


async def test_out_02_simple_event_is_installed_ahead_verified_by_meter_and_released(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.step(60)
    await world.publish(event(simple((300, 2)), start=at(120)))
    schedule = world.park["CP1"].schedules[1]
    assert (schedule.start, schedule.end) == (at(120), at(420))
    assert schedule.expires > schedule.end
    assert [period.limit_a for period in schedule.periods] == [16.0]
    assert world.outcome() == ("accepted", "accepted by the charger, waits for the start")
    await world.step(65)
    assert world.outcome()[0] == "applied"
    await world.step(30)
    assert world.outcome()[0] == "verified"
    await world.step(270)
    assert world.park["CP1"].schedules == {}
    assert world.park["CP1"].sent == ["set", "clear"]
    await world.step(60)
    outcome = (await world.store.outcomes())[0]
    assert outcome.phase == "closed"
    assert outcome.state == "verified"
    assert (outcome.kw_before, outcome.kw_during, outcome.kw_after) == (22.08, 11.04, 22.08)
    assert world.upstream.opts == []


async def test_ven_11_refusing_charger_fails_and_is_opted_out_once(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", refuses=True), SimCharger("CP2", refuses=True), SimCharger("CP3")])
    await world.start()
    await world.publish(event(simple((300, 2))))
    await world.step(60)
    assert world.outcome() == ("failed", "refused by the charger: Rejected")
    assert [(opt.opt_type, opt.reason, opt.resource_ids) for opt in world.upstream.opts] == [
        (OptType.OPT_OUT, "notParticipating", ("evse-1", "evse-2"))
    ]
    assert world.park["CP1"].sent == ["set"]


async def test_decision_0005_accepted_and_ignored_is_retried_then_failed(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", ignores=True)])
    await world.start()
    await world.publish(event(capacity((600, 0.5))))
    await world.step(30)
    assert world.outcome()[0] == "applied"
    await world.step(90)
    state, reason = world.outcome()
    assert state == "failed"
    assert "accepted and ignored" in reason
    assert world.park["CP1"].sent == ["set"] * 3
    assert [(opt.opt_type, opt.reason) for opt in world.upstream.opts] == [(OptType.OPT_OUT, "notParticipating")]


async def test_decision_0005_without_verification_nothing_is_ever_verified(bridge_db: AsyncEngine) -> None:
    settings = replace(QUICK, policy=VerifyPolicy(enabled=False, settle_s=20))
    world = World(bridge_db, [SimCharger("CP1"), SimCharger("CP2", ignores=True)], settings=settings)
    await world.start()
    await world.publish(event(simple((300, 2))))
    await world.step(400)
    assert {outcome.state for outcome in await world.store.outcomes()} == {"applied"}
    assert world.upstream.opts == []


async def test_out_09_offline_charger_is_unresponsive_and_opted_in_when_it_is_back_and_proven(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1", connected=False)])
    await world.start()
    await world.publish(event(simple((900, 2))))
    await world.step(60)
    assert world.outcome()[0] == "unresponsive"
    assert [(opt.opt_type, opt.reason) for opt in world.upstream.opts] == [(OptType.OPT_OUT, "outageRunStatus")]
    world.park["CP1"].connected = True
    await world.step(60)
    assert world.outcome()[0] == "verified"
    assert [(opt.opt_type, opt.reason) for opt in world.upstream.opts][1:] == [(OptType.OPT_IN, "participating")]


async def test_idle_charger_promises_nothing_until_a_car_comes(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", session=False)])
    await world.start()
    await world.publish(event(simple((900, 2))))
    await world.step(60)
    assert world.outcome()[0] == "idle"
    assert world.upstream.opts == []
    world.park["CP1"].session = True
    world.supervisor.fleet.transaction("CP1", True, world.clock.now())
    await world.step(60)
    assert world.outcome()[0] == "verified"
    assert world.park["CP1"].sent == ["set", "set"]


async def test_map_06_a_car_below_the_cap_is_neither_cut_nor_driven_up(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", demand_a=12.8)])
    await world.start()
    await world.step(60)
    await world.publish(event(capacity((300, 0.5))))
    await world.step(400)
    outcome = (await world.store.outcomes())[0]
    assert outcome.state == "verified"
    assert outcome.kw_before == outcome.kw_during == 8.832


async def test_ven_08_an_override_is_durable_and_told_at_once_whatever_the_charger_answers(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((900, 2))))
    await world.step(60)
    made = await world.supervisor.override("evse-1", event_id=None, reason="doctor", duration_s=None, source="user")
    await world.supervisor.dispatcher.settle()
    assert world.park["CP1"].schedules == {}
    assert world.outcome() == ("opted_out", "driver override: doctor")
    assert [(opt.opt_type, opt.reason) for opt in world.upstream.opts] == [(OptType.OPT_OUT, "overrideStatus")]
    await world.supervisor.end_override(made.override_id)
    await world.step(60)
    assert world.outcome()[0] == "verified"
    assert world.upstream.opts[-1].opt_type == OptType.OPT_IN


async def test_arb_08_driver_at_the_charger_overrides_the_event_in_force(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    world.supervisor.fleet.driver_action("CP1", "override", world.clock.now())
    await world.round()
    assert world.supervisor.overrides == ()
    await world.publish(event(simple((300, 2))))
    await world.step(30)
    world.supervisor.fleet.driver_action("CP1", "override", world.clock.now())
    world.supervisor.fleet.driver_action("CP1", "override", world.clock.now())
    await world.round()
    assert len(world.supervisor.overrides) == 1
    assert world.outcome()[0] == "opted_out"
    await world.step(400)
    assert world.supervisor.overrides == ()
    assert (await world.store.outcomes())[0].state == "opted_out"


async def test_arb_05_an_emergency_cannot_be_overridden(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((300, 3)), context=EMERGENCY))
    await world.step(30)
    with pytest.raises(OverrideRefused) as refusal:
        await world.supervisor.override("evse-1", event_id="event-1", reason="x", duration_s=None, source="user")
    assert refusal.value.rule == "ARB-05"
    assert world.park["CP1"].draw_a(world.clock.now()) == 0.0


async def test_rnd_01_chargers_start_at_their_own_draw_and_keep_it_over_a_restart(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1"), SimCharger("CP2")], draws=[0.1, 0.0, 0.9, 0.0])
    await world.start()
    await world.publish(event(simple((600, 2)), start=at(60), startafter=300))
    starts = [world.park[name].schedules[1].start for name in ("CP1", "CP2")]
    assert starts == [at(60 + 30), at(60 + 270)]
    await world.restart()
    assert [world.park[name].schedules[1].start for name in ("CP1", "CP2")] == starts


async def test_out_04_killed_in_mid_event_it_resumes_to_the_same_outcome(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1"), SimCharger("CP2", refuses=True)])
    await world.start()
    await world.step(30)
    await world.publish(event(simple((600, 2)), start=at(60)))
    await world.step(120)
    assert world.outcome()[0] == "verified"
    await world.restart()
    assert world.outcome()[0] == "verified"
    await world.step(600)
    found = {
        outcome.resource_id: (outcome.state, outcome.kw_before, outcome.kw_during)
        for outcome in await world.store.outcomes()
    }
    assert found["evse-1"] == ("verified", 22.08, 11.04)
    assert found["evse-2"][0] == "failed"
    assert len(world.upstream.opts) == 1
    assert world.park["CP1"].schedules == {}


async def test_out_04_event_cancelled_while_the_bridge_was_dead_is_released_at_the_restart(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((600, 2))))
    await world.step(30)
    await world.upstream.forget("event-1")
    await world.restart()
    assert world.park["CP1"].schedules == {}


async def test_evt_06_cancel_in_mid_event_clears_the_charger(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((600, 2))))
    await world.step(60)
    world.upstream.cancel("event-1", world.clock.now())
    world.supervisor.events_changed()
    await world.step(5)
    assert world.park["CP1"].schedules == {}
    await world.step(100)
    outcome = (await world.store.outcomes())[0]
    assert (outcome.state, outcome.phase, outcome.effective_end) == ("verified", "closed", at(60))


async def test_ocp_09_lost_answers_are_retried_with_back_off_then_unresponsive(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", drops=2), SimCharger("CP2", drops=99), SimCharger("CP3")])
    await world.start()
    await world.publish(event(simple((900, 2))))
    assert world.park["CP1"].sent == ["set"]
    await world.step(120)
    assert world.outcome()[0] == "verified"
    assert world.park["CP1"].sent == ["set"] * 3
    assert world.park["CP2"].sent == ["set"] * 3
    assert world.outcome(resource_id="evse-2")[0] == "unresponsive"
    assert world.outcome(resource_id="evse-3")[0] == "verified"


async def test_a_fault_of_ours_at_one_charger_leaves_the_others_alone(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", broken=True), SimCharger("CP2")])
    await world.start()
    await world.publish(event(simple((900, 2))))
    await world.step(60)
    assert world.outcome(resource_id="evse-2")[0] == "verified"
    assert world.outcome()[0] == "unresponsive"


async def test_arb_02_overlapping_events_the_most_restrictive_wins_and_the_other_resumes(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(capacity((600, 0.75))), event(capacity((200, 0.5)), event_id="event-2", start=at(100)))
    draws = []
    for _ in range(7):
        await world.step(100)
        draws.append(world.park["CP1"].draw_a(world.clock.now()))
    assert draws == [16.0, 16.0, 24.0, 24.0, 24.0, 32.0, 32.0]
    states = {outcome.event_id: outcome.state for outcome in await world.store.outcomes()}
    assert states == {"event-1": "verified", "event-2": "verified"}
    assert world.park["CP1"].sent == ["set", "clear"]


async def test_open_ended_event_is_renewed_in_time_and_ends_by_itself_without_us(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((0, 2)), open_ended=True))
    await world.step(1200, every=30)
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    assert 3 <= world.park["CP1"].sent.count("set") <= 6
    left = world.park["CP1"].schedules[1].end - world.clock.now()
    assert 250 < left.total_seconds() <= 600


async def test_opts_wait_for_the_outbox_and_are_told_once(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", refuses=True)])
    await world.start()
    world.upstream.away = True
    await world.publish(event(simple((900, 2))))
    await world.step(10)
    assert world.upstream.opts == []
    world.upstream.away = False
    await world.step(10)
    await world.restart()
    await world.step(10)
    assert len(world.upstream.opts) == 1


async def test_evt_21_test_events_move_only_chargers_enrolled_for_tests(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1"), SimCharger("CP2")])
    world.resources = (world.resources[0], replace(world.resources[1], test_enrolled=True))
    await world.restart()
    await world.publish(event(simple((900, 2)), test="true"))
    await world.step(30)
    assert world.park["CP1"].sent == []
    assert world.park["CP2"].draw_a(world.clock.now()) == 16.0


async def test_late_arrival_joins_in_the_middle(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], draws=[0.5, 0.0])
    await world.start()
    await world.step(100)
    await world.publish(event(simple((300, 2)), start=at(0), startafter=9))
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    await world.step(200)
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    await world.step(5)
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0
    await world.step(60)
    outcome = (await world.store.outcomes())[0]
    assert (outcome.kw_before, outcome.kw_during) == (22.08, 11.04)
