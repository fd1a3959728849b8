"""Everybody who limits a resource is named with layer and owner, other systems at the charger included."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.allocate import GroupLimit
from bridge.arbiter import Effective, Source, StandingCap
from bridge.groups import Group
from bridge.limiters import OWNERS, Layer, register, responsible
from bridge.target import ForeignLimit
from openadr.model import SignalType
from tests.bridge.parts import EUR, QUICK, TARIFF, SimCharger, World, at, event, resource, signal, simple


def foreign(amperes: float | None) -> ForeignLimit:
    return ForeignLimit(source="CSO", connector=1, by="notified", since=at(0), limit_a=amperes)


def test_arb_20_every_source_has_a_layer_and_an_owner() -> None:
    assert set(OWNERS) == {*(each.value for each in Source), "event"}
    assert responsible("site", "Depot Ltd") == (Layer.SITE, "Depot Ltd")
    assert responsible("event", "supplier") == (Layer.SUPPLIER, "supplier")
    assert responsible("event", "dso") == (Layer.VTN, "dso")
    assert responsible("none") == (None, "")
    nobody = Effective(start=at(0), end=None, limit_a=None, source="none", reason="no limit")
    assert register((nobody,), ()) == ()


def test_arb_20_another_system_acts_where_it_is_below_ours() -> None:
    ours = Effective(start=at(0), end=None, limit_a=16.0, source="event", reason="x", event_id="event-1", owner="dso")
    assert [(each.owner, each.acts) for each in register((ours,), (foreign(10.0),))] == [("dso", True), ("CSO", True)]
    assert [each.acts for each in register((ours,), (foreign(20.0),))] == [True, False]
    assert [each.acts for each in register((), (foreign(None),))] == [False]
    detailed = replace(foreign(6.0), detail="profile 7")
    assert register((), (detailed,))[0].reason == "told by notified: profile 7"


async def test_arb_20_the_register_names_who_acts_and_who_else_limits(bridge_db: AsyncEngine) -> None:
    group = Group(group_id="depot", source=Source.SITE, limit=GroupLimit(per_phase_a=12.0), owner="Depot Ltd")
    configured = {"evse-1": (StandingCap(source=Source.DEFAULT, limit_a=25.0, reason="limit_a of the settings"),)}
    settings = replace(QUICK, groups=(group,), configured=configured)
    world = World(bridge_db, [SimCharger("CP1")], resources=[resource(site="depot", groups=())], settings=settings)
    await world.start()
    await world.publish(event(simple((900, 2))))
    world.park["CP1"].foreign = (foreign(10.0),)
    await world.round()
    found = world.supervisor.limiters("evse-1", world.clock.now())
    assert [(each.layer.value, each.owner, each.limit_a, each.authority, each.acts) for each in found] == [
        ("site", "Depot Ltd", 12.0, "customer", True),
        ("vtn", "dso", 16.0, "contract", False),
        ("bridge", "operator of the bridge", 25.0, "customer", False),
        ("charger", "CSO", 10.0, "", True),
    ]


async def test_arb_20_a_tariff_is_the_supplier_s(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    price = signal("ELECTRICITY_PRICE", SignalType.PRICE, (3600, 0.9), unit=EUR)
    await world.publish(event(price, context=TARIFF))
    [found] = world.supervisor.limiters("evse-1", world.clock.now())
    assert (found.layer, found.owner) == (Layer.SUPPLIER, "supplier")


async def test_arb_13_a_lower_limit_of_another_system_is_named_as_the_one_that_constrains(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(event(simple((900, 2))))
    world.park["CP1"].foreign, world.park["CP1"].demand_a = (foreign(10.0),), 10.0
    await world.step(60)
    assert world.outcome() == (
        "constrained_by",
        "meter reads 10.0 A per phase, limit 16 A; limited by CSO at the charger (10 A)",
    )
    assert world.upstream.opts == []


async def test_arb_13_a_local_programme_that_defeats_an_event_is_told_upstream(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", ignores=True)])
    await world.start()
    world.park["CP1"].foreign = (replace(foreign(32.0), source="localProfile"),)
    await world.publish(event(simple((900, 2))))
    await world.step(200)
    state, reason = world.outcome()
    assert state == "failed"
    assert "another system sets limits there: localProfile at the charger (32 A)" in reason
    assert [(each.opt_type.value, each.reason) for each in world.upstream.opts] == [("optOut", "notParticipating")]
