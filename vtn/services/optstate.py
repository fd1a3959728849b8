"""Who decides about a resource in an event: the precedence of oadrCreatedEvent and oadrCreateOpt, pure.

Rule (R16, R17, R206): the answer of the VEN counts for every resource until an oadrCreateOpt qualifies it; from
then on only another oadrCreateOpt changes that resource, through every modification of the event. A 4xx answer is a
refusal whatever its optType says.
"""

from dataclasses import dataclass
from datetime import datetime

from openadr.model import OptType
from vtn.store.eventrows import EventResource, EventVen, OptSource


@dataclass(frozen=True, slots=True, kw_only=True)
class OptState:
    """The opt state in force and where it comes from; all ``None`` before any answer."""

    opt_type: OptType | None = None
    source: OptSource | None = None
    reason: str | None = None


def answered(state: EventVen) -> OptState:
    """Return what the VEN's oadrCreatedEvent said."""
    if state.answer is None:
        return OptState()
    refused = state.response_code is not None and not 200 <= state.response_code < 300
    return OptState(
        opt_type=OptType.OPT_OUT if refused else state.answer,
        source=OptSource.CREATED_EVENT,
        reason=state.response_description if refused else None,
    )


def of_ven(state: EventVen) -> OptState:
    """Return the state of a VEN as a whole."""
    if state.qualified is None:
        return answered(state)
    return OptState(opt_type=state.qualified, source=OptSource.CREATE_OPT, reason=state.qualified_reason)


def of_resource(state: EventVen, row: EventResource | None) -> OptState:
    """Return the state of one resource: its own qualification, else the VEN's."""
    if row is None or row.source is not OptSource.CREATE_OPT:
        return of_ven(state)
    return OptState(opt_type=row.opt_type, source=row.source, reason=row.reason)


def qualify_resources(
    state: EventVen, resource_ids: tuple[str, ...], given: OptState, opt_id: str, now: datetime
) -> tuple[EventResource, ...]:
    """Return the rows after an oadrCreateOpt for ``resource_ids``."""
    return tuple(
        EventResource(
            event_id=state.event_id,
            ven_id=state.ven_id,
            resource_id=resource_id,
            opt_type=given.opt_type,
            source=OptSource.CREATE_OPT,
            reason=given.reason,
            opt_id=opt_id,
            at=now,
        )
        for resource_id in resource_ids
    )


def release(rows: tuple[EventResource, ...]) -> tuple[EventResource, ...]:
    """Return the rows without own qualification: an oadrCreateOpt for the whole VEN takes their place."""
    return tuple(EventResource(event_id=row.event_id, ven_id=row.ven_id, resource_id=row.resource_id) for row in rows)
