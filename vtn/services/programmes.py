"""Programmes: what an event of a market context may be.

Rule: a programme only narrows what the standard allows; a refusal names the field and the term. A market context that
is not set up is free to use unless the VTN takes listed ones only (``[vtn] programmes``).
"""

from datetime import UTC, datetime

from openadr.errors import InvalidData, NotAllowed, OadrError, SignalNotSupported, TargetMismatch
from openadr.model import ActivePeriod, Event, SignalName, SignalType
from openadr.times import Duration, whole_second
from vtn.services.context import Contexts, Desk
from vtn.store.programmes import Programme, SignalPair, Terms
from vtn.store.store import Tx

_FREE = Terms()
TARGET_KINDS = ("venID", "resourceID", "groupID", "partyID", "area")
_NAME_LENGTH = 255  # characters


async def programme_of(tx: Tx, uri: str, desk: Desk) -> Programme | None:
    """Return the programme of a market context. Raises ``TargetMismatch`` (462) if it has to be listed and is not."""
    programme = await tx.programmes.get(uri)
    if programme is None and desk.contexts is Contexts.LISTED:
        raise TargetMismatch(
            f"marketContext {uri[:200]!r} is not set up, and this VTN takes no others", field="marketContext"
        )
    return programme


def terms_of(programme: Programme | None) -> Terms:
    """Return the terms of a programme; without one everything is allowed."""
    return _FREE if programme is None else programme.terms


def check_terms(terms: Terms, event: Event, kinds: tuple[str, ...], since: datetime | None) -> None:
    """Check an event against its programme; ``since`` is when it is announced, ``None``: its start was known before.

    Raises an ``OadrError`` that names the field and the term.
    """
    fault = _fault(terms, event, kinds, since)
    if fault is not None:
        raise fault


def _fault(terms: Terms, event: Event, kinds: tuple[str, ...], since: datetime | None) -> OadrError | None:
    priority, period = event.descriptor.priority, event.active_period
    if terms.test_events_only and not event.descriptor.is_test:
        return _refused("testEvent", "this programme has test events only (testEventsOnly)")
    if terms.priorities and priority not in terms.priorities:
        return _refused("priority", f"must be one of {list(terms.priorities)}, not {priority} (priorities)")
    for kind in kinds:
        if terms.targets and kind not in terms.targets:
            text = f"targets.{kind}: this programme takes targets by {list(terms.targets)} only (targets)"
            return TargetMismatch(text, field=f"targets.{kind}")
    for signal in event.signals:
        if not _allowed(terms.signals, signal.signal_name, signal.signal_type):
            text = f"{signal.signal_name}/{signal.signal_type} is no signal of this programme (signals)"
            return SignalNotSupported(text, field="signals.signalName")
    return _time_fault(terms, period, since)


def _time_fault(terms: Terms, period: ActivePeriod, since: datetime | None) -> OadrError | None:
    longest, least = terms.max_duration, terms.min_notification
    if longest is not None and (period.end is None or period.end > _end(period, longest)):
        return _refused("duration", f"at most {longest}, and never open-ended (maxDuration)")
    if least is not None and since is not None and least.after(whole_second(since)) > period.dtstart:
        return _refused("dtstart", f"must be announced at least {least} ahead (minNotification)")
    return None


def _end(period: ActivePeriod, longest: Duration) -> datetime:
    try:
        return longest.after(period.dtstart)
    except (OverflowError, ValueError):
        return datetime.max.replace(tzinfo=UTC)


def _allowed(pairs: tuple[SignalPair, ...], name: str, kind: SignalType) -> bool:
    return not pairs or any(each.signal_name == name and each.signal_type in (None, kind) for each in pairs)


def _refused(field: str, text: str) -> InvalidData:
    return InvalidData(f"{field}: {text}", field=field)


def check_programme(programme: Programme) -> None:
    """Check what an operator lays down. Raises ``InvalidData`` naming the field."""
    terms = programme.terms
    if not 0 < len(programme.name) <= _NAME_LENGTH:
        raise _refused("name", f"1 to {_NAME_LENGTH} characters")
    for kind in terms.targets:
        if kind not in TARGET_KINDS:
            raise _refused("targets", f"{kind!r} is none of {list(TARGET_KINDS)}")
    for pair in terms.signals:
        if not pair.signal_name.startswith("x-") and pair.signal_name not in set(SignalName):
            raise _refused("signals", f"{pair.signal_name!r} is no signalName")
        if pair.signal_type is not None and pair.signal_type not in set(SignalType):
            raise _refused("signals", f"{pair.signal_type!r} is no signalType")
    for name, length in (("maxDuration", terms.max_duration), ("minNotification", terms.min_notification)):
        if length is not None and not _positive(length):
            raise _refused(name, "must be longer than nothing")


def _positive(length: Duration) -> bool:
    return (length.months > 0 or length.seconds > 0) and length.months >= 0 and length.seconds >= 0


async def drop(tx: Tx, uri: str) -> bool:
    """Forget a programme; false if there was none. Events published under it stay."""
    return await tx.programmes.drop(uri)


async def lay_down(tx: Tx, programme: Programme, *, new: bool) -> None:
    """Write a programme. Raises ``NotAllowed`` if a new one is there already."""
    check_programme(programme)
    if new and await tx.programmes.get(programme.market_context) is not None:
        raise NotAllowed(f"marketContext {programme.market_context[:200]!r} is set up already", field="marketContext")
    await tx.programmes.put(programme)
