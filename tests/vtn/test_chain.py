"""The whole way over TLS: enrol, register, METADATA, event, answer, opt, telemetry, and what the operator sees."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from openadr.messages import (
    CreatedEvent,
    CreatedOpt,
    CreatedReport,
    CreateOpt,
    DistributeEvent,
    EiResponse,
    EventResponse,
    QueryRegistration,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    Response,
    UpdatedReport,
    UpdateReport,
)
from openadr.model import (
    EiTarget,
    EventStatus,
    OptType,
    QualifiedEventId,
    Report,
    ReportDescription,
    ReportInterval,
    ReportPayload,
    SamplingRate,
    power_real,
)
from openadr.times import Duration, format_instant
from tests.vtn.server import Pki, Running, VenSide, running
from tests.vtn.world import MARKET, START


def event_body(**changes: Any) -> dict[str, Any]:
    """Return the body of POST /events as the issue writes it."""
    return {
        "marketContext": MARKET,
        "priority": 1,
        "dtstart": format_instant(START + timedelta(minutes=10)),
        "duration": "PT1H",
        "startafter": "PT2M",
        "signals": [
            {
                "signalName": "LOAD_CONTROL",
                "signalType": "x-loadControlCapacity",
                "intervals": [{"duration": "PT20M", "value": 0.5}, {"duration": "PT40M", "value": 0.25}],
            }
        ],
        "targets": {"venID": [], "resourceID": ["r1", "r2"], "groupID": []},
        "responseRequired": "always",
        "testEvent": False,
        "vtnComment": "evening peak",
        **changes,
    }


def metadata() -> RegisterReport:
    """Return METADATA offering power of r1."""
    rate = SamplingRate(min_period=Duration(seconds=10), max_period=Duration(seconds=300))
    description = ReportDescription(
        r_id="rid-r1-power",
        report_type="usage",
        reading_type="Direct Read",
        report_data_source=EiTarget(resource_ids=("r1",)),
        item_base=power_real(),
        sampling_rate=rate,
    )
    report = Report(
        report_request_id="0",
        report_specifier_id="spec-usage",
        created_date_time=START,
        report_name="METADATA_TELEMETRY_USAGE",
        duration=Duration(seconds=3600),
        descriptions=(description,),
    )
    return RegisterReport(request_id="req-m", reports=(report,), ven_id="ven-a")


def data(report_request_id: str, *values: float) -> UpdateReport:
    """Return power of r1, one value a minute."""
    intervals = tuple(
        ReportInterval(
            dtstart=START + timedelta(minutes=minute),
            payloads=(ReportPayload(r_id="rid-r1-power", value=value),),
        )
        for minute, value in enumerate(values)
    )
    report = Report(
        report_request_id=report_request_id,
        report_specifier_id="spec-usage",
        created_date_time=START,
        report_name="TELEMETRY_USAGE",
        dtstart=START,
        intervals=intervals,
    )
    return UpdateReport(request_id="req-u", reports=(report,), ven_id="ven-a")


async def publish(vtn: Running, **changes: Any) -> str:
    """Publish an event and return its eventID."""
    status, answer = await vtn.operator.call("POST", "/api/v1/events", event_body(**changes))
    assert status == 201, answer
    event_id: str = answer["eventID"]
    return event_id


async def ready(vtn: Running) -> VenSide:
    """Enrol and register ven-a with r1 and r2, and drain what greets it."""
    ven = await vtn.enrolled("r1", "r2")
    await ven.register()
    offer = await ven.poll()
    assert isinstance(offer, RegisterReport)
    answer = RegisteredReport(response=EiResponse(request_id=offer.request_id), ven_id="ven-a")
    assert isinstance(await ven.send(answer), Response)
    assert isinstance(await ven.poll(), Response)
    return ven


def answers(payload: DistributeEvent, opt_type: OptType = OptType.OPT_IN) -> CreatedEvent:
    """Answer every event of a payload."""
    return CreatedEvent(
        response=EiResponse(),
        ven_id="ven-a",
        event_responses=tuple(
            EventResponse(
                request_id=payload.request_id,
                event_id=event.descriptor.event_id,
                modification_number=event.descriptor.modification_number,
                opt_type=opt_type,
            )
            for event in payload.events
        ),
    )


async def test_the_whole_chain_over_mutual_tls(vtn: Running) -> None:
    ven = await vtn.enrolled("r1", "r2")
    assert await ven.send(QueryRegistration(request_id="req-q")) is not None
    created = await ven.register()
    assert (created.ven_id, created.vtn_id) == ("ven-a", "VTN-1")

    registered = await ven.send(metadata())
    assert isinstance(registered, RegisteredReport)
    (asked,) = registered.report_requests
    assert asked.specifier.granularity == Duration(seconds=60)
    await ven.send(
        CreatedReport(
            response=EiResponse(request_id="req-m"), pending_reports=(asked.report_request_id,), ven_id="ven-a"
        )
    )
    empty = await ven.send(RequestEvent(request_id="req-e", ven_id="ven-a"))
    assert isinstance(empty, DistributeEvent)
    assert (empty.events, empty.response) == ((), EiResponse(request_id="req-e", response_description="OK"))
    assert isinstance(await ven.poll(), RegisterReport)

    event_id = await publish(vtn)
    payload = await ven.poll()
    assert isinstance(payload, DistributeEvent)
    (event,) = payload.events
    assert event.descriptor.event_id == event_id
    assert event.target == EiTarget(ven_ids=("ven-a",), resource_ids=("r1", "r2"))
    assert [(each.uid, each.value) for each in event.signals[0].intervals] == [(0, 0.5), (1, 0.25)]
    assert event.descriptor.test_event == "false"
    assert isinstance(await ven.send(answers(payload)), Response)
    assert isinstance(await ven.poll(), Response)

    opt = CreateOpt(
        opt_id="opt-1",
        opt_type=OptType.OPT_OUT,
        opt_reason="overrideStatus",
        ven_id="ven-a",
        created_date_time=START,
        request_id="req-o",
        qualified_event_id=QualifiedEventId(event_id=event_id, modification_number=0),
        target=EiTarget(ven_ids=("ven-a",), resource_ids=("r2",)),
    )
    assert await ven.send(opt) == CreatedOpt(
        response=EiResponse(request_id="req-o", response_description="OK"), opt_id="opt-1"
    )
    updated = await ven.send(data(asked.report_request_id, 7400.0, 3700.0))
    assert isinstance(updated, UpdatedReport)
    assert updated.response.ok

    status, seen = await vtn.operator.call("GET", f"/api/v1/events/{event_id}")
    assert status == 200
    (of_ven,) = seen["vens"]
    assert (of_ven["state"], of_ven["optType"], of_ven["responseCode"]) == ("acknowledged", "optIn", 200)
    assert of_ven["requestIDs"] == [payload.request_id]
    first, second = of_ven["resources"]
    assert (first["resourceID"], first["optType"], first["optSource"]) == ("r1", "optIn", "createdEvent")
    assert (second["optType"], second["optSource"], second["optReason"]) == ("optOut", "createOpt", "overrideStatus")
    assert [(each["value"], each["unit"]) for each in first["telemetry"]] == [(3700.0, "W")]
    status, reports = await vtn.operator.call("GET", "/api/v1/reports?resourceID=r1")
    assert [row["value"] for row in reports["reports"]] == [7400.0, 3700.0]
    status, opts = await vtn.operator.call("GET", f"/api/v1/opts?eventID={event_id}")
    assert [row["optID"] for row in opts["opts"]] == ["opt-1"]


async def test_a_cancelled_event_is_handed_out_until_acknowledged(vtn: Running) -> None:
    ven = await ready(vtn)
    event_id = await publish(vtn)
    payload = await ven.poll()
    assert isinstance(payload, DistributeEvent)
    await ven.send(answers(payload))
    status, cancelled = await vtn.operator.call("POST", f"/api/v1/events/{event_id}/cancel", {"reason": "not needed"})
    assert (status, cancelled["modificationNumber"], cancelled["eventStatus"]) == (200, 1, "cancelled")
    again = await ven.poll()
    assert isinstance(again, DistributeEvent)
    descriptor = again.events[0].descriptor
    assert (descriptor.event_status, descriptor.modification_number) == (EventStatus.CANCELLED, 1)
    assert isinstance(await ven.poll(), Response)  # not due again yet
    vtn.clock.advance(61)
    repeated = await ven.poll()
    assert isinstance(repeated, DistributeEvent)
    await ven.send(answers(repeated))
    vtn.clock.advance(600)
    assert isinstance(await ven.poll(), Response)
    full = await ven.send(RequestEvent(request_id="req-e", ven_id="ven-a"))
    assert isinstance(full, DistributeEvent)
    assert full.events == ()
    _, seen = await vtn.operator.call("GET", f"/api/v1/events/{event_id}")
    assert seen["vens"][0]["state"] == "acknowledged"
    assert [(each["modificationNumber"], each["actor"]) for each in seen["versions"]] == [
        (0, "operator"),
        (1, "operator"),
    ]


async def test_a_restart_in_mid_event_loses_nothing(pki: Pki, tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'vtn.sqlite3'}"
    async with running(pki, url) as first:
        ven = await ready(first)
        event_id = await publish(first)
    async with running(pki, url) as second:
        ven = second.ven(pki.ven_a, "ven-a")
        payload = await ven.poll()
        assert isinstance(payload, DistributeEvent)
        assert payload.events[0].descriptor.event_id == event_id
        await ven.send(answers(payload, OptType.OPT_OUT))
    async with running(pki, url) as third:
        ven = third.ven(pki.ven_a, "ven-a")
        assert isinstance(await ven.poll(), Response)
        _, seen = await third.operator.call("GET", f"/api/v1/events/{event_id}")
        assert (seen["vens"][0]["state"], seen["vens"][0]["optType"]) == ("acknowledged", "optOut")
