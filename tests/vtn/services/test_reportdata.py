"""Values of a report are the same ones, and refused in the same words, whether it came as columns or one by one."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openadr.errors import OadrError
from openadr.intervals import PlainIntervals
from openadr.model import Report, ReportInterval, ReportRequest, ReportSpecifier
from openadr.times import ZERO, Duration
from tests.openadr.wire.test_report_columns import plain
from tests.vtn.world import START
from vtn.services.reportdata import blocks_of, documents_of
from vtn.store.rows import Point, RequestState, StoredRequest, Telemetry

POINTS = {"rid-1": Point(resource_id="r1", unit="kW"), "rid-2": Point(resource_id=None, unit=None)}
ASKED = StoredRequest(
    ven_id="ven-a",
    report_name="TELEMETRY_USAGE",
    state=RequestState.DELIVERING,
    created_at=START,
    points=POINTS,
    request=ReportRequest(
        report_request_id="rpt-1",
        specifier=ReportSpecifier(
            report_specifier_id="spec-1", granularity=ZERO, report_back_duration=ZERO, payloads=()
        ),
    ),
)


def columns(intervals: tuple[ReportInterval, ...]) -> PlainIntervals:
    """The same as columns."""
    payloads = [payload for each in intervals for payload in each.payloads]

    def optional(values: list[Any]) -> Any:
        return None if set(values) == {None} else tuple(values)

    starts = tuple(each.dtstart for each in intervals if each.dtstart is not None)
    return PlainIntervals(
        starts=starts,
        durations=optional([each.duration for each in intervals]),
        r_ids=tuple(each.r_id for each in payloads),
        values=tuple(each.value for each in payloads if isinstance(each.value, float)),
        confidences=optional([each.confidence for each in payloads]),
        accuracies=optional([each.accuracy for each in payloads]),
        qualities=optional([each.data_quality for each in payloads]),
    )


def outcome(report: Report) -> Any:
    try:
        blocks = list(blocks_of(report, ASKED, START))
    except OadrError as error:
        return type(error), error.description
    return [block.row(index) for block in blocks for index in range(len(block))]


@given(
    plain(), st.lists(st.sampled_from(("rid-1", "rid-2", "rid-1", "unknown")), min_size=12, max_size=12), st.booleans()
)
def test_columns_and_single_intervals_give_the_same_values(
    intervals: tuple[ReportInterval, ...], names: list[str], known: bool
) -> None:
    left = iter(names)
    named = tuple(
        replace(
            each,
            uid=None,
            payloads=tuple(
                replace(payload, r_id=next(left).replace("unknown", "rid-1" if known else "unknown"))
                for payload in each.payloads
            ),
        )
        for each in intervals
    )
    report = Report(report_request_id="rpt-1", report_specifier_id="spec-1", created_date_time=START, intervals=named)
    found = outcome(report)
    assert outcome(replace(report, intervals=columns(named))) == found
    assert known <= isinstance(found, list) or "dtstart" in str(found) or "9999" in str(found)
    assert documents_of(replace(report, intervals=columns(named)), ASKED, START) == []


def test_a_value_has_what_its_point_says_and_months_have_the_length_they_have() -> None:
    given_intervals = PlainIntervals(
        starts=(START, START + timedelta(days=30)),
        durations=(Duration(months=1), Duration(seconds=60)),
        r_ids=("rid-1", "rid-2", "rid-2", "rid-1"),
        values=(1.0, 2.0, 3.0, 4.0),
    )
    report = Report(
        report_request_id="rpt-1", report_specifier_id="spec-1", created_date_time=START, intervals=given_intervals
    )
    found = outcome(report)
    month = int(Duration(months=1).length(START).total_seconds())
    assert [(row.resource_id, row.unit, row.value, row.duration_s) for row in found] == [
        ("r1", "kW", 1.0, month),
        (None, None, 2.0, month),
        (None, None, 3.0, 60),
        ("r1", "kW", 4.0, 60),
    ]
    assert isinstance(found[0], Telemetry)
    assert [row.dtstart for row in found] == [START, START, *(START + timedelta(days=30),) * 2]
