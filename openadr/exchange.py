"""Who sends what to whom: services, normal answers, and the answer that carries an application error.

Rule: pure tables over the message types (profile sections 1.3 and 8). An application error is HTTP 200 with the normal
answer type of the request and a 4xx responseCode; what the XSD demands in that answer is filled here and only here.
"""

from collections.abc import Callable
from enum import StrEnum

from openadr.errors import ComplianceError, OadrError
from openadr.messages import (
    CanceledOpt,
    CanceledPartyRegistration,
    CanceledReport,
    CancelOpt,
    CancelPartyRegistration,
    CancelReport,
    CreatedEvent,
    CreatedOpt,
    CreatedPartyRegistration,
    CreatedReport,
    CreateOpt,
    CreatePartyRegistration,
    CreateReport,
    DistributeEvent,
    EiResponse,
    Message,
    Poll,
    QueryRegistration,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    RequestReregistration,
    Response,
    UpdatedReport,
    UpdateReport,
)
from openadr.model import Profile


class Service(StrEnum):
    """The services; the value is the last path segment, spelled exactly so (R511)."""

    EI_REGISTER_PARTY = "EiRegisterParty"
    EI_EVENT = "EiEvent"
    EI_REPORT = "EiReport"
    EI_OPT = "EiOpt"
    OADR_POLL = "OadrPoll"


PATH = "/OpenADR2/Simple/2.0b/{service}"
CONTENT_TYPE = "application/xml"
PROFILES: tuple[Profile, ...] = (Profile(profile_name="2.0b", transports=("simpleHttp",)),)

SERVICE_OF: dict[type[Message], Service] = {
    QueryRegistration: Service.EI_REGISTER_PARTY,
    CreatePartyRegistration: Service.EI_REGISTER_PARTY,
    CreatedPartyRegistration: Service.EI_REGISTER_PARTY,
    CancelPartyRegistration: Service.EI_REGISTER_PARTY,
    CanceledPartyRegistration: Service.EI_REGISTER_PARTY,
    RequestReregistration: Service.EI_REGISTER_PARTY,
    RequestEvent: Service.EI_EVENT,
    DistributeEvent: Service.EI_EVENT,
    CreatedEvent: Service.EI_EVENT,
    RegisterReport: Service.EI_REPORT,
    RegisteredReport: Service.EI_REPORT,
    CreateReport: Service.EI_REPORT,
    CreatedReport: Service.EI_REPORT,
    CancelReport: Service.EI_REPORT,
    CanceledReport: Service.EI_REPORT,
    UpdateReport: Service.EI_REPORT,
    UpdatedReport: Service.EI_REPORT,
    CreateOpt: Service.EI_OPT,
    CreatedOpt: Service.EI_OPT,
    CancelOpt: Service.EI_OPT,
    CanceledOpt: Service.EI_OPT,
    Poll: Service.OADR_POLL,
    Response: Service.OADR_POLL,  # its home as an answer; posted, it may come on any path
}

_ANY: frozenset[type[Message]] = frozenset({Response})  # the VEN may post it on any service path (section 1.3)

VTN_ACCEPTS: dict[Service, frozenset[type[Message]]] = {
    Service.EI_REGISTER_PARTY: _ANY
    | {QueryRegistration, CreatePartyRegistration, CancelPartyRegistration, CanceledPartyRegistration},
    Service.EI_EVENT: _ANY | {RequestEvent, CreatedEvent},
    Service.EI_REPORT: _ANY
    | {
        RegisterReport,
        RegisteredReport,
        CreateReport,
        CreatedReport,
        CancelReport,
        CanceledReport,
        UpdateReport,
        UpdatedReport,
    },
    Service.EI_OPT: _ANY | {CreateOpt, CancelOpt},
    Service.OADR_POLL: _ANY | {Poll},
}
"""What a VTN takes on each path: requests, and the logical answers a VEN posts after a poll."""

VEN_ACCEPTS: frozenset[type[Message]] = frozenset(
    {
        CancelPartyRegistration,
        RequestReregistration,
        DistributeEvent,
        RegisterReport,
        CreateReport,
        CancelReport,
        UpdateReport,
    }
)
"""What a VTN may send by itself: as the answer to a poll, or pushed."""

_REPLIES: dict[type[Message], frozenset[type[Message]]] = {
    QueryRegistration: frozenset({CreatedPartyRegistration}),
    CreatePartyRegistration: frozenset({CreatedPartyRegistration}),
    CancelPartyRegistration: frozenset({CanceledPartyRegistration}),
    RequestReregistration: frozenset({Response}),
    RequestEvent: frozenset({DistributeEvent}),
    CreateOpt: frozenset({CreatedOpt}),
    CancelOpt: frozenset({CanceledOpt}),
    RegisterReport: frozenset({RegisteredReport}),
    CreateReport: frozenset({CreatedReport}),
    UpdateReport: frozenset({UpdatedReport}),
    CancelReport: frozenset({CanceledReport}),
    Poll: VEN_ACCEPTS | {Response},
}
_ACKNOWLEDGED: frozenset[type[Message]] = frozenset({Response})  # posted answers are acknowledged with oadrResponse


def allowed_replies(kind: type[Message]) -> frozenset[type[Message]]:
    """Return the message types that may answer one of ``kind`` in the same exchange (section 1.3)."""
    return _REPLIES.get(kind, _ACKNOWLEDGED)


# The outer requestID of oadrDistributeEvent must be filled even when the request had none (R41).
def _distribute(response: EiResponse, vtn_id: str, ven_id: str | None, echo: str) -> Message:
    return DistributeEvent(request_id=response.request_id or "0", vtn_id=vtn_id, response=response)


def _created_party(response: EiResponse, vtn_id: str, ven_id: str | None, echo: str) -> Message:
    return CreatedPartyRegistration(response=response, vtn_id=vtn_id, profiles=PROFILES)


_ERRORS: dict[type[Message], Callable[[EiResponse, str, str | None, str], Message]] = {
    QueryRegistration: _created_party,
    CreatePartyRegistration: _created_party,
    CancelPartyRegistration: lambda response, vtn_id, ven_id, echo: CanceledPartyRegistration(response=response),
    RequestEvent: _distribute,
    CreateOpt: lambda response, vtn_id, ven_id, echo: CreatedOpt(response=response, opt_id=echo),
    CancelOpt: lambda response, vtn_id, ven_id, echo: CanceledOpt(response=response, opt_id=echo or None),
    RegisterReport: lambda response, vtn_id, ven_id, echo: RegisteredReport(response=response, ven_id=ven_id),
    CreateReport: lambda response, vtn_id, ven_id, echo: CreatedReport(response=response, ven_id=ven_id),
    UpdateReport: lambda response, vtn_id, ven_id, echo: UpdatedReport(response=response, ven_id=ven_id),
    CancelReport: lambda response, vtn_id, ven_id, echo: CanceledReport(response=response, ven_id=ven_id),
}


def error_reply_to(
    kind: type[Message], error: OadrError, *, request_id: str, vtn_id: str, ven_id: str | None = None, opt_id: str = ""
) -> Message:
    """Return the normal answer to a request of ``kind``, known only in outline, carrying the error's code."""
    response = EiResponse(request_id=request_id, response_code=error.code, response_description=error.description)
    make = _ERRORS.get(kind)
    if make is None:
        return Response(response=response, ven_id=ven_id)
    return make(response, vtn_id, ven_id, opt_id)


def error_reply(request: Message, error: OadrError, *, vtn_id: str, ven_id: str | None = None) -> Message:
    """Return the normal answer to ``request`` carrying the error's code, with what the XSD demands in it.

    For oadrDistributeEvent the VEN answers events one by one; an error of the whole payload is an oadrCreatedEvent.
    ``ven_id`` goes into answers that have a venID; leave it out for a peer that is not registered.
    """
    if isinstance(request, DistributeEvent):
        response = EiResponse(
            request_id=request.request_id, response_code=error.code, response_description=error.description
        )
        return CreatedEvent(response=response, ven_id=ven_id or "")
    return error_reply_to(
        type(request),
        error,
        request_id=request_id_of(request),
        vtn_id=vtn_id,
        ven_id=ven_id,
        opt_id=request.opt_id if isinstance(request, CreateOpt | CancelOpt) else "",
    )


def request_id_of(message: Message) -> str:
    """Return the requestID to be echoed: the message's own or that of its eiResponse, '' if it has none (R303)."""
    own = getattr(message, "request_id", None)
    if isinstance(own, str):
        return own
    response = getattr(message, "response", None)
    return response.request_id if isinstance(response, EiResponse) else ""


def ven_id_of(message: Message) -> str | None:
    """Return the venID the message names, ``None`` if it names none (R508)."""
    ven_id = getattr(message, "ven_id", None)
    return ven_id if isinstance(ven_id, str) and ven_id else None


def check_service(kind: type[Message], service: Service) -> None:
    """Check that a VTN takes ``kind`` on the path of ``service``. Raises ``ComplianceError`` (459, R33)."""
    if kind not in VTN_ACCEPTS[service]:
        raise ComplianceError(f"oadr{kind.__name__} does not belong to the service {service} of a VTN (R33)")
