"""OadrPoll at the VTN: one payload a poll, oadrResponse when there is none (R500).

Rule: our METADATA comes first after a registration (R301), then events that are new, changed or unanswered, then
the rest of the queue in order. What was sent comes again until it is answered or given up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from openadr.messages import Message, Poll, RegisterReport, Response
from vtn.services.context import Desk, done
from vtn.services.events import distribute, fresh
from vtn.store.codec import root_of
from vtn.store.eventrows import Assignment
from vtn.store.outbound import FAREWELL
from vtn.store.rows import Outbound, QueueHead, Ven
from vtn.store.store import Tx

_METADATA = root_of(RegisterReport)


class Turn(StrEnum):
    """What a poll is answered with."""

    GREETING = "greeting"  # our METADATA, once after a registration
    EVENTS = "events"
    QUEUE = "queue"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits for a VEN, as read from the database."""

    assignments: tuple[Assignment, ...]
    queue_due: datetime | None = None  # when the next payload of the queue is to be sent; None: the queue is empty
    greeting: bool = False  # the head of the queue is our METADATA, never sent yet
    closing: bool = False  # the registration is being cancelled: nothing else is sent


def turn(waiting: Waiting, now: datetime) -> Turn:
    """Return whose turn it is: METADATA, then events, then the queue."""
    queue = waiting.queue_due is not None and waiting.queue_due <= now
    if waiting.closing:
        return Turn.QUEUE if queue else Turn.NOTHING
    if queue and waiting.greeting:
        return Turn.GREETING
    if any((due := each.due) is not None and due <= now for each in fresh(waiting.assignments, now)):
        return Turn.EVENTS
    return Turn.QUEUE if queue else Turn.NOTHING


def repeats(waiting: Waiting, now: datetime) -> bool:
    """True if an event that is due was handed out before, so that its answer may have come since it was read."""
    return any(each.times and (due := each.due) is not None and due <= now for each in waiting.assignments)


def quiet_until(waiting: Waiting) -> datetime | None:
    """Return when something is due next, ``None``: not before something changes."""
    if waiting.closing:
        return waiting.queue_due
    dues = [due for each in waiting.assignments if (due := each.due) is not None]
    return min(dues if waiting.queue_due is None else [*dues, waiting.queue_due], default=None)


async def look(tx: Tx, ven_ids: Sequence[str], now: datetime) -> dict[str, Waiting]:
    """Read what waits for VENs, by venID."""
    heads = await tx.queue.heads(ven_ids, now)
    assignments = await tx.events.of_vens(ven_ids, now)
    return {ven_id: _waiting(assignments.get(ven_id, ()), heads.get(ven_id), now) for ven_id in ven_ids}


def _waiting(assignments: tuple[Assignment, ...], head: QueueHead | None, now: datetime) -> Waiting:
    if head is None:
        return Waiting(assignments=assignments)
    greeting = head.attempts == 0 and head.root == _METADATA
    closing = head.root == FAREWELL
    return Waiting(assignments=assignments, queue_due=head.due_at, greeting=greeting, closing=closing)


def empty(ven_id: str) -> Response:
    """Return the answer to a poll that finds nothing."""
    return Response(response=done(""), ven_id=ven_id)


async def poll(tx: Tx, _request: Poll, ven: Ven, now: datetime, desk: Desk) -> Message:
    """Answer oadrPoll."""
    match turn((await look(tx, (ven.ven_id,), now))[ven.ven_id], now):
        case Turn.NOTHING:
            return empty(ven.ven_id)
        case Turn.EVENTS:
            return await distribute(tx, ven, now, desk)
        case _:
            head = await tx.queue.head(ven.ven_id, now)
            return empty(ven.ven_id) if head is None else await _send(tx, head, now, desk)


async def _send(tx: Tx, head: Outbound, now: datetime, desk: Desk) -> Message:
    await tx.queue.sent(head.ven_id, head.row_id, now, desk.queue.due(head.attempts + 1, now))
    return head.message
