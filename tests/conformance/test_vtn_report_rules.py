"""Rules that bind the VTN about reports, registration and everything else, those that no other test names."""

import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from certs.authority import Authority, Profile, Role
from openadr.messages import (
    CancelReport,
    CreatedPartyRegistration,
    CreatedReport,
    CreatePartyRegistration,
    CreateReport,
    EiResponse,
    Poll,
    RegisteredReport,
    RegisterReport,
    Response,
    UpdatedReport,
    UpdateReport,
)
from openadr.model import (
    EiTarget,
    Report,
    ReportInterval,
    ReportPayload,
    ReportRequest,
    ReportSpecifier,
    SpecifierPayload,
)
from openadr.times import ZERO, Duration
from openadr.tls import client_context
from openadr.wire import decode, encode
from runtime.clock import SystemClock
from tests.vtn.server import Pki, Running, running
from tests.vtn.services.test_events import ready
from tests.vtn.services.test_reports import POWER, RATE, asked, at, code, metadata, offer, rows, update
from tests.vtn.world import START, Party, World, simple_event

METADATA = ReportSpecifier(
    report_specifier_id="METADATA",
    granularity=ZERO,
    report_back_duration=ZERO,
    payloads=(SpecifierPayload(r_id="0"),),
)


async def ask_metadata(party: Party, **specifier: Any) -> CreatedReport:
    wanted = ReportRequest(report_request_id="rr-meta", specifier=replace(METADATA, **specifier))
    reply = await party.send(CreateReport(request_id="req-c", report_requests=(wanted,), ven_id="ven-a"))
    assert isinstance(reply, CreatedReport)
    return reply


# --- reports ----------------------------------------------------------------------------------------------------------


async def test_rule_300_317_340_a_request_names_only_what_is_offered_and_within_its_rate(world: World) -> None:
    party = await world.enrol()
    slow = replace(RATE, min_period=Duration(seconds=300), max_period=Duration(seconds=600))
    points = (POWER, replace(POWER, r_id="rid-2", sampling_rate=slow))
    (wanted,) = await asked(party, offer("TELEMETRY_USAGE", "spec-1", *points))
    assert {each.r_id for each in wanted.specifier.payloads} == {"rid-1", "rid-2"}
    assert wanted.specifier.granularity == Duration(seconds=300)
    assert wanted.specifier.report_back_duration == Duration(seconds=300)


async def test_rule_309_301_311_the_vtns_empty_metadata_comes_before_any_event(world: World) -> None:
    party = await world.enrol()
    await party.register()
    await world.put(simple_event(), "ven-a")
    first = await party.poll()
    assert isinstance(first, RegisterReport)
    assert (first.reports, first.report_request_id) == ((), None)
    text = encode(first)
    assert b"reportRequestID" not in text
    assert b"<oadr:oadrReport>" not in text


async def test_rule_311_327_303_requested_metadata_says_which_request_it_answers(world: World) -> None:
    party = await ready(world)
    reply = await ask_metadata(party)
    assert (code(reply), reply.response.request_id) == (200, "req-c")
    answer = await party.poll()
    assert isinstance(answer, RegisterReport)
    assert (answer.reports, answer.report_request_id) == ((), "rr-meta")


async def test_rule_301_periodic_metadata_is_given_once_by_a_vtn_without_reports(world: World) -> None:
    party = await ready(world)
    assert code(await ask_metadata(party, report_back_duration=Duration(seconds=60))) == 200
    answer = await party.poll()
    assert isinstance(answer, RegisterReport)
    await party.send(RegisteredReport(response=EiResponse(request_id=answer.request_id), ven_id="ven-a"))
    world.clock.advance(600)
    assert isinstance(await party.poll(), Response)


async def test_rule_304_a_ven_may_not_ask_for_data_this_vtn_does_not_have(world: World) -> None:
    party = await ready(world)
    assert code(await ask_metadata(party, report_specifier_id="spec-9")) == 452


async def test_rule_304_data_under_another_specifier_is_452_and_not_stored(world: World) -> None:
    party = await world.enrol()
    (wanted,) = await asked(party)
    reply = await party.send(update(wanted.report_request_id, at(0, 1.0), report_specifier_id="spec-9"))
    assert code(reply) == 452
    assert await rows(world) == ()


async def test_rule_329_metadata_still_to_come_is_pending(world: World) -> None:
    party = await ready(world)
    assert (await ask_metadata(party)).pending_reports == ("rr-meta",)


@pytest.mark.parametrize(
    ("report", "remark"),
    [
        (replace(offer("TELEMETRY_USAGE", "spec-1", POWER), duration=None), "R312"),
        (offer("TELEMETRY_USAGE", "spec-1", POWER, seconds=60), "R312"),
        (offer("TELEMETRY_USAGE", "spec-1", replace(POWER, report_subject=EiTarget(resource_ids=("r1",)))), "R307"),
        (offer("TELEMETRY_USAGE", "spec-1", replace(POWER, sampling_rate=None)), "R333"),
        (offer("TELEMETRY_USAGE", "spec-1", replace(POWER, item_base=None)), "R305"),
        (offer("TELEMETRY_STATUS", "spec-1", POWER), "R331"),
        (replace(offer("TELEMETRY_USAGE", "spec-1", POWER), report_name="TELEMETRY_USAGE"), "R331"),
        (replace(offer("TELEMETRY_USAGE", "spec-1", POWER), report_request_id="7"), "R311"),
    ],
)
async def test_rule_305_307_311_312_331_metadata_that_is_irregular_and_clear_is_taken_with_a_remark(
    world: World, report: Report, remark: str
) -> None:
    party = await world.enrol()
    await asked(party, report)
    async with world.store.read() as tx:
        (kept,) = await tx.reports.offer("ven-a")
    assert [remark in each for each in kept.remarks] == [True]


async def test_rule_307_a_subject_of_device_classes_is_regular(world: World) -> None:
    party = await world.enrol()
    devices = replace(POWER, report_subject=EiTarget(end_device_assets=("Electric_Vehicle",)))
    await asked(party, offer("TELEMETRY_USAGE", "spec-1", devices))
    async with world.store.read() as tx:
        (kept,) = await tx.reports.offer("ven-a")
    assert (kept.remarks, kept.descriptions[0].report_subject) == ((), devices.report_subject)


@pytest.mark.parametrize(
    "report",
    [
        replace(offer("TELEMETRY_USAGE", "spec-1", POWER), dtstart=START),
        replace(offer("TELEMETRY_USAGE", "spec-1", POWER), duration=Duration(seconds=-1)),
        offer(
            "TELEMETRY_USAGE", "spec-1", replace(POWER, sampling_rate=replace(RATE, min_period=Duration(seconds=-1)))
        ),
        offer(
            "TELEMETRY_USAGE", "spec-1", replace(POWER, sampling_rate=replace(RATE, min_period=Duration(seconds=901)))
        ),
    ],
)
async def test_rule_305_312_317_metadata_that_cannot_be_meant_is_refused(world: World, report: Report) -> None:
    party = await world.enrol()
    await party.register()
    assert code(await party.send(metadata(report))) in (454, 459)
    async with world.store.read() as tx:
        assert await tx.reports.offer("ven-a") == ()


async def test_rule_302_343_a_point_is_for_its_resource_or_for_all_behind_the_ven(world: World) -> None:
    party = await world.enrol()
    every = replace(POWER, r_id="rid-2", report_data_source=None)
    (wanted,) = await asked(party, offer("TELEMETRY_USAGE", "spec-1", POWER, every))
    sent = update(wanted.report_request_id, at(0, 1.0), at(0, 2.0, "rid-2"))
    assert code(await party.send(sent)) == 200
    assert sorted((each.r_id, each.resource_id) for each in await rows(world)) == [("rid-1", "r1"), ("rid-2", None)]


async def test_rule_308_names_that_are_not_unique_are_refused(world: World) -> None:
    party = await world.enrol()
    await asked(party)
    for bad in (
        metadata(offer("TELEMETRY_USAGE", "spec-1", POWER, POWER)),
        metadata(offer("TELEMETRY_USAGE", "spec-1", POWER), offer("TELEMETRY_STATUS", "spec-1", POWER)),
    ):
        reply = await party.send(bad)
        assert code(reply) == 459
    async with world.store.read() as tx:
        (kept,) = await tx.reports.offer("ven-a")
    assert [each.r_id for each in kept.descriptions] == ["rid-1", "rid-2"]


async def test_rule_313_descriptions_in_a_data_report_are_refused(world: World) -> None:
    party = await world.enrol()
    (wanted,) = await asked(party)
    reply = await party.send(update(wanted.report_request_id, at(0, 1.0), descriptions=(POWER,)))
    assert isinstance(reply, UpdatedReport)
    assert code(reply) == 459
    assert await rows(world) == ()


async def test_rule_318_319_quality_and_accuracy_are_kept_with_the_value(world: World) -> None:
    party = await world.enrol()
    (wanted,) = await asked(party)
    bad = ReportPayload(r_id="rid-1", value=0.0, data_quality="Quality Bad - Comm Failure", accuracy=0.5, confidence=40)
    sent = update(wanted.report_request_id, ReportInterval(dtstart=START, payloads=(bad,)))
    assert code(await party.send(sent)) == 200
    (row,) = await rows(world)
    assert (row.data_quality, row.accuracy, row.confidence) == ("Quality Bad - Comm Failure", 0.5, 40)


async def test_rule_321_322_324_325_338_341_contents_of_a_request(world: World) -> None:
    party = await world.enrol()
    first, second = await asked(
        party, offer("TELEMETRY_USAGE", "spec-1", POWER), offer("TELEMETRY_USAGE", "spec-2", POWER)
    )
    assert first.report_request_id != second.report_request_id
    specifier = first.specifier
    assert specifier.report_back_duration.seconds > 0
    assert (specifier.interval_start, specifier.interval_duration) == (START, ZERO)
    assert [(each.reading_type, each.item_base) for each in specifier.payloads] == [("x-notApplicable", None)]
    text = encode(CreateReport(request_id="req-c", report_requests=(first,), ven_id="ven-a")).decode()
    for element in ("tolerance", "x-eiNotification", "x-eiRampUp", "x-eiRecovery", "powerReal", "energyReal"):
        assert element not in text


@pytest.mark.parametrize("r_id", ["7", "a b", "Zähler/1", "x" * 200])
async def test_rule_330_an_r_id_is_any_text(world: World, r_id: str) -> None:
    party = await world.enrol()
    (wanted,) = await asked(party, offer("TELEMETRY_USAGE", "spec-1", replace(POWER, r_id=r_id)))
    assert code(await party.send(update(wanted.report_request_id, at(0, 1.0, r_id)))) == 200
    assert [each.r_id for each in await rows(world)] == [r_id]


async def test_rule_331_reports_are_known_by_their_names_without_the_prefix(world: World) -> None:
    party = await world.enrol()
    own = replace(offer("X", "spec-x", POWER), report_name="x-own")
    await asked(party, offer("TELEMETRY_USAGE", "spec-1", POWER), offer("HISTORY_USAGE", "spec-2", POWER), own)
    async with world.store.read() as tx:
        found = {each.report_specifier_id: each.report_name for each in await tx.reports.offer("ven-a")}
    assert found == {"spec-1": "TELEMETRY_USAGE", "spec-2": "HISTORY_USAGE", "spec-x": "x-own"}


async def test_rule_339_an_ei_report_id_changes_nothing(world: World) -> None:
    party = await world.enrol()
    (wanted,) = await asked(party)
    sent = update(wanted.report_request_id, at(0, 1.0))
    text = encode(sent).decode()
    assert text.count("</strm:intervals>") == 1
    with_id = decode(text.replace("</strm:intervals>", "</strm:intervals><ei:eiReportID>9</ei:eiReportID>").encode())
    assert isinstance(with_id, UpdateReport)
    assert with_id == sent
    assert code(await party.send(with_id)) == 200


async def test_rule_336_304_cancelling_what_is_not_there_is_452_with_the_pending_ones(world: World) -> None:
    party = await ready(world)
    reply = await party.send(CancelReport(request_id="req-x", report_request_ids=("rr-9",), ven_id="ven-a"))
    assert code(reply) == 452
    assert b"oadrPendingReports" in encode(reply)


# --- registration and general -----------------------------------------------------------------------------------------


async def test_rule_046_402_empty_ids_in_a_create_are_absent_ones(world: World) -> None:
    party = await world.enrol()
    text = encode(CreatePartyRegistration(request_id="req-1", ven_name="A VEN")).decode()
    empty = "</pyld:requestID><ei:registrationID></ei:registrationID><ei:venID></ei:venID>"
    reply = await party.send(decode(text.replace("</pyld:requestID>", empty).encode()))
    assert isinstance(reply, CreatedPartyRegistration)
    assert (code(reply), reply.ven_id) == (200, "ven-a")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"http_pull_model": False, "transport_address": "https://ven.example/"}, id="push"),
        pytest.param({"transport_name": "xmpp", "transport_address": "ven@xmpp.example/a"}, id="XMPP"),
        pytest.param({"profile_name": "2.0a"}, id="2.0a"),
    ],
)
async def test_rule_038_506_507_what_is_not_offered_is_said_and_registers_nothing(
    world: World, changes: dict[str, Any]
) -> None:
    party = await world.enrol()
    reply = await party.register(**changes)
    assert (reply.response.response_code, reply.registration_id, reply.ven_id) == (469, None, None)
    assert "offered" in (reply.response.response_description or "")
    assert code(await party.poll()) == 463


async def test_rule_501_a_registered_ven_is_answered_on_oadr_poll(vtn: Running) -> None:
    ven = await vtn.enrolled()
    assert code(await ven.poll()) == 463
    await ven.register()
    assert isinstance(await ven.poll(), RegisterReport)


@pytest.mark.parametrize("named", ["VEN-A", "ven-a ", " ven-a"])
async def test_rule_512_a_ven_id_in_another_spelling_is_another(world: World, named: str) -> None:
    party = await ready(world)
    assert code(await party.send(Poll(ven_id=named))) == 452
    assert code(await party.send(replace(metadata(), ven_id=named))) == 452


async def test_rule_516_068_an_expired_certificate_gets_no_answer(tmp_path: Path, sqlite_url: str) -> None:
    now = SystemClock().now()
    authority = Authority.create(tmp_path / "pki", now=now - timedelta(days=30), rsa=True)
    old = authority.issue(Profile.OPENADR_VEN, "ven-old", now=now - timedelta(days=10), days=9)
    valid = authority.issue(Profile.OPENADR_VEN, "ven-new", now=now)
    server = authority.issue(Profile.OPENADR_VTN, "vtn", ("localhost", "127.0.0.1"), now=now)
    pki = Pki(authority=authority, vtn=server, ven_a=valid, ven_b=old)
    async with running(pki, sqlite_url) as vtn:
        assert code(await vtn.ven(valid, "ven-new").poll()) == 463  # TLS lets it in, the VTN does not know it
        context = client_context(ca=authority.trust(Role.OPENADR), cert_chain=old.chain)
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
            await vtn.session.post(f"https://127.0.0.1:{vtn.app.port}/", data=b"", ssl=context)
