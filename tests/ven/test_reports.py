"""The VEN as reporter: METADATA, requests, schedules, deliveries and cancels."""

import math
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from openadr.messages import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    EiResponse,
    Poll,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    Response,
    UpdatedReport,
    UpdateReport,
)
from openadr.model import (
    ReportDescription,
    ReportInterval,
    ReportPayload,
    ReportRequest,
    ResourceStatus,
    SamplingRate,
)
from openadr.times import ZERO, Duration
from tests.ven.support import (
    OK,
    T0,
    VEN_ID,
    Bench,
    distribute,
    minutes,
    report_request,
    rules,
    usage_capability,
)
from ven.model import Failure, Gather, ReportCapability, State, Wait

DONE = Response(response=OK, ven_id=VEN_ID)
UPDATED = UpdatedReport(response=OK, ven_id=VEN_ID)


@pytest.fixture
def bench() -> Bench:
    return Bench().register()


def point(at: datetime, value: float | ResourceStatus = 7000.0) -> ReportInterval:
    return ReportInterval(payloads=(ReportPayload(r_id="power-1", value=value),), dtstart=at)


def ask(bench: Bench, *requests: ReportRequest) -> CreatedReport:
    """Deliver an oadrCreateReport by a poll; return the answer and leave the queue empty."""
    bench.poll(CreateReport(request_id="create-1", report_requests=requests))
    answer = bench.exchange(CreatedReport, DONE)
    bench.state = bench.state.linked(next_poll=bench.now + timedelta(seconds=10))
    return answer


def gathers(bench: Bench) -> Gather:
    action = bench.action()
    assert isinstance(action, Gather), action
    return action


def deliver(bench: Bench, *intervals: ReportInterval, answer: UpdatedReport = UPDATED) -> UpdateReport:
    """Collect what is due, deliver it, and return the message."""
    gather = gathers(bench)
    bench.apply(bench.session.collected(bench.state, gather, intervals or (point(gather.end),), bench.now))
    return bench.exchange(UpdateReport, answer)


def pass_time(bench: Bench, seconds: float) -> None:
    """Let time pass without polls getting in the way."""
    bench.clock.advance(seconds)
    bench.state = bench.state.linked(next_poll=bench.now + timedelta(seconds=10))


def span_s(gather: Gather) -> tuple[float, float]:
    return (gather.start - T0).total_seconds(), (gather.end - T0).total_seconds()


# --- METADATA ---------------------------------------------------------------------------------------------------------


def test_rule_305_311_312_contents_of_metadata() -> None:
    bench = Bench(rules=rules(capabilities=lambda: (usage_capability(), usage_capability(report_name="x-mine"))))
    bench.register()
    bench.state = replace(bench.state, registration=replace(bench.state.registration, metadata=None))  # type: ignore[type-var]
    message = bench.sends(RegisterReport)
    report = message.reports[0]
    assert (message.report_request_id, report.report_request_id, report.report_specifier_id) == (None, "0", "usage")
    assert (report.duration, report.dtstart, report.intervals) == (minutes(120), None, ())
    assert [description.r_id for description in report.descriptions] == ["power-1", "power-2"]
    assert [one.report_name for one in message.reports] == ["METADATA_TELEMETRY_USAGE", "x-mine"]


def test_rule_301_nothing_to_offer_is_said_by_metadata_without_reports() -> None:
    bench = Bench(rules=rules(capabilities=tuple)).register()
    bench.state = replace(bench.state, registration=replace(bench.state.registration, metadata=None))  # type: ignore[type-var]
    assert bench.sends(RegisterReport).reports == ()


def test_rule_306_metadata_is_sent_again_when_the_offer_changes_and_only_then(bench: Bench) -> None:
    assert isinstance(bench.action(), Wait)
    bench.rules = rules(capabilities=lambda: (usage_capability(duration=minutes(60)),))
    bench.__post_init__()
    bench.exchange(RegisterReport, RegisteredReport(response=OK))
    assert isinstance(bench.action(), Wait)


def test_metadata_resent_after_a_restart_is_the_same_message() -> None:
    first, second = Bench(), Bench()
    for one in (first, second):
        one.state = State(registration=replace(Bench().register().state.registration, metadata=None))  # type: ignore[type-var]
    assert first.sends(RegisterReport) == second.sends(RegisterReport)


def test_rule_306_new_metadata_voids_report_requests_but_periodic_metadata(bench: Bench) -> None:
    ask(bench, report_request("rr-1"), report_request("meta", specifier="METADATA", back=minutes(60), r_ids=("0",)))
    gather = gathers(bench)
    bench.apply(bench.session.collected(bench.state, gather, (), bench.now))
    bench.exchange(RegisterReport, RegisteredReport(response=OK))
    assert set(bench.state.requests) == {"meta"}


def test_metadata_refused_by_the_vtn_is_noted_and_not_sent_for_ever(bench: Bench) -> None:
    ask(bench, report_request())
    bench.rules = rules(capabilities=tuple)
    bench.__post_init__()
    bench.exchange(RegisterReport, RegisteredReport(response=EiResponse(response_code=459)))
    assert bench.noted("answer_unexpected")
    assert set(bench.state.requests) == {"rr-1"}
    assert isinstance(bench.action(), Wait)


def test_a_vtn_without_reports_is_left_alone(bench: Bench) -> None:
    bench.rules = rules(capabilities=tuple)
    bench.__post_init__()
    bench.fail(RegisterReport, Failure.REFUSED)
    assert isinstance(bench.action(), Wait)
    bench.clock.advance(9)
    assert isinstance(bench.action(), Wait)


def test_rule_309_metadata_that_fails_for_now_does_not_hold_back_events() -> None:
    bench = Bench().register()
    bench.state = replace(bench.state, registration=replace(bench.state.registration, metadata=None))  # type: ignore[type-var]
    bench.state = bench.state.linked(resync=True)
    bench.fail(RegisterReport, Failure.BUSY)
    bench.exchange(RequestEvent, distribute())
    bench.clock.advance(1)
    bench.exchange(RegisterReport, RegisteredReport(response=OK))


@pytest.mark.parametrize(("back", "kept"), [(ZERO, False), (minutes(60), True)])
def test_rule_301_327_requested_metadata_gets_created_report_then_register_report(
    bench: Bench, back: Duration, kept: bool
) -> None:
    answer = ask(bench, report_request("meta", specifier="METADATA", back=back, r_ids=("0",)))
    assert answer.pending_reports == ("meta",)
    gather = gathers(bench)
    bench.apply(bench.session.collected(bench.state, gather, (), bench.now))
    message = bench.exchange(RegisterReport, RegisteredReport(response=OK))
    assert message.report_request_id == "meta"
    assert message.reports[0].report_request_id == "0"
    assert ("meta" in bench.state.requests) is kept


def test_rule_344_piggy_back_requests_are_acted_on_and_confirmed(bench: Bench) -> None:
    bench.rules = rules(capabilities=lambda: (usage_capability(duration=minutes(60)),))
    bench.__post_init__()
    sent = bench.sends(RegisterReport)
    piggy = RegisteredReport(response=EiResponse(request_id=sent.request_id), report_requests=(report_request(),))
    bench.exchange(RegisterReport, piggy)
    answer = bench.exchange(CreatedReport, DONE)
    assert (answer.response.request_id, answer.pending_reports) == (sent.request_id, ("rr-1",))


def test_rule_301_metadata_of_the_vtn_is_acknowledged_without_requests(bench: Bench) -> None:
    bench.poll(RegisterReport(request_id="m-1", reports=()))
    answer = bench.exchange(RegisteredReport, DONE)
    assert (answer.response, answer.report_requests) == (EiResponse(request_id="m-1"), ())


# --- taking requests --------------------------------------------------------------------------------------------------


def test_rule_329_the_answer_lists_everything_pending(bench: Bench) -> None:
    ask(bench, report_request("rr-1"))
    answer = ask(bench, report_request("rr-2"))
    assert answer.response == EiResponse(request_id="create-1")
    assert answer.pending_reports == ("rr-1", "rr-2")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        pytest.param(report_request(specifier="nope"), 452, id="rule_304_specifier"),
        pytest.param(report_request(r_ids=("power-1", "nope")), 452, id="rule_304_rid"),
        pytest.param(report_request(granularity=Duration(seconds=9)), 454, id="rule_317_too_fine"),
        pytest.param(report_request(granularity=minutes(61), back=minutes(90)), 454, id="rule_317_too_coarse"),
        pytest.param(report_request(granularity=minutes(10)), 454, id="rule_317_granularity_over_back"),
        pytest.param(report_request(granularity=ZERO), 454, id="rule_340_on_change_not_offered"),
        pytest.param(report_request(back=Duration(seconds=-60)), 454, id="negative_back"),
        pytest.param(report_request(granularity=Duration(months=-1), back=ZERO), 454, id="negative_granularity"),
    ],
)
def test_rule_340_unmet_requests_are_refused_and_change_nothing(
    bench: Bench, request_: ReportRequest, code: int
) -> None:
    answer = ask(bench, report_request("good"), replace(request_, report_request_id="bad"))
    assert answer.response.response_code == code
    assert answer.response.request_id == "create-1"
    assert answer.pending_reports == ()
    assert not bench.state.requests
    assert bench.noted("report_request_refused")


def test_rule_317_on_change_is_taken_where_offered() -> None:
    rate = SamplingRate(min_period=Duration(seconds=10), max_period=minutes(60), on_change=True)
    descriptions = tuple(replace(one, sampling_rate=rate) for one in usage_capability().descriptions)
    offer = usage_capability(descriptions=descriptions)
    bench = Bench(rules=rules(capabilities=lambda: (offer,))).register()
    assert ask(bench, report_request(granularity=ZERO)).response.ok


def test_a_data_point_without_sampling_rate_takes_any_granularity() -> None:
    descriptions = tuple(replace(one, sampling_rate=None) for one in usage_capability().descriptions)
    bench = Bench(rules=rules(capabilities=lambda: (usage_capability(descriptions=descriptions),))).register()
    assert ask(bench, report_request(granularity=Duration(seconds=1))).response.ok


def test_a_resent_request_keeps_its_schedule_and_a_changed_one_starts_anew(bench: Bench) -> None:
    ask(bench, report_request())
    before = bench.state.requests["rr-1"]
    pass_time(bench, 60)
    ask(bench, report_request())
    assert bench.state.requests["rr-1"] == before
    ask(bench, report_request(back=minutes(2)))
    assert bench.state.requests["rr-1"] != before


# --- schedules --------------------------------------------------------------------------------------------------------


def test_rule_324_periodic_report_every_report_back_duration_over_adjacent_spans(bench: Bench) -> None:
    ask(bench, report_request())
    begun = (bench.now - T0).total_seconds()
    spans = []
    for _ in range(3):
        pass_time(bench, 300)
        spans.append(span_s(gathers(bench)))
        deliver(bench)
    assert spans == [(begun + 300 * k, begun + 300 * (k + 1)) for k in range(3)]


def test_first_report_goes_out_at_once_when_granularity_equals_back(bench: Bench) -> None:
    ask(bench, report_request(granularity=minutes(5)))
    now = (bench.now - T0).total_seconds()
    assert span_s(gathers(bench)) == (now - 300, now)


def test_rule_325_reporting_may_start_in_the_future_and_end(bench: Bench) -> None:
    start = T0 + timedelta(hours=1)
    ask(bench, report_request(start=start, duration=minutes(8)))
    pass_time(bench, 3600 + 299 - 10)
    assert isinstance(bench.action(), Wait)
    pass_time(bench, 1)
    assert span_s(gathers(bench)) == (3600, 3900)
    deliver(bench)
    pass_time(bench, 300)
    assert span_s(gathers(bench)) == (3900, 4080)
    deliver(bench)
    assert not bench.state.requests


def test_a_request_without_report_interval_starts_now_for_ever(bench: Bench) -> None:
    ask(bench, report_request(duration=None))
    assert bench.state.requests["rr-1"].until is None
    assert bench.state.requests["rr-1"].covered_until == bench.now


def test_rule_341_requested_start_in_the_past_reaches_no_further_than_the_buffer(bench: Bench) -> None:
    ask(bench, report_request(start=T0 - timedelta(days=2)))
    assert bench.state.requests["rr-1"].covered_until == bench.now - timedelta(hours=2)


def test_rule_324_telemetry_one_shot_is_delivered_at_once_and_once(bench: Bench) -> None:
    ask(bench, report_request(back=ZERO, start=T0 + timedelta(days=1)))
    gather = gathers(bench)
    assert gather.end == bench.now
    deliver(bench)
    assert not bench.state.requests


def history(**changes: object) -> ReportRequest:
    request = report_request(granularity=ZERO, back=ZERO)
    return replace(request, specifier=replace(request.specifier, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("start", "duration", "span"),
    [
        (T0 - timedelta(hours=3), minutes(60), (-3 * 3600, -2 * 3600)),
        (T0 - timedelta(hours=1), ZERO, (-3600, 10)),
        (None, None, (10 - 7200, 10)),
        (T0 + timedelta(hours=1), minutes(60), (10, 10)),
    ],
    ids=["a past hour", "all since dtstart", "all there is", "a future hour gives nothing"],
)
def test_rule_325_history_covers_the_interval_asked_for(
    start: datetime | None, duration: Duration | None, span: tuple[float, float]
) -> None:
    offer = usage_capability(report_name="HISTORY_USAGE")
    bench = Bench(rules=rules(capabilities=lambda: (offer,))).register()
    ask(bench, history(interval_start=start, interval_duration=duration))
    assert span_s(gathers(bench)) == span


def test_rule_346_after_an_outage_the_missed_periods_follow_one_by_one_oldest_first(bench: Bench) -> None:
    ask(bench, report_request())
    pass_time(bench, 3 * 300)
    ends = []
    while isinstance(bench.action(), Gather):
        ends.append(span_s(gathers(bench))[1])
        deliver(bench)
    assert ends == [310, 610, 910]


def test_rule_510_after_a_long_outage_at_most_a_hundred_periods_are_made_good(bench: Bench) -> None:
    ask(bench, report_request())
    pass_time(bench, 10 * 86_400)
    count = 0
    while isinstance(bench.action(), Gather):
        deliver(bench)
        count += 1
    assert count == 101


def test_out_10_an_outage_is_made_good_as_far_back_as_data_is_buffered_in_order_and_once() -> None:
    offer = usage_capability(duration=Duration(seconds=7 * 86_400))
    bench = Bench(rules=rules(capabilities=lambda: (offer,))).register()
    ask(bench, report_request())
    pass_time(bench, 3 * 86_400)
    ends = []
    while isinstance(bench.action(), Gather):
        ends.append(span_s(gathers(bench))[1])
        deliver(bench)
    assert ends == [10 + 300 * number for number in range(1, 3 * 288 + 1)]


def test_out_10_while_the_vtn_takes_nothing_data_stays_in_the_buffer(bench: Bench) -> None:
    ask(bench, report_request())
    pass_time(bench, 20 * 300)
    for _ in range(10):
        bench.apply(bench.session.collected(bench.state, gathers(bench), (), bench.now))
        if len(bench.state.outbox) == 1:
            bench.fail(UpdateReport, Failure.UNREACHABLE)
    assert bench.waits_s() > 0
    assert len(bench.state.outbox) == 10
    bench.clock.advance(2)
    bench.exchange(UpdateReport, UPDATED)
    assert len(bench.state.outbox) == 9


def test_a_backlog_of_data_never_delays_a_poll(bench: Bench) -> None:
    ask(bench, report_request())
    pass_time(bench, 600)
    bench.apply(bench.session.collected(bench.state, gathers(bench), (), bench.now))
    bench.fail(UpdateReport, Failure.UNREACHABLE)
    bench.clock.advance(10)
    bench.empty_poll()
    bench.exchange(UpdateReport, UPDATED)
    assert isinstance(bench.action(), Gather)


def test_the_longest_due_report_goes_first(bench: Bench) -> None:
    ask(bench, report_request("late", back=minutes(5)), report_request("early", back=minutes(2)))
    pass_time(bench, 300)
    assert gathers(bench).stored.request.report_request_id == "early"


# --- data -------------------------------------------------------------------------------------------------------------


def test_rule_313_314_contents_of_a_data_report(bench: Bench) -> None:
    ask(bench, report_request())
    pass_time(bench, 300)
    first = bench.now - timedelta(seconds=120)
    message = deliver(bench, point(first), point(first + timedelta(seconds=60)))
    (report,) = message.reports
    assert message.ven_id == VEN_ID
    assert (report.report_request_id, report.report_specifier_id) == ("rr-1", "usage")
    assert (report.report_name, report.dtstart, report.created_date_time) == ("TELEMETRY_USAGE", first, bench.now)
    assert (report.descriptions, len(report.intervals)) == ((), 2)


def test_intervals_without_own_start_begin_with_the_span(bench: Bench) -> None:
    ask(bench, report_request())
    pass_time(bench, 300)
    start = gathers(bench).start
    bare = ReportInterval(payloads=point(start).payloads, duration=minutes(5), uid=0)
    assert deliver(bench, bare).reports[0].dtstart == start


def test_rule_318_no_data_is_a_placeholder_of_bad_quality_for_each_point(bench: Bench) -> None:
    ask(bench, report_request(r_ids=("power-1", "power-2")))
    pass_time(bench, 300)
    bench.apply(bench.session.collected(bench.state, gathers(bench), (), bench.now))
    (interval,) = bench.exchange(UpdateReport, UPDATED).reports[0].intervals
    assert [(one.r_id, one.value, one.data_quality) for one in interval.payloads] == [
        ("power-1", 0.0, "Quality Bad - Not Connected"),
        ("power-2", 0.0, "Quality Bad - Not Connected"),
    ]


def test_rule_318_placeholder_of_a_status_report_is_a_status() -> None:
    described = ReportDescription(r_id="power-1", report_type="x-resourceStatus", reading_type="x-notApplicable")
    offer = usage_capability(report_name="TELEMETRY_STATUS", descriptions=(described,))
    bench = Bench(rules=rules(capabilities=lambda: (offer,))).register()
    ask(bench, report_request())
    pass_time(bench, 300)
    bench.apply(bench.session.collected(bench.state, gathers(bench), (), bench.now))
    (interval,) = bench.exchange(UpdateReport, UPDATED).reports[0].intervals
    assert interval.payloads[0].value == ResourceStatus(online=False, manual_override=False)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_no_numbers_never_leave(bench: Bench, value: float) -> None:
    ask(bench, report_request())
    pass_time(bench, 300)
    status = point(bench.now, ResourceStatus(online=True, manual_override=False))
    intervals = deliver(bench, point(bench.now, value), status).reports[0].intervals
    assert (intervals[0].payloads[0].value, intervals[0].payloads[0].data_quality) == (
        0.0,
        "Quality Bad - Non Specific",
    )
    assert intervals[1] == status


def test_undelivered_reports_are_kept_up_to_the_limit_and_the_oldest_is_dropped() -> None:
    bench = Bench(rules=rules(max_owed_reports=3)).register()
    ask(bench, report_request())
    for _ in range(5):
        pass_time(bench, 300)
        gather = bench.session.next_action(replace(bench.state, outbox={}), bench.now)
        assert isinstance(gather, Gather)
        bench.apply(bench.session.collected(bench.state, gather, (point(gather.end),), bench.now))
    owed = [one.message for one in bench.state.outbox.values()]
    assert [one.reports[0].dtstart for one in owed if isinstance(one, UpdateReport)] == [
        bench.now - timedelta(seconds=300 * back) for back in (2, 1, 0)
    ]
    assert bench.noted("report_dropped")


def test_a_request_cancelled_while_its_data_was_collected_delivers_nothing(bench: Bench) -> None:
    ask(bench, report_request())
    pass_time(bench, 300)
    gather = gathers(bench)
    bench.state = replace(bench.state, requests={})
    bench.apply(bench.session.collected(bench.state, gather, (point(bench.now),), bench.now))
    assert not bench.state.outbox


def test_a_report_that_is_offered_no_more_ends(bench: Bench) -> None:
    ask(bench, report_request())
    pass_time(bench, 300)
    gather = gathers(bench)
    offers: tuple[ReportCapability, ...] = ()
    bench.rules = rules(capabilities=lambda: offers)
    bench.__post_init__()
    bench.apply(bench.session.collected(bench.state, gather, (), bench.now))
    assert not bench.state.requests
    assert bench.noted("report_ended")


# --- cancels ----------------------------------------------------------------------------------------------------------


def cancel(bench: Bench, *ids: str, follow: bool = False) -> CanceledReport:
    bench.poll(CancelReport(request_id="x-1", report_request_ids=ids, report_to_follow=follow))
    answer = bench.exchange(CanceledReport, DONE)
    bench.state = bench.state.linked(next_poll=bench.now + timedelta(seconds=10))
    return answer


def test_cancel_report_ends_the_request_and_names_what_is_left(bench: Bench) -> None:
    ask(bench, report_request("rr-1"), report_request("rr-2"))
    answer = cancel(bench, "rr-1")
    assert (answer.response, answer.pending_reports) == (EiResponse(request_id="x-1"), ("rr-2",))


def test_rule_336_an_unknown_id_makes_the_answer_452_and_the_others_are_cancelled(bench: Bench) -> None:
    ask(bench, report_request("rr-1"))
    answer = cancel(bench, "nope", "rr-1")
    assert (answer.response.response_code, answer.pending_reports) == (452, ())


def test_rule_345_report_to_follow_gives_exactly_one_more_report(bench: Bench) -> None:
    ask(bench, report_request())
    begun = bench.now
    pass_time(bench, 100)
    assert cancel(bench, "rr-1", follow=True).pending_reports == ("rr-1",)
    gather = gathers(bench)
    assert (gather.start, gather.end) == (begun, bench.now)
    deliver(bench)
    assert not bench.state.requests


def test_rule_328_a_cancel_in_oadr_updated_report_ends_only_reports_of_that_update_unconfirmed(bench: Bench) -> None:
    ask(bench, report_request("rr-1"), report_request("rr-2"))
    pass_time(bench, 300)
    inner = CancelReport(request_id="x-1", report_request_ids=("rr-1", "rr-2"))
    deliver(bench, answer=replace(UPDATED, cancel_report=inner))
    assert set(bench.state.requests) == {"rr-2"}
    assert not bench.state.outbox


@pytest.mark.parametrize("answer", [UpdatedReport(response=EiResponse(response_code=452)), DONE, None])
def test_refused_data_is_noted_and_not_sent_again(bench: Bench, answer: UpdatedReport | None) -> None:
    ask(bench, report_request())
    pass_time(bench, 300)
    deliver(bench, answer=answer)  # type: ignore[arg-type]
    assert not bench.state.outbox
    assert bench.noted("report_refused") or bench.noted("answer_unexpected")
    pass_time(bench, 10)
    bench.state = bench.state.linked(next_poll=None)
    bench.sends(Poll)
