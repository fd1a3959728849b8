"""OadrPoll at the VTN: one payload a poll, oadrResponse when there is none (R500).

Rule: our METADATA comes first after a registration (R301), then events that are new, changed or unanswered, then
the rest of the queue in order. What was sent comes again until it is answered or given up.
"""

from dataclasses import dataclass
from datetime import datetime

from openadr.messages import Message, Poll, RegisterReport, Response
from vtn.services.context import Desk, done
from vtn.services.events import distribute
from vtn.store.rows import Outbound, Ven
from vtn.store.store import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What a poll would find: ``reply_due`` now, else when to look again (``None``: not before something changes)."""

    reply_due: bool
    look_again_at: datetime | None


def empty(ven_id: str) -> Response:
    """Return the answer to a poll that finds nothing."""
    return Response(response=done(""), ven_id=ven_id)


async def pending(tx: Tx, ven_id: str, now: datetime) -> Pending:
    """Tell whether a poll would be answered with a payload."""
    dues = [due for due in (await tx.queue.next_due(ven_id), await tx.events.next_due(ven_id, now)) if due is not None]
    soonest = min(dues, default=None)
    return Pending(reply_due=soonest is not None and soonest <= now, look_again_at=soonest)


async def poll(tx: Tx, _request: Poll, ven: Ven, now: datetime, desk: Desk) -> Message:
    """Answer oadrPoll."""
    head = await tx.queue.head(ven.ven_id, now)
    if head is not None and isinstance(head.message, RegisterReport) and head.attempts == 0:
        return await _send(tx, head, now, desk)
    due = await tx.events.next_due(ven.ven_id, now)
    if due is not None and due <= now:
        return await distribute(tx, ven, now, desk)
    if head is not None:
        return await _send(tx, head, now, desk)
    return empty(ven.ven_id)


async def _send(tx: Tx, head: Outbound, now: datetime, desk: Desk) -> Message:
    await tx.queue.sent(head.row_id, now, desk.queue.due(head.attempts + 1, now))
    return head.message
