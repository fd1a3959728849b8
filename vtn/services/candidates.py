"""Candidates for enrolment: who holds a trusted certificate, has tried to register, and waits for an operator.

Rule: nothing is done for a candidate but noting that it is there; it gets 463 like every stranger (R517) until an
operator has approved it. How many are noted is bounded, and nobody pushes out one that still tries.
"""

from datetime import datetime, timedelta

from openadr.errors import InvalidData, InvalidId, NotAllowed
from openadr.identity import CertificateFacts, certificate_facts, normal_fingerprint
from openadr.messages import CreatePartyRegistration, Message, QueryRegistration
from vtn.services.context import MAX_ID_LENGTH, Desk, EnrolmentMode
from vtn.services.enrolment import Enrolment, enrol
from vtn.store.rows import Candidate, CandidateState, Ven
from vtn.store.store import Tx

QUIET = timedelta(days=1)  # a candidate not heard of for so long may be forgotten for a new one
AGAIN = timedelta(seconds=30)  # how exact last seen is: a candidate that hammers is not written each time


def asks(request: Message, desk: Desk) -> bool:
    """True if a stranger with this request is to be noted."""
    return desk.enrolment.mode is EnrolmentMode.ASK and isinstance(request, QueryRegistration | CreatePartyRegistration)


async def note(tx: Tx, request: Message, fingerprint: str, certificate: bytes, now: datetime, desk: Desk) -> bool:
    """Note a stranger who has asked to register; False if there is no room."""
    name = request.ven_name if isinstance(request, CreatePartyRegistration) else None
    name = None if name is None else name[:MAX_ID_LENGTH]
    known = await tx.candidates.get(fingerprint)
    if known is not None:
        if now - known.last_seen >= AGAIN or name not in (None, known.ven_name):
            await tx.candidates.update(fingerprint, last_seen=now, ven_name=name or known.ven_name)
        return True
    full = await tx.candidates.count() >= desk.enrolment.most
    if full and not await tx.candidates.drop_quietest(now - QUIET):
        return False
    read = _facts(certificate)
    await tx.candidates.add(
        Candidate(
            fingerprint=fingerprint,
            first_seen=now,
            last_seen=now,
            subject_cn="" if read is None else read.subject_cn[:MAX_ID_LENGTH],
            issuer_cn="" if read is None else read.issuer_cn[:MAX_ID_LENGTH],
            not_after=None if read is None else read.not_after,
            ven_name=name,
        )
    )
    return True


async def note_certificate(tx: Tx, ven: Ven, fingerprint: str, certificate: bytes) -> None:
    """Note what the certificate says that a VEN registers with, so that an operator sees when it runs out (R516)."""
    read = _facts(certificate)
    if read is None or fingerprint != ven.fingerprint or read.not_after == ven.certificate_not_after:
        return
    await tx.vens.update(
        ven.ven_id, certificate_cn=read.subject_cn[:MAX_ID_LENGTH], certificate_not_after=read.not_after
    )


def _facts(certificate: bytes) -> CertificateFacts | None:
    try:
        return certificate_facts(certificate) if certificate else None
    except InvalidData:
        return None


async def approve(tx: Tx, given: Enrolment, now: datetime) -> Ven:
    """Enrol a candidate, waiting or rejected; its next try succeeds. Raises ``InvalidId`` if there is none."""
    candidate = await one(tx, given.fingerprint)
    ven = await enrol(tx, given, now)
    await tx.vens.update(
        ven.ven_id, certificate_cn=candidate.subject_cn or None, certificate_not_after=candidate.not_after
    )
    return await tx.vens.get(ven.ven_id) or ven


async def reject(tx: Tx, fingerprint: str) -> Candidate:
    """Keep a candidate out of the list of those who wait. Raises ``InvalidId`` if there is none."""
    candidate = await one(tx, fingerprint)
    if candidate.state is CandidateState.REJECTED:
        raise NotAllowed("this candidate is rejected already", field="fingerprint")
    await tx.candidates.update(candidate.fingerprint, state=str(CandidateState.REJECTED))
    return await one(tx, candidate.fingerprint)


async def forget(tx: Tx, fingerprint: str) -> Candidate:
    """Drop a candidate; its next try makes it one again. Raises ``InvalidId`` if there is none."""
    candidate = await one(tx, fingerprint)
    await tx.candidates.drop(candidate.fingerprint)
    return candidate


async def one(tx: Tx, fingerprint: str) -> Candidate:
    """Return a candidate. Raises ``InvalidId`` or ``InvalidData``."""
    found = await tx.candidates.get(normal_fingerprint(fingerprint))
    if found is None:
        raise InvalidId("no candidate has that fingerprint", field="fingerprint")
    return found
