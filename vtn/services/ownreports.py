"""The VTN as reporter: its METADATA for each VEN, the requests of VENs, and the reports when they are due.

Rule: a VEN gets what it has reported itself and nothing else. A set of requests is taken whole or not at all. A report
and the step of its schedule are one transaction; while the one before waits to be fetched the next is put off and
covers its time too, so that a VEN that does not poll lets no queue grow.
"""

from dataclasses import replace
from datetime import datetime

from openadr.errors import ComplianceError, InvalidData, InvalidId, OadrError
from openadr.messages import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    EiResponse,
    RegisteredReport,
    RegisterReport,
    UpdatedReport,
    UpdateReport,
)
from openadr.model import Report, ReportRequest
from vtn.services import ownoffer
from vtn.services.context import Desk, done, short_id
from vtn.services.reportoffer import HISTORY_USAGE, TELEMETRY_USAGE
from vtn.store.readings import Selection
from vtn.store.reports import METADATA
from vtn.store.rows import OwnReport, Specifier, Telemetry, Ven
from vtn.store.store import Tx

MAX_REQUESTS = 100  # of one VEN for which something is still to be sent
TOGETHER = 50  # reports in one transaction
_REPLACED = "replaced by new METADATA (R306)"


async def renew(tx: Tx, ven_id: str, offered: tuple[Specifier, ...], now: datetime, desk: Desk) -> None:
    """Make our METADATA anew after the VEN's; a changed one is sent and ends what the VEN had asked for (R306)."""
    if not desk.reports.offer:
        return
    reports = ownoffer.made(offered, desk.reports, now)
    before = await tx.own_reports.state(ven_id)
    if ownoffer.same(before.offer, reports):
        return
    await tx.own_reports.set_state(ven_id, offer=reports, offered_at=now)
    await tx.own_reports.end(ven_id, now, _REPLACED, keep_metadata=True)
    if not await tx.queue.renew_metadata(ven_id, reports):
        await _send_metadata(tx, ven_id, reports, None, now, desk)


async def _send_metadata(
    tx: Tx, ven_id: str, reports: tuple[Report, ...], root_id: str | None, now: datetime, desk: Desk
) -> str:
    request_id = desk.new_id("req")
    message = RegisterReport(request_id=request_id, reports=reports, ven_id=ven_id, report_request_id=root_id)
    await tx.queue.add(ven_id, message, request_id, now)
    return request_id


async def create_report(tx: Tx, request: CreateReport, ven: Ven, now: datetime, desk: Desk) -> CreatedReport:
    """Answer a VEN's oadrCreateReport: METADATA and one-shots go into the queue, the rest is scheduled."""
    await take(tx, request.report_requests, ven, now, desk)
    return CreatedReport(
        response=done(request.request_id),
        pending_reports=await tx.own_reports.pending(ven.ven_id),
        ven_id=ven.ven_id,
    )


async def take(tx: Tx, requests: tuple[ReportRequest, ...], ven: Ven, now: datetime, desk: Desk) -> None:
    """Put requests of a VEN in force. Raises ``OadrError`` for the first that cannot be met; then none is."""
    state = await tx.own_reports.state(ven.ven_id)
    known = await tx.own_reports.of_ven(ven.ven_id)
    waiting = set(await tx.own_reports.pending(ven.ven_id))  # those that ended with a report nobody has fetched too
    for request in requests:
        short_id(request.report_request_id, "reportRequestID")
        before = known.get(request.report_request_id)
        if before is not None:
            if before.request != request:
                raise ComplianceError("this reportRequestID is in use (R322)", field="reportRequestID")
            continue
        if len(waiting) >= MAX_REQUESTS:
            raise InvalidData(f"{MAX_REQUESTS} report requests are in force already", field="reportRequestID")
        known[request.report_request_id] = await _begin(tx, request, state.offer, ven, now, desk)
        waiting.add(request.report_request_id)


async def _begin(
    tx: Tx, request: ReportRequest, offer: tuple[Report, ...], ven: Ven, now: datetime, desk: Desk
) -> OwnReport:
    spec = request.specifier
    if spec.report_specifier_id == METADATA:  # R327; the rID does not matter (R308)
        once = spec.report_back_duration.is_zero or not offer  # without reports there is nothing that could change
        row = OwnReport(ven_id=ven.ven_id, request=request, created_at=now, next_due=now, covered_until=now, last=once)
    else:
        row = ownoffer.scheduled(request, offer, ven.ven_id, desk.reports, now)
    if row.next_due is not None and row.next_due <= now:
        return await _deliver(tx, row, offer, now, desk)
    await tx.own_reports.put(row)
    return row


async def _deliver(tx: Tx, row: OwnReport, offer: tuple[Report, ...], now: datetime, desk: Desk) -> OwnReport:
    """Queue the report that is due and write the next step."""
    start, end = ownoffer.window(row, now)
    if row.sent and await tx.own_reports.unsent(row):
        after = ownoffer.advanced(row, now, row.covered_until, None)
    elif row.request.specifier.report_specifier_id == METADATA:
        request_id = await _send_metadata(tx, row.ven_id, offer, row.report_request_id, now, desk)
        after = ownoffer.advanced(row, now, end, request_id)
    else:
        report = ownoffer.offered_report(row.request.specifier, offer)
        reports = await _reports(tx, row, report, start, end, now)
        request_id = desk.new_id("req")
        message = UpdateReport(request_id=request_id, reports=reports, ven_id=row.ven_id)
        await tx.queue.add(row.ven_id, message, request_id, now)
        after = ownoffer.advanced(row, now, end, request_id)
    await tx.own_reports.put(after)
    return after


async def _reports(
    tx: Tx, row: OwnReport, report: Report, start: datetime, end: datetime, now: datetime
) -> tuple[Report, ...]:
    spec = row.request.specifier
    source = await _source(tx, row, report)
    r_ids = tuple(each.r_id for each in spec.payloads)
    which = Selection(
        ven_id=row.ven_id,
        report_name=TELEMETRY_USAGE,
        report_specifier_id=source,
        r_ids=r_ids,
        start=start,
        end=end,
    )
    if ownoffer.name_of(report) == HISTORY_USAGE:
        rows = await tx.readings.page(which, limit=ownoffer.MAX_VALUES + 1)
        if len(rows) > ownoffer.MAX_VALUES:
            text = f"more than {ownoffer.MAX_VALUES} values: ask for a shorter reportInterval or fewer rIDs"
            raise InvalidData(text, field="reportInterval")
        return ownoffer.data(row, report, ownoffer.of_rows(rows), start, now)
    if row.last and spec.report_back_duration.is_zero:
        newest: list[Telemetry] = [
            each
            for each in await tx.reports.latest((row.ven_id,), report_name=TELEMETRY_USAGE)
            if each.report_specifier_id == source and each.r_id in r_ids
        ]
        return ownoffer.data(row, report, ownoffer.of_rows(newest), now, now)
    seconds = int(spec.granularity.length(now).total_seconds())
    buckets = await tx.readings.buckets(which, seconds, limit=ownoffer.MAX_VALUES)
    return ownoffer.data(row, report, ownoffer.of_buckets(buckets, spec.granularity), end, now)


async def _source(tx: Tx, row: OwnReport, report: Report) -> str:
    """Return the VEN's own reportSpecifierID behind one of ours."""
    name = ownoffer.name_of(report)
    for each in await tx.reports.offer(row.ven_id):
        if ownoffer.specifier_id(name, each.report_specifier_id) == report.report_specifier_id:
            return each.report_specifier_id
    raise InvalidId("the VEN does not offer this data any more", field="reportSpecifierID")


async def deliver_due(tx: Tx, now: datetime, desk: Desk) -> int:
    """Queue the reports that are due; return how many requests were looked at."""
    rows = await tx.own_reports.due(now, TOGETHER)
    for row in rows:
        state = await tx.own_reports.state(row.ven_id)
        try:
            await _deliver(tx, row, state.offer, now, desk)
        except (InvalidId, InvalidData) as error:
            await tx.own_reports.put(replace(row, next_due=None, ended_at=now, reason=error.description))
    return len(rows)


async def cancel_report(tx: Tx, request: CancelReport, ven: Ven, now: datetime, _desk: Desk) -> CanceledReport:
    """Answer a VEN's oadrCancelReport: what is known ends, an unknown reportRequestID makes the answer 452 (R336)."""
    known = await tx.own_reports.of_ven(ven.ven_id)
    unknown = [each for each in request.report_request_ids if each not in known]
    for report_request_id in dict.fromkeys(request.report_request_ids):
        row = known.get(report_request_id)
        if row is not None:
            await _cancel(tx, row, request.report_to_follow, now)
    response = done(request.request_id)
    if unknown:
        text = f"reportRequestID {unknown[0][:80]!r} is not in force (R336)"
        response = EiResponse(request_id=request.request_id, response_code=InvalidId.code, response_description=text)
    pending = await tx.own_reports.pending(ven.ven_id)
    return CanceledReport(response=response, pending_reports=pending, ven_id=ven.ven_id)


async def _cancel(tx: Tx, row: OwnReport, to_follow: bool, now: datetime) -> None:
    if to_follow:
        await tx.own_reports.put(replace(row, next_due=now, last=True))  # exactly one more (R345)
        return
    await tx.queue.withdraw(row.ven_id, row.request_id)
    await tx.own_reports.put(replace(row, next_due=None, ended_at=now, reason="cancelled by the VEN"))


async def updated(tx: Tx, answer: UpdatedReport, ven: Ven, now: datetime) -> None:
    """Take a cancel inside oadrUpdatedReport: it names reports of the payload it answers, unconfirmed (R328)."""
    cancel = answer.cancel_report
    if cancel is None:
        return
    known = await tx.own_reports.of_ven(ven.ven_id)
    for report_request_id in dict.fromkeys(cancel.report_request_ids):
        row = known.get(report_request_id)
        if row is not None and answer.response.request_id in ("", row.request_id):
            await _cancel(tx, row, cancel.report_to_follow, now)


async def registered(tx: Tx, answer: RegisteredReport, ven: Ven, now: datetime, desk: Desk) -> EiResponse:
    """Take the requests that come with an oadrRegisteredReport (R344); what cannot be met is said in the response."""
    try:
        async with tx.part() as part:
            await take(part, answer.report_requests, ven, now, desk)
    except OadrError as error:
        return EiResponse(
            request_id=answer.response.request_id, response_code=error.code, response_description=error.description
        )
    return done(answer.response.request_id)
