"""A VEN's METADATA as an offer: what may be in it, what is refused, what is taken with a remark. Pure.

Rule: refused is only what cannot be meant (R305, R308, R317); what breaks a rule and still makes sense (R307, R311,
R312, R331, R333) is taken and remarked upon, for the operator to see.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from openadr.errors import ComplianceError, InvalidData
from openadr.model import EiTarget, Report, ReportDescription
from vtn.services.context import short_id
from vtn.store.rows import Specifier

PREFIX = "METADATA_"
TELEMETRY_USAGE, TELEMETRY_STATUS = "TELEMETRY_USAGE", "TELEMETRY_STATUS"
HISTORY_USAGE, GREEN_BUTTON = "HISTORY_USAGE", "HISTORY_GREENBUTTON"
_USAGE = frozenset({"powerReal", "energyReal", "pulseCount"})
_STATUS_TYPE = "x-resourceStatus"


def read_offer(reports: tuple[Report, ...], ven_id: str, now: datetime) -> tuple[Specifier, ...]:
    """Read METADATA. Raises ``ComplianceError`` or ``InvalidData`` for what is refused."""
    _unique((report.report_specifier_id for report in reports), "reportSpecifierID")
    return tuple(_specifier(report, ven_id, now) for report in reports)


def _specifier(report: Report, ven_id: str, now: datetime) -> Specifier:
    short_id(report.report_specifier_id, "reportSpecifierID")
    name = short_id((report.report_name or "").removeprefix(PREFIX) or "x-unnamed", "reportName")
    if report.intervals:
        raise ComplianceError("METADATA has no intervals (R305)", field="intervals")
    if report.dtstart is not None:
        raise ComplianceError("METADATA has no dtstart (R305)", field="dtstart")
    if not report.descriptions:
        raise ComplianceError("METADATA needs an oadrReportDescription (R305)", field="oadrReportDescription")
    if report.duration is not None and _negative(report.duration.length(now).total_seconds()):
        raise InvalidData("the duration of METADATA must not be negative (R312)", field="duration")
    _unique((short_id(each.r_id, "rID") for each in report.descriptions), "rID")
    for each in report.descriptions:
        _check_rate(each, now)
    return Specifier(
        ven_id=ven_id,
        report_specifier_id=report.report_specifier_id,
        report_name=name,
        duration=None if report.duration is None else str(report.duration),
        registered_at=now,
        descriptions=report.descriptions,
        remarks=tuple(dict.fromkeys(_remarks(report, name, now))),
    )


def _negative(seconds: float) -> bool:
    return seconds < 0


def _unique(names: Iterable[str], element: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise ComplianceError(f"{element} {name[:80]!r} is not unique (R308)", field=element)


def _check_rate(point: ReportDescription, now: datetime) -> None:
    rate = point.sampling_rate
    if rate is None:
        return
    fastest, slowest = rate.min_period.length(now).total_seconds(), rate.max_period.length(now).total_seconds()
    if fastest < 0 or slowest < 0 or fastest > slowest > 0:
        text = f"rID {point.r_id[:80]!r}: oadrMinPeriod must not be negative nor exceed oadrMaxPeriod (R317)"
        raise InvalidData(text, field="oadrSamplingRate")


def _remarks(report: Report, name: str, now: datetime) -> Iterator[str]:
    """Say what is irregular."""
    if report.report_request_id != "0":
        yield "reportRequestID is not 0 (R311)"
    if not name.startswith("x-") and not (report.report_name or "").startswith(PREFIX):
        yield "reportName lacks the prefix METADATA_ (R331)"
    if report.duration is None:
        yield "duration is missing (R312)"
    for point in report.descriptions:
        yield from _of_point(point, report, name, now)


def _of_point(point: ReportDescription, report: Report, name: str, now: datetime) -> Iterator[str]:
    rate = point.sampling_rate
    if rate is None and name in (TELEMETRY_USAGE, TELEMETRY_STATUS):
        yield "a data point of telemetry lacks oadrSamplingRate (R333)"
    if rate is not None and report.duration is not None and rate.max_period.length(now) > report.duration.length(now):
        yield "oadrMaxPeriod is longer than the duration (R312)"
    if point.report_subject is not None and point.report_subject != _devices(point.report_subject):
        yield "reportSubject names more than device classes (R307)"
    kind = None if point.item_base is None else point.item_base.kind
    if name in (TELEMETRY_USAGE, HISTORY_USAGE) and kind not in _USAGE:
        yield "a data point of usage is not powerReal, energyReal or pulseCount (R305, R331)"
    if name == TELEMETRY_STATUS and (point.report_type != _STATUS_TYPE or kind is not None):
        yield f"a data point of status is not a bare {_STATUS_TYPE} (R331)"


def _devices(subject: EiTarget) -> EiTarget:
    return EiTarget(end_device_assets=subject.end_device_assets)
