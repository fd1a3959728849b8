"""The outbox as pure functions: what is owed, in which order, when again, and when it is given up.

Rule: order is kept per service, so only the oldest message of a service is sent; one that the VTN itself fails on steps
aside and holds back no other. An answer of any responseCode settles a message; a failure postpones it by a doubled,
jittered pause (about 1 s first).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from openadr.exchange import Service
from openadr.messages import CancelOpt, CreatedEvent, CreateOpt, Message, UpdateReport
from ven.model import Failure, Note, Owed, Rules, State, Step

JITTER = 0.1  # +-10 % on every pause, against herds


def pause_s(attempts: int, rules: Rules, draw: Callable[[], float]) -> float:
    """Return the pause in seconds after ``attempts`` failures in a row (1 = the first)."""
    return spread_s(min(rules.backoff_first_s * 2.0 ** min(attempts - 1, 30), rules.backoff_max_s), draw)


def spread_s(pause: float, draw: Callable[[], float]) -> float:
    """Return a pause in seconds, spread so that a fleet which was turned away together does not come back together."""
    return pause * (1 + JITTER * (2 * draw() - 1))


def owe(state: State, service: Service, message: Message, now: datetime) -> State:
    """Append a message to the outbox."""
    return _append(state, Owed(seq=state.next_seq, service=service, message=message, created_at=now, not_before=now))


def _append(state: State, owed: Owed) -> State:
    return replace(state, outbox={**state.outbox, owed.seq: owed}, next_seq=owed.seq + 1)


def owe_created_event(state: State, message: CreatedEvent, now: datetime) -> State:
    """Append an oadrCreatedEvent; it takes the place of unanswered ones that speak of none but the same events.

    So an unreachable EiEvent service does not pile up an answer for every poll. An answer that only repeats another one
    keeps the pause that one has earned.
    """
    spoken = _spoken(message)
    fresh = Owed(seq=state.next_seq, service=Service.EI_EVENT, message=message, created_at=now, not_before=now)
    for owed in state.outbox.values():
        if isinstance(owed.message, CreatedEvent) and _spoken(owed.message) <= spoken:
            state = settle(state, owed.seq)
            if _spoken(owed.message) == spoken:
                fresh = replace(fresh, not_before=owed.not_before, attempts=owed.attempts, broken=owed.broken)
    return _append(state, fresh)


def _spoken(message: CreatedEvent) -> set[str]:
    return {response.event_id for response in message.event_responses}


def owe_report(state: State, message: UpdateReport, now: datetime, limit: int) -> Step:
    """Append an oadrUpdateReport; beyond ``limit`` undelivered ones the oldest is dropped."""
    undelivered = [owed.seq for owed in state.outbox.values() if isinstance(owed.message, UpdateReport)]
    notes: tuple[Note, ...] = ()
    if len(undelivered) >= limit:
        state = settle(state, undelivered[0])
        notes = (Note(what="report_dropped", detail=f"more than {limit} undelivered reports", warning=True),)
    return Step(state=owe(state, Service.EI_REPORT, message, now), notes=notes)


def waiting_reports(state: State) -> tuple[Owed, ...]:
    """Return the data that the VTN has not taken yet, oldest first."""
    return tuple(owed for owed in state.outbox.values() if isinstance(owed.message, UpdateReport))


def settle(state: State, seq: int) -> State:
    """Take an answered (or given up) message out."""
    return replace(state, outbox={key: owed for key, owed in state.outbox.items() if key != seq})


def heads(state: State) -> Iterator[Owed]:
    """Yield what may be sent, oldest first: the oldest message of each service, and those that stepped aside."""
    seen: set[Service] = set()
    for owed in state.outbox.values():
        if owed.broken:
            yield owed
        elif owed.service not in seen:
            seen.add(owed.service)
            yield owed


def failed(state: State, seq: int, failure: Failure, now: datetime, rules: Rules) -> Step:
    """Postpone a message, or drop it when sending the same bytes again is pointless."""
    owed = state.outbox.get(seq)
    if owed is None:
        return Step(state=state)
    broken = owed.broken + (failure is Failure.BROKEN)
    if failure is Failure.REFUSED or broken >= rules.give_up_after:
        detail = f"{type(owed.message).__name__}: {failure} after {owed.attempts + 1} attempts"
        return Step(state=settle(state, seq), notes=(Note(what="message_given_up", detail=detail, warning=True),))
    pause = timedelta(seconds=pause_s(owed.attempts + 1, rules, rules.draw))
    later = replace(owed, attempts=owed.attempts + 1, broken=broken, not_before=now + pause)
    return Step(state=replace(state, outbox={**state.outbox, seq: later}))


def rebind(state: State, ven_id: str) -> State:
    """Keep only opts after a new registration, under the new venID.

    Report requests died with the old registration (R406); the resynchronisation brings the events to be answered anew.
    """
    kept: dict[int, Owed] = {}
    for seq, owed in state.outbox.items():
        if isinstance(owed.message, CreateOpt):
            target = replace(owed.message.target, ven_ids=(ven_id,))
            kept[seq] = replace(owed, message=replace(owed.message, ven_id=ven_id, target=target))
        elif isinstance(owed.message, CancelOpt):
            kept[seq] = replace(owed, message=replace(owed.message, ven_id=ven_id))
    return replace(state, outbox=kept)
