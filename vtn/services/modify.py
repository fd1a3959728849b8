"""Changing an event that is far, near or active: the next version, and who has it, has it no more, or has it anew.

Rule (R20): what lies in the past does not change: not the start and what belongs to it once the event is active, not
the values that have applied. Everything else may, with modificationNumber one higher (R5). A VEN that is no target
any more gets the event cancelled with that number (R10); the others answer again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from openadr.errors import NotAllowed
from openadr.model import ActivePeriod, Baseline, Event, EventDescriptor, EventStatus, Interval, Signal
from openadr.timeline import pieces, status
from openadr.times import whole_second
from vtn.services.admission import admit
from vtn.services.context import Desk
from vtn.services.drafts import Draft, NewId, build
from vtn.services.programmes import check_terms, programme_of, terms_of
from vtn.services.publish import check_number, check_published, new_states, stored_event, told_until
from vtn.services.targets import Audience, resolve
from vtn.store.eventrows import EventResource, EventVen, StoredEvent
from vtn.store.store import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A draft that takes the place of an event, if that still has the version ``expected``."""

    draft: Draft
    expected: int | None = None
    reason: str | None = None


def modified(old: Event, draft: Draft, now: datetime, new_id: NewId, reason: str | None = None) -> Event:
    """Return the next version of an event. Raises ``NotAllowed`` (451) naming what lies in the past.

    Without ``dtstart`` and ``response_required`` the draft keeps the event's. Signals keep their signalID while name
    and type stay.
    """
    state = status(old, now)
    if state in (EventStatus.CANCELLED, EventStatus.COMPLETED):
        raise NotAllowed(f"the event is {state}; publish another one", field="eventID")
    asked = replace(
        draft,
        dtstart=draft.dtstart or old.active_period.dtstart,
        response_required=draft.response_required or old.response_required,
    )
    built = build(asked, now, new_id)
    new = replace(
        built,
        descriptor=_descriptor(old.descriptor, built.descriptor, now, reason),
        signals=_with_known_ids(old.signals, built.signals),
        baseline=_with_known_id(old.baseline, built.baseline),
    )
    if state is EventStatus.ACTIVE:
        _check_past(old, new, now)
    elif new.active_period.dtstart < whole_second(now):
        raise NotAllowed("dtstart: an event that has not begun cannot begin in the past", field="dtstart")
    return new


def _descriptor(old: EventDescriptor, asked: EventDescriptor, now: datetime, reason: str | None) -> EventDescriptor:
    return replace(
        asked,
        event_id=old.event_id,
        modification_number=old.modification_number + 1,
        modification_date_time=whole_second(now),
        modification_reason=reason,
        created_date_time=old.created_date_time,
    )


def _with_known_ids(old: tuple[Signal, ...], new: tuple[Signal, ...]) -> tuple[Signal, ...]:
    """Give signals the ids they had: to the same unit and device classes first, then to the same name and type."""
    left = list(old)
    ids: dict[int, str] = {}
    for alike in (_signal_key, _signal_name):
        for index, signal in enumerate(new):
            same = next((each for each in left if alike(each) == alike(signal)), None)
            if index not in ids and same is not None:
                ids[index] = same.signal_id
                left.remove(same)
    return tuple(replace(each, signal_id=ids.get(index, each.signal_id)) for index, each in enumerate(new))


def _signal_key(signal: Signal) -> tuple[object, ...]:
    return (signal.signal_name, signal.signal_type, signal.item_base, signal.target)


def _signal_name(signal: Signal) -> tuple[object, ...]:
    return (signal.signal_name, signal.signal_type)


def _with_known_id(old: Baseline | None, new: Baseline | None) -> Baseline | None:
    return new if old is None or new is None else replace(new, baseline_id=old.baseline_id)


def _check_past(old: Event, new: Event, now: datetime) -> None:
    """Check that an active event keeps what has happened (R20)."""
    before, after = old.active_period, new.active_period
    fixed = (
        ("dtstart", before.dtstart, after.dtstart),
        ("startafter", before.startafter, after.startafter),
        ("notification", before.notification, after.notification),
        ("rampUp", before.ramp_up, after.ramp_up),
        ("marketContext", old.descriptor.market_context, new.descriptor.market_context),
        ("testEvent", old.descriptor.is_test, new.descriptor.is_test),
    )
    for field, was, wanted in fixed:
        if was != wanted:
            raise NotAllowed(f"{field}: the event is active, this lies in the past (R20)", field=field)
    if after.end is not None and after.end <= now:
        raise NotAllowed("duration: the end would lie in the past (R20); cancel the event instead", field="duration")
    known = {each.signal_id: each for each in old.signals}
    if {each.signal_id for each in new.signals} != known.keys():
        text = "signals: the event is active, signals cannot be added or taken away (R20)"
        raise NotAllowed(text, field="signals")
    for signal in new.signals:
        was_signal = known[signal.signal_id]
        if _signal_key(was_signal) != _signal_key(signal):
            raise NotAllowed(f"signals: unit and device class of {signal.signal_name} are fixed (R20)", field="signals")
        if _history(was_signal.intervals, before, now) != _history(signal.intervals, after, now):
            raise NotAllowed(
                f"signals: a value of {signal.signal_name} before {whole_second(now)} would change (R20)",
                field="signals.intervals",
            )
    if _baseline_history(old.baseline, now) != _baseline_history(new.baseline, now):
        raise NotAllowed("baseline: a value that lies in the past would change (R20)", field="baseline")


def _history(
    intervals: tuple[Interval, ...], period: ActivePeriod, now: datetime
) -> tuple[tuple[datetime, float], ...]:
    """Return the values that have applied until ``now``, each with its beginning; equal neighbours are one."""
    found: list[tuple[datetime, float]] = []
    for piece in pieces(intervals, period):
        if piece.start < now and (not found or found[-1][1] != piece.value):
            found.append((piece.start, piece.value))
    return tuple(found)


def _baseline_history(baseline: Baseline | None, now: datetime) -> tuple[tuple[datetime, float], ...]:
    if baseline is None:
        return ()
    return _history(baseline.intervals, ActivePeriod(dtstart=baseline.dtstart, duration=baseline.duration), now)


async def modify(tx: Tx, event_id: str, change: Change, now: datetime, desk: Desk, actor: str) -> StoredEvent | None:
    """Write the next version of an event and tell every VEN concerned; ``None`` if unknown, no version if all is equal.

    Raises ``OutOfSequence`` if the event has changed meanwhile, and what ``modified`` and ``publish`` raise.
    """
    stored = await tx.events.for_change(event_id)
    if stored is None:
        return None
    check_number(stored, change.expected)
    old = stored.event
    event = modified(old, change.draft, now, desk.new_id, change.reason)
    terms = terms_of(await programme_of(tx, event.descriptor.market_context, desk))
    check_published(event)
    moved = event.active_period.dtstart != old.active_period.dtstart
    check_terms(terms, event, change.draft.target_kinds(), now if moved else None)
    audience = await admit(tx, event, await resolve(tx, event))
    states = {each.ven_id: each for each in await tx.events.states(event_id)}
    resources = await tx.events.resource_states(event_id)
    move = moves(states, _named(resources), audience, event_id, now)
    if equal(old, event) and not move.anything:
        return stored
    written = stored_event(event, created_at=stored.created_at, modified_at=now)
    await tx.events.put(written, actor)
    number = event.descriptor.modification_number
    await tx.events.withdraw(event_id, move.gone, number, now, told_until(stored.payload_end, now))
    await tx.events.reassign(move.changed, audience.resources, resources)
    await tx.events.modified(event_id, now, answers_again=True)
    return written


def equal(old: Event, new: Event) -> bool:
    """True if nothing that a VEN would act on differs."""
    same = replace(
        new.descriptor,
        modification_number=old.descriptor.modification_number,
        modification_date_time=old.descriptor.modification_date_time,
        modification_reason=old.descriptor.modification_reason,
    )
    return replace(new, descriptor=same) == old


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What a modification does to VENs: these are left out, those have it anew or with other resources."""

    gone: tuple[str, ...]
    changed: tuple[EventVen, ...]

    @property
    def anything(self) -> bool:
        """True if any VEN is concerned."""
        return bool(self.gone or self.changed)


def moves(
    states: Mapping[str, EventVen],
    named: Mapping[str, tuple[str, ...]],
    audience: Audience,
    event_id: str,
    now: datetime,
) -> Moves:
    """Return how the VENs of an event change with its audience. Pure."""
    present = {ven_id for ven_id, state in states.items() if state.withdrawn is None}
    changed: list[EventVen] = []
    for new in new_states(event_id, audience, now):
        old = states.get(new.ven_id)
        if old is None:
            changed.append(new)
        elif old.withdrawn is not None:
            changed.append(replace(new, qualified=old.qualified, qualified_reason=old.qualified_reason))
        elif (old.whole_ven, old.parts, () if old.whole_ven else named.get(new.ven_id, ())) != (
            new.whole_ven,
            new.parts,
            audience.resources.get(new.ven_id, ()),
        ):
            changed.append(replace(old, whole_ven=new.whole_ven, parts=new.parts))
    return Moves(gone=tuple(sorted(present - audience.ven_ids)), changed=tuple(changed))


def _named(rows: tuple[EventResource, ...]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.ven_id, []).append(row.resource_id)
    return {ven_id: tuple(sorted(names)) for ven_id, names in found.items()}
