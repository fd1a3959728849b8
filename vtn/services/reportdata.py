"""The data of an oadrReport as columns of typed values: times inherited, ids checked, one place a value. Pure.

Rule: dtstart in all intervals or counted on from the report's dtstart by the durations (R314 to R316); a value is a
float with the unit from METADATA, or a resource status (R342). Plain intervals stay the columns they came as.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from openadr.errors import ComplianceError, InvalidId
from openadr.model import PlainIntervals, Report, ReportInterval, ReportPayload, ResourceStatus
from openadr.times import Duration
from vtn.store.rows import ReportDocument, StoredRequest
from vtn.store.telemetry import SLICE, Block

_Columns = dict[str, Sequence[Any]]
_OF_STATUS = ("online", "manual_override", "load_control_state")
_OF_VALUE = ("r_id", "dtstart", "duration_s", "value", "data_quality", "confidence", "accuracy", *_OF_STATUS)


def blocks_of(report: Report, asked: StoredRequest, now: datetime) -> Iterator[Block]:
    """Yield the values of a data report, only some at a time where each has to be looked at by itself.

    Raises ``InvalidId`` (not asked for) or ``ComplianceError`` (times).
    """
    if report.report_specifier_id != asked.request.specifier.report_specifier_id:
        text = f"reportSpecifierID {report.report_specifier_id[:80]!r} is not the one asked for (R304)"
        raise InvalidId(text, field="reportSpecifierID")
    if report.descriptions:
        raise ComplianceError("a data report has no oadrReportDescription (R313)", field="oadrReportDescription")
    for r_id in _r_ids(report.intervals):
        if r_id not in asked.points:
            raise InvalidId(f"rID {r_id[:80]!r} was not asked for (R304)", field="rID")
    intervals = report.intervals
    for columns in (_plain(intervals),) if isinstance(intervals, PlainIntervals) else _gathered(report):
        yield Block(
            ven_id=asked.ven_id,
            report_request_id=report.report_request_id,
            report_specifier_id=report.report_specifier_id,
            report_name=asked.report_name,
            received_at=now,
            points=asked.points,
            **columns,
        )


def _r_ids(intervals: tuple[ReportInterval, ...] | PlainIntervals) -> Iterable[str]:
    """Return the different rIDs in the order in which they come first."""
    if isinstance(intervals, PlainIntervals):
        return dict.fromkeys(intervals.r_ids)
    return dict.fromkeys(payload.r_id for interval in intervals for payload in interval.payloads)


def _plain(given: PlainIntervals) -> _Columns:
    nothing = (None,) * len(given.values)
    lengths: Sequence[int | None] = (None,) * len(given)
    if given.durations is not None:
        lengths = _lengths(given.durations, given.starts)
    return {
        "r_id": given.r_ids,
        "dtstart": _each_times(given.width, given.starts),
        "duration_s": _each_times(given.width, lengths),
        "value": given.values,
        "data_quality": given.qualities or nothing,
        "confidence": given.confidences or nothing,
        "accuracy": given.accuracies or nothing,
        **dict.fromkeys(_OF_STATUS, nothing),
    }


def _lengths(durations: Sequence[Duration], starts: Sequence[datetime]) -> Sequence[int]:
    first = durations[0]
    if not first.months and durations.count(first) == len(durations):
        return (first.seconds,) * len(durations)
    return tuple(map(_seconds, durations, starts))


def _each_times(width: int, column: Sequence[Any]) -> Sequence[Any]:
    return column if width == 1 else [each for each in column for _ in range(width)]


def _gathered(report: Report) -> Iterator[_Columns]:
    rows: list[tuple[Any, ...]] = []
    for interval, dtstart in timed(report):
        length = None if interval.duration is None else _seconds(interval.duration, dtstart)
        rows += (_row(payload, dtstart, length) for payload in interval.payloads)
        if len(rows) >= SLICE:
            yield dict(zip(_OF_VALUE, zip(*rows, strict=True), strict=True))
            rows = []
    if rows:
        yield dict(zip(_OF_VALUE, zip(*rows, strict=True), strict=True))


def _row(payload: ReportPayload, dtstart: datetime, length: int | None) -> tuple[Any, ...]:
    """Return what stands for ``_OF_VALUE``."""
    given = (payload.data_quality, payload.confidence, payload.accuracy)
    value = payload.value
    if not isinstance(value, ResourceStatus):
        return (payload.r_id, dtstart, length, value, *given, None, None, None)
    state = None if value.load_control_state is None else msgspec.json.encode(value.load_control_state).decode()
    return (payload.r_id, dtstart, length, None, *given, value.online, value.manual_override, state)


def documents_of(report: Report, asked: StoredRequest, now: datetime) -> list[ReportDocument]:
    """Return the Green Button feeds of a report as they came."""
    if isinstance(report.intervals, PlainIntervals):
        return []
    return [
        ReportDocument(
            ven_id=asked.ven_id,
            report_request_id=report.report_request_id,
            position=position,
            report_specifier_id=report.report_specifier_id,
            report_name=asked.report_name,
            dtstart=dtstart,
            received_at=now,
            body=feed,
        )
        for position, (dtstart, feed) in enumerate(
            (interval.dtstart or report.dtstart, feed) for interval in report.intervals for feed in interval.feeds
        )
    ]


def timed(report: Report) -> Iterator[tuple[ReportInterval, datetime]]:
    """Yield each interval with its start. Raises ``ComplianceError`` where it cannot be known."""
    before: tuple[datetime, Duration | None] | None = None  # the interval before: its start and length
    for interval in report.intervals:
        start = interval.dtstart
        if start is None:
            start = report.dtstart if before is None else _end(*before)
            if start is None and interval.feeds:
                continue  # a feed has times of its own (R316)
            if start is None:
                raise ComplianceError("dtstart is missing in the report and its interval (R313)", field="dtstart")
        yield interval, start
        before = start, interval.duration


def _end(start: datetime, length: Duration | None) -> datetime | None:
    try:
        return None if length is None else length.after(start)
    except (OverflowError, ValueError) as error:
        raise ComplianceError("the interval ends after the year 9999 (R313)", field="duration") from error


def _seconds(length: Duration, start: datetime) -> int:
    """Return a length in seconds; only one with months needs the calendar."""
    if not length.months:
        return length.seconds
    end = _end(start, length)
    return 0 if end is None else int((end - start).total_seconds())
