"""From a message and a certificate to a reply: who asks, may they, which service, in one transaction.

Rule: an unknown certificate or an unregistered VEN is 463, a foreign venID 452 (R517); a service that refuses
leaves nothing changed. ``HANDLERS`` is the whole table.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from openadr.errors import InvalidId, NotRegistered, OadrError, SignatureMissing
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
from openadr.wire.replay import UsedNonce
from vtn.services import answers, candidates, events, opts, ownreports, polling, registration, reports
from vtn.services.context import Desk, SignaturePolicy
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
    CreateReport: ownreports.create_report,
    CreatedReport: answers.take,
    UpdateReport: reports.update_report,
    UpdatedReport: answers.take,
    CancelReport: ownreports.cancel_report,
    CanceledReport: answers.take,
    CreateOpt: opts.create_opt,
    CancelOpt: opts.cancel_opt,
    Poll: polling.poll,
    Response: answers.take,
}

_UNREGISTERED: frozenset[type[Message]] = frozenset(
    {QueryRegistration, CreatePartyRegistration, CancelPartyRegistration, CanceledPartyRegistration, Response}
)
"""What an enrolled VEN may send before it has registered or after its registration has ended (R405, R407)."""


async def handle(
    store: Store,
    request: Message,
    fingerprint: str,
    now: datetime,
    desk: Desk,
    *,
    signed: bool = False,
    nonce: UsedNonce | None = None,
    certificate: bytes = b"",
) -> Message:
    """Answer ``request`` from the holder of the certificate, after the commit, which it may share with others.

    An application error is an answer like any other. A transaction that the database gave up for another one is tried
    again. ``signed``: an XML signature was verified; ``nonce`` is still to be taken, in the same transaction and also
    when the request is refused. ``certificate`` is the one of ``fingerprint`` in DER form, of which an operator is
    shown what it says. Raises ``SignatureMissing`` and ``Replayed`` (R514).
    """
    ven: Ven | None = None

    async def answer(tx: Tx) -> Message:
        nonlocal ven
        found = await tx.vens.by_fingerprint(fingerprint, now)
        if found is None and fingerprint and candidates.asks(request, desk):
            await candidates.note(tx, request, fingerprint, certificate, now, desk)
            return refused(NotRegistered("this certificate waits for an operator to approve it (R517)"))
        ven = identify(found, request, desk, signed=signed)
        if isinstance(request, CreatePartyRegistration):
            await candidates.note_certificate(tx, ven, fingerprint, certificate)
        return await HANDLERS[type(request)](tx, request, ven, now, desk)

    def refused(error: OadrError) -> Message:
        return error_reply(request, error, vtn_id=desk.vtn_id, ven_id=None if ven is None else ven.ven_id)

    async def once(tx: Tx) -> Message:
        if nonce is None or await tx.vens.by_fingerprint(fingerprint) is None:  # of strangers nothing is kept
            return await answer(tx)
        await tx.nonces.use(nonce)
        try:
            async with tx.part() as part:
                return await answer(part)
        except OadrError as error:
            return refused(error)

    try:
        return await store.group.run(once)
    except OadrError as error:
        return refused(error)


def identify(ven: Ven | None, request: Message, desk: Desk, *, signed: bool = False) -> Ven:
    """Return the VEN that asks. Raises ``NotRegistered`` (463), ``InvalidId`` (452) or ``SignatureMissing``."""
    if ven is None:
        raise NotRegistered("this certificate is not enrolled at this VTN (R517)")
    if not signed and must_sign(ven, desk):
        raise SignatureMissing("you have registered with oadrXmlSignature: every message has to be signed (R514)")
    if ven.suspended:
        raise NotRegistered("this VEN is suspended by the operator of the VTN (R517)")
    if not ven.registered and type(request) not in _UNREGISTERED:
        raise NotRegistered("register first (R405)")
    named = ven_id_of(request)
    if named is not None and named != ven.ven_id:
        raise InvalidId("venID is not the one of your certificate (R517)", field="venID")
    return ven


def must_sign(ven: Ven, desk: Desk) -> bool:
    """True if messages of this VEN are refused without an XML signature (R514)."""
    if desk.signatures is SignaturePolicy.ACCEPT:
        return ven.registered and ven.xml_signature
    return desk.signatures is SignaturePolicy.REQUIRE
