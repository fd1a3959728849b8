"""Reports that an operator asks for: the form of a request, its life from asked to over, what comes late, the end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from openadr.errors import InvalidData, InvalidId, NotAllowed, OadrError
from openadr.messages import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    EiResponse,
    RegisteredReport,
    RegisterReport,
    Response,
    UpdatedReport,
)
from openadr.model import SamplingRate
from openadr.times import ZERO, Duration
from tests.vtn.services.reportkit import (
    HISTORY,
    MINUTE,
    QUARTER,
    SILENT,
    USAGE,
    accept,
    ask,
    cancel,
    fetch,
    reporting,
    series,
    shown,
    with_policy,
)
from tests.vtn.services.test_reports import POWER, RATE, at, code, metadata, offer, rows, update
from tests.vtn.world import START, Party, World
from vtn.services import reportask
from vtn.services.reportask import patience_s
from vtn.store.rows import RequestState
from vtn.store.store import Store


@pytest.fixture
def world(store: Store) -> World:
    """A world on each kind of database."""
    return with_policy(World(store), SILENT)


async def offered(world: World, *reports: Any) -> Party:
    party = await world.enrol()
    await party.register()
    assert code(await party.send(metadata(*(reports or (USAGE, HISTORY))))) == 200
    return party


async def test_rule_300_324_a_periodic_request_goes_the_whole_way(world: World) -> None:
    party = await offered(world)
    row = await ask(world, r_ids=("rid-1",), granularity=MINUTE, back=QUARTER, duration=Duration(seconds=1800))
    assert (row.state, row.actor, row.standing) == (RequestState.REQUESTED, "operator", True)
    message = await fetch(party, CreateReport)
    (wanted,) = message.report_requests
    spec = wanted.specifier
    assert (spec.granularity, spec.report_back_duration) == (MINUTE, QUARTER)
    assert (spec.interval_start, spec.interval_duration) == (START, Duration(seconds=1800))
    assert [(each.r_id, each.reading_type, each.item_base) for each in spec.payloads] == [
        ("rid-1", "x-notApplicable", None)
    ]
    assert code(await party.send(accept(message))) == 200
    assert (await shown(world, row)).state is RequestState.CONFIRMED
    world.clock.advance(900)
    assert code(await party.send(update(row.report_request_id, *series(*range(15))))) == 200
    under_way = await shown(world, row)
    assert (under_way.state, under_way.received, under_way.last_data_at) == (
        RequestState.DELIVERING,
        1,
        world.clock.now(),
    )
    world.clock.advance(905)
    assert code(await party.send(update(row.report_request_id, at(20, 1.0)))) == 200
    done = await shown(world, row)
    assert (done.state, done.ended_at, done.due_at) == (RequestState.DONE, world.clock.now(), None)


async def test_rule_324_a_one_shot_is_done_with_its_report_and_may_overtake_the_answer(world: World) -> None:
    party = await offered(world)
    row = await ask(world)
    message = await fetch(party, CreateReport)
    spec = message.report_requests[0].specifier
    assert (spec.granularity, spec.report_back_duration, spec.interval_start) == (ZERO, ZERO, None)
    assert code(await party.send(update(row.report_request_id, at(0, 1.0), at(0, 2.0, "rid-2")))) == 200
    assert (await shown(world, row)).state is RequestState.DONE
    await party.send(accept(message))
    assert (await shown(world, row)).state is RequestState.DONE
    for _ in range(3):  # corrections and resends may come at any time (R346): no cancel
        reply = await party.send(update(row.report_request_id, at(0, 3.0)))
        assert isinstance(reply, UpdatedReport)
        assert reply.cancel_report is None


async def test_rule_325_history_is_asked_for_by_its_past_interval(world: World) -> None:
    party = await offered(world)
    row = await ask(world, report_specifier_id="spec-h", start=START - timedelta(days=1), duration=MINUTE)
    spec = (await fetch(party, CreateReport)).report_requests[0].specifier
    assert (spec.granularity, spec.report_back_duration) == (ZERO, ZERO)
    assert (spec.interval_start, spec.interval_duration) == (START - timedelta(days=1), MINUTE)
    old = replace(at(0, 5.0), dtstart=START - timedelta(days=1))
    sent = update(row.report_request_id, old, report_specifier_id="spec-h", report_name="HISTORY_USAGE")
    assert code(await party.send(sent)) == 200
    assert [(each.report_name, each.value) for each in await rows(world)] == [("HISTORY_USAGE", 5.0)]


DAY_AGO = START - timedelta(days=1)


@pytest.mark.parametrize(
    ("draft", "error", "field"),
    [
        ({"report_specifier_id": "spec-9"}, InvalidId, "reportSpecifierID"),
        ({"r_ids": ("rid-1", "rid-9")}, InvalidId, "rIDs"),
        ({"r_ids": ("rid-1", "rid-1")}, InvalidData, "rIDs"),
        ({"back": QUARTER, "granularity": Duration(seconds=5)}, InvalidData, "granularity"),
        ({"back": QUARTER, "granularity": Duration(seconds=901)}, InvalidData, "granularity"),
        ({"back": QUARTER, "granularity": ZERO}, InvalidData, "granularity"),
        ({"back": MINUTE, "granularity": QUARTER}, InvalidData, "granularity"),
        ({"back": Duration(seconds=-60)}, InvalidData, "reportBackDuration"),
        ({"back": Duration(seconds=7201)}, InvalidData, "reportBackDuration"),
        ({"back": QUARTER, "start": DAY_AGO, "duration": MINUTE}, InvalidData, "duration"),
        ({"back": QUARTER, "start": START.replace(year=9999)}, InvalidData, "dtstart"),
        ({"start": START}, InvalidData, "dtstart"),
        ({"duration": MINUTE}, InvalidData, "duration"),
        ({"report_specifier_id": "spec-h"}, InvalidData, "dtstart"),
        ({"report_specifier_id": "spec-h", "start": START + timedelta(hours=1)}, InvalidData, "dtstart"),
        (
            {"report_specifier_id": "spec-h", "start": DAY_AGO, "duration": Duration(seconds=90_000)},
            InvalidData,
            "duration",
        ),
        ({"report_specifier_id": "spec-h", "start": DAY_AGO, "back": MINUTE}, InvalidData, "reportBackDuration"),
        ({"report_specifier_id": "spec-h", "start": DAY_AGO, "granularity": MINUTE}, InvalidData, "granularity"),
        ({"ven_id": "ven-z"}, InvalidId, "venID"),
    ],
)
async def test_rule_300_317_340_what_is_not_offered_cannot_be_asked_for(
    world: World, draft: dict[str, Any], error: type[OadrError], field: str
) -> None:
    party = await offered(world)
    with pytest.raises(error) as caught:
        await ask(world, **draft)
    assert caught.value.field == field
    assert field in caught.value.description
    async with world.store.read() as tx:
        assert await tx.reports.requests("ven-a") == ()
    assert isinstance(await party.poll(), RegisterReport)
    assert isinstance(await party.poll(), Response)


async def test_rule_317_on_change_is_asked_for_where_it_is_offered(world: World) -> None:
    changing = replace(POWER, sampling_rate=replace(RATE, on_change=True))
    await offered(world, offer("TELEMETRY_USAGE", "spec-1", changing))
    row = await ask(world, back=QUARTER, granularity=ZERO)
    assert row.request.specifier.granularity.is_zero


async def test_without_granularity_the_preferred_one_within_the_rates_is_asked(world: World) -> None:
    slow = SamplingRate(min_period=Duration(seconds=300), max_period=Duration(seconds=600))
    await offered(world, offer("TELEMETRY_USAGE", "spec-1", replace(POWER, sampling_rate=slow)))
    assert (await ask(world, back=QUARTER)).request.specifier.granularity == Duration(seconds=300)


async def test_a_ven_that_is_not_registered_cannot_be_asked(world: World) -> None:
    await world.enrol()
    with pytest.raises(NotAllowed):
        await ask(world)


async def test_a_refusal_is_kept_with_its_reason(world: World) -> None:
    party = await offered(world)
    row = await ask(world, back=QUARTER)
    message = await fetch(party, CreateReport)
    await party.send(accept(message, code=461, text="meter is out of order"))
    refused = await shown(world, row)
    assert (refused.state, refused.response_code, refused.reason) == (
        RequestState.REFUSED,
        461,
        "meter is out of order",
    )
    assert (refused.standing, refused.due_at) == (False, None)


async def test_a_report_that_does_not_come_is_overdue_until_it_comes(world: World) -> None:
    party = await offered(world)
    row = await ask(world, back=QUARTER)
    await party.send(accept(await fetch(party, CreateReport)))
    keeper = reporting(world)
    world.clock.advance(900 + 119)
    await keeper.round(world.clock.now())
    assert (await shown(world, row)).state is RequestState.CONFIRMED
    world.clock.advance(1)
    await keeper.round(world.clock.now())
    late = await shown(world, row)
    assert (late.state, late.overdue_since) == (RequestState.OVERDUE, START + timedelta(seconds=1020))
    await keeper.round(world.clock.now())
    assert await shown(world, row) == late
    await party.send(update(row.report_request_id, at(0, 1.0)))
    better = await shown(world, row)
    assert (better.state, better.overdue_since) == (RequestState.DELIVERING, None)
    assert better.due_at == world.clock.now() + timedelta(seconds=1020)


async def test_a_request_whose_time_is_over_without_a_report_ends_with_a_reason(world: World) -> None:
    party = await offered(world)
    row = await ask(world, back=QUARTER, duration=Duration(seconds=900))
    await party.send(accept(await fetch(party, CreateReport)))
    keeper = reporting(world)
    for _ in range(3):
        world.clock.advance(1000)
        await keeper.round(world.clock.now())
    over = await shown(world, row)
    assert (over.state, over.reason) == (RequestState.DONE, "its time is over; no report came")


async def test_two_nodes_judge_a_request_once(world: World) -> None:
    party = await offered(world)
    row = await ask(world, back=QUARTER)
    await party.send(accept(await fetch(party, CreateReport)))
    world.clock.advance(2000)
    one, other = reporting(world), reporting(World(Store(world.store.engine), world.clock, world.desk))
    await one.round(world.clock.now())
    await other.round(world.clock.now())
    assert (await shown(world, row)).state is RequestState.OVERDUE


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to_follow", [False, True])
async def test_rule_345_a_cancel_names_one_request_and_says_whether_a_report_follows(
    world: World, to_follow: bool
) -> None:
    party = await offered(world)
    row = await ask(world, back=QUARTER)
    await party.send(accept(await fetch(party, CreateReport)))
    going = await cancel(world, row, to_follow=to_follow)
    assert going is not None
    assert (going.state, going.standing) == (RequestState.CANCELLING, False)
    assert (await cancel(world, row)) == await shown(world, row)  # once is enough
    message = await fetch(party, CancelReport)
    assert (message.report_request_ids, message.report_to_follow) == ((row.report_request_id,), to_follow)
    reply = await party.send(CanceledReport(response=EiResponse(request_id=message.request_id), ven_id="ven-a"))
    assert isinstance(reply, Response)
    assert (await shown(world, row)).state is RequestState.CANCELLED
    assert isinstance(await party.poll(), Response)
    with pytest.raises(NotAllowed):
        await cancel(world, row)


async def test_a_cancel_that_the_ven_refuses_or_forgets_ends_the_request_all_the_same(world: World) -> None:
    party = await offered(world)
    one, two = await ask(world, back=QUARTER), await ask(world, back=MINUTE)
    for row in (one, two):
        await party.send(accept(await fetch(party, CreateReport)))
        await cancel(world, row)
    message = await fetch(party, CancelReport)
    response = EiResponse(request_id="", response_code=452, response_description="unknown")
    await party.send(CanceledReport(response=response, ven_id="ven-a"))
    assert message.report_request_ids == (one.report_request_id,)
    assert ((await shown(world, one)).reason, (await shown(world, one)).response_code) == ("unknown", 452)
    world.clock.advance(patience_s(world.desk.queue) + 121)
    await reporting(world).round(world.clock.now())
    silent = await shown(world, two)
    assert (silent.state, silent.reason) == (RequestState.CANCELLED, "the VEN did not answer the oadrCancelReport")


async def test_rule_328_335_reports_that_go_on_after_the_end_are_cancelled_in_the_answer_and_then_aloud(
    world: World,
) -> None:
    party = await offered(world)
    row = await ask(world, back=QUARTER)
    await party.send(accept(await fetch(party, CreateReport)))
    await cancel(world, row)
    message = await fetch(party, CancelReport)
    await party.send(CanceledReport(response=EiResponse(request_id=message.request_id), ven_id="ven-a"))
    told = []
    for minute in range(4):
        reply = await party.send(update(row.report_request_id, at(minute, 1.0)))
        assert isinstance(reply, UpdatedReport)
        assert reply.response.ok
        told.append(None if reply.cancel_report is None else reply.cancel_report.report_request_ids)
    mine = (row.report_request_id,)
    assert told == [None, mine, mine, mine]  # the first may have been on its way
    again = await fetch(party, CancelReport)
    assert again.report_request_ids == mine
    assert len(await rows(world)) == 4  # nothing is thrown away


async def test_an_unknown_request_cannot_be_cancelled(world: World) -> None:
    async with world.store.write() as tx:
        assert await reportask.cancel(tx, "rpt-9", START, world.desk, to_follow=False, reason=None) is None


# --- METADATA and new registrations -----------------------------------------------------------------------------------


async def test_rule_306_what_an_operator_wants_is_asked_for_again_under_new_metadata(world: World) -> None:
    party = await offered(world)
    row = await ask(world, r_ids=("rid-1",), back=QUARTER, granularity=MINUTE, duration=Duration(seconds=7200))
    lost = await ask(world, r_ids=("rid-2",), back=QUARTER)
    world.clock.advance(600)
    reply = await party.send(metadata(offer("TELEMETRY_USAGE", "spec-1", POWER)))
    assert isinstance(reply, RegisteredReport)
    (again,) = reply.report_requests
    assert again.specifier.payloads == row.request.specifier.payloads
    assert again.specifier.interval_duration == Duration(seconds=6600)
    old, gone = await shown(world, row), await shown(world, lost)
    assert (old.state, old.reason, old.standing) == (
        RequestState.REPLACED,
        f"replaced by {again.report_request_id}",
        False,
    )
    assert gone.state is RequestState.REPLACED
    assert "not within the new METADATA" in (gone.reason or "")
    answer = CreatedReport(
        response=EiResponse(request_id="req-m"), pending_reports=(again.report_request_id,), ven_id="ven-a"
    )
    await party.send(answer)
    async with world.store.read() as tx:
        new = await tx.reports.request(again.report_request_id)
    assert new is not None
    assert (new.state, new.actor, new.standing) == (RequestState.CONFIRMED, "operator", True)


async def test_rule_406_a_new_registration_voids_requests_and_the_next_metadata_brings_them_back(world: World) -> None:
    party = await offered(world)
    row = await ask(world, back=QUARTER)
    once = await ask(world)
    await party.register()
    assert (await shown(world, row)).state is RequestState.ERASED
    assert code(await party.send(update(row.report_request_id, at(0, 1.0)))) == 452
    reply = await party.send(metadata(USAGE))
    assert isinstance(reply, RegisteredReport)
    assert [each.specifier.report_back_duration for each in reply.report_requests] == [QUARTER]
    assert (await shown(world, once)).state is RequestState.ERASED


async def test_a_standing_request_can_be_cancelled_while_the_ven_is_away(world: World) -> None:
    party = await offered(world)
    row = await ask(world, back=QUARTER)
    await party.register()
    gone = await cancel(world, row)
    assert gone is not None
    assert gone.state is RequestState.CANCELLED
    reply = await party.send(metadata(USAGE))
    assert isinstance(reply, RegisteredReport)
    assert reply.report_requests == ()


async def test_rule_327_308_metadata_is_asked_for_by_its_name_once_at_a_time(world: World) -> None:
    party = await offered(world)
    row = await ask(world, report_specifier_id="METADATA")
    assert (await ask(world, report_specifier_id="METADATA")) == await shown(world, row)
    message = await fetch(party, CreateReport)
    spec = message.report_requests[0].specifier
    assert (spec.report_specifier_id, [each.r_id for each in spec.payloads]) == ("METADATA", ["0"])
    await party.send(accept(message))
    assert (await shown(world, row)).state is RequestState.CONFIRMED
    answer = replace(metadata(USAGE), report_request_id=row.report_request_id)
    assert code(await party.send(answer)) == 200
    assert (await shown(world, row)).state is RequestState.DONE
    async with world.store.read() as tx:
        assert [each.report_specifier_id for each in await tx.reports.offer("ven-a")] == ["spec-1"]


async def test_rule_301_metadata_that_does_not_come_is_asked_for_once(world: World) -> None:
    party = await world.enrol()
    await party.register()
    keeper = reporting(world)
    world.clock.advance(299)
    await keeper.round(world.clock.now())
    await fetch(party, RegisterReport)
    assert isinstance(await party.poll(), Response)
    world.clock.advance(1)
    for _ in range(2):
        await keeper.round(world.clock.now())
    assert (await fetch(party, CreateReport)).report_requests[0].specifier.report_specifier_id == "METADATA"
    assert isinstance(await party.poll(), Response)


async def test_metadata_without_reports_is_not_missing(world: World) -> None:
    party = await world.enrol()
    await party.register()
    await party.send(RegisterReport(request_id="req-m", ven_id="ven-a"))
    world.clock.advance(1000)
    await reporting(world).round(world.clock.now())
    await fetch(party, RegisterReport)
    assert isinstance(await party.poll(), Response)


async def test_after_a_restart_every_offer_can_be_asked_for_anew(world: World) -> None:
    party = await offered(world)
    await fetch(party, RegisterReport)
    world.clock.advance(1000)
    keeper = reporting(world, since=world.clock.now())
    for _ in range(2):
        await keeper.round(world.clock.now())
    message = await fetch(party, CreateReport)
    assert message.report_requests[0].specifier.report_specifier_id == "METADATA"
    assert isinstance(await party.poll(), Response)


async def test_rule_304_data_that_nobody_asked_for_leads_to_metadata_anew_now_and_then(world: World) -> None:
    party = await offered(world)
    for _ in range(3):
        assert code(await party.send(update("rpt-9", at(0, 1.0)))) == 452
    message = await fetch(party, CreateReport)
    assert message.report_requests[0].specifier.report_specifier_id == "METADATA"
    assert isinstance(await party.poll(), Response)
