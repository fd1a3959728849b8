"""Rules that bind the VEN about reports, registration and everything else, those that no other test names."""

import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.telemetry import STATUS, USAGE, Sampling, Telemetry
from certs.authority import Authority, Profile, Role
from openadr.exchange import Service
from openadr.messages import (
    CanceledReport,
    CancelReport,
    CreatedEvent,
    CreatedPartyRegistration,
    CreatedReport,
    CreatePartyRegistration,
    CreateReport,
    Message,
    Poll,
    QueryRegistration,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    RequestReregistration,
    Response,
    UpdateReport,
)
from openadr.model import Report, ReportInterval, ReportRequest, ResourceStatus
from openadr.times import ZERO, Duration
from openadr.tls import client_context, server_context
from openadr.wire import decode, encode
from runtime.clock import SystemClock
from tests.bridge import parts
from tests.ven.fake_vtn import FakeVtn
from tests.ven.support import (
    OK,
    REGISTRATION_ID,
    VEN_ID,
    Bench,
    created_registration,
    distribute,
    event,
    minutes,
    report_request,
)
from ven import reports
from ven.model import Failure, Gather
from ven.transport import ExchangeFailed, HttpTransport

DONE = Response(response=OK, ven_id=VEN_ID)


@pytest.fixture
def bench() -> Bench:
    return Bench().register()


class Reporter:
    """A bridge's telemetry behind a VEN: real readings of two chargers over a minute."""

    def __init__(self, world: parts.World) -> None:
        self.world = world
        self.telemetry = Telemetry(
            resources=world.resources,
            samples=world.store,
            flush=world.supervisor.flush,
            sampling=Sampling(),
        )

    def metadata(self) -> RegisterReport:
        return reports.metadata(self.telemetry.capabilities(), VEN_ID, "req-1", parts.at(0))

    async def report(
        self, *r_ids: str, specifier: str = USAGE, back: int = 60, granularity: int = 10, end: int = 60
    ) -> Report:
        """Return the data report of one delivery as the VTN reads it from the wire."""
        wanted = report_request(
            specifier=specifier,
            granularity=Duration(seconds=granularity),
            back=Duration(seconds=back),
            r_ids=r_ids,
        )
        capabilities = self.telemetry.capabilities()
        state = reports.take(Bench().state, (wanted,), parts.at(end - back), capabilities)
        gather = reports.due(state, parts.at(end))
        assert isinstance(gather, Gather)
        found = await self.telemetry.collect(wanted, gather.start, gather.end)
        made = reports.data(gather, found, capabilities, ven_id=VEN_ID, request_id="req-1", now=parts.at(end))
        read = decode(encode(made))
        assert isinstance(read, UpdateReport)
        (report,) = read.reports
        return report


@pytest.fixture
async def reporter(bridge_db: AsyncEngine) -> Reporter:
    world = parts.World(bridge_db, [parts.SimCharger("CP1"), parts.SimCharger("CP2")])
    await world.start()
    await world.step(65)
    return Reporter(world)


def r_ids(interval: ReportInterval) -> list[str]:
    return [each.r_id for each in interval.payloads]


# --- what is offered --------------------------------------------------------------------------------------------------


async def test_rule_300_331_333_only_well_known_reports_with_prefix_and_sampling_rate(reporter: Reporter) -> None:
    usage, status, history = reporter.metadata().reports
    assert (usage.report_name, status.report_name) == ("METADATA_TELEMETRY_USAGE", "METADATA_TELEMETRY_STATUS")
    assert history.report_name == "METADATA_HISTORY_USAGE"
    assert {each.report_type for each in history.descriptions} == {"usage"}
    assert {each.report_type for each in usage.descriptions} == {"usage"}
    assert {each.reading_type for each in usage.descriptions} == {"Direct Read"}
    assert {each.item_base.kind for each in usage.descriptions if each.item_base} == {"powerReal", "energyReal"}
    assert {(each.report_type, each.reading_type, each.item_base) for each in status.descriptions} == {
        ("x-resourceStatus", "x-notApplicable", None)
    }
    for each in (*usage.descriptions, *status.descriptions):
        assert each.sampling_rate is not None
        assert each.sampling_rate.min_period.seconds <= each.sampling_rate.max_period.seconds


async def test_rule_302_each_point_is_for_one_resource_and_nothing_narrows_it(reporter: Reporter) -> None:
    for report in reporter.metadata().reports:
        for each in report.descriptions:
            assert each.report_data_source is not None
            assert each.report_data_source.resource_ids == (each.r_id[2:],)
            assert (each.report_subject, each.market_context) == (None, None)


async def test_rule_308_330_specifiers_and_r_ids_are_unique_and_free_texts(reporter: Reporter) -> None:
    made = reporter.metadata()
    assert len({each.report_specifier_id for each in made.reports}) == 3
    for report in made.reports:
        names = [each.r_id for each in report.descriptions]
        assert len(set(names)) == len(names)
        assert not any(name.isdigit() for name in names)


async def test_rule_312_510_the_buffer_holds_a_hundred_points_and_the_slowest_period(reporter: Reporter) -> None:
    for report in reporter.metadata().reports:
        assert report.duration is not None
        for each in report.descriptions:
            assert each.sampling_rate is not None
            assert report.duration.seconds >= 100 * each.sampling_rate.min_period.seconds
            assert report.duration.seconds >= each.sampling_rate.max_period.seconds


# --- data -------------------------------------------------------------------------------------------------------------


async def test_rule_300_data_is_all_that_was_asked_for(reporter: Reporter) -> None:
    wanted = ("P-evse-1", "E-evse-1", "P-evse-2")
    report = await reporter.report(*wanted)
    found = {name for each in report.intervals for name in r_ids(each)}
    assert found == set(wanted)


async def test_rule_314_315_316_starts_in_all_intervals_and_durations_in_all_or_none(reporter: Reporter) -> None:
    for names, with_length in ((("P-evse-1",), False), (("E-evse-1",), True), (("P-evse-1", "E-evse-1"), True)):
        report = await reporter.report(*names)
        starts = [each.dtstart for each in report.intervals]
        assert None not in starts
        assert report.dtstart == starts[0]
        assert starts == sorted(start for start in starts if start is not None)
        assert {each.duration is not None for each in report.intervals} == {with_length}
        assert {each.uid for each in report.intervals} == {None}


async def test_rule_342_points_have_no_duration_and_energy_has_one(reporter: Reporter) -> None:
    power, energy = await reporter.report("P-evse-1"), await reporter.report("E-evse-1")
    assert {each.duration for each in power.intervals} == {None}
    assert {each.duration for each in energy.intervals} == {Duration(seconds=10)}


async def test_rule_334_status_has_the_same_load_control_children_in_every_interval(reporter: Reporter) -> None:
    report = await reporter.report("S-evse-1", "S-evse-2", specifier=STATUS)
    values = [payload.value for each in report.intervals for payload in each.payloads]
    assert len(values) == 12
    for value in values:
        assert isinstance(value, ResourceStatus)
        state = value.load_control_state
        assert state is not None
        assert state.capacity is not None
        assert (state.level_offset, state.percent_offset, state.set_point) == (None, None, None)


async def test_rule_300_status_comes_in_the_granularity_asked_for(reporter: Reporter) -> None:
    report = await reporter.report("S-evse-1", specifier=STATUS, granularity=10, back=60)
    assert 5 <= len(report.intervals) <= 7


async def test_rule_324_a_report_time_that_is_no_multiple_of_the_granularity_leaves_no_gap(reporter: Reporter) -> None:
    report = await reporter.report("E-evse-1", granularity=25, back=60)
    assert [each.duration for each in report.intervals] == [Duration(seconds=each) for each in (25, 25, 10)]
    halves = await reporter.report("E-evse-1", granularity=30, back=60)
    assert total_wh(report) == pytest.approx(total_wh(halves), abs=0.2)


def total_wh(report: Report) -> float:
    return sum(each.payloads[0].value for each in report.intervals if isinstance(each.payloads[0].value, float))


async def test_rule_337_energy_asked_for_once_is_there_at_once_with_its_duration(reporter: Reporter) -> None:
    report = await reporter.report("E-evse-1", back=0, granularity=0)
    (interval,) = report.intervals
    assert interval.duration == Duration(seconds=10)
    (payload,) = interval.payloads
    assert isinstance(payload.value, float)
    assert payload.value > 0
    assert payload.data_quality == "Quality Good - Non Specific"


async def test_rule_313_315_318_a_report_without_data_keeps_its_form(bench: Bench) -> None:
    wanted = report_request(back=minutes(0), granularity=ZERO)
    bench.poll(CreateReport(request_id="c-1", report_requests=(wanted,), ven_id=VEN_ID))
    bench.exchange(CreatedReport, DONE)
    bench.empty_poll()
    gather = bench.action()
    assert isinstance(gather, Gather)
    bench.apply(bench.session.collected(bench.state, gather, (), bench.now))
    (report,) = bench.sends(UpdateReport).reports
    assert (report.report_name, report.descriptions, report.dtstart) == ("TELEMETRY_USAGE", (), bench.now)
    (interval,) = report.intervals
    assert (interval.dtstart, interval.duration) == (bench.now, None)
    assert interval.payloads[0].data_quality == "Quality Bad - Not Connected"


# --- requests and ids -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_id", ["", "c-7"])
def test_rule_303_the_request_id_is_returned_also_an_empty_one(bench: Bench, request_id: str) -> None:
    bench.poll(CreateReport(request_id=request_id, report_requests=(report_request(),), ven_id=VEN_ID))
    assert bench.exchange(CreatedReport, DONE).response.request_id == request_id
    bench.empty_poll()
    bench.poll(CancelReport(request_id=request_id, report_request_ids=("rr-1",), ven_id=VEN_ID))
    assert bench.exchange(CanceledReport, DONE).response.request_id == request_id


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param(report_request(specifier="nothing"), 452, id="specifier"),
        pytest.param(report_request(r_ids=("power-1", "power-9")), 452, id="rID"),
        pytest.param(report_request(granularity=Duration(seconds=1)), 454, id="too fine"),
    ],
)
def test_rule_304_340_unknown_ids_are_452_and_too_much_is_454(
    bench: Bench, wanted: ReportRequest, expected: int
) -> None:
    bench.poll(CreateReport(request_id="c-1", report_requests=(wanted,), ven_id=VEN_ID))
    answer = bench.exchange(CreatedReport, DONE)
    assert (answer.response.response_code, answer.pending_reports) == (expected, ())


@pytest.mark.parametrize(
    "payload",
    [
        CreateReport(request_id="c-1", report_requests=(report_request(),), ven_id="VEN-other"),
        RegisterReport(request_id="c-1", ven_id="VEN-other"),
    ],
    ids=["oadrCreateReport", "oadrRegisterReport"],
)
def test_rule_304_a_report_payload_for_another_ven_is_452(bench: Bench, payload: Message) -> None:
    bench.poll(payload)
    action: Any = bench.action()
    assert action.message.response.response_code == 452


def test_rule_321_338_339_what_a_request_should_not_carry_does_not_matter(bench: Bench) -> None:
    message = CreateReport(request_id="c-1", report_requests=(report_request(),), ven_id=VEN_ID)
    text = encode(message).decode()
    assert "x-notApplicable" in text
    bench.poll(decode(text.replace("x-notApplicable", "Direct Read").encode()))
    assert bench.exchange(CreatedReport, DONE).response.response_code == 200


def test_rule_339_an_ei_report_id_is_not_sent_and_not_read(bench: Bench) -> None:
    made = reports.metadata(bench.rules.capabilities(), VEN_ID, "req-1", bench.now)
    text = encode(made).decode()
    assert "eiReportID" not in text
    first = "<ei:reportRequestID>0</ei:reportRequestID>"
    assert first in text
    sent = encode(
        UpdateReport(
            request_id="u-1",
            reports=(
                Report(
                    report_request_id="rr-1",
                    report_specifier_id="usage",
                    created_date_time=bench.now,
                    dtstart=bench.now,
                    intervals=(),
                ),
            ),
            ven_id=VEN_ID,
        )
    ).decode()
    before = "<ei:reportRequestID>"
    read = decode(sent.replace(before, f"<ei:eiReportID>7</ei:eiReportID>{before}", 1).encode())
    assert read == decode(sent.encode())


# --- registration and general -----------------------------------------------------------------------------------------


def test_rule_401_a_ven_that_was_switched_on_registers_and_goes_on_trying() -> None:
    bench = Bench()
    bench.fail(QueryRegistration, Failure.UNREACHABLE)
    bench.clock.advance(bench.waits_s())
    bench.exchange(QueryRegistration, created_registration(registration_id=None, ven_id=None))
    bench.fail(CreatePartyRegistration, Failure.BUSY)
    bench.clock.advance(bench.waits_s())
    bench.exchange(CreatePartyRegistration, created_registration())
    assert bench.state.registration is not None


def test_rule_401_405_re_registration_asks_for_neither_metadata_nor_events(bench: Bench) -> None:
    bench.poll(RequestReregistration(ven_id=VEN_ID))
    bench.exchange(Response, None)
    again = bench.exchange(CreatePartyRegistration, created_registration())
    assert (again.registration_id, again.ven_id) == (REGISTRATION_ID, VEN_ID)
    bench.empty_poll()
    assert bench.waits_s() >= 10


def test_rule_500_a_request_to_register_again_is_followed_by_a_poll_at_once(bench: Bench) -> None:
    bench.poll(RequestReregistration(ven_id=VEN_ID))
    bench.exchange(Response, None)
    bench.exchange(CreatePartyRegistration, created_registration())
    bench.sends(Poll)


def test_rule_405_an_unregistered_ven_takes_no_payload() -> None:
    bench = Bench()
    bench.exchange(QueryRegistration, created_registration(registration_id=None, ven_id=None))
    bench.exchange(CreatePartyRegistration, distribute(event()))
    assert not bench.state.events
    assert bench.state.registration is None


def test_rule_309_405_metadata_and_events_come_before_everything_owed() -> None:
    bench = Bench()
    bench.exchange(QueryRegistration, created_registration(registration_id=None, ven_id=None))
    bench.exchange(CreatePartyRegistration, created_registration())
    answer = RegisteredReport(response=OK, ven_id=VEN_ID, report_requests=(report_request(),))
    bench.exchange(RegisterReport, answer)
    bench.exchange(RequestEvent, distribute())
    bench.exchange(CreatedReport, DONE)
    bench.exchange(Poll, DONE)


def test_rule_508_509_every_payload_of_the_ven_names_it_and_its_version(bench: Bench) -> None:
    sent: list[Message] = []
    bench.poll(distribute(event()))
    sent.append(bench.exchange(CreatedEvent, DONE))
    bench.poll(CreateReport(request_id="c-1", report_requests=(report_request(),), ven_id=VEN_ID))
    sent.append(bench.exchange(CreatedReport, DONE))
    bench.poll(CancelReport(request_id="c-2", report_request_ids=("rr-1",), ven_id=VEN_ID))
    sent += [bench.exchange(CanceledReport, DONE), bench.exchange(Poll, DONE)]
    for message in sent:
        text = encode(message).decode()
        assert f"<ei:venID>{VEN_ID}</ei:venID>" in text
        assert 'ei:schemaVersion="2.0b"' in text


def test_rule_404_a_vtn_that_does_not_list_what_we_speak_is_noted() -> None:
    bench = Bench()
    answer = replace(created_registration(registration_id=None, ven_id=None), profiles=())
    assert isinstance(answer, CreatedPartyRegistration)
    bench.exchange(QueryRegistration, answer)
    assert bench.noted("profile_not_offered")


async def test_rule_516_067_068_an_expired_vtn_is_not_spoken_to(tmp_path: Path) -> None:
    now = SystemClock().now()
    authority = Authority.create(tmp_path / "pki", now=now - timedelta(days=30))
    names = ("127.0.0.1",)
    old = authority.issue(Profile.OPENADR_VTN, "vtn-old", names, now=now - timedelta(days=10), days=9)
    valid = authority.issue(Profile.OPENADR_VTN, "vtn-new", names, now=now)
    ven = authority.issue(Profile.OPENADR_VEN, "ven", now=now)
    ca = authority.trust(Role.OPENADR)
    context: ssl.SSLContext = client_context(ca=ca, cert_chain=ven.chain)
    failures: list[Failure | None] = []
    for issued in (valid, old):
        vtn = FakeVtn(server_context(cert_chains=[issued.chain], client_ca=ca))
        await vtn.start()
        transport = HttpTransport(vtn_url=vtn.url, ssl_context=context, timeout_s=5.0, max_answer_bytes=100_000)
        try:
            await transport.exchange(Service.OADR_POLL, Poll(ven_id=VEN_ID))
            failures.append(None)
        except ExchangeFailed as failed:
            failures.append(failed.failure)
            assert not vtn.received
        finally:
            await transport.close()
            await vtn.stop()
    assert failures == [None, Failure.IDENTITY]
