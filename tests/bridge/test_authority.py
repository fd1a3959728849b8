"""On whose authority a charger is limited: every command says so; without an agreement only an emergency may."""

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.arbiter import Source
from bridge.assess import Assessor
from bridge.authority import Authority
from bridge.program import ProgrammeError, parse
from bridge.store import Agreement, StandingLimit
from openadr.errors import ResponseCode
from openadr.model import OptType
from tests.bridge.parts import (
    AGGREGATOR,
    DNO,
    EMERGENCY,
    PROGRAMMES,
    QUICK,
    VEN_ID,
    SimCharger,
    World,
    at,
    capacity,
    event,
    resource,
    simple,
)

ASKED = replace(QUICK, consent_required=True)


def agreement(number: int = 1, **changes: object) -> Agreement:
    base = Agreement(
        agreement_id=f"agreement-{number}",
        resource_id=f"evse-{number}",
        context=DNO,
        who="J. Doe",
        terms="flexibility terms 2026-1",
        given_at=at(0),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


async def test_arb_12_every_command_carries_its_authority(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((900, 2))))
    [schedule] = world.park["CP1"].schedules.values()
    assert schedule.authority == "contract"
    await world.publish(event(capacity((300, 0.25)), event_id="event-2", context=EMERGENCY))
    [schedule] = world.park["CP1"].schedules.values()
    assert schedule.authority == "emergency, contract"
    for command in await world.store.commands("CP1"):
        assert command.schedule is not None
        assert command.schedule.authority
    await world.supervisor.set_standing(
        StandingLimit(
            limit_id="limit-1",
            source=Source.USER,
            resource_id="evse-1",
            group_id=None,
            limit_a=6.0,
            limit_kw=None,
            reason="quiet night",
            start=at(0),
            end=None,
        )
    )
    assert world.supervisor.effective("evse-1", at(0)).authority == Authority.CUSTOMER


async def test_arb_12_a_network_operator_without_contract_or_emergency_is_refused(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1"), SimCharger("CP2")], settings=ASKED)
    await world.start()
    await world.supervisor.agree(agreement(1))
    await world.publish(event(simple((900, 2))))
    now = world.clock.now()
    assert [world.park[name].draw_a(now) for name in ("CP1", "CP2")] == [16.0, 32.0]
    told = [each for each in world.upstream.opts if each.resource_ids == ("evse-2",)]
    assert [(each.opt_type, each.reason) for each in told] == [(OptType.OPT_OUT, "notParticipating")]
    await world.publish(event(capacity((300, 0.0)), event_id="event-2", context=EMERGENCY))
    assert [world.park[name].draw_a(now) for name in ("CP1", "CP2")] == [0.0, 0.0], "an emergency needs no agreement"


def test_arb_12_where_nobody_has_agreed_the_ven_opts_out_and_says_why() -> None:
    assess = Assessor(PROGRAMMES, (resource(agreements=frozenset()),), lambda: VEN_ID)
    found = assess(event(simple((60, 2))), at(0))
    assert (found.response_code, found.opt_type) == (ResponseCode.NOT_ALLOWED, OptType.OPT_OUT)
    assert found.description is not None
    assert "dso may not command it, notParticipating" in found.description
    assess.enrol({"evse-1": resource(agreements=frozenset({DNO}))})
    assert assess(event(simple((60, 2))), at(0)).opt_type is OptType.OPT_IN


def test_arb_12_only_who_answers_for_a_network_may_declare_an_emergency() -> None:
    text = """
    market_context = "http://example/e"
    version = "1"
    class = "emergency"
    issuer = "ISSUER"
    emergency = true
    random_window_s = 0
    [[signals]]
    name = "SIMPLE"
    type = "level"
    rule = "levels"
    levels = { 1 = 0.5 }
    """
    assert parse(text.replace("ISSUER", "eso"), "good").authority is Authority.EMERGENCY
    with pytest.raises(ProgrammeError, match="issuer: aggregator has no authority"):
        parse(text.replace("ISSUER", "aggregator"), "bad")


async def test_arb_19_an_agreement_counts_from_the_moment_it_is_given_until_it_is_withdrawn(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")], settings=ASKED)
    await world.start()
    await world.publish(event(simple((3600, 2))))
    assert world.park["CP1"].schedules == {}
    await world.supervisor.agree(agreement())
    await world.round()
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    await world.restart()
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    await world.supervisor.withdraw("agreement-1")
    await world.round()
    assert world.park["CP1"].schedules == {}, "a withdrawal counts at once"
    [kept] = await world.store.agreements("evse-1", withdrawn=True)
    assert (kept.withdrawn_at, kept.terms) == (world.clock.now(), "flexibility terms 2026-1")
    with pytest.raises(KeyError):
        await world.supervisor.withdraw("agreement-1")
    await world.restart()
    assert world.park["CP1"].schedules == {}


async def test_arb_19_an_agreement_for_a_time_lapses_by_itself_and_is_for_one_programme(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], settings=ASKED)
    await world.start()
    await world.supervisor.agree(agreement(until=at(300)))
    await world.publish(event(simple((3600, 2))), event(simple((3600, 3)), event_id="event-2", context=AGGREGATOR))
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    await world.step(310)
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0
    with pytest.raises(KeyError):
        await world.supervisor.agree(agreement(resource_id="nobody"))
