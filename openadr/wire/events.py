"""EiEvent on the wire: oadrRequestEvent, oadrDistributeEvent and oadrCreatedEvent.

Rule: an event that cannot be kept (a time that is not UTC, a duration over a century) is read as ``UnreadableEvent``,
so that it can be answered and does not spoil the other events (R19).
"""

from openadr.errors import OadrError
from openadr.messages import (
    CreatedEvent,
    DistributeEvent,
    EiResponse,
    EventResponse,
    RequestEvent,
    UnreadableEvent,
)
from openadr.model import Event, OptType
from openadr.wire.common import (
    OPT_TYPE,
    QUALIFIED_EVENT_ID,
    REQUEST_ID,
    RESPONSE,
    RESPONSE_CODE,
    RESPONSE_DESCRIPTION,
    VEN_ID,
    VTN_ID,
    read_qualified_event_id,
    read_response,
    write_qualified_event_id,
    write_response,
)
from openadr.wire.event_data import OADR_EVENT, read_event, read_unreadable, write_event
from openadr.wire.xml import Reader, Tag

_REQUEST, _CREATED = Tag("pyld:eiRequestEvent"), Tag("pyld:eiCreatedEvent")
_REPLY_LIMIT = Tag("pyld:replyLimit")
_EVENT_RESPONSES, _EVENT_RESPONSE = Tag("ei:eventResponses"), Tag("ei:eventResponse")


def encode_request_event(message: RequestEvent) -> str:
    """Write the inside of oadrRequestEvent."""
    return _REQUEST(
        REQUEST_ID.text(message.request_id), VEN_ID.text(message.ven_id), _REPLY_LIMIT.integer(message.reply_limit)
    )


def decode_request_event(root: Reader) -> RequestEvent:
    """Read oadrRequestEvent."""
    inner = root.inside(_REQUEST)
    return RequestEvent(
        request_id=inner.text(REQUEST_ID), ven_id=inner.text(VEN_ID), reply_limit=inner.maybe_integer(_REPLY_LIMIT)
    )


def encode_created_event(message: CreatedEvent) -> str:
    """Write the inside of oadrCreatedEvent."""
    responses = "".join(_write_event_response(response) for response in message.event_responses)
    return _CREATED(
        write_response(message.response),
        _EVENT_RESPONSES(responses) if responses else "",
        VEN_ID.text(message.ven_id),
    )


def decode_created_event(root: Reader) -> CreatedEvent:
    """Read oadrCreatedEvent; absent and empty eventResponses are the same."""
    inner = root.inside(_CREATED)
    responses = inner.maybe_inside(_EVENT_RESPONSES)
    return CreatedEvent(
        response=read_response(inner.inside(RESPONSE)),
        ven_id=inner.text(VEN_ID),
        event_responses=tuple(map(_read_event_response, responses.each(_EVENT_RESPONSE))) if responses else (),
    )


def _write_event_response(response: EventResponse) -> str:
    return _EVENT_RESPONSE(
        RESPONSE_CODE.text(f"{response.response_code:03d}"),
        RESPONSE_DESCRIPTION.maybe(response.response_description),
        REQUEST_ID.text(response.request_id),
        write_qualified_event_id(response.event_id, response.modification_number),
        OPT_TYPE.text(response.opt_type),
    )


def _read_event_response(reader: Reader) -> EventResponse:
    about = read_qualified_event_id(reader.inside(QUALIFIED_EVENT_ID))
    return EventResponse(
        request_id=reader.text(REQUEST_ID),
        event_id=about.event_id,
        modification_number=about.modification_number,
        opt_type=OptType(reader.token(OPT_TYPE)),
        response_code=reader.integer(RESPONSE_CODE),
        response_description=reader.maybe(RESPONSE_DESCRIPTION),
    )


def encode_distribute_head(request_id: str, vtn_id: str, response: EiResponse | None) -> str:
    """Write what stands before the events in oadrDistributeEvent."""
    before, after = encode_distribute_head_apart(vtn_id, response)
    return before + REQUEST_ID.text(request_id) + after


def encode_distribute_head_apart(vtn_id: str, response: EiResponse | None) -> tuple[str, str]:
    """Write what stands before the requestID in oadrDistributeEvent, and what stands between it and the events."""
    return "" if response is None else write_response(response), VTN_ID.text(vtn_id)


def encode_distribute_event(message: DistributeEvent) -> str:
    """Write the inside of oadrDistributeEvent."""
    head = encode_distribute_head(message.request_id, message.vtn_id, message.response)
    return head + "".join(map(write_event, message.events))


def decode_distribute_event(root: Reader) -> DistributeEvent:
    """Read oadrDistributeEvent."""
    response = root.maybe_inside(RESPONSE)
    events, unreadable = list[Event](), list[UnreadableEvent]()
    for each in root.each(OADR_EVENT):
        try:
            events.append(read_event(each))
        except OadrError as error:
            unreadable.append(read_unreadable(each, error))
    return DistributeEvent(
        request_id=root.text(REQUEST_ID),
        vtn_id=root.text(VTN_ID),
        events=tuple(events),
        response=None if response is None else read_response(response),
        unreadable=tuple(unreadable),
    )
