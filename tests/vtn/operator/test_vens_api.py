"""VENs, candidates, queues and availability in the operator API, with a VEN on the other side over TLS."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from openadr.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedPartyRegistration,
    CreateOpt,
    CreatePartyRegistration,
    CreateReport,
    EiResponse,
    QueryRegistration,
    RequestReregistration,
    Response,
)
from openadr.model import Availability, EiTarget, OptType
from openadr.times import Duration, format_instant
from runtime.clock import FakeClock
from tests.vtn.server import Pki, Running, VenSide, make_settings
from tests.vtn.test_chain import data, event_body, metadata, publish, ready
from tests.vtn.world import MARKET, START
from vtn.app import build
from vtn.services.context import EnrolmentMode
from vtn.settings import EnrolmentSection

VEN = "/api/v1/vens/ven-a"


@pytest.fixture
async def asking(pki: Pki, sqlite_url: str) -> AsyncIterator[Running]:
    """Return a running VTN in mode ask."""
    settings = make_settings(pki, sqlite_url)
    clock = FakeClock(START)
    app = build(settings.model_copy(update={"enrolment": EnrolmentSection(mode=EnrolmentMode.ASK)}), clock)
    await app.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Running(app, pki, clock, session)
    finally:
        await app.stop()


async def ok(vtn: Running, method: str, path: str, body: object = None, status: int = 200) -> Any:
    got, seen = await vtn.operator.call(method, path, body)
    assert got == status, seen
    return seen


async def refused(vtn: Running, method: str, path: str, body: object = None) -> tuple[int, str]:
    status, seen = await vtn.operator.call(method, path, body)
    assert status >= 400, seen
    return status, seen["field"]


def codes(*replies: Any) -> list[int]:
    """Return the response codes; a payload of ours that a poll finds is as good as 200."""
    return [200 if isinstance(reply, CreateReport) else reply.response.response_code for reply in replies]


async def schedule(ven: VenSide, *resources: str, hours: int = 2) -> None:
    message = CreateOpt(
        opt_id="opt-1",
        opt_type=OptType.OPT_OUT,
        opt_reason="economic",
        ven_id="ven-a",
        created_date_time=START,
        request_id="req-o",
        vavailability=(Availability(dtstart=START, duration=Duration(seconds=hours * 3600)),),
        target=EiTarget(ven_ids=("ven-a",), resource_ids=resources),
    )
    assert codes(await ven.send(message)) == [200]


async def test_rule_401_403_an_operator_changes_the_poll_interval_and_asks_for_re_registration(vtn: Running) -> None:
    ven = await ready(vtn)
    seen = await ok(vtn, "PATCH", VEN, {"pollFreqSeconds": 300})
    assert (seen["pollFreqSeconds"], seen["toldPollFreqSeconds"], seen["presence"]) == (300, 10, "online")
    asked = await ok(vtn, "POST", f"{VEN}/reregister", status=202)
    assert (asked["payload"], asked["state"]) == ("oadrRequestReregistration", "waiting")
    assert await ven.poll() == RequestReregistration(ven_id="ven-a")
    assert codes(
        await ven.send(Response(response=EiResponse(), ven_id="ven-a"), "/OpenADR2/Simple/2.0b/EiRegisterParty")
    ) == [200]
    registration_id = seen["registrationID"]
    again = CreatePartyRegistration(request_id="req-r", registration_id=registration_id, ven_id="ven-a")
    created = await ven.send(again)
    assert isinstance(created, CreatedPartyRegistration)
    assert (created.registration_id, created.requested_poll_freq) == (registration_id, Duration(seconds=300))
    assert (await ok(vtn, "GET", VEN))["toldPollFreqSeconds"] == 300
    states = {each["payload"]: each["state"] for each in (await ok(vtn, "GET", f"{VEN}/queue"))["queue"]}
    assert states["oadrRequestReregistration"] == "answered"


async def test_rule_407_517_an_operator_cancels_a_registration(vtn: Running) -> None:
    ven = await ready(vtn)
    event_id = await publish(vtn)
    await ok(vtn, "POST", f"{VEN}/cancel-registration", status=202)
    shown = await ok(vtn, "GET", f"{VEN}/queue")
    assert [(each["payload"], each["state"]) for each in shown["queue"]] == [("oadrCancelPartyRegistration", "waiting")]
    assert shown["eventsDue"] == [event_id]
    assert (await ok(vtn, "GET", VEN))["cancelByDateTime"] is not None
    asked = await ven.poll()
    assert isinstance(asked, CancelPartyRegistration)
    assert await refused(vtn, "DELETE", f"{VEN}/queue") == (409, "venID")
    answer = CanceledPartyRegistration(
        response=EiResponse(request_id=asked.request_id), registration_id=asked.registration_id, ven_id="ven-a"
    )
    assert codes(await ven.send(answer)) == [200]
    seen = await ok(vtn, "GET", VEN)
    assert (seen["registered"], seen["presence"], seen["endedBy"]) == (False, "unregistered", "operator")
    assert codes(await ven.poll()) == [463]
    assert await refused(vtn, "POST", f"{VEN}/cancel-registration") == (409, "venID")
    assert await refused(vtn, "POST", f"{VEN}/reregister") == (409, "venID")


async def test_what_a_ven_never_answers_is_seen_as_given_up_and_dropped(vtn: Running) -> None:
    ven = await ready(vtn)
    await ok(vtn, "POST", f"{VEN}/reregister", status=202)
    for _ in range(20):
        await ven.poll()
        vtn.clock.advance(60)
    entries = (await ok(vtn, "GET", f"{VEN}/queue"))["queue"]
    (gone,) = (each for each in entries if each["payload"] == "oadrRequestReregistration")
    assert (gone["state"], gone["attempts"], gone["dueDateTime"]) == ("gaveUp", 4, None)
    assert await ok(vtn, "DELETE", f"{VEN}/queue/{gone['id']}") == {"purged": 1}
    assert await refused(vtn, "DELETE", f"{VEN}/queue/{gone['id']}") == (404, "id")
    assert await refused(vtn, "DELETE", f"{VEN}/queue/x") == (404, "id")
    await ok(vtn, "POST", f"{VEN}/reregister", status=202)
    assert (await ok(vtn, "DELETE", f"{VEN}/queue"))["purged"] >= 1
    assert isinstance(await ven.poll(), Response)


async def test_rule_517_a_stranger_is_approved_by_an_operator(asking: Running) -> None:
    stranger = asking.ven(asking.pki.ven_b, "ven-b")
    reply = await stranger.register()
    assert (codes(reply), reply.ven_id) == ([463], None)
    await stranger.send(QueryRegistration(request_id="req-q"))
    (found,) = (await ok(asking, "GET", "/api/v1/candidates?state=waiting"))["candidates"]
    assert (found["subjectCN"], found["venName"], found["fingerprint"]) == (
        "ven-b",
        "A VEN",
        asking.pki.ven_b.fingerprint,
    )
    path = f"/api/v1/candidates/{found['fingerprint']}"
    await ok(asking, "POST", f"{path}/reject")
    assert (await ok(asking, "GET", "/api/v1/candidates?state=waiting"))["candidates"] == []
    assert codes(await stranger.register()) == [463]
    body = {"venID": "ven-b", "resources": [{"resourceID": "r9", "area": ["north"]}], "party": ["p"]}
    enrolled = await ok(asking, "POST", f"{path}/approve", body, 201)
    assert (enrolled["certificateCN"], enrolled["party"], enrolled["resources"][0]["area"]) == (
        "ven-b",
        ["p"],
        ["north"],
    )
    reply = await stranger.register()
    assert (codes(reply), reply.ven_id) == ([200], "ven-b")
    assert await refused(asking, "POST", f"{path}/approve", body) == (404, "fingerprint")
    assert await refused(asking, "DELETE", "/api/v1/candidates/nonsense") == (404, "fingerprint")


async def test_a_candidate_is_forgotten_and_paged(asking: Running) -> None:
    for issued in (asking.pki.ven_a, asking.pki.ven_b):
        await asking.ven(issued, "x").register()
        asking.clock.advance(1)
    first = await ok(asking, "GET", "/api/v1/candidates?limit=1")
    second = await ok(asking, "GET", f"/api/v1/candidates?limit=1&cursor={first['next']}")
    names = [page["candidates"][0]["subjectCN"] for page in (first, second)]
    assert names == ["ven-a", "ven-b"]
    await ok(asking, "DELETE", f"/api/v1/candidates/{asking.pki.ven_a.fingerprint}")
    assert len((await ok(asking, "GET", "/api/v1/candidates"))["candidates"]) == 1


async def test_in_mode_listed_nobody_is_a_candidate(vtn: Running) -> None:
    assert codes(await vtn.ven(vtn.pki.ven_b, "ven-b").register()) == [463]
    assert (await ok(vtn, "GET", "/api/v1/candidates"))["candidates"] == []


async def test_a_ven_is_changed_field_by_field(vtn: Running) -> None:
    await vtn.enrolled("r1", "r2")
    await ok(vtn, "PATCH", VEN, {"area": ["north"], "deviceClass": ["EVSE"]})
    seen = await ok(vtn, "PATCH", VEN, {"party": ["p1"]})
    assert (seen["party"], seen["area"], seen["deviceClass"], len(seen["resources"])) == (
        ["p1"],
        ["north"],
        ["EVSE"],
        2,
    )
    seen = await ok(vtn, "PATCH", VEN, {"resources": [{"resourceID": "r3", "groupIDs": ["g9"], "area": ["south"]}]})
    (resource,) = seen["resources"]
    assert (resource["resourceID"], resource["groupIDs"], resource["area"], seen["area"]) == (
        "r3",
        ["g9"],
        ["south"],
        ["north"],
    )
    seen = await ok(vtn, "PATCH", VEN, {"venName": None, "area": []})
    assert (seen["venName"], seen["area"], seen["resources"][0]["area"]) == (None, [], ["south"])
    await ok(vtn, "POST", "/api/v1/events", event_body(targets={"area": ["south"]}), 201)


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("PATCH", VEN, {}, (422, "body")),
        ("PATCH", VEN, {"resources": None}, (422, "body")),
        ("PATCH", VEN, {"colour": "green"}, (422, "colour")),
        ("PATCH", VEN, {"pollFreqSeconds": 0}, (422, "pollFreqSeconds")),
        ("PATCH", VEN, {"deviceClass": ["Toaster"]}, (422, "deviceClass")),
        ("PATCH", VEN, {"resources": [{"resourceID": "r1"}] * 2}, (422, "resources.resourceID")),
        ("PATCH", "/api/v1/vens/ven-x", {"venName": "x"}, (404, "venID")),
        ("GET", "/api/v1/vens/VEN-A", None, (404, "venID")),
        ("GET", "/api/v1/vens/ven-x/queue", None, (404, "venID")),
        ("DELETE", "/api/v1/vens/ven-x", None, (404, "venID")),
        ("PUT", f"{VEN}/certificate", {"fingerprint": "x" * 29}, (422, "fingerprint")),
        (
            "PUT",
            f"{VEN}/certificate",
            {"fingerprint": "00:" * 9 + "01", "oldUntil": "2020-01-01T00:00:00Z"},
            (422, "oldUntil"),
        ),
        ("POST", f"{VEN}/resume", None, (409, "venID")),
        ("POST", f"{VEN}/reregister", {"x": 1}, (422, "x")),
        ("GET", "/api/v1/availability?at=2020-01-01T00:00:00Z", None, (422, "at")),
        ("GET", "/api/v1/candidates?state=lost", None, (422, "state")),
    ],
)
async def test_bad_requests_name_the_field(
    vtn: Running, method: str, path: str, body: object, expected: tuple[int, str]
) -> None:
    await vtn.enrolled("r1")
    before = await ok(vtn, "GET", VEN)
    assert await refused(vtn, method, path, body) == expected
    assert await ok(vtn, "GET", VEN) == before


async def test_rule_517_a_certificate_is_rotated_with_an_overlap(vtn: Running) -> None:
    old = await ready(vtn)
    assert codes(await old.poll()) == [200]
    until = format_instant(START + timedelta(days=7))
    body = {"fingerprint": vtn.pki.ven_b.fingerprint, "oldUntil": until}
    seen = await ok(vtn, "PUT", f"{VEN}/certificate", body)
    assert (seen["fingerprint"], seen["oldFingerprint"]) == (vtn.pki.ven_b.fingerprint, vtn.pki.ven_a.fingerprint)
    new = vtn.ven(vtn.pki.ven_b, "ven-a")
    for _ in range(2):
        assert codes(await old.poll(), await new.poll()) == [200, 200]
    seen = await ok(vtn, "GET", VEN)
    assert seen["oldLastSeenDateTime"] == seen["lastSeenDateTime"] == format_instant(START)
    vtn.clock.advance(7 * 86_400)
    assert codes(await old.poll(), await new.poll()) == [463, 200]
    assert (await ok(vtn, "GET", VEN))["oldFingerprint"] is None
    seen = await ok(vtn, "PUT", f"{VEN}/certificate", {"fingerprint": vtn.pki.ven_a.fingerprint})
    assert codes(await old.poll(), await new.poll()) == [200, 463]


async def test_rule_517_a_suspended_ven_is_refused_at_once_and_removed_with_its_data(vtn: Running) -> None:
    ven = await ready(vtn)
    await ven.send(metadata())
    async with vtn.app.store.read() as tx:
        (asked,) = await tx.reports.requests("ven-a")
    await ven.send(data(asked.request.report_request_id, 1.0, 2.0))
    for _ in range(2):
        await ven.poll()
    assert await refused(vtn, "DELETE", VEN) == (409, "venID")
    seen = await ok(vtn, "POST", f"{VEN}/suspend", {"reason": "stolen"})
    assert (seen["presence"], seen["suspendedReason"], seen["registered"]) == ("suspended", "stolen", True)
    assert codes(await ven.poll(), await ven.register()) == [463, 463]
    await ok(vtn, "POST", f"{VEN}/resume")
    assert codes(await ven.poll()) == [200]
    await ok(vtn, "POST", f"{VEN}/suspend")
    assert await ok(vtn, "DELETE", VEN) == {"venID": "ven-a", "telemetry": 2}
    assert codes(await ven.register()) == [463]
    assert (await ok(vtn, "GET", "/api/v1/vens"))["vens"] == []


async def test_what_the_certificate_of_a_ven_says_is_shown_once_it_has_registered(vtn: Running) -> None:
    ven = await vtn.enrolled("r1")
    assert (await ok(vtn, "GET", VEN))["certificateNotAfterDateTime"] is None
    await ven.register()
    seen = await ok(vtn, "GET", VEN)
    assert seen["certificateCN"] == "ven-a"
    assert seen["certificateNotAfterDateTime"] > "2026"


async def test_rule_202_210_availability_and_who_would_not_take_part_in_an_event(vtn: Running) -> None:
    ven = await ready(vtn)
    await schedule(ven, "r1")
    event_id = await publish(vtn)
    page = await ok(vtn, "GET", f"/api/v1/availability?venID=ven-a&marketContext={MARKET}")
    found = {each["resourceID"]: (each["optType"], each["source"], each["until"]) for each in page["availability"]}
    assert found == {"r1": ("optOut", "schedule", "2026-11-21T14:00:00Z"), "r2": (None, None, None)}
    later = await ok(vtn, "GET", "/api/v1/availability?resourceID=r1&at=2026-11-21T14:00:00Z")
    assert [each["optType"] for each in later["availability"]] == [None]
    (of_ven,) = (await ok(vtn, "GET", f"/api/v1/events/{event_id}"))["vens"]
    absences = {each["resourceID"]: each["unavailable"] for each in of_ven["resources"]}
    assert absences["r2"] is None
    assert absences["r1"] == {
        "optID": "opt-1",
        "optReason": "economic",
        "start": "2026-11-21T12:10:00Z",
        "until": "2026-11-21T14:00:00Z",
    }
    (opt,) = (await ok(vtn, "GET", "/api/v1/opts"))["opts"]
    assert (opt["state"], opt["endsDateTime"]) == ("inForce", "2026-11-21T14:00:00Z")
    vtn.clock.advance(2 * 3600)
    (opt,) = (await ok(vtn, "GET", "/api/v1/opts"))["opts"]
    assert opt["state"] == "over"


async def test_an_event_that_is_cancelled_or_over_has_no_absences(vtn: Running) -> None:
    ven = await ready(vtn)
    await schedule(ven)
    event_id = await publish(vtn)

    async def absent() -> list[Any]:
        (of_ven,) = (await ok(vtn, "GET", f"/api/v1/events/{event_id}"))["vens"]
        return [of_ven["unavailable"] is not None, *(each["unavailable"] is not None for each in of_ven["resources"])]

    assert await absent() == [True, True, True]
    await ok(vtn, "POST", f"/api/v1/events/{event_id}/cancel")
    assert await absent() == [False, False, False]
    event_id = await publish(vtn)
    vtn.clock.advance(2 * 3600 - 1)
    assert await absent() == [False, False, False]


async def test_presence_follows_the_silence_of_a_ven(vtn: Running) -> None:
    ven = await ready(vtn)
    for seconds, expected in ((0, "online"), (60, "late"), (3600, "offline")):
        vtn.clock.advance(seconds)
        assert (await ok(vtn, "GET", VEN))["presence"] == expected
    await ven.poll()
    assert (await ok(vtn, "GET", VEN))["presence"] == "online"
