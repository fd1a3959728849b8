"""Opts the VEN owes on behalf of its resources (EiOpt, R200-R211).

Rule: an opt that qualifies an event names the venID and the resources, carries neither schedule nor market context
(R206), and is never sent for an event received with ``never``. An opt schedule says ahead when resources take part or
do not; it has no tolerance (R200), a duration of zero is open-ended (R210), and it alone may be cancelled (R211).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from openadr.errors import InvalidId, NotRegistered
from openadr.exchange import Service
from openadr.messages import CancelOpt, CreateOpt
from openadr.model import Availability, EiTarget, OptType, QualifiedEventId, ResponseRequired
from ven import outbox
from ven.model import Registration, State


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOpt:
    """An opt of some resources in or out of one version of an event; ``reason`` is an ei:optReason."""

    event_id: str
    modification_number: int
    resource_ids: tuple[str, ...]
    opt_type: OptType
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOpt:
    """An opt of some resources in or out over ``windows``; ``market_context`` limits it to one programme (R205)."""

    windows: tuple[Availability, ...]
    resource_ids: tuple[str, ...]
    opt_type: OptType
    reason: str
    market_context: str | None = None


def _registered(state: State) -> Registration:
    if state.registration is None:
        raise NotRegistered("not registered: an opt needs a venID (R208)")
    return state.registration


def qualify(state: State, asked: EventOpt, *, now: datetime, new_id: Callable[[str], str]) -> tuple[State, str]:
    """Owe an oadrCreateOpt for some resources of an event; return its optID, '' if the event was sent with ``never``.

    Raises ``NotRegistered`` without a registration and ``InvalidId`` for an unknown event.
    """
    held, stored = _registered(state), state.events.get(asked.event_id)
    if stored is None:
        raise InvalidId(f"eventID {asked.event_id} is not known", field="eventID")
    if stored.event.response_required is ResponseRequired.NEVER:
        return state, ""
    message = CreateOpt(
        opt_id=new_id("opt"),
        opt_type=asked.opt_type,
        opt_reason=asked.reason,
        ven_id=held.ven_id,
        created_date_time=now,
        request_id=new_id("req"),
        qualified_event_id=QualifiedEventId(event_id=asked.event_id, modification_number=asked.modification_number),
        target=EiTarget(ven_ids=(held.ven_id,), resource_ids=asked.resource_ids),
    )
    return outbox.owe(state, Service.EI_OPT, message, now), message.opt_id


def schedule(state: State, asked: ScheduleOpt, *, now: datetime, new_id: Callable[[str], str]) -> tuple[State, str]:
    """Owe an oadrCreateOpt with a schedule; return its optID. Raises ``NotRegistered`` (R208)."""
    held = _registered(state)
    message = CreateOpt(
        opt_id=new_id("opt"),
        opt_type=asked.opt_type,
        opt_reason=asked.reason,
        ven_id=held.ven_id,
        created_date_time=now,
        request_id=new_id("req"),
        market_context=asked.market_context,
        vavailability=asked.windows,
        target=EiTarget(ven_ids=(held.ven_id,), resource_ids=asked.resource_ids),
    )
    return outbox.owe(state, Service.EI_OPT, message, now), message.opt_id


def cancel(state: State, *, opt_id: str, now: datetime, new_id: Callable[[str], str]) -> tuple[State, str]:
    """Owe an oadrCancelOpt for a schedule; return its optID. Raises ``NotRegistered``."""
    message = CancelOpt(request_id=new_id("req"), opt_id=opt_id, ven_id=_registered(state).ven_id)
    return outbox.owe(state, Service.EI_OPT, message, now), opt_id
