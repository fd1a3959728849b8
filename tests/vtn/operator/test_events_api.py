"""Changing events, their versions and counts, filters and market contexts, over the operator API and real TLS."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from openadr.messages import CreatedEvent, DistributeEvent, EiResponse, EventResponse
from openadr.model import Event, OptType
from openadr.times import format_instant
from tests.vtn.server import Pki, Running, VenSide, running
from tests.vtn.test_chain import event_body, ready
from tests.vtn.world import MARKET, START

EVENTS = "/api/v1/events"
CONTEXTS = "/api/v1/market-contexts"


async def take(ven: VenSide) -> dict[str, Event]:
    """Poll, answer every event with optIn, and return the events by eventID."""
    payload = await ven.poll()
    if not isinstance(payload, DistributeEvent):
        return {}
    answers = tuple(
        EventResponse(
            request_id=payload.request_id,
            event_id=each.descriptor.event_id,
            modification_number=each.descriptor.modification_number,
            opt_type=OptType.OPT_IN,
        )
        for each in payload.events
    )
    await ven.send(CreatedEvent(response=EiResponse(), ven_id=ven.ven_id, event_responses=answers))
    return {each.descriptor.event_id: each for each in payload.events}


async def test_an_event_is_changed_and_cancelled_and_the_ven_hears_of_each(vtn: Running) -> None:
    ven = await ready(vtn)
    _, made = await vtn.operator.call("POST", EVENTS, event_body())
    path = f"{EVENTS}/{made['eventID']}"
    assert made["counts"] == {
        "vens": 1,
        "delivered": 0,
        "acknowledged": 0,
        "optedIn": 0,
        "optedOut": 0,
        "unanswered": 1,
        "resources": 2,
    }
    assert (await take(ven))[made["eventID"]].descriptor.modification_number == 0
    body = event_body(duration="PT2H", modificationNumber=0, modificationReason="a longer peak")
    body["signals"][0]["intervals"] = [{"value": 0.5, "duration": "PT20M"}, {"value": 0.1, "duration": "PT100M"}]
    status, seen = await vtn.operator.call("PUT", path, body)
    assert (status, seen["modificationNumber"], seen["duration"]) == (200, 1, "PT2H"), seen
    assert (seen["counts"]["acknowledged"], seen["counts"]["unanswered"]) == (0, 1)
    status, problem = await vtn.operator.call("PUT", path, body)
    assert (status, problem["field"], problem["responseCode"]) == (409, "modificationNumber", 450)
    event = (await take(ven))[made["eventID"]]
    assert (event.descriptor.modification_number, event.descriptor.modification_reason) == (1, "a longer peak")
    assert [each.value for each in event.signals[0].intervals] == [0.5, 0.1]
    vtn.clock.advance(1200)
    status, problem = await vtn.operator.call(
        "PUT", path, {**body, "modificationNumber": 1, "dtstart": "2026-11-21T13:00:00Z"}
    )
    assert (status, problem["field"], problem["responseCode"]) == (409, "dtstart", 451)
    status, problem = await vtn.operator.call("POST", f"{path}/cancel", {"modificationNumber": 0})
    assert (status, problem["field"]) == (409, "modificationNumber")
    status, seen = await vtn.operator.call("POST", f"{path}/cancel", {"modificationNumber": 1, "reason": "over"})
    assert (status, seen["modificationNumber"], seen["eventStatus"]) == (200, 2, "cancelled")
    event = (await take(ven))[made["eventID"]]
    assert (str(event.descriptor.event_status), event.descriptor.modification_number) == ("cancelled", 2)
    assert await take(ven) == {}
    _, detail = await vtn.operator.call("GET", path)
    assert [
        (each["modificationNumber"], each["actor"], each["duration"], each["modificationReason"], each["eventStatus"])
        for each in detail["versions"]
    ] == [
        (0, "operator", "PT1H", None, "far"),
        (1, "operator", "PT2H", "a longer peak", "far"),
        (2, "operator", "PT2H", "over", "cancelled"),
    ]
    assert detail["counts"]["acknowledged"] == 1
    status, problem = await vtn.operator.call("PUT", path, {**body, "modificationNumber": 2})
    assert (status, problem["field"]) == (409, "eventID")


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"modificationNumber": None}, 422, "modificationNumber"),
        ({"colour": "green"}, 422, "colour"),
        ({"priority": -1}, 422, "priority"),
        ({"targets": {"area": ["nowhere"]}}, 422, "targets.area"),
        ({"duration": "PT59M"}, 422, ""),
        ({"dtstart": "2026-11-21T11:59:59Z"}, 409, "dtstart"),
    ],
)
async def test_a_bad_change_is_refused_by_field_and_nothing_changes(
    vtn: Running, changes: dict[str, Any], status: int, field: str
) -> None:
    await vtn.enrolled("r1", "r2")
    _, made = await vtn.operator.call("POST", EVENTS, event_body())
    path = f"{EVENTS}/{made['eventID']}"
    _, before = await vtn.operator.call("GET", path)
    got, problem = await vtn.operator.call("PUT", path, event_body(**{"modificationNumber": 0, **changes}))
    assert got == status, problem
    if field:
        assert problem["field"] == field
    assert (await vtn.operator.call("GET", path))[1] == before
    assert (await vtn.operator.call("PUT", f"{EVENTS}/evt-x", event_body(modificationNumber=0)))[0] == 404


async def test_a_repeated_put_with_its_key_is_one_change(vtn: Running) -> None:
    await vtn.enrolled("r1", "r2")
    _, made = await vtn.operator.call("POST", EVENTS, event_body())
    key = {"Idempotency-Key": "k1"}
    body = event_body(modificationNumber=0, priority=3)
    answers = [await vtn.operator.call("PUT", f"{EVENTS}/{made['eventID']}", body, key) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0][1]["modificationNumber"] == 1


async def test_of_many_changes_at_once_one_wins(vtn: Running) -> None:
    await vtn.enrolled("r1", "r2")
    _, made = await vtn.operator.call("POST", EVENTS, event_body())
    path = f"{EVENTS}/{made['eventID']}"
    answers = await asyncio.gather(
        *(vtn.operator.call("PUT", path, event_body(modificationNumber=0, priority=each)) for each in range(2, 10))
    )
    assert sorted(status for status, _ in answers) == [200] + [409] * 7


async def test_lists_are_filtered_and_bad_filters_named(vtn: Running) -> None:
    await vtn.enrolled("r1", "r2")
    _, first = await vtn.operator.call("POST", EVENTS, event_body())
    later = format_instant(START + timedelta(days=1))
    _, second = await vtn.operator.call("POST", EVENTS, event_body(dtstart=later, marketContext="https://b.example"))
    await vtn.operator.call("POST", f"{EVENTS}/{first['eventID']}/cancel", {})
    for query, expected in (
        ("", {first["eventID"], second["eventID"]}),
        ("?status=cancelled", {first["eventID"]}),
        ("?status=far", {second["eventID"]}),
        ("?status=active", set()),
        ("?marketContext=https://b.example/", {second["eventID"]}),
        ("?venID=ven-a&start=2026-11-22T00:00:00Z", {second["eventID"]}),
        ("?venID=ven-x", set()),
        ("?end=2026-11-21T12:30:00Z", {first["eventID"]}),
    ):
        status, page = await vtn.operator.call("GET", f"{EVENTS}{query}")
        assert (status, {each["eventID"] for each in page["events"]}) == (200, expected), query
    for query, field in (("?status=asleep", "status"), ("?start=now", "start"), ("?colour=green", "colour")):
        status, problem = await vtn.operator.call("GET", f"{EVENTS}{query}")
        assert (status, problem["field"]) == (422, field)


async def test_a_baseline_a_running_value_and_every_unit_are_shown(vtn: Running) -> None:
    ven = await ready(vtn)
    names = ("current", "frequency", "Therm", "temperature", "voltage", "energyApparent", "powerReactive")
    units: list[dict[str, Any]] = [{"kind": name} for name in names]
    units += [{"kind": "pulseCount", "pulseFactor": 0.1}, {"kind": "currencyPerThm", "itemUnits": "EUR"}]
    units += [{"kind": "customUnit", "itemDescription": "sheep", "itemUnits": "head"}]
    body = event_body(
        dtstart=format_instant(START),
        signals=[
            {"signalName": f"x-{unit['kind']}", "signalType": "level", "itemBase": unit, "intervals": [{"value": 1.5}]}
            for unit in units
        ],
        baseline={"baselineName": "typical", "intervals": [{"value": 9}], "resourceID": ["r1", "r2"]},
    )
    status, made = await vtn.operator.call("POST", EVENTS, body)
    assert status == 201, made
    assert {each["currentValue"] for each in made["signals"]} == {1.5}
    assert (made["baseline"]["duration"], made["baseline"]["resourceID"]) == ("PT1H", ["r1", "r2"])
    event = (await take(ven))[made["eventID"]]
    assert event.baseline is not None
    assert event.baseline.intervals[0].value == 9
    assert [each.item_base.kind for each in event.signals if each.item_base] == [each["kind"] for each in units]
    body["signals"] = [{**body["signals"][0], "itemBase": {"kind": "furlong"}}]
    status, problem = await vtn.operator.call("POST", EVENTS, body)
    assert (status, problem["field"]) == (422, "itemBase")


async def test_market_contexts_are_set_up_and_bind_events(vtn: Running) -> None:
    await vtn.enrolled("r1", "r2")
    programme = {
        "marketContext": MARKET.upper().replace("FLEX", "flex"),
        "name": "Flexibility",
        "signals": [{"signalName": "SIMPLE"}],
        "priorities": [1],
        "maxDuration": "PT2H",
        "opts": {"scheduleTypes": ["optOut"], "overlaps": False},
    }
    status, seen = await vtn.operator.call("POST", CONTEXTS, programme)
    assert (status, seen["marketContext"], seen["actor"]) == (201, MARKET, "operator"), seen
    assert seen["opts"] == {
        "scheduleTypes": ["optOut"],
        "defaultState": "optIn",
        "precedence": "optOut",
        "overlaps": False,
        "eventsDuringOptOut": True,
    }
    assert (await vtn.operator.call("POST", CONTEXTS, programme))[0] == 409
    status, problem = await vtn.operator.call("POST", EVENTS, event_body())
    assert (status, problem["field"], problem["responseCode"]) == (422, "signals.signalName", 460)
    status, seen = await vtn.operator.call("PUT", CONTEXTS, {"marketContext": MARKET, "name": "Free"})
    assert (status, seen["signals"], seen["maxDuration"]) == (200, [], None)
    assert (await vtn.operator.call("POST", EVENTS, event_body()))[0] == 201
    _, page = await vtn.operator.call("GET", CONTEXTS)
    assert [each["name"] for each in page["programmes"]] == ["Free"]
    for body, field in (
        ({"marketContext": MARKET}, "name"),
        ({"marketContext": MARKET, "name": "x", "targets": ["pnode"]}, "targets"),
        ({"marketContext": MARKET, "name": "x", "opts": {"colour": "green"}}, "opts.colour"),
    ):
        status, problem = await vtn.operator.call("PUT", CONTEXTS, body)
        assert (status, problem["field"]) == (422, field)
    assert (await vtn.operator.call("DELETE", f"{CONTEXTS}?marketContext={MARKET}"))[0] == 200
    assert (await vtn.operator.call("DELETE", f"{CONTEXTS}?marketContext={MARKET}"))[0] == 404
    assert (await vtn.operator.call("GET", EVENTS))[1]["events"]


@pytest.mark.postgres
async def test_a_change_made_at_one_node_reaches_a_ven_at_another(pki: Pki, postgres_url: str) -> None:
    async with running(pki, postgres_url) as first, running(pki, postgres_url) as second:
        ven = await ready(first)
        there = second.ven(second.pki.ven_a, "ven-a")
        _, made = await first.operator.call("POST", EVENTS, event_body())
        await second.app.outbox.look_around()
        assert (await take(there))[made["eventID"]].descriptor.modification_number == 0
        await second.app.outbox.flush()
        body = event_body(modificationNumber=0, priority=2)
        status, seen = await second.operator.call("PUT", f"{EVENTS}/{made['eventID']}", body)
        assert (status, seen["modificationNumber"]) == (200, 1)
        await first.app.outbox.look_around()
        assert (await take(ven))[made["eventID"]].descriptor.modification_number == 1
        changes = [
            operator.call("PUT", f"{EVENTS}/{made['eventID']}", {**body, "modificationNumber": 1, "priority": priority})
            for priority, operator in enumerate((first.operator, second.operator) * 3, 3)
        ]
        answers = await asyncio.gather(*changes)
        assert sorted(status for status, _ in answers) == [200] + [409] * 5


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"vtnComment": "a\x01b"}, "vtnComment"),
        ({"marketContext": f"{MARKET}\x00"}, "marketContext"),
        ({"targets": {"venID": ["ven-a\uffff"]}}, "targets.venID.0"),
    ],
)
async def test_a_character_that_xml_cannot_hold_is_refused_before_it_breaks_a_payload(
    vtn: Running, change: dict[str, Any], field: str
) -> None:
    ven = await ready(vtn)
    status, problem = await vtn.operator.call("POST", EVENTS, event_body(**change))
    assert (status, problem["field"]) == (422, field), problem
    assert "cannot stand in XML" in problem["detail"]
    _, made = await vtn.operator.call("POST", EVENTS, event_body())
    status, problem = await vtn.operator.call("POST", f"{EVENTS}/{made['eventID']}/cancel", {"reason": "\x02"})
    assert (status, problem["field"]) == (422, "reason")
    status, problem = await vtn.operator.call("GET", f"{EVENTS}?venID=%00")
    assert (status, problem["field"]) == (422, "venID")
    status, _ = await vtn.operator.call("GET", f"{EVENTS}/evt%00")
    assert status == 404
    assert set(await take(ven)) == {made["eventID"]}
