"""The VTN as reporter: its METADATA for each VEN, what a VEN may ask for, and reports when they are due."""

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
    RegisteredReport,
    RegisterReport,
    Response,
    UpdatedReport,
    UpdateReport,
)
from openadr.model import Report, ReportRequest, ReportSpecifier, SpecifierPayload
from openadr.times import ZERO, Duration
from openadr.wire import decode, encode
from tests.vtn.services.reportkit import (
    ENERGY,
    MINUTE,
    OFFERING,
    QUARTER,
    fetch,
    one_cancel,
    reporting,
    series,
    value,
    with_policy,
)
from tests.vtn.services.test_reports import POWER, code, metadata, offer, update
from tests.vtn.world import START, Party, World
from vtn.services import ownoffer
from vtn.store.store import Store

LIVE, PAST = "vtn-telemetry-spec-1", "vtn-history-spec-1"


@pytest.fixture
def world(store: Store) -> World:
    """A world on each kind of database whose VTN offers reports."""
    return with_policy(World(store), OFFERING)


def wanted(
    name: str = "rr-1",
    specifier: str = LIVE,
    *,
    r_ids: tuple[str, ...] = ("rid-1",),
    granularity: Duration = ZERO,
    back: Duration = ZERO,
    start: Any = None,
    length: Duration | None = None,
) -> ReportRequest:
    return ReportRequest(
        report_request_id=name,
        specifier=ReportSpecifier(
            report_specifier_id=specifier,
            granularity=granularity,
            report_back_duration=back,
            payloads=tuple(SpecifierPayload(r_id=each) for each in r_ids),
            interval_start=start,
            interval_duration=length,
        ),
    )


async def create(party: Party, *requests: ReportRequest) -> CreatedReport:
    reply = await party.send(CreateReport(request_id="req-c", report_requests=requests, ven_id=party.ven_id))
    assert isinstance(reply, CreatedReport)
    decode(encode(reply))
    return reply


async def offered(world: World, *, ven_id: str = "ven-a", number: int = 1) -> tuple[Party, str]:
    """Return a VEN that has offered two points, and the reportRequestID it was asked with; its queue is empty."""
    party = await world.enrol(ven_id, number)
    await party.register()
    reply = await party.send(replace(metadata(offer("TELEMETRY_USAGE", "spec-1", POWER, ENERGY)), ven_id=ven_id))
    assert isinstance(reply, RegisteredReport)
    await acknowledge(party, await fetch(party, RegisterReport))
    assert isinstance(await party.poll(), Response)
    return party, reply.report_requests[0].report_request_id


async def acknowledge(party: Party, message: Message) -> None:
    if isinstance(message, RegisterReport):
        answer: Message = RegisteredReport(response=EiResponse(request_id=message.request_id), ven_id=party.ven_id)
    else:
        assert isinstance(message, UpdateReport)
        answer = UpdatedReport(response=EiResponse(request_id=message.request_id), ven_id=party.ven_id)
    assert isinstance(await party.send(answer), Response)


async def delivered(party: Party) -> tuple[Report, ...]:
    message = await fetch(party, UpdateReport)
    assert decode(encode(message)) == message
    await acknowledge(party, message)
    reports: tuple[Report, ...] = message.reports
    for report in reports:
        times = [each.dtstart for each in report.intervals]
        assert None not in times  # so that no uid is needed (R316)
        assert report.dtstart == times[0]  # R314
        assert times == sorted(t for t in times if t is not None)
        assert len({each.duration is None for each in report.intervals}) == 1  # R315
        assert report.descriptions == ()  # R313
    return reports


def numbers(reports: tuple[Report, ...]) -> list[tuple[str, float]]:
    return [
        (payload.r_id, payload.value)
        for report in reports
        for each in report.intervals
        for payload in each.payloads
        if isinstance(payload.value, float)
    ]


async def test_rule_305_311_312_331_our_metadata_mirrors_the_points_of_the_ven(world: World) -> None:
    party = await world.enrol()
    await party.register()
    await party.send(metadata(offer("TELEMETRY_USAGE", "spec-1", POWER, ENERGY), offer("TELEMETRY_STATUS", "s", POWER)))
    message = await fetch(party, RegisterReport)
    assert message.report_request_id is None
    assert [(each.report_specifier_id, each.report_name) for each in message.reports] == [
        (LIVE, "METADATA_TELEMETRY_USAGE"),
        (PAST, "METADATA_HISTORY_USAGE"),
    ]
    for report in message.reports:
        assert (report.report_request_id, report.dtstart, report.intervals) == ("0", None, ())
        assert report.duration == Duration(seconds=30 * 86_400)
        assert [each.r_id for each in report.descriptions] == ["rid-1", "rid-e"]
        for point in report.descriptions:
            rate = point.sampling_rate
            assert rate is None or rate.max_period.seconds <= report.duration.seconds
    assert decode(encode(message)) == message


async def test_rule_306_a_changed_offer_is_sent_and_ends_requests_but_periodic_metadata(world: World) -> None:
    party, _ = await offered(world)
    reply = await create(
        party,
        wanted(granularity=MINUTE, back=QUARTER, start=START),
        wanted("rr-m", "METADATA", r_ids=("0",), back=QUARTER),
    )
    assert reply.pending_reports == ("rr-1", "rr-m")
    await acknowledge(party, await fetch(party, RegisterReport))
    await party.send(metadata(offer("TELEMETRY_USAGE", "spec-1", POWER, ENERGY)))
    assert isinstance(await party.poll(), Response)  # the same offer: nothing to say
    await party.send(metadata(offer("TELEMETRY_USAGE", "spec-1", POWER)))
    message = await fetch(party, RegisterReport)
    assert [len(each.descriptions) for each in message.reports] == [1, 1]
    await acknowledge(party, message)
    assert (await create(party, wanted("rr-m", "METADATA", r_ids=("0",), back=QUARTER))).pending_reports == ("rr-m",)


async def test_rule_315_316_324_337_342_a_one_shot_is_answered_at_once_with_the_newest_values(world: World) -> None:
    party, asked = await offered(world)
    energy = value(START, 0.5, "rid-e", MINUTE)
    await party.send(update(asked, *series(1.0, 2.0), energy))
    reply = await create(party, wanted(r_ids=("rid-1", "rid-e")))
    assert (code(reply), reply.pending_reports) == (200, ("rr-1",))
    reports = await delivered(party)
    assert numbers(reports) == [("rid-1", 2.0), ("rid-e", 0.5)]
    assert [each.intervals[0].duration for each in reports] == [None, MINUTE]
    assert {(each.report_request_id, each.report_name) for each in reports} == {("rr-1", "TELEMETRY_USAGE")}
    assert isinstance(await party.poll(), Response)


async def test_rule_318_without_data_a_placeholder_says_so(world: World) -> None:
    party, _ = await offered(world)
    await create(party, wanted())
    ((interval,),) = [each.intervals for each in await delivered(party)]
    assert interval.payloads[0].data_quality == ownoffer.NO_DATA


async def test_rule_325_history_is_as_it_was_recorded(world: World) -> None:
    party, asked = await offered(world)
    await party.send(update(asked, *series(1.0, 2.0, 3.0, 4.0)))
    world.clock.advance(3600)
    begin = START + timedelta(minutes=1)
    await create(party, wanted(specifier=PAST, start=begin, length=Duration(seconds=120)))
    assert numbers(await delivered(party)) == [("rid-1", 2.0), ("rid-1", 3.0)]
    await create(party, wanted("rr-2", PAST, start=begin, length=ZERO))
    assert numbers(await delivered(party)) == [("rid-1", 2.0), ("rid-1", 3.0), ("rid-1", 4.0)]


async def test_rule_346_of_the_same_time_the_value_received_last_is_reported(world: World) -> None:
    party, asked = await offered(world)
    await party.send(update(asked, *series(1.0)))
    world.clock.advance(1)
    await party.send(update(asked, *series(9.0)))
    world.clock.advance(3600)
    await create(party, wanted(specifier=PAST, start=START, length=ZERO))
    assert numbers(await delivered(party)) == [("rid-1", 9.0)]


async def test_rule_317_324_periodic_reports_come_when_they_are_due_also_after_a_restart(world: World) -> None:
    party, asked = await offered(world)
    request = wanted(
        r_ids=("rid-1", "rid-e"),
        granularity=MINUTE,
        back=Duration(seconds=120),
        start=START,
        length=Duration(seconds=300),
    )
    assert (await create(party, request)).pending_reports == ("rr-1",)
    got: list[list[tuple[str, float]]] = []
    for minute in range(1, 6):
        sent = (value(START + timedelta(seconds=60 * minute - 30), float(minute)),)
        await party.send(update(asked, *sent, value(START + timedelta(seconds=60 * minute - 60), 0.1, "rid-e", MINUTE)))
        world.clock.set(START + timedelta(minutes=minute))
        await reporting(world).round(world.clock.now())  # a new one each time: all it knows is in the database
        if minute in (2, 4):
            got.append(numbers(await delivered(party)))
        else:
            assert isinstance(await party.poll(), Response)
    world.clock.set(START + timedelta(minutes=6))
    await reporting(world).round(world.clock.now())
    got.append(numbers(await delivered(party)))
    assert got == [
        [("rid-1", 1.0), ("rid-1", 2.0), ("rid-e", 0.1), ("rid-e", 0.1)],
        [("rid-1", 3.0), ("rid-1", 4.0), ("rid-e", 0.1), ("rid-e", 0.1)],
        [("rid-1", 5.0), ("rid-e", 0.1)],
    ]
    assert (await create(party)).pending_reports == ()


async def test_a_ven_that_does_not_poll_gets_one_report_over_the_whole_time(world: World) -> None:
    party, asked = await offered(world)
    await create(party, wanted(granularity=MINUTE, back=MINUTE, start=START))
    keeper = reporting(world)
    for minute in range(1, 6):
        await party.send(update(asked, value(START + timedelta(seconds=60 * minute - 30), float(minute))))
        world.clock.set(START + timedelta(minutes=minute))
        await keeper.round(world.clock.now())
    assert numbers(await delivered(party)) == [("rid-1", 1.0)]
    assert isinstance(await party.poll(), Response)
    world.clock.set(START + timedelta(minutes=6))
    await keeper.round(world.clock.now())
    assert numbers(await delivered(party)) == [("rid-1", float(each)) for each in range(2, 6)]


async def test_two_nodes_send_a_report_once(world: World) -> None:
    party, asked = await offered(world)
    await create(party, wanted(granularity=MINUTE, back=MINUTE, start=START))
    await party.send(update(asked, *series(1.0)))
    world.clock.advance(60)
    other = reporting(World(Store(world.store.engine), world.clock, world.desk))
    await reporting(world).round(world.clock.now())
    await other.round(world.clock.now())
    assert numbers(await delivered(party)) == [("rid-1", 1.0)]
    assert isinstance(await party.poll(), Response)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (wanted(specifier="vtn-telemetry-spec-9"), 452),
        (wanted(specifier="spec-1"), 452),
        (wanted(r_ids=("rid-1", "rid-9")), 452),
        (wanted(granularity=Duration(seconds=9), back=MINUTE, start=START), 454),
        (wanted(granularity=ZERO, back=MINUTE, start=START), 454),
        (wanted(granularity=QUARTER, back=MINUTE, start=START), 454),
        (wanted(granularity=Duration(seconds=10), back=Duration(seconds=86_400), start=START), 454),
        (wanted(granularity=MINUTE, back=MINUTE, start=START.replace(year=9999)), 454),
        (wanted(granularity=MINUTE, back=MINUTE, start=START - timedelta(days=2), length=MINUTE), 454),
        (wanted(back=Duration(seconds=-60)), 454),
        (wanted(specifier=PAST), 459),
        (wanted(specifier=PAST, back=MINUTE, start=START), 454),
        (wanted(specifier=PAST, start=START + timedelta(hours=1)), 454),
        (wanted(specifier=PAST, start=START - timedelta(hours=1), length=Duration(seconds=7200)), 454),
        (wanted("r" * 300), 459),
    ],
)
async def test_rule_304_340_what_is_not_offered_is_refused_and_nothing_of_the_set_is_taken(
    world: World, request_: ReportRequest, expected: int
) -> None:
    party, _ = await offered(world)
    good = wanted("rr-good", granularity=MINUTE, back=QUARTER, start=START)
    assert code(await create(party, good, request_)) == expected
    assert (await create(party)).pending_reports == ()
    assert isinstance(await party.poll(), Response)


async def test_rule_322_a_request_sent_again_is_taken_once_and_another_of_its_name_is_refused(world: World) -> None:
    party, _ = await offered(world)
    request = wanted(granularity=MINUTE, back=QUARTER, start=START)
    for _ in range(2):
        assert (await create(party, request)).pending_reports == ("rr-1",)
    assert code(await create(party, wanted(granularity=MINUTE, back=MINUTE, start=START))) == 459


async def test_the_number_of_requests_is_bounded(world: World) -> None:
    party, _ = await offered(world)
    many = [wanted(f"rr-{n}", granularity=MINUTE, back=QUARTER, start=START) for n in range(101)]
    assert code(await create(party, *many)) == 454
    assert code(await create(party, *many[:100])) == 200
    assert code(await create(party, many[100])) == 454


async def test_reports_that_a_ven_orders_and_never_fetches_are_bounded(world: World) -> None:
    party, _ = await offered(world)
    assert code(await create(party, *(wanted(f"rr-{n}") for n in range(100)))) == 200
    assert code(await create(party, wanted("rr-more"))) == 454
    assert code(await create(party, wanted("rr-1"))) == 454, "known and over: another report all the same"
    await fetch(party, UpdateReport)
    assert code(await create(party, wanted("rr-more"))) == 200


async def test_history_that_is_too_long_for_a_report_is_refused(world: World) -> None:
    party, asked = await offered(world)
    await party.send(update(asked, *series(*(float(each) for each in range(ownoffer.MAX_VALUES + 1)), step_s=1)))
    world.clock.advance(3600)
    assert code(await create(party, wanted(specifier=PAST, start=START, length=ZERO))) == 454
    assert code(await create(party, wanted(specifier=PAST, start=START + timedelta(seconds=1), length=ZERO))) == 200
    assert len(numbers(await delivered(party))) == ownoffer.MAX_VALUES


async def test_a_ven_reads_only_its_own_data(world: World) -> None:
    one, asked = await offered(world)
    other, _ = await offered(world, ven_id="ven-b", number=2)
    await one.send(update(asked, *series(7.0)))
    world.clock.advance(60)
    await create(other, wanted(specifier=PAST, start=START, length=ZERO))
    assert numbers(await delivered(other)) == [("rid-1", 0.0)]  # the placeholder
    await create(other, wanted("rr-2"))
    assert numbers(await delivered(other)) == [("rid-1", 0.0)]


async def test_rule_336_a_cancel_ends_what_is_known_and_names_what_is_left(world: World) -> None:
    party, asked = await offered(world)
    requests = [wanted(f"rr-{n}", granularity=MINUTE, back=MINUTE, start=START) for n in (1, 2)]
    await create(party, *requests)
    reply = await party.send(one_cancel("rr-1", "rr-9"))
    assert isinstance(reply, CanceledReport)
    assert (code(reply), reply.pending_reports) == (452, ("rr-2",))
    await party.send(update(asked, *series(1.0)))
    world.clock.advance(60)
    await reporting(world).round(world.clock.now())
    assert {each.report_request_id for each in await delivered(party)} == {"rr-2"}
    assert isinstance(await party.poll(), Response)


async def test_rule_345_report_to_follow_is_exactly_one_more(world: World) -> None:
    party, asked = await offered(world)
    await create(party, wanted(granularity=MINUTE, back=QUARTER, start=START))
    await party.send(update(asked, *series(1.0)))
    world.clock.advance(60)
    reply = await party.send(one_cancel("rr-1", to_follow=True))
    assert isinstance(reply, CanceledReport)
    assert (code(reply), reply.pending_reports) == (200, ("rr-1",))
    for _ in range(2):
        await reporting(world).round(world.clock.now())
        world.clock.advance(1000)
    assert numbers(await delivered(party)) == [("rid-1", 1.0)]
    assert isinstance(await party.poll(), Response)


async def test_a_report_that_waits_is_withdrawn_by_a_cancel(world: World) -> None:
    party, _ = await offered(world)
    await create(party, wanted(granularity=MINUTE, back=MINUTE, start=START))
    world.clock.advance(60)
    await reporting(world).round(world.clock.now())
    assert isinstance(await party.send(one_cancel("rr-1")), CanceledReport)
    assert isinstance(await party.poll(), Response)


async def test_rule_328_a_cancel_in_oadr_updated_report_is_taken_without_an_answer(world: World) -> None:
    party, _ = await offered(world)
    await create(party, *(wanted(f"rr-{n}", granularity=MINUTE, back=MINUTE, start=START) for n in (1, 2)))
    world.clock.advance(60)
    await reporting(world).round(world.clock.now())
    message = await fetch(party, UpdateReport)
    mine = message.reports[0].report_request_id
    inner = CancelReport(request_id="req-x", report_request_ids=("rr-1", "rr-2", "rr-9"))
    answer = UpdatedReport(response=EiResponse(request_id=message.request_id), cancel_report=inner, ven_id="ven-a")
    reply = await party.send(answer)
    assert isinstance(reply, Response)
    left = (await create(party)).pending_reports
    assert left == tuple({"rr-1", "rr-2"} - {mine})


async def test_rule_344_requests_that_come_with_the_answer_to_our_metadata_are_acted_on(world: World) -> None:
    party = await world.enrol()
    await party.register()
    await party.send(metadata(offer("TELEMETRY_USAGE", "spec-1", POWER)))
    message = await fetch(party, RegisterReport)
    response = EiResponse(request_id=message.request_id)
    good = wanted(granularity=MINUTE, back=QUARTER, start=START)
    bad = RegisteredReport(response=response, report_requests=(good, wanted("rr-2", "spec-x")), ven_id="ven-a")
    assert code(await party.send(bad)) == 452
    assert (await create(party)).pending_reports == ()
    assert code(await party.send(replace(bad, report_requests=(good,)))) == 200
    assert (await create(party)).pending_reports == ("rr-1",)
    assert isinstance(await party.poll(), Response)  # the METADATA was answered, whatever came with it


async def test_rule_301_periodic_metadata_comes_again_every_report_back_duration(world: World) -> None:
    party, _ = await offered(world)
    await create(party, wanted("rr-m", "METADATA", r_ids=("0",), back=QUARTER))
    first = await fetch(party, RegisterReport)
    assert (first.report_request_id, len(first.reports)) == ("rr-m", 2)
    await acknowledge(party, first)
    world.clock.advance(900)
    await reporting(world).round(world.clock.now())
    assert (await fetch(party, RegisterReport)).report_request_id == "rr-m"


async def test_rule_406_a_new_registration_ends_what_the_ven_had_asked_for(world: World) -> None:
    party, _ = await offered(world)
    await create(party, wanted(granularity=MINUTE, back=MINUTE, start=START))
    await party.register()
    world.clock.advance(60)
    await reporting(world).round(world.clock.now())
    greeting = await fetch(party, RegisterReport)
    assert greeting.reports == ()  # nothing is known of the VEN until its METADATA
    assert isinstance(await party.poll(), Response)


async def test_rule_329_what_is_still_to_be_sent_is_pending_and_no_more(world: World) -> None:
    party, _ = await offered(world)
    await create(party, wanted("rr-now"), wanted("rr-later", granularity=MINUTE, back=MINUTE, start=START))
    assert (await create(party)).pending_reports == ("rr-later", "rr-now")
    await delivered(party)
    assert (await create(party)).pending_reports == ("rr-later",)


async def test_a_long_name_of_the_ven_is_shortened_in_ours(world: World) -> None:
    assert len(ownoffer.specifier_id("TELEMETRY_USAGE", "s" * 250)) < 60
