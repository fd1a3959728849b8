"""What the VTN itself can report to a VEN: the data it holds of that VEN's own points, as METADATA and as data. Pure.

Rule: a VEN is offered its own points only, under its own rIDs; requests stay within that offer (R300, R340); the data
has dtstart in every interval, durations in all of a report or in none, oldest first (R313 to R316, R342).
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec

from openadr.errors import ComplianceError, InvalidData, InvalidId
from openadr.model import (
    Report,
    ReportInterval,
    ReportPayload,
    ReportRequest,
    ReportSpecifier,
    SamplingRate,
)
from openadr.times import Duration
from vtn.services.context import LAST_YEAR, ReportPolicy
from vtn.services.reportoffer import HISTORY_USAGE, PREFIX, TELEMETRY_USAGE
from vtn.store.rows import Bucket, OwnReport, Specifier, Telemetry

MAX_VALUES = 2_000  # in one report: some 800 kB of XML, which every VEN can take (SEC-30)
FASTEST_S = 10  # the shortest granularity offered: reports are queued and polled for
SLOWEST = Duration(seconds=86_400)
NO_DATA = "Quality Bad - Not Connected"  # R318
_ENERGY = ("Wh", "VAh", "VARh", "count", "thm")
_STARTS = {TELEMETRY_USAGE: "vtn-telemetry-", HISTORY_USAGE: "vtn-history-"}
_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_NAME = 200  # characters of a VEN's reportSpecifierID taken over


def made(offered: tuple[Specifier, ...], policy: ReportPolicy, now: datetime) -> tuple[Report, ...]:
    """Return our METADATA for a VEN that offers ``offered`` (R305, R311, R312, R331)."""
    reports = []
    for name in policy.offer:
        for each in offered:
            if each.report_name == TELEMETRY_USAGE and each.descriptions:
                reports.append(_report(name, each, policy, now))
    return tuple(reports)


def _report(name: str, offered: Specifier, policy: ReportPolicy, now: datetime) -> Report:
    rate = None
    if name == TELEMETRY_USAGE:
        rate = SamplingRate(min_period=Duration(seconds=FASTEST_S), max_period=SLOWEST)
    return Report(
        report_request_id="0",
        report_specifier_id=specifier_id(name, offered.report_specifier_id),
        created_date_time=now,
        report_name=f"{PREFIX}{name}",
        duration=Duration(seconds=policy.offer_s),
        descriptions=tuple(replace(each, sampling_rate=rate, report_subject=None) for each in offered.descriptions),
    )


def specifier_id(name: str, of_ven: str) -> str:
    """Return our reportSpecifierID for what the VEN calls ``of_ven``."""
    if len(of_ven) > _LONGEST_NAME:
        of_ven = hashlib.sha256(of_ven.encode()).hexdigest()[:16]
    return _STARTS[name] + of_ven


def same(one: Iterable[Report], other: Iterable[Report]) -> bool:
    """True if two offers differ in nothing but the time they were made."""
    return _timeless(one) == _timeless(other)


def _timeless(reports: Iterable[Report]) -> bytes:
    return msgspec.json.encode([replace(each, created_date_time=_ANY_TIME) for each in reports])


def name_of(report: Report) -> str:
    """Return the reportName of data of an offered report."""
    return (report.report_name or "").removeprefix(PREFIX)


# --- requests of a VEN ------------------------------------------------------------------------------------------------


def scheduled(
    request: ReportRequest, offer: tuple[Report, ...], ven_id: str, policy: ReportPolicy, now: datetime
) -> OwnReport:
    """Return a request of a VEN with its times. Raises ``OadrError`` for what is not offered."""
    spec = request.specifier
    report = offered_report(spec, offer)
    known = {each.r_id for each in report.descriptions}
    for payload in spec.payloads:
        if payload.r_id not in known:
            raise InvalidId(f"rID {payload.r_id[:80]!r} is not offered (R304)", field="rID")
    for length, field in ((spec.granularity, "granularity"), (spec.report_back_duration, "reportBackDuration")):
        if length.length(now) < timedelta(0):
            raise InvalidData(f"{field} must not be negative (R317)", field=field)
    row = OwnReport(ven_id=ven_id, request=request, created_at=now, next_due=now, covered_until=now, last=True)
    if name_of(report) == HISTORY_USAGE:
        return _history(row, policy, now)
    if spec.report_back_duration.is_zero:
        return row  # once, at once (R324)
    return _periodic(row, len(spec.payloads), policy, now)


def offered_report(spec: ReportSpecifier, offer: tuple[Report, ...]) -> Report:
    """Return the report that is asked for. Raises ``InvalidId`` (452)."""
    for report in offer:
        if report.report_specifier_id == spec.report_specifier_id:
            return report
    text = f"reportSpecifierID {spec.report_specifier_id[:80]!r} is not offered here (R301, R304)"
    raise InvalidId(text, field="reportSpecifierID")


def _history(row: OwnReport, policy: ReportPolicy, now: datetime) -> OwnReport:
    spec = row.request.specifier
    if not (spec.granularity.is_zero and spec.report_back_duration.is_zero):
        raise InvalidData("history has granularity and reportBackDuration zero (R317, R324)", field="granularity")
    if spec.interval_start is None:
        raise ComplianceError("history needs a reportInterval (R324)", field="reportInterval")
    until = _until(spec, spec.interval_start) or now
    if spec.interval_start > now or until > now:
        raise InvalidData("the reportInterval of history lies in the past (R325)", field="reportInterval")
    oldest = now - timedelta(seconds=policy.offer_s)
    return replace(row, covered_until=min(max(spec.interval_start, oldest), until), until=until)


def _periodic(row: OwnReport, points: int, policy: ReportPolicy, now: datetime) -> OwnReport:
    spec = row.request.specifier
    wanted, back = spec.granularity.length(now), spec.report_back_duration.length(now)
    if wanted.total_seconds() < FASTEST_S or wanted > SLOWEST.length(now):
        text = f"granularity {spec.granularity} is not offered (R317, R340)"
        raise InvalidData(text, field="granularity")
    if wanted > back:
        raise InvalidData("granularity exceeds reportBackDuration (R317)", field="granularity")
    if points * (back / wanted) > MAX_VALUES:
        text = f"a report may have {MAX_VALUES} values: ask for fewer points, coarser or more often (R340)"
        raise InvalidData(text, field="reportBackDuration")
    until = _until(spec, spec.interval_start or now)
    start = max(spec.interval_start or now, now - timedelta(seconds=policy.offer_s))
    if until is not None and until <= now:
        raise InvalidData("the reportInterval is over (R325)", field="reportInterval")
    first = max(now, spec.report_back_duration.after(start))
    return replace(row, next_due=first, covered_until=start, until=until, last=False)


def _until(spec: ReportSpecifier, start: datetime) -> datetime | None:
    length = spec.interval_duration
    if start.year >= LAST_YEAR:
        raise InvalidData(f"times up to the year {LAST_YEAR - 1} are accepted (R325)", field="reportInterval")
    return None if length is None or length.is_zero else length.after(start)  # R325


def window(row: OwnReport, now: datetime) -> tuple[datetime, datetime]:
    """Return which time the next report covers: what was not reported yet, as much as one report can hold."""
    end = now if row.until is None else min(now, row.until)
    spec = row.request.specifier
    if spec.granularity.is_zero:
        return row.covered_until, end
    most = spec.granularity.length(now) * (MAX_VALUES // max(1, len(spec.payloads)))
    return max(row.covered_until, end - most), end


def advanced(row: OwnReport, now: datetime, covered_until: datetime, request_id: str | None) -> OwnReport:
    """Return the request behind a report, or behind the time for one that was put off (``request_id`` ``None``)."""
    sent = {} if request_id is None else {"sent": row.sent + 1, "request_id": request_id}
    over = row.last or (row.until is not None and covered_until >= row.until)
    if over and request_id is not None:
        return replace(row, next_due=None, covered_until=covered_until, ended_at=now, reason="delivered", **sent)  # type: ignore[arg-type]  # int and str by name
    return replace(row, next_due=_next(row, now), covered_until=covered_until, **sent)  # type: ignore[arg-type]  # as above


def _next(row: OwnReport, now: datetime) -> datetime:
    due = row.next_due or now
    back = row.request.specifier.report_back_duration
    step = max(back.length(due), timedelta(seconds=FASTEST_S))
    return due + step * (1 + max(0, (now - due) // step))


# --- data -------------------------------------------------------------------------------------------------------------


def of_rows(rows: Iterable[Telemetry]) -> list[ReportInterval]:
    """Return stored values as intervals, oldest first; of the same point and time the one received last."""
    newest: dict[tuple[datetime, str], Telemetry] = {}
    for each in sorted(rows, key=lambda row: row.received_at):
        newest[each.dtstart, each.r_id] = each
    return [
        ReportInterval(
            dtstart=row.dtstart,
            duration=None if row.duration_s is None else Duration(seconds=row.duration_s),
            payloads=(_payload(row),),
        )
        for _, row in sorted(newest.items())
        if row.value is not None
    ]


def _payload(row: Telemetry) -> ReportPayload:
    return ReportPayload(
        r_id=row.r_id,
        value=row.value or 0.0,
        confidence=row.confidence,
        accuracy=row.accuracy,
        data_quality=row.data_quality,
    )


def of_buckets(buckets: Iterable[Bucket], granularity: Duration) -> list[ReportInterval]:
    """Return one value a bucket: the last reading, or where values have durations their sum (energy) or mean."""
    intervals = []
    for each in buckets:
        value = each.last
        if each.spans:
            value = each.total if is_energy(each.unit) else each.mean
        if value is not None:
            start = each.start if each.spans else each.last_at
            length = granularity if each.spans else None
            payload = ReportPayload(r_id=each.r_id, value=value)
            intervals.append(ReportInterval(dtstart=start, duration=length, payloads=(payload,)))
    return sorted(intervals, key=_begin)


def is_energy(unit: str | None) -> bool:
    """True for units that add up."""
    return unit is not None and unit.endswith(_ENERGY)


def _begin(interval: ReportInterval) -> datetime:
    assert interval.dtstart is not None  # noqa: S101  set in each
    return interval.dtstart


def data(
    row: OwnReport, report: Report, intervals: Sequence[ReportInterval], at: datetime, now: datetime
) -> tuple[Report, ...]:
    """Return the reports of one payload: point data and interval data apart; a placeholder where there is nothing."""
    kinds = (
        [each for each in intervals if each.duration is None],
        [each for each in intervals if each.duration is not None],
    )
    filled = [kind for kind in kinds if kind] or [[_placeholder(row, at)]]
    return tuple(
        Report(
            report_request_id=row.report_request_id,
            report_specifier_id=report.report_specifier_id,
            created_date_time=now,
            report_name=name_of(report),
            dtstart=kind[0].dtstart,
            intervals=tuple(kind),
        )
        for kind in filled
    )


def _placeholder(row: OwnReport, at: datetime) -> ReportInterval:
    payloads = tuple(
        ReportPayload(r_id=each.r_id, value=0.0, data_quality=NO_DATA) for each in row.request.specifier.payloads
    )
    return ReportInterval(dtstart=at, payloads=payloads)
