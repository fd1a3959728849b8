"""From a message and a certificate to a reply: who asks, may they, which service, in one transaction.

Rule: an unknown certificate or an unregistered VEN is 463, a foreign venID 452 (R517); a service that refuses
leaves nothing changed. ``HANDLERS`` is the whole table.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from openadr.errors import InvalidId, NotRegistered, OadrError
from openadr.exchange import error_reply, ven_id_of
from openadr.messages import (
    CanceledPartyRegistration,
    CanceledReport,
    CancelOpt,
    CancelPartyRegistration,
    CancelReport,
    CreatedEvent,
    CreatedReport,
    CreateOpt,
    CreatePartyRegistration,
    CreateReport,
    Message,
    Poll,
    QueryRegistration,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    Response,
    UpdatedReport,
    UpdateReport,
)
from runtime.database import is_transient
from vtn.services import answers, events, opts, polling, registration, reports
from vtn.services.context import Desk
from vtn.store.rows import Ven
from vtn.store.store import Store, Tx

Handler = Callable[[Tx, Any, Ven, datetime, Desk], Awaitable[Message]]
"""(tx, request, ven, now, desk) -> reply; the request is of the type the table says."""

HANDLERS: dict[type[Message], Handler] = {
    QueryRegistration: registration.query,
    CreatePartyRegistration: registration.create,
    CancelPartyRegistration: registration.cancel,
    CanceledPartyRegistration: answers.take,
    RequestEvent: events.request_event,
    CreatedEvent: events.created_event,
    RegisterReport: reports.register_report,
    RegisteredReport: answers.take,
    CreateReport: reports.create_report,
    CreatedReport: answers.take,
    UpdateReport: reports.update_report,
    UpdatedReport: answers.take,
    CancelReport: reports.cancel_report,
    CanceledReport: answers.take,
    CreateOpt: opts.create_opt,
    CancelOpt: opts.cancel_opt,
    Poll: polling.poll,
    Response: answers.take,
}

_ATTEMPTS = 3  # of a transaction that deadlocked or lost its connection
_UNREGISTERED: frozenset[type[Message]] = frozenset(
    {QueryRegistration, CreatePartyRegistration, CanceledPartyRegistration, Response}
)
"""What an enrolled VEN may send before it has registered or after it has cancelled (R405)."""


async def handle(store: Store, request: Message, fingerprint: str, now: datetime, desk: Desk) -> Message:
    """Answer ``request`` from the holder of the certificate; an application error is an answer like any other.

    A transaction that the database gave up for another one is tried again.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return await _once(store, request, fingerprint, now, desk)
        except Exception as error:
            if not is_transient(error):
                raise
    return await _once(store, request, fingerprint, now, desk)


async def _once(store: Store, request: Message, fingerprint: str, now: datetime, desk: Desk) -> Message:
    ven: Ven | None = None
    try:
        async with store.write() as tx:
            ven = identify(await tx.vens.by_fingerprint(fingerprint), request)
            return await HANDLERS[type(request)](tx, request, ven, now, desk)
    except OadrError as error:
        return error_reply(request, error, vtn_id=desk.vtn_id, ven_id=None if ven is None else ven.ven_id)


def identify(ven: Ven | None, request: Message) -> Ven:
    """Return the VEN that asks. Raises ``NotRegistered`` (463) or ``InvalidId`` (452)."""
    if ven is None:
        raise NotRegistered("this certificate is not enrolled at this VTN (R517)")
    named = ven_id_of(request)
    if named is not None and named != ven.ven_id:
        raise InvalidId("venID is not the one of your certificate (R517)", field="venID")
    if not ven.registered and type(request) not in _UNREGISTERED:
        raise NotRegistered("register first (R405)")
    return ven
