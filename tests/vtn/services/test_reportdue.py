"""Overdue arithmetic: when the next report is expected, for any length, start and order of arrivals."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openadr.model import ReportRequest, ReportSpecifier, SpecifierPayload
from openadr.times import Duration
from tests.vtn.world import START
from vtn.services.reportdue import arrived, deadline, ends, expected, judged, unwanted
from vtn.store.rows import OPEN, RequestState, StoredRequest

GRACE_S = 120.0


def row(back: int, length: int = 0, start: int = 0, **fields: Any) -> StoredRequest:
    spec = ReportSpecifier(
        report_specifier_id="spec-1",
        granularity=Duration(seconds=back),
        report_back_duration=Duration(seconds=back),
        payloads=(SpecifierPayload(r_id="rid-1"),),
        interval_start=START + timedelta(seconds=start),
        interval_duration=Duration(seconds=length),
    )
    values: dict[str, Any] = {"state": RequestState.CONFIRMED, **fields}
    return StoredRequest(
        ven_id="ven-a",
        report_name="TELEMETRY_USAGE",
        request=ReportRequest(report_request_id="rpt-1", specifier=spec),
        points={},
        created_at=START,
        **values,
    )


def changed(request: StoredRequest, values: dict[str, Any]) -> StoredRequest:
    new = {**values, "state": RequestState(values.get("state", request.state))}
    return replace(request, **new)


@given(back=st.integers(1, 100_000), start=st.integers(-100_000, 100_000), length=st.integers(0, 1_000_000))
def test_the_first_report_is_expected_one_period_after_reporting_begins(back: int, start: int, length: int) -> None:
    request = row(back, length, start)
    begin = START + timedelta(seconds=max(0, start))
    assert expected(request) == begin + timedelta(seconds=back)
    assert deadline(request, GRACE_S) == begin + timedelta(seconds=back + GRACE_S)
    assert ends(request) == (START + timedelta(seconds=start + length) if length else None)


@given(
    back=st.integers(1, 5_000),
    length=st.integers(0, 50_000),
    waits=st.lists(st.integers(1, 10_000), max_size=20),
)
def test_property_a_request_is_overdue_exactly_while_a_report_is_late_and_ends_when_its_time_is_over(
    back: int, length: int, waits: list[int]
) -> None:
    request = row(back, length)
    request = replace(request, due_at=deadline(request, GRACE_S))
    now = START
    for wait in waits:
        now += timedelta(seconds=wait)
        if request.due_at is not None and request.due_at <= now:
            before = request
            request = changed(request, judged(request, now, GRACE_S))
            assert request.state in (RequestState.OVERDUE, RequestState.DONE)
            assert request.due_at is None or request.due_at > now
            if request.state is RequestState.OVERDUE:
                assert request.overdue_since == (before.overdue_since or deadline(before, GRACE_S))
        was_open = request.state in OPEN
        request = changed(request, arrived(request, now, GRACE_S))
        assert request.last_data_at == now
        if was_open:
            end = ends(request)
            over = end is not None and now >= end - timedelta(seconds=back / 4)
            assert request.state is (RequestState.DONE if over else RequestState.DELIVERING)
            assert request.overdue_since is None
            assert over or request.due_at == now + timedelta(seconds=back + GRACE_S)
        else:
            assert request.stray > 0
            assert unwanted(request)
    assert request.received == len(waits)


@given(state=st.sampled_from(sorted(set(RequestState) - OPEN)))
def test_nothing_is_expected_of_a_request_that_is_over(state: RequestState) -> None:
    request = row(60, state=state)
    assert expected(request) is None
    assert not unwanted(request)
    assert not unwanted(replace(request, stray=1, to_follow=True))
    assert unwanted(replace(request, stray=1))


def test_a_one_shot_is_expected_at_once_and_never_unwanted() -> None:
    request = row(0)
    assert expected(request) == START
    assert arrived(request, START, GRACE_S)["state"] == "done"
    assert not unwanted(replace(request, state=RequestState.DONE, stray=9))
    assert judged(replace(request, received=1), START, GRACE_S)["state"] == "done"
    assert judged(request, START, GRACE_S) == {"due_at": START + timedelta(seconds=GRACE_S)}
    assert judged(request, START + timedelta(hours=1), GRACE_S)["state"] == "overdue"


def test_a_report_that_comes_while_a_cancel_waits_does_not_reopen_it() -> None:
    request = row(60, state=RequestState.CANCELLING)
    assert "state" not in arrived(request, START, GRACE_S)
