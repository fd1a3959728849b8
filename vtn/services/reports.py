"""EiReport at the VTN as receiver: take METADATA and ask for reports in the same answer, take data.

Rule: METADATA replaces everything (R306), and what an operator still wants is asked for again; data is stored only if
its reportRequestID and every rID are ours for this VEN (R304), all of a payload or nothing of it. A value sent again
replaces the one before (R346). Data of a request that is over is kept, and the VEN is told to stop (R328, R335).
"""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from openadr.errors import InvalidId
from openadr.exchange import error_reply
from openadr.messages import CancelReport, RegisteredReport, RegisterReport, UpdatedReport, UpdateReport
from openadr.model import Report
from vtn.services import ownreports, reportask
from vtn.services.context import Desk, done, short_id
from vtn.services.reportanswers import delivered_by
from vtn.services.reportdata import blocks_of, documents_of
from vtn.services.reportdue import arrived, deadline, judged, unwanted
from vtn.services.reportoffer import read_offer
from vtn.services.reportpolicy import wanted
from vtn.store.reports import resource_of
from vtn.store.rows import ReportDocument, RequestState, Resource, Specifier, StoredRequest, Ven
from vtn.store.store import Tx
from vtn.store.telemetry import Block

ASK_AGAIN = timedelta(hours=1)  # how often METADATA is asked for because a VEN sends what nobody asked for


async def register_report(tx: Tx, request: RegisterReport, ven: Ven, now: datetime, desk: Desk) -> RegisteredReport:
    """Answer oadrRegisterReport: replace the offer and ask for what is wanted of it (piggy-back, R344)."""
    offer = read_offer(request.reports, ven.ven_id, now)
    await tx.reports.replace_offer(ven.ven_id, offer, now)
    await tx.own_reports.set_state(ven.ven_id, metadata_at=now)
    await tx.vens.drop_metadata_resources(ven.ven_id)
    await tx.vens.add_resources(_resources(offer, ven.ven_id))
    for each in delivered_by(await tx.reports.open_requests(ven.ven_id)):
        await tx.reports.set_request(each.report_request_id, **arrived(each, now, desk.reports.overdue_s))
    requests = (*wanted(offer, desk.reports, now, desk.new_id), *await _again(tx, ven, offer, now, desk))
    for each in requests:
        row = replace(each, request_id=request.request_id)
        await tx.reports.add_request(replace(row, due_at=deadline(row, desk.reports.overdue_s)))
    await ownreports.renew(tx, ven.ven_id, offer, now, desk)
    return RegisteredReport(
        response=done(request.request_id),
        report_requests=tuple(each.request for each in requests),
        ven_id=ven.ven_id,
    )


async def _again(
    tx: Tx, ven: Ven, offer: tuple[Specifier, ...], now: datetime, desk: Desk
) -> tuple[StoredRequest, ...]:
    """Return what an operator had asked for and still wants, as new requests (R306)."""
    made = reportask.again(await tx.reports.standing(ven.ven_id), offer, now, desk.new_id)
    for report_request_id, new in made.items():
        reason = new if isinstance(new, str) else f"replaced by {new.report_request_id}"
        await tx.reports.set_request(report_request_id, standing=False, reason=reason)
    return tuple(new for new in made.values() if not isinstance(new, str))


def _resources(offer: tuple[Specifier, ...], ven_id: str) -> tuple[Resource, ...]:
    named = {resource_of(each) for specifier in offer for each in specifier.descriptions} - {None}
    return tuple(
        Resource(ven_id=ven_id, resource_id=short_id(each, "resourceID"), source="metadata")
        for each in sorted(name for name in named if name is not None)
    )


async def update_report(tx: Tx, request: UpdateReport, ven: Ven, now: datetime, desk: Desk) -> UpdatedReport:
    """Answer oadrUpdateReport: store the data, or refuse all of it."""
    try:
        known = await _asked(tx, request.reports, ven)
        blocks, documents = await _read(request.reports, known, now)
    except InvalidId as error:  # the VEN and we are out of step: with its METADATA anew we are not
        await _resynchronise(tx, ven, now, desk)
        reply = error_reply(request, error, vtn_id=desk.vtn_id, ven_id=ven.ven_id)
        assert isinstance(reply, UpdatedReport)  # noqa: S101  by the type of the request
        return reply
    await tx.reports.store(blocks)
    await tx.readings.keep_documents(documents)
    for report_request_id, row in known.items():
        await tx.reports.set_request(report_request_id, **arrived(row, now, desk.reports.overdue_s))
    cancel = await _stop(tx, tuple(known.values()), now, desk)
    return UpdatedReport(response=done(request.request_id), cancel_report=cancel, ven_id=ven.ven_id)


async def _asked(tx: Tx, reports: tuple[Report, ...], ven: Ven) -> dict[str, StoredRequest]:
    names = {report.report_request_id for report in reports}
    known = await tx.reports.named(ven.ven_id, names)
    for name in sorted(names - set(known)):
        raise InvalidId(f"reportRequestID {name[:80]!r} is not a request to you (R304)", field="reportRequestID")
    return known


async def _read(
    reports: tuple[Report, ...], known: dict[str, StoredRequest], now: datetime
) -> tuple[list[Block], list[ReportDocument]]:
    blocks: list[Block] = []
    documents: list[ReportDocument] = []
    for report in reports:
        asked = known[report.report_request_id]
        for block in blocks_of(report, asked, now):
            blocks.append(block)
            await asyncio.sleep(0)  # others' polls must not wait for a large report
        documents += documents_of(report, asked, now)
    return blocks, documents


async def _resynchronise(tx: Tx, ven: Ven, now: datetime, desk: Desk) -> None:
    """Ask for METADATA, now and then."""
    state = await tx.own_reports.state(ven.ven_id)
    if state.asked_at is None or now - state.asked_at >= ASK_AGAIN:
        await tx.own_reports.set_state(ven.ven_id, asked_at=now)
        await reportask.ask_metadata(tx, ven.ven_id, now, desk, actor=None)


async def _stop(tx: Tx, rows: tuple[StoredRequest, ...], now: datetime, desk: Desk) -> CancelReport | None:
    """Cancel in the answer what goes on after its end (R328); if that does not help, by oadrCancelReport (R335)."""
    unwelcome = tuple(row for row in rows if unwanted(row))
    if not unwelcome:
        return None
    for row in unwelcome:
        heard = row.stray - row.to_follow  # 1: told for the first time; 2, 4, 8 ... times: told aloud
        if heard > 1 and heard & (heard - 1) == 0:
            cancel_id = desk.new_id("req")
            await tx.reports.set_request(row.report_request_id, cancel_id=cancel_id)
            await reportask.send_cancel(tx, replace(row, cancel_id=cancel_id, to_follow=False), now)
    names = tuple(row.report_request_id for row in unwelcome)
    return CancelReport(request_id=desk.new_id("req"), report_request_ids=names)


async def look_after(
    tx: Tx, now: datetime, desk: Desk, limit: int
) -> tuple[int, list[tuple[StoredRequest, RequestState]]]:
    """Judge the requests whose time has come; return how many, and those that changed with their new state."""
    changed = []
    rows = await tx.reports.due(now, limit)
    for row in rows:
        values = judged(row, now, desk.reports.overdue_s)
        await tx.reports.set_request(row.report_request_id, **values)
        state = RequestState(values.get("state", str(row.state)))
        if state is not row.state:
            changed.append((row, state))
    return len(rows), changed


async def ask_for_missing(tx: Tx, now: datetime, desk: Desk, since: datetime | None, limit: int) -> list[str]:
    """Ask VENs for METADATA that has not come since they registered, or not after ``since``; return their venIDs."""
    ven_ids = await missing(tx, now, desk, since, limit)
    for ven_id in ven_ids:
        await tx.own_reports.set_state(ven_id, asked_at=now)
        await reportask.ask_metadata(tx, ven_id, now, desk, actor=None)
    return ven_ids


async def missing(tx: Tx, now: datetime, desk: Desk, since: datetime | None, limit: int) -> list[str]:
    """Return the VENs to be asked for METADATA."""
    return await tx.own_reports.without_metadata(now - timedelta(seconds=desk.reports.metadata_s), since, limit)
