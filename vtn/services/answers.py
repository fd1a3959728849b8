"""Answers a VEN posts to payloads it found by polling: take them off the queue, acknowledge with oadrResponse.

Rule: always 200, also for an answer to nothing we remember; a VEN that answers twice, late or refuses does no harm.
"""

from datetime import datetime

from openadr.messages import (
    CanceledPartyRegistration,
    CanceledReport,
    CreatedReport,
    EiResponse,
    RegisteredReport,
    Response,
    UpdatedReport,
)
from vtn.services import reports
from vtn.services.context import Desk, done
from vtn.store.rows import Ven
from vtn.store.store import Tx

Answer = RegisteredReport | CreatedReport | CanceledReport | UpdatedReport | CanceledPartyRegistration | Response

_ANSWERED: dict[type[Answer], str] = {
    RegisteredReport: "oadrRegisterReport",
    CreatedReport: "oadrCreateReport",
    CanceledReport: "oadrCancelReport",
    UpdatedReport: "oadrUpdateReport",
    CanceledPartyRegistration: "oadrCancelPartyRegistration",
    Response: "oadrRequestReregistration",
}


async def take(tx: Tx, request: Answer, ven: Ven, now: datetime, _desk: Desk) -> Response:
    """Note the answer and acknowledge it."""
    given: EiResponse = request.response
    if given.ok and isinstance(request, CreatedReport):
        await reports.confirm(tx, request.pending_reports, ven)
    await tx.queue.answered(ven.ven_id, _ANSWERED[type(request)], given.request_id, given.response_code, now)
    return Response(response=done(given.request_id), ven_id=ven.ven_id)
