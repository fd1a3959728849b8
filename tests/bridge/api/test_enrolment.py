"""Agreements, windows, modes, forecasts, limiters, claims and the second step of an override in the operator API."""

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.overrides import Budget
from bridge.program import EventClass
from tests.bridge.api.test_api import api_of
from tests.bridge.parts import (
    AGGREGATOR,
    DNO,
    EMERGENCY,
    QUICK,
    SimCharger,
    World,
    at,
    capacity,
    event,
    resource,
    simple,
)


@pytest.fixture
async def world(bridge_db: AsyncEngine) -> World:
    found = World(
        bridge_db, [SimCharger("CP1"), SimCharger("CP2")], resources=[resource(1), resource(2, contracted_kw=7)]
    )
    await found.start()
    return found


async def test_arb_19_agreements_are_noted_listed_and_withdrawn(world: World) -> None:
    body = {"resourceID": "evse-1", "marketContext": f"{DNO}", "who": "J. Doe", "terms": "2026-1", "minutes": 60}
    async with api_of(world) as call:
        status, made = await call("POST", "/api/v1/agreements", body)
        assert (status, made["inForce"], made["until"]) == (201, True, "2026-03-02T15:00:00Z")
        assert (await call("POST", "/api/v1/agreements", body | {"resourceID": "nobody"}))[0] == 404
        assert (await call("POST", "/api/v1/agreements", body | {"marketContext": "http://else"}))[0] == 404
        assert (await call("POST", "/api/v1/agreements", {"resourceID": "evse-1"}))[0] == 400
        assert (await call("DELETE", f"/api/v1/agreements/{made['id']}"))[0] == 204
        assert (await call("DELETE", f"/api/v1/agreements/{made['id']}"))[0] == 404
        [kept] = (await call("GET", "/api/v1/agreements?resourceID=evse-1"))[1]
        assert (kept["inForce"], kept["withdrawnAt"]) == (False, "2026-03-02T14:00:00Z")


async def test_rnd_04_windows_are_shown_and_set(world: World) -> None:
    async with api_of(world) as call:
        assert await call("PUT", "/api/v1/random-windows/evse-1", {"windowS": 900}) == (
            200,
            {"resourceID": "evse-1", "windowS": 900, "ownDelayS": 0},
        )
        assert [row["windowS"] for row in (await call("GET", "/api/v1/random-windows"))[1]] == [900, None]
        assert (await call("PUT", "/api/v1/random-windows/evse-1", {"windowS": 1801}))[0] == 400
        assert (await call("PUT", "/api/v1/random-windows/nobody", {"windowS": 1}))[0] == 404


async def test_arb_18_modes_and_forecasts_are_set_and_shown(world: World) -> None:
    slots = [
        {"start": "2026-03-02T15:00:00Z", "minutes": 60, "value": 80.0},
        {"start": "2026-03-02T14:00:00Z", "minutes": 60, "value": 300.0},
    ]
    async with api_of(world) as call:
        status, found = await call("PUT", "/api/v1/forecasts/carbon", {"slots": slots})
        assert (status, [slot["value"] for slot in found["slots"]]) == (200, [300.0, 80.0])
        assert (await call("GET", "/api/v1/forecasts/carbon"))[1] == found
        assert (await call("GET", "/api/v1/forecasts/weather"))[0] == 404
        assert (await call("PUT", "/api/v1/forecasts/price", {"slots": [slots[0], slots[0]]}))[0] == 400
        naive = {"start": "2026-03-02T15:00:00", "minutes": 60, "value": 1.0}
        assert (await call("PUT", "/api/v1/forecasts/price", {"slots": [naive]}))[0] == 400
        status, mode = await call("PUT", "/api/v1/modes/evse-1", {"mode": "lowest_carbon"})
        assert (status, mode["pauses"]) == (200, [["2026-03-02T14:00:00Z", "2026-03-02T15:00:00Z"]])
        assert [row["mode"] for row in (await call("GET", "/api/v1/modes"))[1]] == ["lowest_carbon"]
        assert (await call("PUT", "/api/v1/modes/evse-1", {"mode": "fastest"}))[0] == 400
        assert (await call("PUT", "/api/v1/modes/nobody", {"mode": "boost"}))[0] == 404
        await world.publish(event(capacity((600, 0.0)), context=EMERGENCY))
        status, problem = await call("PUT", "/api/v1/modes/evse-1", {"mode": "boost"})
        assert (status, problem["rule"]) == (409, "ARB-05")


async def test_arb_20_arb_14_limiters_claims_offers_and_ramps_are_shown(world: World) -> None:
    await world.publish(
        event(simple((600, 2))), event(simple((600, 3)), event_id="event-2", context=AGGREGATOR, priority=2)
    )
    async with api_of(world) as call:
        _, limiters = await call("GET", "/api/v1/limiters?resourceID=evse-1")
        assert [(row["layer"], row["owner"], row["eventID"], row["acts"]) for row in limiters] == [
            ("vtn", "aggregator", "event-2", True),
            ("vtn", "dso", "event-1", False),
        ]
        _, claims = await call("GET", "/api/v1/claims?resourceID=evse-1&hours=1")
        assert [(row["eventID"], row["kWCounted"], row["kWDoubled"]) for row in claims] == [
            ("event-1", 11.04, 0.0),
            ("event-2", 11.04, 11.04),
        ]
        assert (await call("GET", "/api/v1/claims?hours=0"))[0] == 400
        assert (await call("GET", "/api/v1/claims?resourceID=nobody"))[0] == 404
        assert [row["kWOfferable"] for row in (await call("GET", "/api/v1/offers"))[1]] == [22.08, 7.0]
        assert {row["eventID"]: row["steep"] for row in (await call("GET", "/api/v1/ramps"))[1]} == {
            "event-1": False,
            "event-2": False,
        }
        assert (await call("PUT", "/api/v1/frequency", {"hz": 50.02}))[0] == 204
        assert world.supervisor.frequency == (50.02, world.clock.now())


async def test_rnd_06_the_api_says_in_how_many_seconds_a_limit_begins(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], draws=[0.5, 0.0])
    await world.start()
    await world.publish(event(simple((600, 2)), start=at(100), startafter=60))
    async with api_of(world) as call:
        [row] = (await call("GET", "/api/v1/limits"))[1]
        assert (row["limitA"], row["nextLimitA"], row["startsInS"]) == (None, 16.0, 130)
        world.clock.advance(129.5)
        [row] = (await call("GET", "/api/v1/limits"))[1]
        assert row["startsInS"] == 1
        _, made = await call("POST", "/api/v1/overrides", {"chargerID": "CP1", "eventID": "event-1"})
        [row] = (await call("GET", "/api/v1/limits"))[1]
        assert (row["nextLimitA"], row["startsInS"]) == (None, None), "an override skips the delay"
        await call("DELETE", f"/api/v1/overrides/{made['id']}")
        world.clock.advance(10)
        [row] = (await call("GET", "/api/v1/limits"))[1]
        assert (row["limitA"], row["authority"], row["layer"], row["owner"]) == (16.0, "contract", "vtn", "dso")


async def test_arb_06_two_steps_through_the_api(bridge_db: AsyncEngine) -> None:
    settings = replace(QUICK, budget=Budget(per_day=1, two_step=frozenset({EventClass.RELIABILITY})))
    world = World(bridge_db, [SimCharger("CP1")], settings=settings)
    await world.start()
    await world.publish(event(simple((600, 2))))
    async with api_of(world) as call:
        status, first = await call("POST", "/api/v1/overrides", {"chargerID": "CP1"})
        assert (status, first["eventIDs"]) == (202, ["event-1"])
        assert (await call("GET", "/api/v1/overrides"))[1] == []
        status, _ = await call("POST", "/api/v1/overrides", {"chargerID": "CP1", "confirmation": first["confirmation"]})
        assert status == 201
        assert len((await call("GET", "/api/v1/overrides"))[1]) == 1
