"""Limits of events for a group as a whole: read from the plans, divided, stored, told."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.allocate import GroupLimit
from bridge.fleet import Charger
from bridge.groups import Facts, Sharing
from bridge.plan import Cap, ResourcePlan, Timing
from bridge.sharing import Sharer, event_dividends
from bridge.store import BridgeStore
from tests.bridge.parts import T0, at, resource


def cap(number: int, kw: float, start: float = 0, end: float = 600) -> Cap:
    return Cap(
        resource_id=f"evse-{number}",
        event_id="event-1",
        modification_number=0,
        start=at(start),
        end=at(end),
        limit_a=None,
        value=kw,
        reason=f"{kw:g} kW for all",
        priority=1,
        emergency=False,
        overridable=True,
        programme="p 1",
        group_kw=kw,
    )


def plans(*caps: Cap) -> dict[str, tuple[ResourcePlan, ...]]:
    return {
        each.resource_id: (
            ResourcePlan(
                resource_id=each.resource_id,
                event_id="event-1",
                modification_number=0,
                timing=Timing(start=at(0), end=at(600), start_offset_s=0, release_offset_s=0),
                caps=(each,),
                programme="p 1",
            ),
        )
        for each in caps
    }


def facts(name: str) -> Facts:
    number = int(name.removeprefix("evse-"))
    charger = Charger(f"CP{number}", T0)
    charger.connected = charger.session = True
    return Facts(resource=resource(number), charger=charger, installed=None, ceiling_a=None)


def test_arb_16_a_group_event_s_limit_is_one_division_for_all_its_resources() -> None:
    asked = plans(cap(1, 22.0), cap(2, 22.0, start=30), cap(3, 11.0, start=300))
    found = {each.key: each for each in event_dividends(asked, Sharing(), at(10))}
    assert {key: each.members for key, each in found.items()} == {
        "event event-1 22 kW": ("evse-1", "evse-2"),
        "event event-1 11 kW": ("evse-3",),
    }
    assert found["event event-1 22 kW"].limit == GroupLimit(total_kw=22.0)
    assert [each.running for each in found.values()] == [True, False]


async def test_arb_16_a_group_event_s_limit_is_shared_and_told_with_its_reason(bridge_db: AsyncEngine) -> None:
    store = BridgeStore(bridge_db)
    sharer = Sharer(store)
    asked = plans(cap(1, 13.8), cap(2, 13.8))
    assert sharer.priced(asked["evse-1"][0].caps[0]) == (0.0, "13.8 kW for all; waits for its share")
    assert sharer.follow(event_dividends(asked, Sharing(), at(-60)), ()) == {"evse-1", "evse-2"}
    priced: list[set[str]] = []
    assert await sharer.update(facts, lambda names: priced.append(set(names)), at(-60)) == {"evse-1", "evse-2"}
    assert priced == [{"evse-1", "evse-2"}]
    amperes, words = sharer.priced(asked["evse-1"][0].caps[0])
    assert amperes == 10.0
    assert words == "13.8 kW for all; share 10 A of 13.8 kW of event event-1, proportional"
    assert sharer.caps("evse-1") == ()  # an event's share is no standing cap
    assert await sharer.update(facts, lambda _names: None, at(-59)) == set()


async def test_out_04_shares_are_taken_up_after_a_restart_and_dropped_with_their_event(bridge_db: AsyncEngine) -> None:
    store = BridgeStore(bridge_db)
    sharer, asked = Sharer(store), plans(cap(1, 13.8), cap(2, 13.8))
    sharer.follow(event_dividends(asked, Sharing(), at(-60)), ())
    await sharer.update(facts, lambda _names: None, at(-60))
    again = Sharer(store)
    await again.load()
    assert not again.empty
    again.follow(event_dividends(asked, Sharing(), at(-60)), ())
    assert again.priced(asked["evse-2"][0].caps[0])[0] == 10.0
    again.follow((), ())
    assert await again.update(facts, lambda _names: None, at(0)) == {"evse-1", "evse-2"}
    assert await store.shares() == {}
    assert again.empty


async def test_arb_16_a_division_in_which_somebody_waits_for_room_is_looked_at_again(bridge_db: AsyncEngine) -> None:
    sharer = Sharer(BridgeStore(bridge_db))
    looks = 0

    def looking(name: str) -> Facts:
        nonlocal looks
        looks += 1
        return facts(name)

    sharer.follow(event_dividends(plans(cap(1, 13.8), cap(2, 13.8)), replace(Sharing(), rotate_s=1e9), at(0)), ())
    await sharer.update(looking, lambda _names: None, at(0))
    seen = looks
    await sharer.update(looking, lambda _names: None, at(10))
    assert looks == seen  # settled: nobody is asked anything
    sharer.touch("evse-1")
    await sharer.update(looking, lambda _names: None, at(11))
    assert looks > seen
