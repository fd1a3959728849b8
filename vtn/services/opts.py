"""EiOpt at the VTN: the qualification of an event per resource, opt schedules, and their cancellation.

Rule: check first, then change; a qualification may only name resources of the event (R206), a new schedule takes
the place of earlier ones of its type for its resources (R203).
"""

from datetime import datetime

from openadr.errors import ComplianceError, InvalidId, NotAllowed, OutOfSequence, TargetMismatch
from openadr.messages import CanceledOpt, CancelOpt, CreatedOpt, CreateOpt
from openadr.model import EiTarget
from openadr.uris import normal
from vtn.services.context import Desk, done, short_id
from vtn.services.optstate import OptState, qualify_resources, release
from vtn.store.rows import Assignment, OptKind, OptSource, Ven
from vtn.store.store import Tx


async def create_opt(tx: Tx, request: CreateOpt, ven: Ven, now: datetime, _desk: Desk) -> CreatedOpt:
    """Answer oadrCreateOpt."""
    short_id(request.opt_id, "optID")
    if (request.vavailability is None) == (request.qualified_event_id is None):
        raise ComplianceError("exactly one of vavailability and qualifiedEventID is needed", field="oadrCreateOpt")
    if request.qualified_event_id is not None:
        await _qualify(tx, request, ven, now)
    else:
        await _schedule(tx, request, ven, now)
    return CreatedOpt(response=done(request.request_id), opt_id=request.opt_id)


async def _qualify(tx: Tx, request: CreateOpt, ven: Ven, now: datetime) -> None:
    found = await _qualifiable(tx, request, ven)
    named = await _resources(tx, request.target, ven)
    given = OptState(opt_type=request.opt_type, source=OptSource.CREATE_OPT, reason=request.opt_reason)
    event_id = found.stored.event_id
    if named is None:
        rows = await tx.events.resource_states(event_id, ven.ven_id)
        await tx.events.set_resources(release(rows))
        await tx.events.set_state(
            event_id, ven.ven_id, qualified=str(request.opt_type), qualified_reason=request.opt_reason
        )
    else:
        foreign = [] if found.state.whole_ven else sorted(set(named) - set(found.resource_ids))
        if foreign:
            raise TargetMismatch(f"resourceID {foreign[0]!r} is not a target of the event (R206)", field="eiTarget")
        await tx.events.set_resources(qualify_resources(found.state, named, given, request.opt_id, now))
    await tx.opts.add(request, OptKind.EVENT, now)


async def _qualifiable(tx: Tx, request: CreateOpt, ven: Ven) -> Assignment:
    """Return the event an opt qualifies; a number that is older than the present one is taken (the opt outlives it)."""
    assert request.qualified_event_id is not None  # noqa: S101  the caller's case
    qualified = request.qualified_event_id
    if request.market_context is not None:
        raise ComplianceError("marketContext is forbidden with qualifiedEventID (R206)", field="marketContext")
    if request.device_class is not None and request.device_class.end_device_assets:
        raise TargetMismatch("oadrDeviceClass: name resources instead", field="oadrDeviceClass")
    found = await tx.events.one_of_ven(ven.ven_id, qualified.event_id)
    if found is None:
        raise InvalidId(f"eventID {qualified.event_id[:80]!r} is not an event of yours", field="eventID")
    if not 0 <= qualified.modification_number <= found.stored.modification_number:
        number = found.stored.modification_number
        raise OutOfSequence(
            f"modificationNumber is {number}, not {qualified.modification_number}", field="modificationNumber"
        )
    if not found.stored.always:
        raise NotAllowed("the event has oadrResponseRequired never (R206)", field="qualifiedEventID")
    return found


async def _resources(tx: Tx, target: EiTarget, ven: Ven) -> tuple[str, ...] | None:
    """Return the resources a target names, ``None`` for all. Raises ``TargetMismatch`` or ``InvalidId``."""
    if any(ven_id != ven.ven_id for ven_id in target.ven_ids):
        raise InvalidId("eiTarget names another venID", field="eiTarget")
    if target.names_all:
        return None
    if target != EiTarget(ven_ids=target.ven_ids, resource_ids=target.resource_ids, group_ids=target.group_ids):
        raise TargetMismatch("eiTarget: only venID, resourceID and groupID are understood", field="eiTarget")
    known = await tx.vens.resources(ven_ids=(ven.ven_id,))
    grouped = {each.resource_id for each in known if set(each.group_ids) & set(target.group_ids)}
    if target.group_ids and not grouped:
        raise TargetMismatch("eiTarget: no resource of yours is in that groupID", field="eiTarget")
    return tuple(sorted(grouped | {short_id(each, "resourceID") for each in target.resource_ids}))


def _context(message: CreateOpt) -> str:
    return normal(message.market_context or "")


async def _schedule(tx: Tx, request: CreateOpt, ven: Ven, now: datetime) -> None:
    if not request.vavailability:
        raise ComplianceError("vavailability without available", field="vavailability")
    if any(each.duration.seconds < 0 or each.duration.months < 0 for each in request.vavailability):
        raise ComplianceError("vavailability: negative duration", field="duration")
    named = await _resources(tx, request.target, ven)
    for earlier in await tx.opts.schedules(ven.ven_id, str(request.opt_type)):
        message = earlier.message
        if message == request or _context(message) != _context(request):
            continue
        if named is None:
            await tx.opts.supersede(earlier.row_id, None, now)
            continue
        old = await _resources(tx, message.target, ven)
        if old is not None and not set(old) & set(named):
            continue
        taken = set(earlier.superseded_for) | set(named)
        await tx.opts.supersede(earlier.row_id, None if old is not None and set(old) <= taken else taken, now)
    await tx.opts.add(request, OptKind.SCHEDULE, now)


async def cancel_opt(tx: Tx, request: CancelOpt, ven: Ven, now: datetime, _desk: Desk) -> CanceledOpt:
    """Answer oadrCancelOpt: every schedule with the optID ends; superseded ones are no error (R204, R211)."""
    found = await tx.opts.of_id(ven.ven_id, request.opt_id)
    if not found:
        raise InvalidId(f"optID {request.opt_id[:80]!r} is not an opt of yours", field="optID")
    schedules = [each.row_id for each in found if each.kind is OptKind.SCHEDULE]
    if not schedules:
        raise NotAllowed("an event qualification cannot be cancelled (R211); send another oadrCreateOpt", field="optID")
    await tx.opts.cancel(schedules, now)
    return CanceledOpt(response=done(request.request_id), opt_id=request.opt_id)
