"""Opts the VEN owes on behalf of its resources (EiOpt, R202-R209).

Rule: an opt that qualifies an event names the venID and the resources, carries neither schedule nor market context
(R206), and is never sent for an event received with ``never``.
"""

from collections.abc import Callable
from datetime import datetime

from openadr.errors import InvalidId, NotRegistered
from openadr.exchange import Service
from openadr.messages import CreateOpt
from openadr.model import EiTarget, OptType, QualifiedEventId, ResponseRequired
from ven import outbox
from ven.model import State


def qualify(
    state: State,
    *,
    event_id: str,
    modification_number: int,
    resource_ids: tuple[str, ...],
    opt_type: OptType,
    reason: str,
    now: datetime,
    new_id: Callable[[str], str],
) -> tuple[State, str]:
    """Owe an oadrCreateOpt for some resources of an event; return its optID, '' if the event was sent with ``never``.

    Raises ``NotRegistered`` without a registration and ``InvalidId`` for an unknown event.
    """
    held, stored = state.registration, state.events.get(event_id)
    if held is None:
        raise NotRegistered("not registered: an opt needs a venID (R208)")
    if stored is None:
        raise InvalidId(f"eventID {event_id} is not known", field="eventID")
    if stored.event.response_required is ResponseRequired.NEVER:
        return state, ""
    message = CreateOpt(
        opt_id=new_id("opt"),
        opt_type=opt_type,
        opt_reason=reason,
        ven_id=held.ven_id,
        created_date_time=now,
        request_id=new_id("req"),
        qualified_event_id=QualifiedEventId(event_id=event_id, modification_number=modification_number),
        target=EiTarget(ven_ids=(held.ven_id,), resource_ids=resource_ids),
    )
    return outbox.owe(state, Service.EI_OPT, message, now), message.opt_id
