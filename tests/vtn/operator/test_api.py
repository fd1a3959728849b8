"""The operator API: publishing, refusals that name the field, idempotency, lists, tokens, and its own description."""

from datetime import timedelta
from typing import Any

import pytest

from openadr.messages import DistributeEvent
from openadr.times import format_instant
from tests.vtn.server import Operator, Running
from tests.vtn.test_chain import data, event_body, metadata, publish, ready
from tests.vtn.test_endpoints import counts
from tests.vtn.world import START
from vtn.operator.app import ROUTES

EVENTS = "/api/v1/events"


def signals(**changes: Any) -> list[dict[str, Any]]:
    return [{"signalName": "SIMPLE", "signalType": "level", "intervals": [{"value": 1, "duration": "PT1H"}], **changes}]


async def test_a_published_event_is_shown_in_the_standard_s_terms(vtn: Running) -> None:
    await vtn.enrolled("r1", "r2")
    status, seen = await vtn.operator.call("POST", EVENTS, event_body())
    assert status == 201
    assert seen["eventID"].startswith("evt-")
    assert {key: seen[key] for key in ("modificationNumber", "eventStatus", "priority", "duration", "startafter")} == {
        "modificationNumber": 0,
        "eventStatus": "far",
        "priority": 1,
        "duration": "PT1H",
        "startafter": "PT2M",
    }
    assert seen["dtstart"] == "2026-11-21T12:10:00Z"
    (signal,) = seen["signals"]
    assert [(each["uid"], each["duration"], each["value"]) for each in signal["intervals"]] == [
        (0, "PT20M", 0.5),
        (1, "PT40M", 0.25),
    ]
    status, detail = await vtn.operator.call("GET", f"{EVENTS}/{seen['eventID']}")
    assert {key: detail[key] for key in seen} == seen
    (of_ven,) = detail["vens"]
    assert (of_ven["state"], of_ven["optType"], of_ven["deliveries"]) == ("queued", None, 0)
    assert [each["resourceID"] for each in of_ven["resources"]] == ["r1", "r2"]


async def test_the_unit_defaults_to_the_signal_s(vtn: Running) -> None:
    await vtn.enrolled("r1")
    body = event_body(signals=signals(signalName="LOAD_DISPATCH", signalType="setpoint"), targets={"venID": ["ven-a"]})
    _, seen = await vtn.operator.call("POST", EVENTS, body)
    assert seen["signals"][0]["itemBase"]["kind"] == "powerReal"


async def test_forms_of_times_and_durations(vtn: Running) -> None:
    ven = await ready(vtn)
    for duration, shown in (
        ("P1W", "P7D"),
        ("P1M", "P1M"),
        ("PT90M", "PT1H30M"),
        ("P400DT25H", "P401DT1H"),
        ("PT0S", "PT0S"),
    ):
        body = event_body(
            duration=duration, dtstart="2026-11-21T14:00:00+01:00", signals=signals(intervals=[{"value": 1}])
        )
        status, seen = await vtn.operator.call("POST", EVENTS, body)
        assert (status, seen.get("duration"), seen.get("dtstart")) == (201, shown, "2026-11-21T13:00:00Z"), seen
    payload = await ven.poll()
    assert isinstance(payload, DistributeEvent)
    assert len(payload.events) == 5


async def test_an_event_may_start_now_or_have_started_but_not_be_over(vtn: Running) -> None:
    await vtn.enrolled("r1", "r2")
    body = event_body()
    del body["dtstart"]
    status, seen = await vtn.operator.call("POST", EVENTS, body)
    assert (status, seen["dtstart"], seen["eventStatus"]) == (201, format_instant(START), "active")
    status, _ = await vtn.operator.call(
        "POST", EVENTS, event_body(dtstart=format_instant(START - timedelta(minutes=59)))
    )
    assert status == 201
    status, seen = await vtn.operator.call(
        "POST", EVENTS, event_body(dtstart=format_instant(START - timedelta(hours=1)))
    )
    assert (status, seen["field"]) == (409, "dtstart")


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"targets": {"venID": ["ven-x"]}}, 422, "targets.venID"),
    ({"targets": {"resourceID": ["r1", "r9"]}}, 422, "targets.resourceID"),
    ({"targets": {"groupID": ["g9"]}}, 422, "targets.groupID"),
    ({"targets": {}}, 422, "targets"),
    ({"targets": {"pnode": ["p"]}}, 422, "targets.pnode"),
    ({"colour": "green"}, 422, "colour"),
    ({"duration": "an hour"}, 422, "duration"),
    ({"duration": "-PT1H"}, 422, "duration"),
    ({"duration": "PT1.5H"}, 422, "duration"),
    ({"duration": "P101Y"}, 422, "duration"),
    ({"dtstart": "2026-11-21T13:00:00"}, 422, "dtstart"),
    ({"dtstart": "9999-12-31T23:59:00Z"}, 422, "duration"),
    ({"priority": -1}, 422, "priority"),
    ({"marketContext": ""}, 422, "marketContext"),
    ({"responseRequired": "perhaps"}, 422, "responseRequired"),
    ({"signals": []}, 422, "signals"),
    ({"signals": signals(signalType="price")}, 422, "signalType"),
    ({"signals": signals(signalName="NONSENSE")}, 422, "signalType"),
    ({"signals": signals(intervals=[{"value": 4, "duration": "PT1H"}])}, 422, ""),
    ({"signals": signals(intervals=[{"value": 1, "duration": "PT59M"}])}, 422, ""),
    ({"signals": signals(intervals=[{"value": 1}, {"value": 2}])}, 422, "signals.intervals.duration"),
    ({"signals": signals(intervals=[{"value": "lots"}])}, 422, "signals.0.intervals.0.value"),
    (
        {
            "signals": signals(
                signalName="LOAD_CONTROL", signalType="x-loadControlCapacity", intervals=[{"value": 1.01}]
            )
        },
        422,
        "",
    ),
]


@pytest.mark.parametrize(("changes", "status", "field"), BAD, ids=[str(each[0])[:60] for each in BAD])
async def test_a_bad_event_is_refused_by_field_and_nothing_is_written(
    vtn: Running, changes: dict[str, Any], status: int, field: str
) -> None:
    await vtn.enrolled("r1", "r2")
    before = await counts(vtn)
    got, seen = await vtn.operator.call("POST", EVENTS, event_body(**changes))
    assert (got, seen["status"]) == (status, status), seen
    assert seen["detail"]
    if field:
        assert seen["field"] == field, seen
    assert await counts(vtn) == before


async def test_bodies_that_are_not_json_are_400(vtn: Running) -> None:
    for text in (b"{", b"[1", b"\xff\xfe", b'{"a": NaN}'):
        headers = {"Authorization": f"Bearer {vtn.operator.token}"}
        async with vtn.session.post(f"{vtn.operator.url}{EVENTS}", data=text, headers=headers) as answer:
            assert answer.status == 400
            assert answer.content_type == "application/problem+json"
    status, _ = await vtn.operator.call("POST", EVENTS, ["a list"])
    assert status == 422


async def test_without_the_token_nothing_but_health_is_served(vtn: Running) -> None:
    for token in (None, "wrong-token-wrong-token"):
        stranger = Operator(vtn.session, vtn.operator.url, token)
        for route in ROUTES:
            status, _ = await stranger.call(route.method, route.path.replace("{eventID}", "evt-1"))
            assert status == 401, route.path
        assert (await stranger.call("GET", "/openapi.json"))[0] == 401
        assert (await stranger.call("GET", "/health"))[0] == 200


async def test_an_idempotency_key_makes_a_request_happen_once(vtn: Running) -> None:
    await vtn.enrolled("r1", "r2")
    key = {"Idempotency-Key": "k-1"}
    first = await vtn.operator.call("POST", EVENTS, event_body(), key)
    vtn.clock.advance(5)
    assert await vtn.operator.call("POST", EVENTS, event_body(), key) == first
    other = await vtn.operator.call("POST", EVENTS, event_body(priority=2), key)
    assert (other[0], other[1]["field"]) == (422, "Idempotency-Key")
    assert (await vtn.operator.call("POST", EVENTS, event_body(), {"Idempotency-Key": "k" * 300}))[0] == 422
    refused = event_body(targets={"venID": ["ven-x"]})
    assert (await vtn.operator.call("POST", EVENTS, refused, {"Idempotency-Key": "k-2"}))[0] == 422
    assert (await vtn.operator.call("POST", EVENTS, event_body(), {"Idempotency-Key": "k-2"}))[0] == 201
    assert len((await vtn.operator.call("GET", EVENTS))[1]["events"]) == 2


async def test_cancelling(vtn: Running) -> None:
    await vtn.enrolled("r1", "r2")
    event_id = await publish(vtn)
    unknown = await vtn.operator.call("POST", f"{EVENTS}/evt-x/cancel")
    assert (unknown[0], unknown[1]["field"]) == (404, "eventID")
    status, seen = await vtn.operator.call("POST", f"{EVENTS}/{event_id}/cancel", {"reason": "storm is over"})
    assert (status, seen["modificationNumber"], seen["eventStatus"], seen["modificationReason"]) == (
        200,
        1,
        "cancelled",
        "storm is over",
    )
    status, again = await vtn.operator.call("POST", f"{EVENTS}/{event_id}/cancel")
    assert (status, again["modificationNumber"]) == (200, 1)
    late = await publish(vtn)
    vtn.clock.advance(2 * 3600)
    status, seen = await vtn.operator.call("POST", f"{EVENTS}/{late}/cancel")
    assert (status, seen["field"]) == (409, "eventID")


async def test_lists_are_paged_to_the_end(vtn: Running) -> None:
    ven = await ready(vtn)
    published = [await publish(vtn, dtstart=format_instant(START + timedelta(hours=n))) for n in range(1, 6)]
    await ven.send(metadata())
    async with vtn.app.store.read() as tx:
        (asked,) = await tx.reports.requests("ven-a")
    await ven.send(data(asked.request.report_request_id, *map(float, range(5))))

    async def walk(path: str, name: str, what: str) -> list[Any]:
        found, cursor = [], ""
        for _ in range(10):
            status, page = await vtn.operator.call("GET", f"{path}limit=2{cursor}")
            assert status == 200
            found += [each[what] for each in page[name]]
            if page["next"] is None:
                return found
            cursor = f"&cursor={page['next']}"
        raise AssertionError("no end")

    assert await walk(f"{EVENTS}?", "events", "eventID") == published[::-1]
    assert await walk("/api/v1/reports?venID=ven-a&rID=rid-r1-power&", "reports", "value") == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert await walk("/api/v1/vens?", "vens", "venID") == ["ven-a"]
    assert await walk("/api/v1/opts?", "opts", "optID") == []


async def test_telemetry_is_selected_by_time(vtn: Running) -> None:
    ven = await ready(vtn)
    await ven.send(metadata())
    async with vtn.app.store.read() as tx:
        (asked,) = await tx.reports.requests("ven-a")
    await ven.send(data(asked.request.report_request_id, *map(float, range(5))))
    _, page = await vtn.operator.call("GET", "/api/v1/reports?start=2026-11-21T12:01:00Z&end=2026-11-21T12:03:00Z")
    assert [each["value"] for each in page["reports"]] == [1.0, 2.0]
    assert (await vtn.operator.call("GET", "/api/v1/reports?resourceID=r2"))[1]["reports"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "cursor=!!", "cursor=bm9wZQ==", "colour=green"])
async def test_bad_queries_are_422(vtn: Running, query: str) -> None:
    status, seen = await vtn.operator.call("GET", f"{EVENTS}?{query}")
    assert (status, seen["field"]) == (422, query.split("=")[0])


async def test_enrolling_is_refused_where_it_would_mix_up_vens(vtn: Running) -> None:
    await vtn.enrolled("r1")
    taken = vtn.pki.ven_a.fingerprint
    free = vtn.pki.ven_b.fingerprint
    for body, status, field in (
        ({"venID": "ven-a", "fingerprint": free}, 409, "venID"),
        ({"venID": "ven-b", "fingerprint": taken}, 409, "fingerprint"),
        ({"venID": "ven-b", "fingerprint": taken.lower().replace(":", "")}, 409, "fingerprint"),
        ({"venID": "ven-b", "fingerprint": "not a fingerprint at all"}, 422, "fingerprint"),
        ({"venID": "ven-b", "fingerprint": free, "resources": [{"resourceID": "r"}] * 2}, 422, "resources.resourceID"),
        ({"venID": "ven-b"}, 422, "fingerprint"),
    ):
        got, seen = await vtn.operator.call("POST", "/api/v1/vens", body)
        assert (got, seen["field"]) == (status, field), seen
    _, page = await vtn.operator.call("GET", "/api/v1/vens")
    (ven,) = page["vens"]
    assert (ven["venID"], ven["registered"], ven["resources"]) == (
        "ven-a",
        False,
        [{"resourceID": "r1", "source": "enrolment", "groupIDs": ["g1"], "party": [], "area": [], "deviceClass": []}],
    )


async def test_last_seen_is_current(vtn: Running) -> None:
    ven = await ready(vtn)
    vtn.clock.advance(30)
    await ven.poll()
    _, page = await vtn.operator.call("GET", "/api/v1/vens")
    assert page["vens"][0]["lastSeenDateTime"] == "2026-11-21T12:00:30Z"
    assert page["vens"][0]["registered"]


async def test_the_description_names_every_route_and_model(vtn: Running) -> None:
    status, described = await vtn.operator.call("GET", "/openapi.json")
    assert status == 200
    assert {(method.upper(), path) for path, item in described["paths"].items() for method in item} == {
        (route.method, route.path) for route in ROUTES
    }
    schemas = described["components"]["schemas"]
    assert {"EventIn", "EventSummary", "EventDetail", "VenIn", "ProblemView"} <= set(schemas)
    assert schemas["EventIn"]["additionalProperties"] is False


async def test_health_and_metrics(vtn: Running) -> None:
    ven = await ready(vtn)
    await ven.poll()
    assert await vtn.operator.call("GET", "/health") == (
        200,
        {"status": "ok", "checks": {"database": "ok"}, "push": {"vens": 0, "waiting": 0, "failing": 0}},
    )
    headers = {"Authorization": f"Bearer {vtn.operator.token}"}
    async with vtn.session.get(f"{vtn.operator.url}/metrics", headers=headers) as answer:
        text = await answer.text()
    assert "oadr_vtn_empty_polls_total 2.0" in text
