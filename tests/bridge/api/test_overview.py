"""The fleet as a whole in the operator API: curtailable power, status cards, key figures, availability, alerts."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.api.energy import Tariff
from bridge.location import Location
from bridge.rollup import RollUp
from bridge.store import Alert, Changes
from openadr.model import SignalType
from tests.bridge.api.test_api import TOKEN, api_of
from tests.bridge.parts import EUR, TARIFF, SimCharger, World, at, event, resource, signal, simple


@pytest.fixture
async def world(bridge_db: AsyncEngine) -> World:
    place = Location(premises="1 High Street", primary="Elm")
    resources = [
        resource(1, site="depot", location=place, meter_class="MID B"),
        resource(2, site="depot"),
        resource(3, groups=()),
    ]
    chargers = [SimCharger("CP1"), SimCharger("CP2", refuses=True), SimCharger("CP3", connected=False)]
    found = World(bridge_db, chargers, resources=resources)
    await found.start()
    await found.step(60)
    return found


async def cards(world: World) -> dict[str, dict[str, Any]]:
    async with api_of(world) as call:
        status, rows = await call("GET", "/api/v1/status")
    assert status == 200
    return {row["resourceID"]: row for row in rows}


async def test_tel_04_tel_15_one_card_has_the_six_categories_of_feedback(world: World) -> None:
    price = signal("ENERGY_PRICE", SignalType.PRICE, (3600, 0.55), unit=EUR)
    later = event(simple((60, 1)), event_id="later", start=at(900))
    await world.publish(event(simple((120, 2)), start=at(70)), later, event(price, event_id="price", context=TARIFF))
    await world.step(60)
    running = (await cards(world))["evse-1"]
    assert (running["connected"], running["session"], running["status"]) == (True, True, "")  # (i) operating status
    assert (running["powerW"], running["powerAt"]) == (11_040.0, "2026-03-02T14:02:00Z")  # (ii) power now
    events = {each["eventID"]: each for each in running["events"]}
    assert {name: each["when"] for name, each in events.items()} == {
        "event-1": "running",
        "later": "planned",
        "price": "running",
    }  # (iii)
    assert (running["manualOverride"], running["communicationFailure"]) == (False, False)
    await world.supervisor.override("evse-1", event_id=None, reason="late", duration_s=None, source="user")
    assert (await cards(world))["evse-1"]["manualOverride"] is True  # (v)
    await world.step(120)
    after = (await cards(world))["evse-1"]
    events = {each["eventID"]: each for each in after["events"]}
    assert events["event-1"]["when"] == "recent"
    assert events["event-1"]["kWBefore"] == 22.08
    assert 11.04 <= events["event-1"]["kWDuring"] < 22.08  # (iv) power during events
    gone = (await cards(world))["evse-3"]
    assert (gone["communicationFailure"], gone["powerW"], gone["powerAt"]) == (True, None, None)  # (vi)
    assert gone["gaps"] == ["power", "energy register", "phase currents", "state of charge", "mains frequency"]


async def test_tel_15_price_rate_reason_direction_identity_and_meter(world: World) -> None:
    price = signal("ENERGY_PRICE", SignalType.PRICE, (3600, 0.55), unit=EUR)
    await world.publish(event(simple((600, 2)), start=at(60)), event(price, event_id="price", context=TARIFF))
    await world.step(60)
    card = (await cards(world))["evse-1"]
    assert (card["chargeRate"], card["direction"]) == ("medium", "import")
    assert card["price"] == {"value": 0.55, "kind": "price", "unit": "EUR currencyPerKWh", "eventID": "price"}
    assert (card["limitA"], card["limitReason"]) == (16.0, "SIMPLE 2: 50 % of 32 A = 16 A per phase")
    assert (card["chargerID"], card["resourceID"], card["meterClass"]) == ("CP1", "evse-1", "MID B")
    assert card["gaps"] == ["state of charge", "mains frequency"]
    other = (await cards(world))["evse-2"]
    assert (other["chargeRate"], other["meterClass"], other["location"]) == ("high", "", None)


async def test_tel_11_operators_see_the_premises(world: World) -> None:
    place = (await cards(world))["evse-1"]["location"]
    assert (place["premises"], place["primary"], place["confidence"]) == ("1 High Street", "Elm", "assumed")


async def test_tel_13_curtailable_power_by_feeder_and_site(world: World) -> None:
    await world.supervisor.opt_ahead("evse-2", source="suspension", start=at(0), end=None, reason="rebuilding")
    async with api_of(world) as call:
        status, rows = await call("GET", "/api/v1/groups")
    assert status == 200
    groups = {row["groupID"]: row for row in rows}
    assert set(groups) == {"", "depot", "feeder-7"}
    feeder = groups["feeder-7"]
    assert (feeder["resources"], feeder["online"], feeder["charging"], feeder["out"]) == (2, 2, 2, 1)
    assert (feeder["kW"], feeder["kWCurtailable"], feeder["kWToFloor"], feeder["kWHeld"]) == (44.16, 22.08, 17.94, 0.0)
    assert (groups[""]["resources"], groups[""]["online"], groups[""]["metered"]) == (3, 2, 2)


async def test_tel_14_tel_18_availability_and_figures_over_a_time(world: World) -> None:
    await world.publish(event(simple((120, 2)), start=at(60)))
    await world.step(300)
    async with api_of(world) as call:
        _, figures = await call("GET", "/api/v1/figures?start=2026-03-02T14:00:00Z")
        _, rows = await call("GET", "/api/v1/availability?start=2026-03-02T14:00:00Z&end=2026-03-02T14:06:00Z")
        for wrong in ("start=yesterday", "start=2026-03-02T14:00:00", "start=2020-01-01T00:00:00Z"):
            assert (await call("GET", f"/api/v1/figures?{wrong}"))[0] == 400
    assert (figures["events"], figures["participations"], figures["kWhShortfall"]) == (1, 3, 0.0)
    assert figures["states"] == {"failed": 1, "unresponsive": 1, "verified": 1}
    assert (figures["kWReduction"], figures["kWPeakReduction"]) == (11.04, 11.04)
    assert (figures["verifiedRate"], figures["overrideRate"]) == (0.3333, 0.0)
    assert figures["kWhWithheld"] == pytest.approx(11.04 * 120 / 3600, abs=0.01)
    first, _, third = rows
    assert (first["hours"], first["onlineHours"], first["pluggedHours"]) == (0.1, 0.1, 0.1)
    assert (first["response"], first["responses"]) == ("minute", 1)
    assert (third["onlineHours"], third["response"]) == (0.0, "unproven")


async def test_status_cards_are_narrowed_and_come_in_pages(world: World) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with api_of(world) as call:
        _, one = await call("GET", "/api/v1/status?resourceID=evse-2")
        assert [row["resourceID"] for row in one] == ["evse-2"]
        _, group = await call("GET", "/api/v1/status?groupID=depot")
        assert [row["resourceID"] for row in group] == ["evse-1", "evse-2"]
        assert (await call("GET", "/api/v1/status?resourceID=nobody"))[0] == 404
        assert (await call("GET", "/api/v1/status?groupID=nowhere"))[0] == 404
        async with call.http.get(f"{call.base}/api/v1/status?limit=2", headers=headers) as answer:
            link = str(answer.headers["Link"])
        _, rest = await call("GET", link[1 : link.index(">")])
        assert [row["resourceID"] for row in rest] == ["evse-3"]


def alert(number: int, cleared: datetime | None = None) -> Alert:
    return Alert(
        alert_id=f"alert-{number}",
        kind="vtn_silent",
        subject="VTN",
        severity="critical",
        text="silent",
        raised_at=at(number),
        cleared_at=cleared,
    )


async def test_tel_17_alerts_are_listed_latest_first_and_forgotten_with_the_rest(world: World) -> None:
    await world.store.write(Changes(alerts=(alert(1, cleared=at(5)), alert(2))))
    async with api_of(world) as call:
        _, rows = await call("GET", "/api/v1/alerts")
        assert [(row["alertID"], row["clearedAt"]) for row in rows] == [
            ("alert-2", None),
            ("alert-1", "2026-03-02T14:00:05Z"),
        ]
        assert [row["alertID"] for row in (await call("GET", "/api/v1/alerts?open=true"))[1]] == ["alert-2"]
        assert (await call("GET", "/api/v1/alerts?open=maybe"))[0] == 400
        await world.store.forget(at(60))
        assert [row["alertID"] for row in (await call("GET", "/api/v1/alerts"))[1]] == ["alert-2"]


async def test_tel_16_energy_cost_and_carbon_of_each_charger(world: World, tmp_path: Path) -> None:
    await world.step(3720, every=60)
    await world.supervisor.flush()
    await RollUp(world.store, ["CP1", "CP2", "CP3"]).run(world.clock.now())
    rates = tmp_path / "rates.csv"
    rates.write_text("start,price_per_kwh,g_co2_per_kwh\n2026-03-02T14:00:00Z,0.30,200\n")
    path = "/api/v1/energy?start=2026-03-02T14:00:00Z"
    async with api_of(world, tariff=Tariff(rates=rates, currency="EUR")) as call:
        status, rows = await call("GET", path)
        assert status == 200
        first, second, third = rows
        assert (first["resourceID"], first["meterClass"], first["halfHours"]) == ("evse-1", "MID B", 2)
        assert first["kWh"] == pytest.approx(22.08, abs=0.5)
        assert (first["cost"], first["currency"]) == (pytest.approx(11.04 * 0.3, abs=0.2), "EUR")
        assert first["gCo2"] == pytest.approx(11.04 * 200, abs=100)
        assert first["halfHoursWithoutPrice"] == 1
        assert second["kWh"] == pytest.approx(first["kWh"], abs=0.1)
        assert (third["kWh"], third["cost"], third["currency"]) == (0.0, None, "")
        assert [row["resourceID"] for row in (await call("GET", f"{path}&resourceID=evse-2"))[1]] == ["evse-2"]
        assert (await call("GET", f"{path}&resourceID=nobody"))[0] == 404
        rates.write_text("nonsense")
        status, problem = await call("GET", path)
        assert (status, "line 1" in problem["detail"]) == (503, True)
    async with api_of(world) as call:
        assert {row["cost"] for row in (await call("GET", path))[1]} == {None}
