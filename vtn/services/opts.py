"""EiOpt at the VTN: the qualification of an event per resource, opt schedules, and their cancellation.

Rule: check first, then change; a qualification may only name resources of the event (R206), a new schedule takes
the place of earlier ones of its type for its resources (R203).
"""

from datetime import datetime

from openadr.errors import ComplianceError, InvalidId, NotAllowed, OutOfSequence, TargetMismatch
from openadr.messages import CanceledOpt, CancelOpt, CreatedOpt, CreateOpt
from openadr.model import EiTarget
from openadr.uris import normal
from vtn.services.availability import ends_at
from vtn.services.context import Contexts, Desk, done, short_id
from vtn.services.optsettings import check_device_class, check_schedule
from vtn.services.optstate import OptState, qualify_resources, release
from vtn.store.eventrows import Assignment, OptKind, OptSource
from vtn.store.programmes import OptRules
from vtn.store.rows import Resource, Ven
from vtn.store.store import Tx
from vtn.store.targets import device_classes


async def create_opt(tx: Tx, request: CreateOpt, ven: Ven, now: datetime, desk: Desk) -> CreatedOpt:
    """Answer oadrCreateOpt; one that is sent again, however late, is confirmed and changes nothing."""
    short_id(request.opt_id, "optID")
    if (request.vavailability is None) == (request.qualified_event_id is None):
        raise ComplianceError("exactly one of vavailability and qualifiedEventID is needed", field="oadrCreateOpt")
    if not await tx.opts.known(request):
        if request.qualified_event_id is not None:
            await _qualify(tx, request, ven, now)
        else:
            await _schedule(tx, request, ven, now, desk)
    return CreatedOpt(response=done(request.request_id), opt_id=request.opt_id)


async def _qualify(tx: Tx, request: CreateOpt, ven: Ven, now: datetime) -> None:
    found = await _qualifiable(tx, request, ven)
    known = await tx.vens.resources(ven_ids=(ven.ven_id,))
    named = _resources(request.target, ven, known)
    if request.device_class is not None and request.device_class.end_device_assets:
        named = await _of_classes(tx, request.device_class.end_device_assets, found, named, known)
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


async def _of_classes(
    tx: Tx,
    classes: tuple[str, ...],
    found: Assignment,
    named: tuple[str, ...] | None,
    known: tuple[Resource, ...],
) -> tuple[str, ...]:
    """Return those of the resources an opt names that have one of these device classes (R209)."""
    own = device_classes(await tx.targets.of_vens((found.state.ven_id,)))
    of_ven = own.get(None, frozenset())
    if named is None:
        named = tuple(each.resource_id for each in known) if found.state.whole_ven else found.resource_ids
    chosen = tuple(name for name in named if (own.get(name, frozenset()) | of_ven) & set(classes))
    if not chosen:
        text = "oadrDeviceClass: no resource of yours in the event is known to be of that class; name resources"
        raise TargetMismatch(text, field="oadrDeviceClass")
    return chosen


async def _qualifiable(tx: Tx, request: CreateOpt, ven: Ven) -> Assignment:
    """Return the event an opt qualifies; a number that is older than the present one is taken (the opt outlives it)."""
    assert request.qualified_event_id is not None  # noqa: S101  the caller's case
    qualified = request.qualified_event_id
    if request.market_context is not None:
        raise ComplianceError("marketContext is forbidden with qualifiedEventID (R206)", field="marketContext")
    check_device_class(request.device_class)
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


def _resources(target: EiTarget, ven: Ven, known: tuple[Resource, ...]) -> tuple[str, ...] | None:
    """Return the resources a target names, ``None`` for all. Raises ``TargetMismatch`` or ``InvalidId``."""
    if any(ven_id != ven.ven_id for ven_id in target.ven_ids):
        raise InvalidId("eiTarget names another venID", field="eiTarget")
    if target.names_all:
        return None
    if target != EiTarget(ven_ids=target.ven_ids, resource_ids=target.resource_ids, group_ids=target.group_ids):
        raise TargetMismatch("eiTarget: only venID, resourceID and groupID are understood", field="eiTarget")
    grouped = {each.resource_id for each in known if set(each.group_ids) & set(target.group_ids)}
    if target.group_ids and not grouped:
        raise TargetMismatch("eiTarget: no resource of yours is in that groupID", field="eiTarget")
    return tuple(sorted(grouped | {short_id(each, "resourceID") for each in target.resource_ids}))


def _lane(message: CreateOpt) -> tuple[str, frozenset[str]]:
    """Return what schedules must share to take each other's place: the programme (R205) and the device classes."""
    classes = () if message.device_class is None else message.device_class.end_device_assets
    return normal(message.market_context or ""), frozenset(classes)


def _displaces(request: CreateOpt, earlier: CreateOpt) -> bool:
    """True if a schedule takes the place of an earlier one of its type where both are about the same resources.

    One for some device classes leaves those for others, or for all, as they are.
    """
    context, classes = _lane(request)
    return _lane(earlier)[0] == context and classes in (frozenset(), _lane(earlier)[1])


async def _schedule(tx: Tx, request: CreateOpt, ven: Ven, now: datetime, desk: Desk) -> None:
    rules = await _rules(tx, request, desk)
    check_schedule(request, rules)
    known = await tx.vens.resources(ven_ids=(ven.ven_id,))
    named = _resources(request.target, ven, known)
    windows = request.vavailability or ()
    for earlier in await tx.opts.schedules(ven.ven_id, str(request.opt_type), now):
        message = earlier.message
        if not _displaces(request, message):
            continue
        if named is None:
            await tx.opts.supersede(earlier.row_id, None, now)
            continue
        old = _resources(message.target, ven, known) if _still_valid(message.target, known) else ()
        if old is not None and not set(old) & set(named):
            continue
        taken = set(earlier.superseded_for) | set(named)
        await tx.opts.supersede(earlier.row_id, None if old is not None and set(old) <= taken else taken, now)
    in_force = await tx.opts.in_force(ven.ven_id, now)
    if in_force.schedules >= desk.opts.schedules or in_force.windows + len(windows) > desk.opts.windows:
        raise NotAllowed("too many schedules are in force; cancel some or wait for their ends", field="vavailability")
    await tx.opts.add(request, OptKind.SCHEDULE, now, ends_at(windows))


async def _rules(tx: Tx, request: CreateOpt, desk: Desk) -> OptRules | None:
    """Return what the programme of a schedule says (R201), ``None`` without programme. Raises ``TargetMismatch``."""
    if request.market_context is None:
        return None
    programme = await tx.programmes.get(request.market_context)
    if programme is None and desk.contexts is Contexts.LISTED:
        text = f"marketContext {request.market_context[:200]!r} is not one of this VTN"
        raise TargetMismatch(text, field="marketContext")
    return None if programme is None else programme.terms.opts


def _still_valid(target: EiTarget, known: tuple[Resource, ...]) -> bool:
    """True unless a target names groups that have no resource any more."""
    groups = {group for each in known for group in each.group_ids}
    return not target.group_ids or bool(groups & set(target.group_ids)) or target.names_all


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
