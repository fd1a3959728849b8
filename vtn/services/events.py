"""EiEvent at the VTN: the payload of a VEN, and what its oadrCreatedEvent says.

Rule: a payload is complete (R50) and ordered (R15); handing it out is recorded with the requestID and repeated
until the VEN has answered this modification (R52). Answers are read one by one (R25); good ones count although
others are bad.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import lt

from openadr.errors import ResponseCode
from openadr.messages import CreatedEvent, DistributeEvent, EiResponse, EventResponse, RequestEvent, Response
from openadr.model import EiTarget, Event, EventStatus, Signal
from openadr.timeline import current_value as running_value
from openadr.timeline import order, status
from openadr.times import whole_second
from vtn.services.context import Desk, RetryPolicy, done
from vtn.store.eventrows import Assignment, Contents, Handed, Handout
from vtn.store.rows import AT_ONCE, NEVER, Ven
from vtn.store.store import Tx

NOT_YET = datetime.min.replace(tzinfo=UTC)  # before every event: what a signal's value is while it is not active
DELIVERIES_KEPT = 20  # of one version at one VEN; more than any retry policy needs, and a bound on what a VEN can cause


def payload(assignments: tuple[Assignment, ...], now: datetime, *, current_value: bool = False) -> tuple[Event, ...]:
    """Return the events as one VEN gets them: own target, fresh status, one createdDateTime (R15, R63, R115)."""
    events = stamped(assignments, now, current_value=current_value, changed=changed_at(assignments))
    return addressed(events, assignments)


def changed_at(assignments: tuple[Assignment, ...]) -> datetime | None:
    """Return when an event of the VEN was last made or changed, as far as that is noted with its events."""
    return max([each.changed_at for each in assignments if each.changed_at is not None], default=None)


def stamped(
    assignments: tuple[Assignment, ...],
    now: datetime,
    *,
    current_value: bool = False,
    changed: datetime | None = None,
) -> tuple[Event, ...]:
    """Return these events with status and createdDateTime in the order of a payload, but for the target.

    It is the same for every VEN with the same versions and parts of events and the same ``changed``. createdDateTime is
    when an event of the VEN was last made or changed (R115). Events that have left the payload count too: an unchanged
    payload stays byte for byte the same, and the time never goes back.
    """
    if not assignments:
        return ()
    times = [each.stored.modified_at for each in assignments]
    created = whole_second(max(times if changed is None else [*times, changed]))
    return order((_stamped(each, created, now, current_value) for each in assignments), now)


def _stamped(assignment: Assignment, created: datetime, now: datetime, current_value: bool) -> Event:
    event, parts = assignment.stored.event, assignment.state.parts
    state = status(event, now)
    signals, baseline = event.signals, event.baseline
    if parts is not None:
        signals = tuple(each for each in signals if each.signal_id in parts)
        baseline = baseline if baseline is not None and baseline.baseline_id in parts else None
    if current_value:
        signals = tuple(replace(each, current_value=value_now(each, event, state, now)) for each in signals)
    descriptor = replace(event.descriptor, event_status=state, created_date_time=created)
    return replace(event, descriptor=descriptor, signals=signals, baseline=baseline)


def value_now(signal: Signal, event: Event, state: EventStatus, now: datetime) -> float | None:
    """Return a signal's currentValue: the running interval's (R29), while not active 0 or none (R14, R110)."""
    at = now if state is EventStatus.ACTIVE else NOT_YET
    return running_value(signal, event.active_period, at)


def addressed(events: tuple[Event, ...], assignments: tuple[Assignment, ...]) -> tuple[Event, ...]:
    """Return the events with the target that the VEN of the assignments sees: itself and what is named of it (R63)."""
    by_id = {each.stored.event_id: each for each in assignments}
    return tuple(_addressed(event, by_id[event.descriptor.event_id]) for event in events)


def _addressed(event: Event, assignment: Assignment) -> Event:
    return replace(event, target=EiTarget(ven_ids=(assignment.state.ven_id,), resource_ids=assignment.resource_ids))


def fresh(assignments: tuple[Assignment, ...], now: datetime) -> tuple[Assignment, ...]:
    """Return those that still belong into payloads (R66); the others were read before their time was over."""
    return tuple(each for each in assignments if each.stored.payload_end is None or each.stored.payload_end > now)


def after(assignments: tuple[Assignment, ...], made: Handout) -> tuple[Assignment, ...]:
    """Return the assignments as the database will show them once ``made`` is written."""
    by_id = {event_id: (number, again) for event_id, number, again in made.events}
    return tuple(
        _after(each, made.at, *found) if (found := by_id.get(each.stored.event_id)) else each for each in assignments
    )


def joined(assignments: tuple[Assignment, ...], new: tuple[Assignment, ...]) -> tuple[Assignment, ...]:
    """Return the assignments of a VEN as the database will show them once it has new ones."""
    found = (*assignments, *new)
    times = [each.stored.created_at for each in found]
    if all(map(lt, times, times[1:])):
        return found
    return tuple(sorted(found, key=_made_at))


def _made_at(assignment: Assignment) -> tuple[datetime, str]:
    return assignment.stored.created_at, assignment.stored.event_id


def _after(assignment: Assignment, at: datetime, number: int, again: timedelta | None) -> Assignment:
    return Assignment(
        stored=assignment.stored,
        state=assignment.state,
        resource_ids=assignment.resource_ids,
        changed_at=assignment.changed_at,
        handed=Handed.after(assignment.handed, number, at, again),
    )


def firsts(assignments: tuple[Assignment, ...], retry: RetryPolicy) -> Contents:
    """Return what to record of a payload that a VEN gets for the first time: the same for all VENs that get it."""
    again = retry.again(1)
    stored = (each.stored for each in assignments)
    return tuple((each.event_id, each.modification_number, again if each.always else None) for each in stored)


def over_at(assignments: Iterable[Assignment]) -> datetime:
    """Return when all of them have left the payload."""
    ends = [NEVER if each.stored.payload_end is None else each.stored.payload_end for each in assignments]
    return max(ends, default=AT_ONCE)


def handout(
    assignments: tuple[Assignment, ...], first: Contents, request_id: str, now: datetime, retry: RetryPolicy
) -> Handout | None:
    """Return what to record of a payload; ``None``: nothing. ``first``: see ``firsts``.

    An event that needs no answer is not due again. Handing out what is settled, or has been handed out
    ``DELIVERIES_KEPT`` times, is not recorded once more.
    """
    if any([each.handed is not None or each.state.answered_modification is not None for each in assignments]):
        first = _repeated(assignments, retry)
    if not first:
        return None
    ven_id = assignments[0].state.ven_id
    return Handout(ven_id=ven_id, request_id=request_id, at=now, events=first, until=over_at(assignments))


def _repeated(assignments: tuple[Assignment, ...], retry: RetryPolicy) -> Contents:
    events = [(each.stored, _again(each, retry)) for each in assignments if _recorded(each)]
    return tuple((stored.event_id, stored.modification_number, again) for stored, again in events)


def _recorded(assignment: Assignment) -> bool:
    times = assignment.times
    known = times or assignment.state.answered_modification == assignment.stored.modification_number
    settled = known and assignment.due is None
    return not settled and times < DELIVERIES_KEPT


def _again(assignment: Assignment, retry: RetryPolicy) -> timedelta | None:
    """Return how long after this hand-out the event is due again, if it needs an answer."""
    stored = assignment.stored
    wanted = stored.always and assignment.state.answered_modification != stored.modification_number
    return retry.again(assignment.times + 1) if wanted else None


def hand_out(
    assignments: tuple[Assignment, ...],
    events: tuple[Event, ...],
    now: datetime,
    desk: Desk,
    *,
    reply_to: str = "",
    reply_limit: int | None = None,
) -> tuple[DistributeEvent, Handout | None]:
    """Return the reply with ``events`` (the payload) and what to record; ``reply_limit`` cuts after sorting (R27)."""
    sent = events[:reply_limit]
    request_id = desk.new_id("req")
    reply = DistributeEvent(request_id=request_id, vtn_id=desk.vtn_id, events=sent, response=done(reply_to))
    by_id = {each.stored.event_id: each for each in assignments}
    given = tuple(by_id[event.descriptor.event_id] for event in sent)
    return reply, handout(given, firsts(given, desk.events), request_id, now, desk.events)


async def distribute(
    tx: Tx, ven: Ven, now: datetime, desk: Desk, *, reply_to: str = "", reply_limit: int | None = None
) -> DistributeEvent:
    """Build a VEN's payload and record it."""
    assignments = await tx.events.of_ven(ven.ven_id, now)
    events = payload(assignments, now, current_value=desk.current_value)
    reply, made = hand_out(assignments, events, now, desk, reply_to=reply_to, reply_limit=reply_limit)
    if made is not None:
        await tx.events.delivered((made,))
    tx.touched.here(ven.ven_id)
    return reply


async def request_event(tx: Tx, request: RequestEvent, ven: Ven, now: datetime, desk: Desk) -> DistributeEvent:
    """Answer oadrRequestEvent."""
    return await distribute(tx, ven, now, desk, reply_to=request.request_id, reply_limit=request.reply_limit)


async def created_event(tx: Tx, request: CreatedEvent, ven: Ven, now: datetime, _desk: Desk) -> Response:
    """Take the answers of a VEN; 452 for an unknown eventID, 450 for a wrong modificationNumber (R48)."""
    faults: list[tuple[ResponseCode, str]] = []
    answers: dict[str, EventResponse] = {}  # the last one of each event, however often a VEN repeats itself
    if request.response.ok:  # otherwise the eventResponses do not count (R25)
        known = await tx.events.some_of_ven(ven.ven_id, (each.event_id for each in request.event_responses))
        for answer in request.event_responses:
            fault = _fault(answer, known.get(answer.event_id))
            if fault is None:
                answers[answer.event_id] = answer
            else:
                faults.append(fault)
    for answer in answers.values():
        await _take(tx, answer, ven, now)
    response = done(request.response.request_id)
    if faults:
        response = EiResponse(
            request_id=request.response.request_id,
            response_code=faults[0][0],
            response_description="; ".join(text for _, text in faults)[:1000],
        )
    return Response(response=response, ven_id=ven.ven_id)


def _fault(answer: EventResponse, found: Assignment | None) -> tuple[ResponseCode, str] | None:
    """Return why an answer cannot be taken, ``None`` if it can."""
    if found is None:
        return ResponseCode.INVALID_ID, f"eventID {answer.event_id[:80]!r} is not an event of yours"
    number = found.stored.modification_number
    if answer.modification_number != number:
        text = f"eventID {answer.event_id[:80]!r}: modificationNumber is {number}, not {answer.modification_number}"
        return ResponseCode.OUT_OF_SEQUENCE, text
    return None


async def _take(tx: Tx, answer: EventResponse, ven: Ven, now: datetime) -> None:
    await tx.events.set_state(
        answer.event_id,
        ven.ven_id,
        answered_modification=answer.modification_number,
        answered_at=now,
        response_code=answer.response_code,
        response_description=answer.response_description,
        answer=str(answer.opt_type),
        due_at=None,
    )
