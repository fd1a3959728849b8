"""Large reports go in portions: none is unbounded, nothing is left out or parted, oldest first."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr.messages import CreatedReport, CreateReport, Response, UpdatedReport, UpdateReport
from openadr.model import ReportInterval, ReportPayload, SamplingRate
from openadr.times import ZERO, Duration
from tests.ven.support import OK, T0, VEN_ID, Bench, minutes, report_request, rules, usage_capability
from ven.model import Gather, ReportCapability
from ven.portions import MAX_VALUES, pieces

HALF_HOURS = SamplingRate(min_period=minutes(30), max_period=minutes(30))
DAY = timedelta(days=1)


def history_offer(rate: SamplingRate | None = HALF_HOURS) -> ReportCapability:
    descriptions = tuple(replace(one, sampling_rate=rate) for one in usage_capability().descriptions)
    length = Duration(seconds=760 * 86_400)
    return usage_capability(report_name="HISTORY_USAGE", duration=length, descriptions=descriptions)


def asked(offer: ReportCapability, days: float) -> Bench:
    """Return a VEN that was asked for the last ``days`` days of both its points."""
    bench = Bench(rules=rules(capabilities=lambda: (offer,))).register()
    request = report_request(granularity=ZERO, back=ZERO, r_ids=("power-1", "power-2"))
    spec = replace(request.specifier, interval_start=T0 - timedelta(days=days), interval_duration=ZERO)
    bench.poll(CreateReport(request_id="create-1", report_requests=(replace(request, specifier=spec),)))
    bench.exchange(CreatedReport, Response(response=OK, ven_id=VEN_ID))
    bench.state = bench.state.linked(next_poll=bench.now + timedelta(seconds=10))
    return bench


def half_hours(start: datetime, end: datetime) -> tuple[ReportInterval, ...]:
    """Return what a store would for [start, end): both points of every whole half-hour, one interval a point."""
    found: list[ReportInterval] = []
    at = datetime.fromtimestamp(-(-start.timestamp() // 1800) * 1800, tz=start.tzinfo)
    while at + timedelta(minutes=30) <= end:
        for r_id in ("power-1", "power-2"):
            payload = ReportPayload(r_id=r_id, value=1.0)
            found.append(ReportInterval(payloads=(payload,), dtstart=at, duration=minutes(30)))
        at += timedelta(minutes=30)
    return tuple(found)


def carried_out(bench: Bench) -> list[UpdateReport]:
    """Collect and deliver until nothing is due; return the messages."""
    sent: list[UpdateReport] = []
    while isinstance(action := bench.action(), Gather):
        intervals = half_hours(action.start, action.end)
        bench.apply(bench.session.collected(bench.state, action, intervals, bench.now))
        if bench.state.outbox:
            sent.append(bench.exchange(UpdateReport, UpdatedReport(response=OK, ven_id=VEN_ID)))
    return sent


def test_rule_346_months_of_history_go_in_portions_oldest_first_and_nothing_twice() -> None:
    bench = asked(history_offer(), days=200.3)
    sent = carried_out(bench)
    rows = [(each.payloads[0].r_id, each.dtstart) for one in sent for each in one.reports[0].intervals]
    assert rows == [(each.payloads[0].r_id, each.dtstart) for each in half_hours(T0 - 200.3 * DAY, bench.now)]
    assert max(len(one.reports[0].intervals) for one in sent) == MAX_VALUES
    assert {one.reports[0].report_request_id for one in sent} == {"rr-1"}
    assert len({one.request_id for one in sent}) == len(sent) == 10
    assert not bench.state.requests


def test_a_portion_without_data_is_left_out_and_nothing_at_all_is_said_once() -> None:
    bench, ends = asked(history_offer(), days=100), []
    while isinstance(action := bench.action(), Gather):
        ends.append(action.end)
        bench.apply(bench.session.collected(bench.state, action, (), bench.now))
    assert len(ends) == 5
    [owed] = bench.state.outbox.values()
    assert isinstance(owed.message, UpdateReport)
    assert "Bad" in str(owed.message.reports[0].intervals[0].payloads[0].data_quality)


@pytest.mark.parametrize("rate", [None, SamplingRate(min_period=ZERO, max_period=ZERO)])
def test_history_without_a_period_is_collected_at_once(rate: SamplingRate | None) -> None:
    bench = asked(history_offer(rate), days=700)
    action = bench.action()
    assert isinstance(action, Gather)
    assert (action.end, action.partial) == (bench.now, False)


def test_a_killed_ven_goes_on_with_the_portion_that_was_not_made() -> None:
    bench = asked(history_offer(), days=100)
    first = bench.action()
    assert isinstance(first, Gather)
    bench.apply(bench.session.collected(bench.state, first, half_hours(first.start, first.end), bench.now))
    stored = bench.state.requests["rr-1"]  # what is on disk
    assert (stored.covered_until, stored.last) == (first.end, True)


def test_a_large_periodic_report_is_several_messages() -> None:
    bench = Bench(rules=rules(capabilities=lambda: (usage_capability(),))).register()
    request = report_request(granularity=Duration(seconds=10), back=minutes(60))
    bench.poll(CreateReport(request_id="create-1", report_requests=(request,)))
    bench.exchange(CreatedReport, Response(response=OK, ven_id=VEN_ID))
    bench.clock.advance(3600)
    bench.state = bench.state.linked(next_poll=bench.now + timedelta(seconds=10))
    action = bench.action()
    assert isinstance(action, Gather)
    payload = ReportPayload(r_id="power-1", value=1.0)
    intervals = tuple(
        ReportInterval(payloads=(payload,), dtstart=action.start + timedelta(seconds=each // 6)) for each in range(4500)
    )
    bench.apply(bench.session.collected(bench.state, action, intervals, bench.now))
    sizes = []
    while bench.state.outbox:
        sent = bench.exchange(UpdateReport, UpdatedReport(response=OK, ven_id=VEN_ID))
        sizes.append(len(sent.reports[0].intervals))
    assert sizes == [1998, 1998, 504]
    assert "rr-1" in bench.state.requests


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 900)), max_size=20))
def test_pieces_keep_order_and_moments_together_and_are_bounded(rows: list[tuple[int, int]]) -> None:
    at, intervals = T0, []
    for step, count in rows:
        at += timedelta(seconds=step)
        payloads = tuple(ReportPayload(r_id=f"p-{each}", value=0.0) for each in range(count))
        intervals.append(ReportInterval(payloads=payloads, dtstart=at))
    found = list(pieces(intervals))
    assert [each for piece in found for each in piece] == intervals
    for piece in found:
        values = sum(len(each.payloads) for each in piece)
        assert values <= MAX_VALUES or len({each.dtstart for each in piece}) == 1


def test_more_values_of_one_instant_than_a_message_takes_are_parted() -> None:
    payload = ReportPayload(r_id="p", value=0.0)
    found = list(pieces([ReportInterval(payloads=(payload,), dtstart=T0)] * (MAX_VALUES + 1)))
    assert [len(piece) for piece in found] == [MAX_VALUES, 1]
    assert list(pieces(())) == [()]
