"""HTTP push at the VTN: what is pushed to a VEN next, and what an answer or a failure changes (R38, R51, R502).

Rule: the same payloads in the same order as for polls, never an oadrPoll (R500). What a VEN did not take stays where a
poll finds it: only what it took counts as handed out, so nothing is lost with a VEN that cannot be reached, and a
payload whose fate nobody knows goes out again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from openadr.errors import OadrError, ResponseCode
from openadr.exchange import allowed_replies, ven_id_of
from openadr.messages import (
    CancelPartyRegistration,
    CreatedEvent,
    DistributeEvent,
    EiResponse,
    Message,
    RequestReregistration,
    Response,
)
from vtn.services.context import Desk, PushPolicy
from vtn.services.dispatch import HANDLERS
from vtn.services.events import hand_out, payload
from vtn.services.polling import Turn, Waiting, look, quiet_until, turn
from vtn.store.codec import root_of
from vtn.store.eventrows import Handout
from vtn.store.push import PushState
from vtn.store.rows import Outbound, Ven
from vtn.store.store import Tx

_LATER = timedelta(seconds=60)  # when to look again for what ought to be due and is not
_FAREWELL = root_of(CancelPartyRegistration)


class Failure(StrEnum):
    """How a push failed, which decides what counts against the payload and what against the VEN."""

    UNREACHABLE = "unreachable"  # no answer: the VEN is left alone for a while
    BUSY = "busy"  # 503 and the like: the same
    IDENTITY = "identity"  # not allowed to go there, TLS refused, a foreign certificate, 403: the same
    BROKEN = "broken"  # 500, or an answer that means nothing: the same, and an attempt of this payload
    REFUSED = "refused"  # 404, 406 ...: the VEN will not have this payload; only that one counts an attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """No usable answer came."""

    failure: Failure
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The VEN answered; ``None``: with an empty body."""

    answer: Message | None


Outcome = Taken | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One payload on its way to one VEN: of the queue, or events with what is to be recorded of them."""

    ven: Ven
    message: Message
    seen: int  # news of the VEN that this knows of
    failures: int
    row: Outbound | None = None
    made: Handout | None = None


async def claim(tx: Tx, owner: str, now: datetime, policy: PushPolicy, *, places: int, failing: int) -> tuple[str, ...]:
    """Take the leases of up to ``places`` VENs that are due, of which up to ``failing`` that lately failed."""
    until = now + timedelta(seconds=policy.lease_s)
    found = await tx.push.claim(owner, now, until, failing=True, limit=min(failing, places))
    return found + await tx.push.claim(owner, now, until, failing=False, limit=places - len(found))


async def parcels(tx: Tx, ven_ids: Sequence[str], now: datetime, desk: Desk) -> dict[str, Parcel | datetime | None]:
    """Return per venID what to push to it, else when something is due next."""
    states = await tx.push.states(ven_ids)  # first: what changes after this shows in the news
    waiting = await look(tx, ven_ids, now)
    return {
        ven_id: None if state is None else await _parcel(tx, state, waiting[ven_id], now, desk)
        for ven_id, state in ((ven_id, states.get(ven_id)) for ven_id in ven_ids)
    }


async def _parcel(tx: Tx, state: PushState, waiting: Waiting, now: datetime, desk: Desk) -> Parcel | datetime | None:
    ven = state.ven
    whose = turn(waiting, now) if ven.registered else Turn.QUEUE
    if whose is Turn.NOTHING:
        later = quiet_until(waiting)
        return later if later is None or later > now else now + _LATER
    if whose is Turn.EVENTS:
        events = payload(waiting.assignments, now, current_value=desk.current_value)
        message, made = hand_out(waiting.assignments, events, now, desk)
        message = replace(message, response=None)  # an answer has an eiResponse, this is none (R40)
        return Parcel(ven=ven, message=message, made=made, seen=state.news, failures=state.failures)
    head = await tx.queue.head(ven.ven_id, now)
    if head is None or (not ven.registered and root_of(type(head.message)) != _FAREWELL):
        return None
    return Parcel(ven=ven, message=head.message, row=head, seen=state.news, failures=state.failures)


def judged(parcel: Parcel, outcome: Outcome) -> Outcome:
    """Return the outcome, a failure if the answer is not one to this payload or names another VEN."""
    if isinstance(outcome, Failed) or outcome.answer is None:
        return outcome
    answer, kind = outcome.answer, type(outcome.answer)
    allowed = allowed_replies(type(parcel.message)) | {Response}  # an error may come as the plainest answer there is
    if isinstance(parcel.message, DistributeEvent):
        allowed |= {CreatedEvent}  # not the form (1.3), but what it says is plain
    if kind not in allowed:
        name = f"oadr{type(parcel.message).__name__} answered by oadr{kind.__name__}"
        return Failed(failure=Failure.BROKEN, detail=name)
    named = ven_id_of(answer)
    if named is not None and named != parcel.ven.ven_id:
        return Failed(failure=Failure.BROKEN, detail=f"the answer names the venID {named[:80]!r}")
    return outcome


async def settle(
    tx: Tx, parcel: Parcel, outcome: Outcome, owner: str, now: datetime, desk: Desk, policy: PushPolicy, draw: float
) -> Parcel | None:
    """Record how a push went; return the next payload for the VEN, whose lease is then held on.

    Without one the lease is given back. An answer that came is recorded even if the lease was lost meanwhile.
    """
    ven_id = parcel.ven.ven_id
    if isinstance(outcome, Taken):
        await _taken(tx, parcel, outcome.answer, now, desk)
        await tx.push.succeeded(ven_id, now)
    elif outcome.failure in (Failure.REFUSED, Failure.BROKEN):
        await _attempted(tx, parcel, now, desk)
    if isinstance(outcome, Failed) and outcome.failure is not Failure.REFUSED:
        pause_s = policy.pause_s(parcel.failures + 1, draw)
        not_before = None if pause_s is None else now + timedelta(seconds=pause_s)
        detail = f"{outcome.failure}: {outcome.detail}"
        await tx.push.failed(ven_id, owner, now, detail, seen=parcel.seen, not_before=not_before)
        return None
    if not await tx.push.renew(ven_id, owner, now + timedelta(seconds=policy.lease_s)):
        return None
    following = (await parcels(tx, (ven_id,), now, desk))[ven_id]
    if isinstance(following, Parcel):
        return following
    await tx.push.release(ven_id, owner, parcel.seen, following)
    return None


async def _attempted(tx: Tx, parcel: Parcel, now: datetime, desk: Desk) -> None:
    """Count an attempt of a payload, which comes again later, as for polls."""
    if parcel.row is not None:
        await tx.queue.sent(parcel.ven.ven_id, parcel.row.row_id, now, desk.queue.due(parcel.row.attempts + 1, now))
    else:
        await tx.events.delivered(() if parcel.made is None else (parcel.made,))
        tx.touched.here(parcel.ven.ven_id)


async def _taken(tx: Tx, parcel: Parcel, answer: Message | None, now: datetime, desk: Desk) -> None:
    """Record what the VEN took and what it said; an empty answer to a request is followed by one of its own."""
    await _attempted(tx, parcel, now, desk)
    if answer is None:
        if parcel.row is not None and isinstance(parcel.message, RequestReregistration):
            await tx.queue.close(parcel.ven.ven_id, parcel.row.row_id, ResponseCode.OK, now)  # all it has to say (1.3)
        return
    if parcel.row is None:
        if isinstance(answer, CreatedEvent):
            await _apply(tx, answer, parcel, now, desk)
        return
    response: EiResponse = getattr(answer, "response")  # noqa: B009  every answer of ``allowed_replies`` has one
    if type(answer) in allowed_replies(type(parcel.message)):
        # one exchange, one answer: it belongs to this payload whatever requestID it repeats
        response = replace(response, request_id=parcel.row.request_id)
        await _apply(tx, replace(answer, response=response), parcel, now, desk)  # type: ignore[arg-type]
    await tx.queue.close(parcel.ven.ven_id, parcel.row.row_id, response.response_code, now)


async def _apply(tx: Tx, answer: Message, parcel: Parcel, now: datetime, desk: Desk) -> None:
    try:
        async with tx.part() as part:
            await HANDLERS[type(answer)](part, answer, parcel.ven, now, desk)
    except OadrError:  # an answer that says nothing useful changes nothing
        return
