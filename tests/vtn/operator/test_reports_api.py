"""Reports in the operator API, over real TLS: offers, requests, their life, data in every form, documents."""

import csv
import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from openadr.messages import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    EiResponse,
    Message,
    RegisterReport,
    Response,
    UpdatedReport,
    UpdateReport,
)
from openadr.model import ReportInterval, ReportRequest
from openadr.times import ZERO, Duration, format_instant
from tests.openadr.wire.test_content import FEED
from tests.vtn.server import TOKEN, Running, VenSide
from tests.vtn.services.reportkit import ENERGY, HISTORY, MINUTE, USAGE, accept, series, value
from tests.vtn.services.test_ownreports import wanted
from tests.vtn.services.test_reports import POWER, at, metadata, offer, update
from tests.vtn.test_chain import ready
from tests.vtn.world import START

API = "/api/v1"
REQUESTS, REPORTS = f"{API}/report-requests", f"{API}/reports"
GREEN = offer("HISTORY_GREENBUTTON", "spec-g", replace(POWER, item_base=None, green_button=FEED, sampling_rate=None))


async def offered(vtn: Running) -> VenSide:
    ven = await ready(vtn)
    await ven.send(metadata(USAGE, offer("TELEMETRY_USAGE", "spec-e", ENERGY), HISTORY, GREEN))
    found = await next_of(ven, RegisterReport)
    assert len(found.reports) == 4
    return ven


async def next_of(ven: VenSide, kind: type[Message]) -> Any:
    for _ in range(10):
        found = await ven.poll()
        if isinstance(found, kind):
            return found
        assert not isinstance(found, Response), f"no {kind.__name__} waits"
    raise AssertionError(kind)


async def ask(vtn: Running, **body: Any) -> dict[str, Any]:
    status, seen = await vtn.operator.call("POST", REQUESTS, {"venID": "ven-a", **body})
    assert status == 201, seen
    row: dict[str, Any] = seen
    return row


async def show(vtn: Running, path: str) -> Any:
    status, seen = await vtn.operator.call("GET", path)
    assert status == 200, seen
    return seen


async def raw(vtn: Running, path: str) -> tuple[int, str, str]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with vtn.session.get(f"{vtn.operator.url}{path}", headers=headers) as answer:
        return answer.status, answer.content_type, await answer.text()


async def test_offers_are_shown_with_their_points_and_remarks(vtn: Running) -> None:
    ven = await ready(vtn)
    await ven.send(metadata(replace(USAGE, duration=None), HISTORY))
    page = await show(vtn, f"{API}/report-offers?venID=ven-a")
    usage, history = page["offers"]
    assert (history["reportName"], usage["reportSpecifierID"]) == ("HISTORY_USAGE", "spec-1")
    assert usage["remarks"] == ["duration is missing (R312)"]
    point = usage["points"][0]
    assert (point["rID"], point["resourceIDs"], point["itemBase"]["siScaleCode"]) == ("rid-1", ["r1"], "k")
    assert point["samplingRate"] == {"minPeriod": "PT10S", "maxPeriod": "PT15M", "onChange": False}
    first = await show(vtn, f"{API}/report-offers?limit=1")
    rest = await show(vtn, f"{API}/report-offers?limit=1&cursor={first['next']}")
    assert [each["reportSpecifierID"] for each in first["offers"] + rest["offers"]] == ["spec-1", "spec-h"]
    assert (await show(vtn, f"{API}/report-offers?reportName=HISTORY_USAGE"))["offers"] == [history]


async def test_a_request_from_asking_to_cancelling(vtn: Running) -> None:
    ven = await offered(vtn)
    row = await ask(vtn, reportSpecifierID="spec-1", rIDs=["rid-1"], granularity="PT1M", reportBackDuration="PT15M")
    assert (row["state"], row["actor"], row["standing"]) == ("requested", "operator", True)
    assert row["expectedDateTime"] == format_instant(START + timedelta(minutes=15))
    assert row["points"] == [{"rID": "rid-1", "resourceID": "r1", "unit": "kW"}]
    where = f"{REQUESTS}/{row['reportRequestID']}"
    message = await next_of(ven, CreateReport)
    assert isinstance(await ven.send(accept(message)), Response)
    assert (await show(vtn, where))["state"] == "confirmed"
    await ven.send(update(row["reportRequestID"], *series(1.0, 2.0)))
    seen = await show(vtn, where)
    assert (seen["state"], seen["reports"], seen["lastDataDateTime"]) == ("delivering", 1, format_instant(START))
    status, seen = await vtn.operator.call("POST", f"{where}/cancel", {"reportToFollow": True, "reason": "enough"})
    assert (status, seen["state"], seen["reason"]) == (200, "cancelling", "enough")
    cancelled = await next_of(ven, CancelReport)
    assert cancelled.report_to_follow
    await ven.send(CanceledReport(response=EiResponse(request_id=cancelled.request_id), ven_id="ven-a"))
    assert (await show(vtn, where))["state"] == "cancelled"
    status, problem = await vtn.operator.call("POST", f"{where}/cancel", {})
    assert (status, problem["field"]) == (409, "reportRequestID")


async def test_a_late_report_is_seen_in_the_api_the_metric_and_after_that_as_delivered(vtn: Running) -> None:
    ven = await offered(vtn)
    row = await ask(vtn, reportSpecifierID="spec-1", reportBackDuration="PT1M")
    await ven.send(accept(await next_of(ven, CreateReport)))
    vtn.clock.advance(181)
    await vtn.app.reporting.round(vtn.clock.now())
    overdue = (await show(vtn, f"{REQUESTS}?state=overdue"))["requests"]
    late = {each["reportRequestID"]: each["overdueSince"] for each in overdue}
    assert late[row["reportRequestID"]] == format_instant(START + timedelta(minutes=3))
    assert len(late) == 3  # with the two that the policy asked for
    _, _, metrics = await raw(vtn, "/metrics")
    assert "oadr_vtn_reports_overdue_total 3.0" in metrics
    await ven.send(update(row["reportRequestID"], *series(1.0)))
    assert len((await show(vtn, f"{REQUESTS}?venID=ven-a&state=overdue"))["requests"]) == 2


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"reportSpecifierID": "spec-9"}, 422, "reportSpecifierID"),
        ({"reportSpecifierID": "spec-1", "rIDs": ["rid-9"]}, 422, "rIDs"),
        ({"reportSpecifierID": "spec-1", "reportBackDuration": "PT1M", "granularity": "PT1S"}, 422, "granularity"),
        ({"reportSpecifierID": "spec-h"}, 422, "dtstart"),
        ({"reportSpecifierID": "spec-1", "granularity": "fast"}, 422, "granularity"),
        ({"reportSpecifierID": "spec-1", "rID": "rid-1"}, 422, "rID"),
        ({}, 422, "reportSpecifierID"),
        ({"reportSpecifierID": "spec-1", "venID": "ven-z"}, 422, "venID"),
    ],
)
async def test_bad_requests_name_the_field(vtn: Running, body: dict[str, Any], status: int, field: str) -> None:
    await offered(vtn)
    got, problem = await vtn.operator.call("POST", REQUESTS, {"venID": "ven-a", **body})
    assert (got, problem["field"]) == (status, field), problem
    assert [each["actor"] for each in (await show(vtn, REQUESTS))["requests"]] == [None, None]  # the policy's


async def test_a_ven_that_is_away_is_409_and_what_is_not_there_404(vtn: Running) -> None:
    await vtn.enrolled("r1")
    status, problem = await vtn.operator.call("POST", REQUESTS, {"venID": "ven-a", "reportSpecifierID": "METADATA"})
    assert (status, problem["field"]) == (409, "venID")
    for method, path in (("GET", f"{REQUESTS}/rpt-9"), ("POST", f"{REQUESTS}/rpt-9/cancel")):
        assert (await vtn.operator.call(method, path, {} if method == "POST" else None))[0] == 404
    for name in ("7", "x", "9" * 30, "%2e%2e%2fx"):
        assert (await vtn.operator.call("GET", f"{API}/report-documents/{name}"))[0] == 404


async def test_requests_are_paged_newest_first(vtn: Running) -> None:
    ven = await ready(vtn)
    await ven.send(metadata(HISTORY))
    names = []
    for minute in range(5):
        vtn.clock.advance(60 * (minute // 2))
        begin = format_instant(START - timedelta(days=1))
        names.append((await ask(vtn, reportSpecifierID="spec-h", dtstart=begin))["reportRequestID"])
    seen: list[str] = []
    cursor = ""
    while True:
        page = await show(vtn, f"{REQUESTS}?limit=2{cursor}")
        seen += [each["reportRequestID"] for each in page["requests"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert sorted(seen) == sorted(names)
    assert seen[0] == names[-1]


async def test_telemetry_in_pages_buckets_newest_and_csv(vtn: Running) -> None:
    ven = await ready(vtn)
    reply: Any = await ven.send(metadata(USAGE, offer("TELEMETRY_USAGE", "spec-e", ENERGY)))
    power, energy = (each.report_request_id for each in reply.report_requests)
    await ven.send(update(power, *series(1.0, 2.0, 3.0), at(0, 7.0, "rid-2")))
    spans = (value(START + timedelta(minutes=n), 0.5, "rid-e", MINUTE) for n in range(3))
    await ven.send(update(energy, *spans, report_specifier_id="spec-e"))

    newest = await show(vtn, f"{REPORTS}?order=newest&rID=rid-1&limit=2")
    assert [each["value"] for each in newest["reports"]] == [3.0, 2.0]
    rest = await show(vtn, f"{REPORTS}?order=newest&rID=rid-1&limit=2&cursor={newest['next']}")
    assert [each["value"] for each in rest["reports"]] == [1.0]

    found = (await show(vtn, f"{REPORTS}?resolution=PT15M&venID=ven-a"))["buckets"]
    assert [(each["rID"], each["aggregate"], each["value"], each["count"]) for each in found] == [
        ("rid-1", "mean", 2.0, 3),
        ("rid-2", "mean", 7.0, 1),
        ("rid-e", "sum", 1.5, 3),
    ]
    assert (found[0]["dtstart"], found[0]["durationSeconds"]) == (format_instant(START), 900)
    peak = (await show(vtn, f"{REPORTS}?resolution=PT15M&rID=rid-1&aggregate=max"))["buckets"]
    assert [each["value"] for each in peak] == [3.0]
    first = await show(vtn, f"{REPORTS}?resolution=PT1M&limit=3")
    second = await show(vtn, f"{REPORTS}?resolution=PT1M&limit=3&cursor={first['next']}")
    assert len(first["buckets"] + second["buckets"]) == 6

    latest = (await show(vtn, f"{REPORTS}/latest?venID=ven-a"))["reports"]
    assert {each["rID"]: each["value"] for each in latest} == {"rid-1": 3.0, "rid-2": 7.0, "rid-e": 0.5}
    assert len((await show(vtn, f"{REPORTS}/latest?venID=ven-a&resourceID=r2"))["reports"]) == 1

    status, kind, text = await raw(vtn, f"{REPORTS}.csv?venID=ven-a&rID=rid-1")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert (status, kind, [line["value"] for line in lines]) == (200, "text/csv", ["1.0", "2.0", "3.0"])
    assert (lines[0]["dtstart"], lines[0]["unit"], lines[0]["online"]) == (format_instant(START), "kW", "")


async def test_a_text_that_a_spreadsheet_would_calculate_is_exported_as_text(vtn: Running) -> None:
    ven = await ready(vtn)
    r_id = '=HYPERLINK("https://x.example","a,b")'
    reply: Any = await ven.send(metadata(offer("TELEMETRY_USAGE", "spec-1", replace(POWER, r_id=r_id))))
    await ven.send(update(reply.report_requests[0].report_request_id, at(0, -1.0, r_id)))
    _, _, text = await raw(vtn, f"{REPORTS}.csv")
    (line,) = csv.DictReader(io.StringIO(text))
    assert (line["rID"], line["value"]) == (f"'{r_id}", "-1.0")


@pytest.mark.parametrize(
    "query",
    [
        "resolution=PT0S",
        "resolution=P1M",
        "resolution=P400D",
        "order=up",
        "aggregate=max",
        "resolution=PT1M&order=newest",
    ],
)
async def test_bad_queries_are_422(vtn: Running, query: str) -> None:
    assert (await vtn.operator.call("GET", f"{REPORTS}?{query}"))[0] == 422


async def test_green_button_data_is_kept_as_it_came(vtn: Running) -> None:
    ven = await offered(vtn)
    row = await ask(vtn, reportSpecifierID="spec-g", dtstart=format_instant(START - timedelta(days=30)))
    await ven.send(accept(await next_of(ven, CreateReport)))
    interval = ReportInterval(feeds=(FEED,), payloads=())
    sent = update(
        row["reportRequestID"], interval, report_specifier_id="spec-g", report_name="HISTORY_GREENBUTTON", dtstart=START
    )
    reply = await ven.send(sent)
    assert isinstance(reply, UpdatedReport)
    assert reply.response.ok
    assert (await show(vtn, f"{REQUESTS}/{row['reportRequestID']}"))["state"] == "done"
    (document,) = (await show(vtn, f"{API}/report-documents?venID=ven-a"))["documents"]
    status, kind, text = await raw(vtn, f"{API}/report-documents/{document['documentID']}")
    assert (status, kind, text) == (200, "application/atom+xml", FEED)
    assert (await show(vtn, f"{API}/report-documents?limit=1&cursor=MA=="))["documents"] == []


async def test_a_ven_asks_the_vtn_for_what_it_knows_of_it(vtn: Running) -> None:
    ven = await offered(vtn)
    policy = (await show(vtn, f"{REQUESTS}?venID=ven-a"))["requests"]
    asked = next(each["reportRequestID"] for each in policy if each["reportSpecifierID"] == "spec-1")
    await ven.send(update(asked, *series(1.0, 2.0)))
    request: ReportRequest = wanted("rr-1", "vtn-history-spec-1", start=START - timedelta(hours=1), length=ZERO)
    vtn.clock.advance(600)
    created = await ven.send(CreateReport(request_id="req-c", report_requests=(request,), ven_id="ven-a"))
    assert isinstance(created, CreatedReport)
    assert (created.response.response_code, created.pending_reports) == (200, ("rr-1",))
    found = await next_of(ven, UpdateReport)
    (report,) = found.reports
    assert [each.payloads[0].value for each in report.intervals] == [1.0, 2.0]
    assert isinstance(
        await ven.send(UpdatedReport(response=EiResponse(request_id=found.request_id), ven_id="ven-a")), Response
    )
    (delivery,) = (await show(vtn, f"{API}/report-deliveries?venID=ven-a"))["deliveries"]
    assert (delivery["reports"], delivery["reason"], delivery["nextDateTime"]) == (1, "delivered", None)
    first = await show(vtn, f"{API}/report-deliveries?limit=1")
    assert (await show(vtn, f"{API}/report-deliveries?cursor={first['next']}"))["deliveries"] == []


async def test_the_rounds_run_by_themselves(vtn: Running) -> None:
    ven = await offered(vtn)
    request = wanted("rr-1", "vtn-telemetry-spec-1", granularity=MINUTE, back=Duration(seconds=60), start=START)
    await ven.send(CreateReport(request_id="req-c", report_requests=(request,), ven_id="ven-a"))
    found: Message = Response(response=EiResponse())
    for _ in range(200):
        vtn.clock.advance(1)
        found = await ven.poll()
        if isinstance(found, UpdateReport):
            break
    assert isinstance(found, UpdateReport)
