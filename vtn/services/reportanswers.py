"""What a VEN says to our report requests: oadrCreatedReport and oadrCanceledReport become states.

Rule: oadrPendingReports confirms what it lists (R329); an error refuses what its requestID carried; a cancel that the
VEN refuses ends the request all the same, with its reason.
"""

from datetime import datetime

from openadr.messages import CanceledReport, CreatedReport, EiResponse
from vtn.services.reportdue import one_shot
from vtn.store.rows import RequestState, StoredRequest, Ven
from vtn.store.store import Tx


async def created(tx: Tx, answer: CreatedReport, ven: Ven, now: datetime) -> None:
    """Take an oadrCreatedReport."""
    given = answer.response
    for row in await tx.reports.open_requests(ven.ven_id):
        if row.state is not RequestState.REQUESTED:
            continue
        meant = bool(given.request_id) and row.request_id == given.request_id
        if given.ok and (meant or row.report_request_id in answer.pending_reports):
            await tx.reports.set_request(
                row.report_request_id, state=str(RequestState.CONFIRMED), confirmed_at=now, response_code=200
            )
        elif not given.ok and meant:
            await tx.reports.set_request(
                row.report_request_id,
                state=str(RequestState.REFUSED),
                ended_at=now,
                due_at=None,
                standing=False,
                **_reason(given),
            )


async def canceled(tx: Tx, answer: CanceledReport, ven: Ven, now: datetime) -> None:
    """Take an oadrCanceledReport; one without requestID is for the oldest cancel that waits."""
    given = answer.response
    waiting = [each for each in await tx.reports.open_requests(ven.ven_id) if each.state is RequestState.CANCELLING]
    meant = [each for each in waiting if each.cancel_id == given.request_id] if given.request_id else waiting[:1]
    for row in meant:
        values = {} if given.ok else _reason(given)
        if given.ok and row.reason is None:
            values = {"response_code": given.response_code}
        await tx.reports.set_request(
            row.report_request_id, state=str(RequestState.CANCELLED), ended_at=now, due_at=None, **values
        )


def _reason(given: EiResponse) -> dict[str, object]:
    return {"response_code": given.response_code, "reason": given.response_description or "refused without a reason"}


def delivered_by(rows: tuple[StoredRequest, ...]) -> tuple[StoredRequest, ...]:
    """Return the METADATA requests among ``rows`` that METADATA answers."""
    return tuple(each for each in rows if each.report_name == "METADATA" and each.state.open and one_shot(each))
