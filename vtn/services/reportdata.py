"""The data of an oadrReport as typed rows: times inherited, ids checked, one row a value. Pure.

Rule: dtstart in all intervals or counted on from the report's dtstart by the durations (R314 to R316); a value is a
float with the unit from METADATA, or a resource status (R342).
"""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from openadr.errors import ComplianceError, InvalidId
from openadr.model import Report, ReportInterval, ReportPayload, ResourceStatus
from openadr.times import Duration
from vtn.store.rows import Point, ReportDocument, StoredRequest, Telemetry


def rows_of(report: Report, asked: StoredRequest, now: datetime) -> Iterator[Telemetry]:
    """Yield the values of a data report. Raises ``InvalidId`` (not asked for) or ``ComplianceError`` (times)."""
    if report.report_specifier_id != asked.request.specifier.report_specifier_id:
        text = f"reportSpecifierID {report.report_specifier_id[:80]!r} is not the one asked for (R304)"
        raise InvalidId(text, field="reportSpecifierID")
    if report.descriptions:
        raise ComplianceError("a data report has no oadrReportDescription (R313)", field="oadrReportDescription")
    for interval, dtstart in timed(report):
        length = None if interval.duration is None else _seconds(interval.duration, dtstart)
        for payload in interval.payloads:
            point = asked.points.get(payload.r_id)
            if point is None:
                raise InvalidId(f"rID {payload.r_id[:80]!r} was not asked for (R304)", field="rID")
            yield _row(report, asked, payload, point, dtstart, length, now)


def documents_of(report: Report, asked: StoredRequest, now: datetime) -> list[ReportDocument]:
    """Return the Green Button feeds of a report as they came."""
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


def _row(
    report: Report,
    asked: StoredRequest,
    payload: ReportPayload,
    point: Point,
    dtstart: datetime,
    length: int | None,
    now: datetime,
) -> Telemetry:
    value = payload.value
    status = value if isinstance(value, ResourceStatus) else None
    state = None if status is None else status.load_control_state
    return Telemetry(
        ven_id=asked.ven_id,
        report_request_id=report.report_request_id,
        r_id=payload.r_id,
        dtstart=dtstart,
        duration_s=length,
        report_specifier_id=report.report_specifier_id,
        report_name=asked.report_name,
        resource_id=point.resource_id,
        value=None if isinstance(value, ResourceStatus) else value,
        unit=point.unit,
        online=None if status is None else status.online,
        manual_override=None if status is None else status.manual_override,
        load_control_state=None if state is None else msgspec.json.encode(state).decode(),
        data_quality=payload.data_quality,
        confidence=payload.confidence,
        accuracy=payload.accuracy,
        received_at=now,
    )
