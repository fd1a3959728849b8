"""EiRegisterParty at the VTN: query, create, re-register, cancel, for VENs that an operator has enrolled.

Rule: the certificate says who asks; ids in the payload may only confirm it (452 otherwise). A new registration
erases the report state and the queue (R406), events and opts stay.
"""

from datetime import datetime, timedelta

from openadr.errors import ComplianceError, DeploymentError, InvalidId, NotRegistered, ResponseCode
from openadr.exchange import PROFILES
from openadr.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    QueryRegistration,
    RegisterReport,
)
from openadr.times import Duration
from vtn.services.context import MAX_ID_LENGTH, PROFILE, TRANSPORT, Desk, SignaturePolicy, done
from vtn.services.farewell import AGAIN, end, erase
from vtn.store.rows import EndedBy, Ven
from vtn.store.store import Tx


def _created(request_id: str, ven: Ven, desk: Desk) -> CreatedPartyRegistration:
    return CreatedPartyRegistration(
        response=done(request_id),
        vtn_id=desk.vtn_id,
        profiles=PROFILES,
        registration_id=ven.registration_id,
        ven_id=ven.ven_id if ven.registered else None,  # no ids for an unregistered VEN (R404)
        requested_poll_freq=poll_freq(ven, desk),
    )


def poll_freq(ven: Ven, desk: Desk) -> Duration:
    """Return how often a VEN is asked to poll (R403)."""
    return desk.poll_freq if ven.poll_freq_s is None else Duration(seconds=ven.poll_freq_s)


async def query(_tx: Tx, request: QueryRegistration, ven: Ven, _now: datetime, desk: Desk) -> CreatedPartyRegistration:
    """Answer oadrQueryRegistration."""
    return _created(request.request_id, ven, desk)


async def create(
    tx: Tx, request: CreatePartyRegistration, ven: Ven, now: datetime, desk: Desk
) -> CreatedPartyRegistration:
    """Answer oadrCreatePartyRegistration: a new registration, or a change of the present one (with both ids)."""
    _check_offer(request, desk)
    ven = await tx.vens.for_change(ven.ven_id) or ven  # two requests at once: one after the other
    if request.registration_id:
        if request.registration_id != ven.registration_id or request.ven_id != ven.ven_id:
            raise InvalidId("registrationID and venID do not name your registration (R400)", field="registrationID")
        registration_id = request.registration_id
        await tx.queue.answered(ven.ven_id, AGAIN, "", ResponseCode.OK, now)  # if we asked for it, this is it
    else:
        registration_id = desk.new_id("reg")
        await erase(tx, ven.ven_id, now)
        await tx.vens.update(ven.ven_id, cancel_by=None)
        await _greet(tx, ven.ven_id, now, desk)
    await tx.vens.update(
        ven.ven_id,
        registration_id=registration_id,
        told_poll_s=poll_freq(ven, desk).seconds,
        registered_at=now,
        ven_name=(request.ven_name or "")[:MAX_ID_LENGTH] or ven.ven_name,
        profile_name=request.profile_name,
        transport_name=request.transport_name,
        transport_address=request.transport_address,
        http_pull_model=request.http_pull_model,
        report_only=request.report_only,
        xml_signature=request.xml_signature,
        last_seen=now,
    )
    if request.http_pull_model or desk.push is None:
        await tx.push.remove(ven.ven_id)
    else:
        await tx.push.enlist(ven.ven_id, now + timedelta(seconds=desk.push.settle_s))
    registered = await tx.vens.get(ven.ven_id)
    assert registered is not None  # noqa: S101  updated above in this transaction
    return _created(request.request_id, registered, desk)


def _check_offer(request: CreatePartyRegistration, desk: Desk) -> None:
    """Refuse what this VTN does not offer. Raises ``ComplianceError`` or ``DeploymentError``."""
    if request.profile_name != PROFILE:
        raise DeploymentError(f"oadrProfileName: only {PROFILE} is offered here", field="oadrProfileName")
    if request.transport_name != TRANSPORT:
        raise DeploymentError(f"oadrTransportName: only {TRANSPORT} is offered here", field="oadrTransportName")
    if request.http_pull_model is None:
        raise ComplianceError("oadrHttpPullModel is mandatory for simpleHttp (R402)", field="oadrHttpPullModel")
    if not request.http_pull_model:
        if desk.push is None:
            raise DeploymentError("oadrHttpPullModel: only the pull model is offered here", field="oadrHttpPullModel")
        desk.push.addresses.check(request.transport_address)
    if request.xml_signature and desk.signatures is SignaturePolicy.OFF:
        raise DeploymentError("oadrXmlSignature: signatures are not offered here", field="oadrXmlSignature")


async def _greet(tx: Tx, ven_id: str, now: datetime, desk: Desk) -> None:
    """Queue our own METADATA (without reports, R301) and every event the VEN may have lost."""
    request_id = desk.new_id("req")
    await tx.queue.add(ven_id, RegisterReport(request_id=request_id, ven_id=ven_id), request_id, now)
    await tx.events.make_due(ven_id, now)


async def cancel(
    tx: Tx, request: CancelPartyRegistration, ven: Ven, now: datetime, _desk: Desk
) -> CanceledPartyRegistration:
    """Answer oadrCancelPartyRegistration (R407); one sent again, because the answer was lost, is no error."""
    ven = await tx.vens.for_change(ven.ven_id) or ven
    if not ven.registered and request.registration_id != ven.ended_registration_id:
        raise NotRegistered("you are not registered (R405)")
    if ven.registered:
        if request.registration_id != ven.registration_id:
            raise InvalidId("registrationID does not name your registration (R400)", field="registrationID")
        await end(tx, ven.ven_id, EndedBy.VEN, now)
    return CanceledPartyRegistration(
        response=done(request.request_id), registration_id=request.registration_id, ven_id=ven.ven_id
    )
