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
from vtn.services import farewell, ownreports, reportanswers
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


async def take(tx: Tx, request: Answer, ven: Ven, now: datetime, desk: Desk) -> Response:
    """Note the answer and acknowledge it."""
    given: EiResponse = request.response
    if isinstance(request, CreatedReport):
        await reportanswers.created(tx, request, ven, now)
    elif isinstance(request, CanceledReport):
        await reportanswers.canceled(tx, request, ven, now)
    elif isinstance(request, UpdatedReport):
        await ownreports.updated(tx, request, ven, now)
    elif isinstance(request, CanceledPartyRegistration):
        await farewell.answered(tx, request, ven, now)
    # oadrRequestReregistration has no requestID that its answer could echo
    named = "" if isinstance(request, Response) else given.request_id
    await tx.queue.answered(ven.ven_id, _ANSWERED[type(request)], named, given.response_code, now)
    response = done(given.request_id)
    if isinstance(request, RegisteredReport):
        response = await ownreports.registered(tx, request, ven, now, desk)
    return Response(response=response, ven_id=ven.ven_id)
