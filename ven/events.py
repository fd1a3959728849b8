"""The VEN's decision on each event of an oadrDistributeEvent (R12, R19, R48, R56-R62), as one table read top down.

::

    known?  cancelled?  modification  says                    event becomes        answer (only if always, R12)
    -----   ----------  ------------  ----------------------  -------------------  ---------------------------
    yes     any         lower         anything                as it was            450 optOut            (R58)
    yes     no          >=            cancelled               cancelled now        200 optIn             (R59)
    yes     yes         any           cancelled               as it was            200 optIn
    no      -           any           cancelled               -                    200 optIn             (R60)
    yes     no, by VTN  same          anything else           as it was            200 current opt
    yes     any         higher        over already            replaced             200 current opt       (R57)
    no      -           any           completed               -                    200 optOut            (R66)
    no      -           any           over already            -                    450 optOut
    any     any         higher/new    fails checks, assess    as it was; 462 stops 4xx optOut            (R48)
    any     any         higher/new    fine                    stored or replaced   200 assessed opt      (R56, R57)

``cancelled`` is "by VTN" when the VTN said so and "by absence" when the event was missing from a payload; one that is
shown again after mere absence is decided like a higher modification.

Rule: each event is decided for itself (R19); the events known but absent are an implied cancel (R61), unless their time
is over anyway.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from openadr import timeline
from openadr.errors import OadrError, ResponseCode
from openadr.messages import CreatedEvent, DistributeEvent, EiResponse, EventResponse, UnreadableEvent
from openadr.model import Event, EventStatus, OptType, ResponseRequired
from openadr.signals import check_event
from ven.model import Assess, Assessment, Note, Registration, State, Step, StoredEvent
from ven.outbox import owe_created_event

CLOCK_SLACK = timedelta(seconds=5)  # an event that vanishes this close to its end has ended by the VTN's clock
_OPT_IN = Assessment(response_code=ResponseCode.OK, opt_type=OptType.OPT_IN)
_COMPLETED = Assessment(response_code=ResponseCode.OK, opt_type=OptType.OPT_OUT, description="completed (R66)")
_OVER = Assessment(
    response_code=ResponseCode.OUT_OF_SEQUENCE,
    opt_type=OptType.OPT_OUT,
    description="the event is new to this VEN and already over",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """One event of the payload and how it came."""

    event: Event
    now: datetime
    request_id: str
    assess: Assess

    @property
    def modification(self) -> int:
        return self.event.descriptor.modification_number

    @property
    def cancelled(self) -> bool:
        return self.event.descriptor.event_status is EventStatus.CANCELLED

    @property
    def over(self) -> bool:
        return timeline.status(self.event, self.now) is EventStatus.COMPLETED


_Decision = tuple[StoredEvent | None, Assessment]


def _lower(seen: _Seen, known: StoredEvent) -> _Decision:
    text = f"modificationNumber {seen.modification} is lower than {_held(known)}, which is known (R58)"
    return known, _refusal(ResponseCode.OUT_OF_SEQUENCE, text)


def _cancel(seen: _Seen, known: StoredEvent) -> _Decision:
    at = seen.now if known.cancelled_at is None else known.cancelled_at
    return replace(known, event=seen.event, cancelled_at=at, request_id=seen.request_id), _OPT_IN


def _keep(seen: _Seen, known: StoredEvent) -> _Decision:
    return replace(known, request_id=seen.request_id), _current(known)


def _shorten(seen: _Seen, known: StoredEvent) -> _Decision:
    return replace(known, event=seen.event, request_id=seen.request_id), _current(known)


def _renew(seen: _Seen, known: StoredEvent) -> _Decision:
    verdict = _verdict(seen)
    if _ok(verdict):
        return _stored(seen, verdict), verdict
    if verdict.response_code == ResponseCode.TARGET_MISMATCH and known.cancelled_at is None:
        return replace(known, cancelled_at=seen.now), verdict  # now aimed at others: the old version must not run on
    return known, verdict


def _add(seen: _Seen) -> _Decision:
    verdict = _verdict(seen)
    return _stored(seen, verdict) if _ok(verdict) else None, verdict


_KNOWN: tuple[tuple[Callable[[_Seen, StoredEvent], bool], Callable[[_Seen, StoredEvent], _Decision]], ...] = (
    (lambda seen, known: seen.modification < _held(known), _lower),
    (lambda seen, known: seen.cancelled, _cancel),
    (lambda seen, known: seen.modification == _held(known) and not _revived(seen, known), _keep),
    (lambda seen, known: seen.over, _shorten),
    (lambda seen, known: True, _renew),
)
_NEW: tuple[tuple[Callable[[_Seen], bool], Callable[[_Seen], _Decision]], ...] = (
    (lambda seen: seen.cancelled, lambda seen: (None, _OPT_IN)),
    (lambda seen: seen.event.descriptor.event_status is EventStatus.COMPLETED, lambda seen: (None, _COMPLETED)),
    (lambda seen: seen.over, lambda seen: (None, _OVER)),
    (lambda seen: True, _add),
)


def _decide(seen: _Seen, known: StoredEvent | None) -> _Decision:
    if known is None:
        return next(decide for applies, decide in _NEW if applies(seen))(seen)
    return next(decide for applies, decide in _KNOWN if applies(seen, known))(seen, known)


def _verdict(seen: _Seen) -> Assessment:
    try:
        check_event(seen.event)
        verdict = seen.assess(seen.event, seen.now)
    except OadrError as error:
        return _refusal(error.code, error.description)
    except Exception as error:  # R19: our own fault with one event must not spoil the others
        return _refusal(ResponseCode.DEPLOYMENT_ERROR, f"the VEN could not assess the event: {type(error).__name__}")
    return verdict if _ok(verdict) else replace(verdict, opt_type=OptType.OPT_OUT)  # R48: a fault is always optOut


def _stored(seen: _Seen, verdict: Assessment) -> StoredEvent:
    return StoredEvent(event=seen.event, received_at=seen.now, opt_type=verdict.opt_type, request_id=seen.request_id)


def _held(known: StoredEvent) -> int:
    return known.event.descriptor.modification_number


def _ok(verdict: Assessment) -> bool:
    return 200 <= verdict.response_code < 300


def _revived(seen: _Seen, known: StoredEvent) -> bool:
    """Tell whether an event that was only missing (R61) is shown again: then it is decided anew."""
    only_missing = known.cancelled_at is not None and known.event.descriptor.event_status is not EventStatus.CANCELLED
    return only_missing and not seen.over


def _refusal(code: int, description: str) -> Assessment:
    return Assessment(response_code=code, opt_type=OptType.OPT_OUT, description=description)


def _current(known: StoredEvent) -> Assessment:
    return Assessment(response_code=ResponseCode.OK, opt_type=known.opt_type)


def receive(state: State, registration: Registration, message: DistributeEvent, now: datetime, assess: Assess) -> Step:
    """Take a payload of events: decide on each, cancel the absent, and owe the answers."""
    if message.response is not None and not message.response.ok:
        detail = f"{message.response.response_code} {message.response.response_description or ''}".strip()
        return Step(state=state, notes=(Note(what="events_refused_by_vtn", detail=detail, warning=True),))
    if message.vtn_id != registration.vtn_id:
        return _foreign(state, registration, message, now)
    events, notes = dict(state.events), list[Note]()
    current, completed = list[EventResponse](), list[EventResponse]()
    for event in message.events:
        event_id = event.descriptor.event_id
        known = events.get(event_id)
        seen = _Seen(event=event, now=now, request_id=message.request_id, assess=assess)
        stored, verdict = _decide(seen, known)
        if stored is not None:
            events[event_id] = stored
        notes += _noted(seen, known, stored, verdict)
        if event.response_required is ResponseRequired.ALWAYS:
            (completed if seen.over else current).append(_answer(event, message.request_id, verdict))
    for fault in message.unreadable:  # R19: the others count, and a version that we hold stays in force
        notes.append(_unreadable_note(fault))
        if fault.response_required is ResponseRequired.ALWAYS:
            current.append(_refused(fault, message.request_id))
    shown = {event.descriptor.event_id for event in message.events} | {each.event_id for each in message.unreadable}
    notes += _imply_cancels(events, shown, now)
    state = replace(state, events=events)
    for responses in (current, completed):  # apart: some VTNs fail on a message that speaks of completed events
        if responses:
            answer = CreatedEvent(response=EiResponse(), ven_id=registration.ven_id, event_responses=tuple(responses))
            state = owe_created_event(state, answer, now)  # R42: eiResponse/requestID stays empty
    return Step(state=state, notes=tuple(notes))


def no_events(state: State, now: datetime) -> Step:
    """Take an oadrResponse to oadrRequestEvent as a payload without events: every known event is cancelled (R61)."""
    events = dict(state.events)
    notes = _imply_cancels(events, set(), now)
    return Step(state=replace(state, events=events), notes=tuple(notes))


def _foreign(state: State, registration: Registration, message: DistributeEvent, now: datetime) -> Step:
    refusal = EiResponse(
        request_id=message.request_id,
        response_code=ResponseCode.INVALID_ID,
        response_description="vtnID is not the one this VEN is registered with (R21)",
    )
    answer = CreatedEvent(response=refusal, ven_id=registration.ven_id)
    note = Note(what="foreign_vtn_id", detail=message.vtn_id, warning=True)
    return Step(state=owe_created_event(state, answer, now), notes=(note,))


def _answer(event: Event, request_id: str, verdict: Assessment) -> EventResponse:
    return EventResponse(
        request_id=request_id,
        event_id=event.descriptor.event_id,
        modification_number=event.descriptor.modification_number,
        opt_type=verdict.opt_type,
        response_code=verdict.response_code,
        response_description=verdict.description,
    )


def _refused(fault: UnreadableEvent, request_id: str) -> EventResponse:
    return EventResponse(
        request_id=request_id,
        event_id=fault.event_id,
        modification_number=fault.modification_number,
        opt_type=OptType.OPT_OUT,
        response_code=fault.code,
        response_description=fault.description,
    )


def _unreadable_note(fault: UnreadableEvent) -> Note:
    detail = f"{fault.event_id} modification {fault.modification_number}: {fault.code} {fault.description}"
    return Note(what="event_refused", detail=detail, warning=True)


def _imply_cancels(events: dict[str, StoredEvent], present: set[str], now: datetime) -> list[Note]:
    """Cancel what is absent (R61) and prune what is over and done with."""
    notes = []
    for event_id in [key for key in events if key not in present]:
        known = events[event_id]
        if known.forgotten:
            del events[event_id]
        elif known.cancelled_at is None and timeline.in_payload(known.event, now + CLOCK_SLACK):
            events[event_id] = replace(known, cancelled_at=now)
            notes.append(Note(what="event_cancelled", detail=f"{event_id}: absent from the payload (R61)"))
    return notes


def _noted(seen: _Seen, known: StoredEvent | None, stored: StoredEvent | None, verdict: Assessment) -> list[Note]:
    name = f"{seen.event.descriptor.event_id} modification {seen.modification}"
    if not _ok(verdict):
        detail = f"{name}: {verdict.response_code} {verdict.description or ''}".strip()
        return [Note(what="event_refused", detail=detail, warning=True)]
    if stored is None or (
        known is not None and _held(stored) == _held(known) and stored.cancelled_at == known.cancelled_at
    ):
        return []
    what = "event_cancelled" if stored.cancelled_at is not None else "event_taken"
    return [Note(what=what, detail=f"{name}: {verdict.opt_type}")]
