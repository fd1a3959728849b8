"""EiOpt on the wire: oadrCreateOpt, oadrCancelOpt and their answers.

Rule: an absent vavailability is ``None`` and an empty one ``()``; that exactly one of schedule and event is there
(R206) is for the service to check, the schema takes both or neither. A window has a start and a length, nothing else of
what the schema lets stand beside them (R200).
"""

from openadr.errors import ComplianceError
from openadr.messages import CanceledOpt, CancelOpt, CreatedOpt, CreateOpt
from openadr.model import Availability, OptType
from openadr.wire.common import (
    COMPONENTS,
    CREATED_DATE_TIME,
    MARKET_CONTEXT,
    OPT_TYPE,
    PROPERTIES,
    QUALIFIED_EVENT_ID,
    REQUEST_ID,
    RESPONSE,
    VEN_ID,
    read_maybe_target,
    read_qualified_event_id,
    read_response,
    read_target,
    write_maybe_target,
    write_qualified_event_id,
    write_response,
    write_target,
)
from openadr.wire.xml import DURATION, Reader, Tag, write_dtstart

OPT_ID, _OPT_REASON, _TARGET = map(Tag, ("ei:optID", "ei:optReason", "ei:eiTarget"))
_VAVAILABILITY, _AVAILABLE, _DEVICE_CLASS = map(Tag, ("xcal:vavailability", "xcal:available", "oadr:oadrDeviceClass"))

_NOT_IN_SCHEDULES = tuple(map(Tag, ("xcal:tolerance", "ei:x-eiNotification", "ei:x-eiRampUp", "ei:x-eiRecovery")))


def encode_create_opt(message: CreateOpt) -> str:
    """Write the inside of oadrCreateOpt."""
    about = message.qualified_event_id
    return "".join(
        (
            OPT_ID.text(message.opt_id),
            OPT_TYPE.text(message.opt_type),
            _OPT_REASON.text(message.opt_reason),
            MARKET_CONTEXT.maybe(message.market_context),
            VEN_ID.text(message.ven_id),
            _write_schedule(message.vavailability),
            CREATED_DATE_TIME.instant(message.created_date_time),
            REQUEST_ID.text(message.request_id),
            "" if about is None else write_qualified_event_id(about.event_id, about.modification_number),
            write_target(_TARGET, message.target),
            write_maybe_target(_DEVICE_CLASS, message.device_class),
        )
    )


def decode_create_opt(root: Reader) -> CreateOpt:
    """Read oadrCreateOpt."""
    schedule, about = root.maybe_inside(_VAVAILABILITY), root.maybe_inside(QUALIFIED_EVENT_ID)
    return CreateOpt(
        opt_id=root.text(OPT_ID),
        opt_type=OptType(root.token(OPT_TYPE)),
        opt_reason=root.token(_OPT_REASON),
        ven_id=root.text(VEN_ID),
        created_date_time=root.instant(CREATED_DATE_TIME),
        request_id=root.text(REQUEST_ID),
        market_context=root.token(MARKET_CONTEXT) or None,
        vavailability=None if schedule is None else _read_schedule(schedule),
        qualified_event_id=None if about is None else read_qualified_event_id(about),
        target=read_target(root.inside(_TARGET).element),
        device_class=read_maybe_target(root, _DEVICE_CLASS),
    )


def _write_schedule(schedule: tuple[Availability, ...] | None) -> str:
    if schedule is None:
        return ""
    windows = (PROPERTIES(write_dtstart(one.dtstart), DURATION.duration(one.duration)) for one in schedule)
    return _VAVAILABILITY(COMPONENTS(*map(_AVAILABLE, windows)))


def _read_schedule(reader: Reader) -> tuple[Availability, ...]:
    return tuple(_read_window(one.inside(PROPERTIES)) for one in reader.inside(COMPONENTS).each(_AVAILABLE))


def _read_window(reader: Reader) -> Availability:
    for tag in _NOT_IN_SCHEDULES:
        if reader.maybe_inside(tag) is not None:
            raise ComplianceError(f"vavailability has {tag.local}, which is forbidden there (R200)", field=tag.local)
    return Availability(dtstart=reader.dtstart(), duration=reader.duration(DURATION))


def encode_created_opt(message: CreatedOpt) -> str:
    """Write the inside of oadrCreatedOpt."""
    return write_response(message.response) + OPT_ID.text(message.opt_id)


def decode_created_opt(root: Reader) -> CreatedOpt:
    """Read oadrCreatedOpt."""
    return CreatedOpt(response=read_response(root.inside(RESPONSE)), opt_id=root.text(OPT_ID))


def encode_cancel_opt(message: CancelOpt) -> str:
    """Write the inside of oadrCancelOpt."""
    return REQUEST_ID.text(message.request_id) + OPT_ID.text(message.opt_id) + VEN_ID.text(message.ven_id)


def decode_cancel_opt(root: Reader) -> CancelOpt:
    """Read oadrCancelOpt."""
    return CancelOpt(request_id=root.text(REQUEST_ID), opt_id=root.text(OPT_ID), ven_id=root.text(VEN_ID))


def encode_canceled_opt(message: CanceledOpt) -> str:
    """Write the inside of oadrCanceledOpt."""
    return write_response(message.response) + OPT_ID.maybe(message.opt_id)


def decode_canceled_opt(root: Reader) -> CanceledOpt:
    """Read oadrCanceledOpt."""
    return CanceledOpt(response=read_response(root.inside(RESPONSE)), opt_id=root.maybe(OPT_ID))
