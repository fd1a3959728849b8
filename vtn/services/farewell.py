"""What an operator asks of a registered VEN: to register again, or to be registered no longer; and every end of a
registration.

Rule: a request waits in the queue like any other payload. A registration that an operator cancels ends with the VEN's
answer, whatever it says, or when the time for it is over; until then nothing but the cancellation is sent. With the
registration go METADATA, report requests and the queue (R407); events, opts and telemetry stay.
"""

from datetime import datetime, timedelta

from openadr.errors import NotAllowed
from openadr.messages import CanceledPartyRegistration, CancelPartyRegistration, RequestReregistration
from vtn.services.context import Desk
from vtn.store.codec import root_of
from vtn.store.outbound import FAREWELL
from vtn.store.rows import EndedBy, Outbound, Ven
from vtn.store.store import Tx

AGAIN = root_of(RequestReregistration)
_LONGEST = timedelta(days=7)  # for an answer, whatever the retry policy says
_AT_ONCE = 100  # overdue registrations ended in one transaction


async def erase(tx: Tx, ven_id: str, now: datetime) -> None:
    """Erase what a registration carried: METADATA and report requests both ways, and the queue (R406, R407)."""
    await tx.reports.erase(ven_id, now)
    await tx.vens.drop_metadata_resources(ven_id)
    await tx.queue.clear(ven_id)


async def end(tx: Tx, ven_id: str, by: EndedBy, now: datetime, *, overdue_at: datetime | None = None) -> bool:
    """End a registration (R407); False if there is none, or none that was to end by ``overdue_at``."""
    if not await tx.vens.end_registration(ven_id, by, now, overdue_at=overdue_at):
        return False
    await erase(tx, ven_id, now)
    await tx.push.remove(ven_id)
    return True


async def ask_again(tx: Tx, ven: Ven, now: datetime) -> Outbound:
    """Queue oadrRequestReregistration; one that waits already will do. Raises ``NotAllowed``."""
    _registered(ven)
    if ven.cancel_by is not None:
        raise NotAllowed("its registration is being cancelled", field="venID")
    waiting = await tx.queue.unanswered(ven.ven_id, AGAIN)
    if waiting is not None and waiting.due_at is not None:
        return waiting
    if waiting is not None:
        await tx.queue.purge(ven.ven_id, waiting.row_id)  # given up: once more from the beginning
    await tx.queue.add(ven.ven_id, RequestReregistration(ven_id=ven.ven_id), "", now)
    return await _queued(tx, ven.ven_id, AGAIN)


async def cancel(tx: Tx, ven: Ven, now: datetime, desk: Desk) -> Outbound:
    """Queue oadrCancelPartyRegistration in the place of everything else. Raises ``NotAllowed``."""
    _registered(ven)
    waiting = await tx.queue.unanswered(ven.ven_id, FAREWELL)
    if waiting is not None and ven.cancel_by is not None:
        return waiting
    request_id = desk.new_id("req")
    message = CancelPartyRegistration(
        request_id=request_id, registration_id=ven.registration_id or "", ven_id=ven.ven_id
    )
    await tx.queue.clear(ven.ven_id)
    await tx.queue.add(ven.ven_id, message, request_id, now)
    await tx.vens.update(ven.ven_id, cancel_by=now + patience(ven, desk))
    return await _queued(tx, ven.ven_id, FAREWELL)


def patience(ven: Ven, desk: Desk) -> timedelta:
    """Return how long a VEN has for its answer: until it has polled and every repetition has been in vain."""
    retries_s = desk.queue.first_s * (2.0 ** min(desk.queue.attempts, 30) - 1)
    polls_s = 2.0 * (ven.told_poll_s or desk.poll_freq.seconds)
    return min(timedelta(seconds=retries_s + polls_s), _LONGEST)


async def answered(tx: Tx, request: CanceledPartyRegistration, ven: Ven, now: datetime) -> None:
    """Take the VEN's answer to a cancellation, told by its requestID or its registrationID."""
    if ven.cancel_by is None:
        return
    waiting = await tx.queue.unanswered(ven.ven_id, FAREWELL)
    if waiting is None or waiting.sent_at is None:
        return
    if request.response.request_id in ("", waiting.request_id) or request.registration_id == ven.registration_id:
        await end(tx, ven.ven_id, EndedBy.OPERATOR, now)


async def end_overdue(tx: Tx, now: datetime) -> tuple[str, ...]:
    """End the registrations whose VENs have not answered in time; return their venIDs."""
    ended = []
    for ven_id in await tx.vens.overdue(now, _AT_ONCE):
        if await end(tx, ven_id, EndedBy.NO_ANSWER, now, overdue_at=now):
            ended.append(ven_id)
    return tuple(ended)


async def purge(tx: Tx, ven: Ven, row_id: int | None = None) -> int:
    """Drop payloads that wait for a VEN, or one; a cancellation that was never sent is taken back with its payload.

    Raises ``NotAllowed`` for a cancellation that was sent: the VEN may have erased its registration already.
    """
    farewell = await tx.queue.unanswered(ven.ven_id, FAREWELL)
    if farewell is not None and row_id in (None, farewell.row_id):
        if farewell.sent_at is not None:
            raise NotAllowed("oadrCancelPartyRegistration was sent already; it cannot be taken back", field="venID")
        await tx.vens.update(ven.ven_id, cancel_by=None)
    return await tx.queue.purge(ven.ven_id, row_id)


def _registered(ven: Ven) -> None:
    if not ven.registered:
        raise NotAllowed(f"venID {ven.ven_id!r} is not registered", field="venID")


async def _queued(tx: Tx, ven_id: str, root: str) -> Outbound:
    found = await tx.queue.unanswered(ven_id, root)
    assert found is not None  # noqa: S101  added above in this transaction
    return found
