"""The 23 roots: which codec belongs to which message, the envelope, and the joining of events rendered beforehand.

Rule: ``decode`` gives only messages that passed the hardened parser and the official XSD; ``encode`` gives a complete
oadrPayload whose body is canonical XML. Both are pure functions of their arguments.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lxml import etree

from openadr import messages as m
from openadr.messages import Message
from openadr.model import EiTarget, Event
from openadr.wire import event_data, events, opts, polling, registration, reports
from openadr.wire.common import REQUEST_ID, VEN_ID
from openadr.wire.parsing import MAX_BYTES, kind_of, parse, payload
from openadr.wire.xml import DECLARATIONS, ID_MARK, Reader

_CODECS: dict[type[Message], tuple[Callable[[Any], str], Callable[[Reader], Message]]] = {
    m.QueryRegistration: (registration.encode_query_registration, registration.decode_query_registration),
    m.CreatePartyRegistration: (
        registration.encode_create_party_registration,
        registration.decode_create_party_registration,
    ),
    m.CreatedPartyRegistration: (
        registration.encode_created_party_registration,
        registration.decode_created_party_registration,
    ),
    m.CancelPartyRegistration: (
        registration.encode_cancel_party_registration,
        registration.decode_cancel_party_registration,
    ),
    m.CanceledPartyRegistration: (
        registration.encode_canceled_party_registration,
        registration.decode_canceled_party_registration,
    ),
    m.RequestReregistration: (registration.encode_request_reregistration, registration.decode_request_reregistration),
    m.RequestEvent: (events.encode_request_event, events.decode_request_event),
    m.DistributeEvent: (events.encode_distribute_event, events.decode_distribute_event),
    m.CreatedEvent: (events.encode_created_event, events.decode_created_event),
    m.RegisterReport: (reports.encode_register_report, reports.decode_register_report),
    m.RegisteredReport: (reports.encode_registered_report, reports.decode_registered_report),
    m.CreateReport: (reports.encode_create_report, reports.decode_create_report),
    m.CreatedReport: (reports.encode_created_report, reports.decode_created_report),
    m.CancelReport: (reports.encode_cancel_report, reports.decode_cancel_report),
    m.CanceledReport: (reports.encode_canceled_report, reports.decode_canceled_report),
    m.UpdateReport: (reports.encode_update_report, reports.decode_update_report),
    m.UpdatedReport: (reports.encode_updated_report, reports.decode_updated_report),
    m.CreateOpt: (opts.encode_create_opt, opts.decode_create_opt),
    m.CreatedOpt: (opts.encode_created_opt, opts.decode_created_opt),
    m.CancelOpt: (opts.encode_cancel_opt, opts.decode_cancel_opt),
    m.CanceledOpt: (opts.encode_canceled_opt, opts.decode_canceled_opt),
    m.Poll: (polling.encode_poll, polling.decode_poll),
    m.Response: (polling.encode_response, polling.decode_response),
}
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_OPEN = {
    kind: f"{_DECLARATION}<oadr:oadrPayload{DECLARATIONS}><oadr:oadrSignedObject>"
    f'<oadr:oadr{kind.__name__} ei:schemaVersion="2.0b">'
    for kind in _CODECS
}
_CLOSE = {kind: f"</oadr:oadr{kind.__name__}></oadr:oadrSignedObject></oadr:oadrPayload>" for kind in _CODECS}
_MARK = ID_MARK.encode()
_CUT = b"\x01"  # where a target belongs; cannot occur in text


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What an error answer needs of a message whose content could not be taken."""

    kind: type[Message]
    request_id: str
    ven_id: str | None
    opt_id: str


def root_name(message: Message) -> str:
    """Return the element name of a message, for example ``oadrPoll``."""
    return f"oadr{type(message).__name__}"


def decode(data: bytes, *, max_bytes: int = MAX_BYTES) -> Message:
    """Read a message, wrapped in oadrPayload or bare.

    Raises a ``WireError`` if the bytes are no 2.0b message at all, and an ``OadrError`` for content that the schema
    lets pass and that has no meaning: NaN or INF (454), a duration over a century (454), a time that is not UTC (459).
    The answer to the latter is made from ``outline``.
    """
    return read(payload(parse(data, max_bytes=max_bytes)))


def read(element: etree._Element) -> Message:
    """Read the message of a payload element of a schema-valid tree without comments. Raises as ``decode`` does."""
    return _CODECS[kind_of(element)][1](Reader(element))


def outline(data: bytes, *, max_bytes: int = MAX_BYTES) -> Outline:
    """Read only type, requestID, venID and optID. Raises ``WireError`` as ``decode`` does."""
    return outline_of(payload(parse(data, max_bytes=max_bytes)))


def outline_of(element: etree._Element) -> Outline:
    """Read only type, requestID, venID and optID of a payload element."""
    requests = element.iter(REQUEST_ID.clark)
    return Outline(
        kind=kind_of(element),
        request_id=next((request.text or "" for request in requests), ""),
        ven_id=element.findtext(VEN_ID.clark) or element.findtext(f"*/{VEN_ID.clark}") or None,
        opt_id=element.findtext(opts.OPT_ID.clark) or "",
    )


def encode(message: Message) -> bytes:
    """Write a message as a complete oadrPayload in UTF-8. Raises ``InvalidData`` for content XML cannot carry."""
    kind = type(message)
    return _number(f"{_OPEN[kind]}{_CODECS[kind][0](message)}{_CLOSE[kind]}".encode())


def encode_event(event: Event) -> bytes:
    """Render one oadrEvent for ``join_distribute``; the bytes are not a document of their own."""
    return event_data.write_event(event).encode()


def join_distribute(
    request_id: str,
    vtn_id: str,
    response: m.EiResponse | None,
    rendered: Iterable[bytes],
    *,
    created: datetime | None = None,
) -> bytes:
    """Write an oadrDistributeEvent from events rendered by ``encode_event``, in this order.

    ``created`` replaces the createdDateTime of every event: it has to be the same in all events of a payload (R115).
    """
    parts = rendered if created is None else (event_data.stamp(one, created) for one in rendered)
    head = _OPEN[m.DistributeEvent] + events.encode_distribute_head(request_id, vtn_id, response)
    return _number(b"".join((head.encode(), *parts, _CLOSE[m.DistributeEvent].encode())))


@dataclass(frozen=True, slots=True)
class PayloadFrame:
    """An oadrDistributeEvent rendered but for the requestID and the targets of its events."""

    before: bytes  # up to the requestID
    between: tuple[bytes, ...]  # from there to the first target, between the targets, and the rest

    def around(self, request_id: str, target: bytes) -> bytes:
        """Return the whole if all the events have this target, as ``encode_target`` writes it."""
        return b"%b%b%b" % (self.before, self.request(request_id), target.join(self.between))

    def around_each(self, request_id: str, targets: Sequence[bytes]) -> bytes:
        """Return the whole if each event has its own target."""
        parts = [part for pair in zip(self.between, [*targets, b""], strict=True) for part in pair]
        return b"".join((self.before, self.request(request_id), *parts))

    def request(self, request_id: str) -> bytes:
        """Return what stands between ``before`` and ``between``."""
        return REQUEST_ID.text(request_id).encode()


def encode_target(ven_id: str, resource_ids: tuple[str, ...]) -> bytes:
    """Render the target that a VEN sees in its events: itself and resources of its own."""
    return event_data.write_event_target(EiTarget(ven_ids=(ven_id,), resource_ids=resource_ids)).encode()


def encode_payload_frame(vtn_id: str, response: m.EiResponse | None, made: Sequence[Event]) -> PayloadFrame:
    """Render an oadrDistributeEvent but for requestID and targets, as ``encode`` does."""
    head, rest = events.encode_distribute_head_apart(vtn_id, response)
    frames = [event_data.encode_frame(each) for each in made]
    ends = [rest.encode(), *(frame.after for frame in frames)]
    starts = [*(frame.before for frame in frames), _CLOSE[m.DistributeEvent].encode()]
    joined = _number(_CUT.join(end + start for end, start in zip(ends, starts, strict=True)))
    return PayloadFrame((_OPEN[m.DistributeEvent] + head).encode(), tuple(joined.split(_CUT)))


def _number(body: bytes) -> bytes:
    """Put a different number in the place of every mark, so that xs:ID values are unique in the document."""
    if _MARK not in body:
        return body
    first, *rest = body.split(_MARK)
    return first + b"".join(b"%d%s" % (number, part) for number, part in enumerate(rest))
