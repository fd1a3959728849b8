"""EiReport: METADATA, piggy-back requests within what is offered, data as typed rows, all or nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr.messages import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    EiResponse,
    Message,
    RegisteredReport,
    RegisterReport,
    Response,
    UpdatedReport,
    UpdateReport,
)
from openadr.model import (
    EiTarget,
    LoadControlState,
    LoadControlValue,
    Report,
    ReportDescription,
    ReportInterval,
    ReportPayload,
    ReportRequest,
    ReportSpecifier,
    ResourceStatus,
    SamplingRate,
    SpecifierPayload,
    power_real,
)
from openadr.times import ZERO, Duration
from tests.vtn.world import START, Party, World
from vtn.services.reportpolicy import granularity_s
from vtn.store.readings import Selection
from vtn.store.rows import RequestState, Telemetry

RATE = SamplingRate(min_period=Duration(seconds=10), max_period=Duration(seconds=900))
POWER = ReportDescription(
    r_id="rid-1",
    report_type="usage",
    reading_type="Direct Read",
    report_data_source=EiTarget(resource_ids=("r1",)),
    item_base=power_real(scale="k"),
    sampling_rate=RATE,
)


def offer(name: str, specifier: str, *points: ReportDescription, seconds: int = 3600) -> Report:
    return Report(
        report_request_id="0",
        report_specifier_id=specifier,
        created_date_time=START,
        report_name=f"METADATA_{name}",
        duration=Duration(seconds=seconds),
        descriptions=points,
    )


def metadata(*reports: Report) -> RegisterReport:
    chosen = reports or (offer("TELEMETRY_USAGE", "spec-1", POWER, replace(POWER, r_id="rid-2")),)
    return RegisterReport(request_id="req-m", reports=chosen, ven_id="ven-a")


def update(request_id: str, *intervals: ReportInterval, **report: object) -> UpdateReport:
    given_report = Report(
        **{  # type: ignore[arg-type]
            "report_request_id": request_id,
            "report_specifier_id": "spec-1",
            "created_date_time": START,
            "report_name": "TELEMETRY_USAGE",
            "dtstart": START,
            "intervals": intervals,
            **report,
        }
    )
    return UpdateReport(request_id="req-u", reports=(given_report,), ven_id="ven-a")


def at(minutes: int, value: float | ResourceStatus, r_id: str = "rid-1") -> ReportInterval:
    return ReportInterval(dtstart=START + timedelta(minutes=minutes), payloads=(ReportPayload(r_id=r_id, value=value),))


async def asked(party: Party, *reports: Report) -> tuple[ReportRequest, ...]:
    await party.register()
    reply = await party.send(metadata(*reports))
    assert isinstance(reply, RegisteredReport)
    assert reply.response == EiResponse(request_id="req-m", response_description="OK")
    return reply.report_requests


async def rows(world: World) -> tuple[Telemetry, ...]:
    async with world.store.read() as tx:
        return await tx.readings.page(Selection())


def code(reply: Message) -> int:
    response = getattr(reply, "response", None)
    assert isinstance(response, EiResponse)
    return response.response_code


async def test_rule_344_telemetry_is_asked_for_in_the_same_answer(world: World) -> None:
    party = await world.enrol()
    status = replace(POWER, r_id="rid-s", report_type="x-resourceStatus", reading_type="x-notApplicable")
    requests = await asked(
        party,
        offer("TELEMETRY_USAGE", "spec-1", POWER, replace(POWER, r_id="rid-2")),
        offer("TELEMETRY_STATUS", "spec-2", replace(status, item_base=None)),
        offer("HISTORY_USAGE", "spec-3", replace(POWER, sampling_rate=None)),
    )
    assert [each.specifier.report_specifier_id for each in requests] == ["spec-1", "spec-2"]
    specifier = requests[0].specifier
    assert specifier.payloads == (SpecifierPayload(r_id="rid-1"), SpecifierPayload(r_id="rid-2"))  # R338
    assert (specifier.granularity, specifier.report_back_duration) == (Duration(seconds=60), Duration(seconds=60))
    assert (specifier.interval_start, specifier.interval_duration) == (START, ZERO)  # R324, R325
    async with world.store.read() as tx:
        (resource,) = await tx.vens.resources(ven_ids=["ven-a"])
        assert (resource.resource_id, resource.source) == ("r1", "metadata")


async def test_rule_306_metadata_replaces_offer_and_requests(world: World) -> None:
    party = await world.enrol()
    (first,) = await asked(party)
    again = await party.send(metadata(offer("TELEMETRY_USAGE", "spec-9", POWER)))
    assert isinstance(again, RegisteredReport)
    assert again.report_requests[0].report_request_id != first.report_request_id
    async with world.store.read() as tx:
        states = {each.request.report_request_id: each.state for each in await tx.reports.requests("ven-a")}
        assert [each.report_specifier_id for each in await tx.reports.offer("ven-a")] == ["spec-9"]
    assert states[first.report_request_id] is RequestState.REPLACED


async def test_rule_301_metadata_without_reports_is_fine(world: World) -> None:
    party = await world.enrol()
    await party.register()
    reply = await party.send(RegisterReport(request_id="", ven_id="ven-a"))
    assert isinstance(reply, RegisteredReport)
    assert (reply.response.response_code, reply.report_requests) == (200, ())


@pytest.mark.parametrize(
    ("bad", "element"),
    [
        (offer("TELEMETRY_USAGE", "spec-1"), "oadrReportDescription"),
        (offer("TELEMETRY_USAGE", "spec-1", POWER, POWER), "rID"),
        (offer("TELEMETRY_USAGE", "s" * 300, POWER), "reportSpecifierID"),
        (replace(offer("TELEMETRY_USAGE", "spec-1", POWER), intervals=(at(0, 1.0),)), "intervals"),
    ],
)
async def test_rule_305_bad_metadata_is_459_and_the_old_offer_stays(world: World, bad: Report, element: str) -> None:
    party = await world.enrol()
    await asked(party)
    reply = await party.send(metadata(offer("TELEMETRY_USAGE", "spec-7", POWER), bad))
    assert isinstance(reply, RegisteredReport)
    assert code(reply) == 459
    assert element in (reply.response.response_description or "")
    async with world.store.read() as tx:
        assert [each.report_specifier_id for each in await tx.reports.offer("ven-a")] == ["spec-1"]


@given(
    low=st.integers(0, 10_000),
    spread=st.integers(0, 10_000),
    preferred=st.integers(1, 20_000),
    other=st.integers(0, 500),
)
def test_rule_317_granularity_lies_within_every_sampling_rate_that_can_be_met(
    low: int, spread: int, preferred: int, other: int
) -> None:
    def point(fast: int, slow: int) -> ReportDescription:
        rate = SamplingRate(min_period=Duration(seconds=fast), max_period=Duration(seconds=slow))
        return replace(POWER, sampling_rate=rate)

    one, two = (low, low + spread), (other, low + spread + other)
    got = granularity_s((point(*one), point(*two)), preferred, START)
    assert got >= max(one[0], two[0])
    if max(one[0], two[0]) <= (least := min(one[1], two[1])) and least > 0:
        assert got <= least
        assert got == preferred or not max(one[0], two[0]) <= preferred <= least


def test_without_sampling_rate_the_preferred_granularity_is_asked() -> None:
    assert granularity_s((replace(POWER, sampling_rate=None),), 60, START) == 60


async def test_rule_340_not_more_is_asked_than_the_ven_buffers(world: World) -> None:
    party = await world.enrol()
    slow = replace(POWER, sampling_rate=SamplingRate(min_period=Duration(seconds=30), max_period=Duration(seconds=30)))
    (request,) = await asked(party, offer("TELEMETRY_USAGE", "spec-1", slow, seconds=45))
    assert request.specifier.granularity == Duration(seconds=30)
    assert request.specifier.report_back_duration == Duration(seconds=45)


async def test_data_is_stored_with_resource_and_unit(world: World) -> None:
    party = await world.enrol()
    (request,) = await asked(party)
    payload = ReportPayload(
        r_id="rid-1", value=7.4, confidence=90, accuracy=0.1, data_quality="Quality Good - Non Specific"
    )
    interval = ReportInterval(
        dtstart=START, duration=Duration(seconds=60), payloads=(payload, replace(payload, r_id="rid-2"))
    )
    reply = await party.send(update(request.report_request_id, interval))
    assert reply == UpdatedReport(response=EiResponse(request_id="req-u", response_description="OK"), ven_id="ven-a")
    one, two = await rows(world)
    assert (one.value, one.unit, one.resource_id, one.duration_s, one.dtstart) == (7.4, "kW", "r1", 60, START)
    assert (one.confidence, one.accuracy, one.data_quality) == (90, 0.1, "Quality Good - Non Specific")
    assert (two.r_id, two.report_name) == ("rid-2", "TELEMETRY_USAGE")
    async with world.store.read() as tx:
        (stored,) = await tx.reports.requests("ven-a")
    assert stored.last_data_at == START


async def test_rule_314_starts_are_inherited_from_the_report_and_the_durations(world: World) -> None:
    party = await world.enrol()
    (request,) = await asked(party)
    intervals = tuple(
        ReportInterval(
            uid=uid, duration=Duration(seconds=60), payloads=(ReportPayload(r_id="rid-1", value=float(uid)),)
        )
        for uid in range(3)
    )
    assert code(await party.send(update(request.report_request_id, *intervals))) == 200
    assert [row.dtstart - START for row in await rows(world)] == [timedelta(minutes=each) for each in range(3)]


async def test_rule_346_data_sent_twice_is_stored_once(world: World) -> None:
    party = await world.enrol()
    (request,) = await asked(party)
    for value in (1.0, 2.0):
        await party.send(update(request.report_request_id, at(0, value), at(1, value), at(1, value + 1)))
    assert [row.value for row in await rows(world)] == [2.0, 3.0]


async def test_a_resource_status_is_stored_typed(world: World) -> None:
    party = await world.enrol()
    status = replace(POWER, r_id="rid-s", report_type="x-resourceStatus", item_base=None)
    (request,) = await asked(party, offer("TELEMETRY_STATUS", "spec-1", status))
    state = LoadControlState(capacity=LoadControlValue(current=0.5))
    value = ResourceStatus(online=True, manual_override=False, load_control_state=state)
    await party.send(update(request.report_request_id, at(0, value, "rid-s"), report_name="TELEMETRY_STATUS"))
    (row,) = await rows(world)
    assert (row.value, row.unit, row.online, row.manual_override) == (None, None, True, False)
    assert row.load_control_state is not None
    assert '"current":0.5' in row.load_control_state


@pytest.mark.parametrize(
    ("intervals", "changes", "expected"),
    [
        ((at(0, 1.0), at(1, 1.0, "rid-9")), {}, 452),
        ((at(0, 1.0),), {"report_request_id": "rpt-9"}, 452),
        ((replace(at(0, 1.0), dtstart=None),), {"dtstart": None}, 459),
        ((replace(at(0, 1.0), dtstart=None), replace(at(0, 1.0), dtstart=None)), {}, 459),
        ((at(0, 1.0),), {"descriptions": (POWER,)}, 459),
    ],
)
async def test_rule_304_bad_data_is_refused_whole(
    world: World, intervals: tuple[ReportInterval, ...], changes: dict[str, object], expected: int
) -> None:
    party = await world.enrol()
    (request,) = await asked(party)
    reply = await party.send(update(request.report_request_id, *intervals, **changes))
    assert code(reply) == expected
    assert await rows(world) == ()


async def test_data_of_another_ven_s_request_is_452(world: World) -> None:
    party = await world.enrol()
    (request,) = await asked(party)
    other = await world.enrol("ven-b", 2)
    await other.register()
    reply = await other.send(replace(update(request.report_request_id, at(0, 1.0)), ven_id="ven-b"))
    assert code(reply) == 452
    assert await rows(world) == ()


async def test_data_that_was_on_its_way_when_metadata_changed_is_still_taken(world: World) -> None:
    party = await world.enrol()
    (request,) = await asked(party)
    await party.send(metadata(offer("TELEMETRY_USAGE", "spec-9", POWER)))
    assert code(await party.send(update(request.report_request_id, at(0, 1.0)))) == 200
    assert len(await rows(world)) == 1


async def test_a_created_report_confirms_what_it_lists(world: World) -> None:
    party = await world.enrol()
    (request,) = await asked(party)
    reply = await party.send(
        CreatedReport(
            response=EiResponse(request_id="req-m"), pending_reports=(request.report_request_id,), ven_id="ven-a"
        )
    )
    assert isinstance(reply, Response)
    async with world.store.read() as tx:
        (stored,) = await tx.reports.requests("ven-a")
    assert stored.state is RequestState.CONFIRMED


async def test_rule_301_a_ven_that_asks_for_metadata_gets_it_by_poll(world: World) -> None:
    party = await world.enrol()
    await party.register()
    await party.poll()

    def wanted(specifier: str) -> CreateReport:
        request = ReportRequest(
            report_request_id="rpt-ven",
            specifier=ReportSpecifier(
                report_specifier_id=specifier,
                granularity=ZERO,
                report_back_duration=ZERO,
                payloads=(SpecifierPayload(r_id="0"),),
            ),
        )
        return CreateReport(request_id="req-c", report_requests=(request,), ven_id="ven-a")

    assert code(await party.send(wanted("spec-x"))) == 452
    assert code(await party.send(wanted("METADATA"))) == 200
    found = await party.poll()
    assert isinstance(found, RegisterReport)
    assert (found.report_request_id, found.reports) == ("rpt-ven", ())  # R311


async def test_rule_336_a_ven_cannot_cancel_what_we_never_promised(world: World) -> None:
    party = await world.enrol()
    await party.register()
    reply = await party.send(CancelReport(request_id="req-c", report_request_ids=("rpt-x",), ven_id="ven-a"))
    assert isinstance(reply, CanceledReport)
    assert code(reply) == 452


async def test_rule_306_requests_that_former_metadata_ended_are_not_read_again(world: World) -> None:
    party = await world.enrol()
    await party.register()
    for _ in range(3):
        await party.send(metadata())
    async with world.store.read() as tx:
        assert len(await tx.reports.requests("ven-a")) == 3
        (left,) = await tx.reports.open_requests("ven-a")
    assert left.state is RequestState.REQUESTED
