"""With communications down everything else goes on: charging, local limits, the user's wishes; who is gone shows."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.allocate import GroupLimit
from bridge.arbiter import Source
from bridge.groups import Group
from bridge.overview import Overview
from bridge.points import STATUS, Sampling
from bridge.store import StandingLimit
from bridge.telemetry import Telemetry
from openadr.model import ResourceStatus
from tests.bridge.parts import QUICK, SimCharger, World, at, event, resource, simple
from tests.bridge.test_telemetry import request

SITE = Group(group_id="depot", source=Source.SITE, limit=GroupLimit(per_phase_a=40.0))


def users_own(limit_a: float) -> StandingLimit:
    return StandingLimit(
        limit_id="limit-1",
        source=Source.USER,
        resource_id="evse-1",
        group_id=None,
        limit_a=limit_a,
        limit_kw=None,
        reason="the user's own programme",
        start=at(0),
        end=None,
    )


async def site(engine: AsyncEngine) -> World:
    """Return two chargers behind one connection, in an event without an end, whose VTN has just gone."""
    resources = [resource(1, site="depot", groups=()), resource(2, site="depot", groups=())]
    settings = replace(QUICK, groups=(SITE,))
    world = World(engine, [SimCharger("CP1"), SimCharger("CP2")], resources=resources, settings=settings)
    world.upstream.last_contact = at(0)
    await world.start()
    await world.publish(event(simple((1800, 1)), start=at(0)))
    await world.step(60)
    await world.step(120, every=10)  # nothing is heard of it any more; what it is owed waits in the outbox
    return world


def drawn(world: World) -> list[float]:
    return [each.draw_a(world.clock.now()) for each in world.park.by_identity.values()]


async def test_out_06_without_a_vtn_limits_of_the_site_and_wishes_of_the_user_hold(bridge_db: AsyncEngine) -> None:
    world = await site(bridge_db)
    assert drawn(world) == [20.0, 20.0]  # the site's 40 A are shared below the event's 24 A
    await world.supervisor.set_standing(users_own(8.0))
    await world.step(60)
    assert drawn(world) == [8.0, 24.0]
    await world.supervisor.override("evse-2", event_id=None, reason="late", duration_s=None, source="user")
    await world.step(60)
    assert drawn(world) == [8.0, 32.0]  # out of the event at once; nobody upstream was asked
    world.park["CP2"].session = False
    await world.step(30)
    world.park["CP2"].session = True
    await world.step(60)
    assert sum(drawn(world)) <= 40.0


async def test_out_06_a_users_programme_stays_until_the_user_changes_it(bridge_db: AsyncEngine) -> None:
    world = await site(bridge_db)
    await world.supervisor.set_standing(users_own(8.0))
    for _ in range(3):
        await world.restart()
        world.clock.advance(timedelta(days=2).total_seconds())
        await world.step(60)
        assert drawn(world)[0] == 8.0
    await world.supervisor.end_standing("limit-1")
    await world.step(60)
    assert drawn(world)[0] > 8.0


async def test_out_06_without_a_bridge_cars_charge_and_the_event_ends_by_itself(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((600, 2)), start=at(60)))
    await world.step(120)
    await world.close()  # nothing of the bridge runs any more
    seen: dict[datetime, float] = {}
    for _ in range(12):
        world.clock.advance(60)
        world.park["CP1"].session = world.clock.now() != at(300)  # a session ends, another begins
        seen[world.clock.now()] = drawn(world)[0]
    assert set(seen.values()) == {16.0, 0.0, 32.0}
    assert [power for moment, power in seen.items() if moment >= at(660)] == [32.0] * 4


async def test_out_11_a_resource_that_cannot_be_reached_is_said_upstream_and_a_silent_vtn_here(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1"), SimCharger("CP2")])
    await world.start()
    await world.step(30)
    world.park["CP1"].connected = False
    await world.step(30)
    telemetry = Telemetry(
        resources=world.resources, samples=world.store, flush=world.supervisor.flush, sampling=Sampling()
    )
    asked = request("S-evse-1", "S-evse-2", specifier=STATUS, granularity=30, back=30)
    told = await telemetry.collect(asked, at(30), at(60))
    states = {each.payloads[0].r_id: each.payloads[0].value for each in told}
    assert {name: isinstance(value, ResourceStatus) and value.online for name, value in states.items()} == {
        "S-evse-1": False,
        "S-evse-2": True,
    }
    silent = Overview(
        supervisor=world.supervisor,
        target=world.park,
        store=world.store,
        silent_since=lambda name: at(5) if name == "evse-2" else None,
    )
    first, second = await silent.cards(["evse-1", "evse-2"], world.clock.now())
    assert (first.charger.offline_since, first.vtn_silent_since) == (at(35), None)
    assert (second.charger.offline_since, second.vtn_silent_since) == (None, at(5))
