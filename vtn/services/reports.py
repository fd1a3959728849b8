"""EiReport at the VTN: take METADATA and ask for telemetry in the same answer, take data, and the odd request of a VEN.

Rule: METADATA replaces everything (R306); data is stored only if its reportRequestID and every rID are ours for
this VEN (R304), all of a payload or nothing of it. This VTN has no reports of its own to give (R301).
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from openadr.errors import ComplianceError, InvalidId
from openadr.messages import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    RegisteredReport,
    RegisterReport,
    UpdatedReport,
    UpdateReport,
)
from openadr.model import Report
from vtn.services.context import Desk, done, short_id
from vtn.services.reportdata import rows_of
from vtn.services.reportpolicy import wanted
from vtn.store.reports import resource_of
from vtn.store.rows import RequestState, Resource, Specifier, StoredRequest, Telemetry, Ven
from vtn.store.store import Tx

METADATA = "METADATA"
_PREFIX = "METADATA_"


async def register_report(tx: Tx, request: RegisterReport, ven: Ven, now: datetime, desk: Desk) -> RegisteredReport:
    """Answer oadrRegisterReport: replace the offer and ask for what the policy wants (piggy-back, R344)."""
    offer = _offer(request.reports, ven.ven_id, now)
    await tx.reports.replace_offer(ven.ven_id, offer)
    await tx.vens.drop_metadata_resources(ven.ven_id)
    await tx.vens.add_resources(_resources(offer, ven.ven_id))
    requests = wanted(offer, desk.reports, now, desk.new_id)
    for each in requests:
        await tx.reports.add_request(each)
    return RegisteredReport(
        response=done(request.request_id),
        report_requests=tuple(each.request for each in requests),
        ven_id=ven.ven_id,
    )


def _offer(reports: tuple[Report, ...], ven_id: str, now: datetime) -> tuple[Specifier, ...]:
    """Read METADATA. Raises ``ComplianceError`` for what R305, R308 and R313 forbid."""
    _unique((report.report_specifier_id for report in reports), "reportSpecifierID")
    return tuple(_specifier(report, ven_id, now) for report in reports)


def _specifier(report: Report, ven_id: str, now: datetime) -> Specifier:
    short_id(report.report_specifier_id, "reportSpecifierID")
    if report.intervals:
        raise ComplianceError("METADATA has no intervals (R305)", field="intervals")
    if not report.descriptions:
        raise ComplianceError("METADATA needs an oadrReportDescription (R305)", field="oadrReportDescription")
    _unique((short_id(each.r_id, "rID") for each in report.descriptions), "rID")
    return Specifier(
        ven_id=ven_id,
        report_specifier_id=report.report_specifier_id,
        report_name=(report.report_name or "").removeprefix(_PREFIX),
        duration=None if report.duration is None else str(report.duration),
        registered_at=now,
        descriptions=report.descriptions,
    )


def _unique(names: Iterable[str], element: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise ComplianceError(f"{element} {name[:80]!r} is not unique (R308)", field=element)


def _resources(offer: tuple[Specifier, ...], ven_id: str) -> tuple[Resource, ...]:
    named = {resource_of(each) for specifier in offer for each in specifier.descriptions} - {None}
    return tuple(
        Resource(ven_id=ven_id, resource_id=short_id(each, "resourceID"), source="metadata")
        for each in sorted(name for name in named if name is not None)
    )


async def update_report(tx: Tx, request: UpdateReport, ven: Ven, now: datetime, _desk: Desk) -> UpdatedReport:
    """Answer oadrUpdateReport: store the data, or refuse all of it."""
    known = {each.request.report_request_id: each for each in await tx.reports.requests(ven.ven_id)}
    rows: dict[tuple[str, str, datetime], Telemetry] = {}
    for report in request.reports:
        asked = known.get(report.report_request_id)
        if asked is None:
            text = f"reportRequestID {report.report_request_id[:80]!r} is not a request to you"
            raise InvalidId(f"{text} (R304)", field="reportRequestID")
        for row in rows_of(report, asked, now):
            rows[row.report_request_id, row.r_id, row.dtstart] = row
    await tx.reports.store(rows.values())
    for report_request_id in {report.report_request_id for report in request.reports}:
        await tx.reports.set_request(report_request_id, last_data_at=now)
    return UpdatedReport(response=done(request.request_id), ven_id=ven.ven_id)


async def create_report(tx: Tx, request: CreateReport, ven: Ven, now: datetime, desk: Desk) -> CreatedReport:
    """Answer a VEN's oadrCreateReport: METADATA comes (empty) through the queue, anything else does not exist."""
    for each in request.report_requests:
        if each.specifier.report_specifier_id != METADATA:
            raise InvalidId("this VTN offers no reports (R301)", field="reportSpecifierID")
    for each in request.report_requests:
        request_id = desk.new_id("req")
        answer = RegisterReport(request_id=request_id, ven_id=ven.ven_id, report_request_id=each.report_request_id)
        await tx.queue.add(ven.ven_id, answer, request_id, now)
    return CreatedReport(response=done(request.request_id), ven_id=ven.ven_id)


async def cancel_report(_tx: Tx, _request: CancelReport, _ven: Ven, _now: datetime, _desk: Desk) -> CanceledReport:
    """Refuse a VEN's oadrCancelReport: we deliver nothing that could be cancelled (R336)."""
    raise InvalidId("this VTN has no report of that reportRequestID", field="reportRequestID")


async def confirm(tx: Tx, pending: tuple[str, ...], ven: Ven) -> None:
    """Note which of our requests a VEN says it will serve."""
    open_requests: tuple[StoredRequest, ...] = await tx.reports.requests(ven.ven_id)
    for each in open_requests:
        if each.request.report_request_id in pending and each.state is RequestState.REQUESTED:
            await tx.reports.set_request(each.request.report_request_id, state=str(RequestState.CONFIRMED))
