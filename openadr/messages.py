"""The 23 payload roots of OpenADR 2.0b as frozen dataclasses: what stands inside oadrSignedObject.

Rule: one class a root, named as the root without its ``oadr`` prefix; ``Message`` is their union. ``ROOTS`` maps the
element name to the class.
"""

from dataclasses import dataclass, field
from datetime import datetime

from openadr.errors import ResponseCode
from openadr.model import (
    Availability,
    EiTarget,
    Event,
    NamedInfo,
    OptType,
    Profile,
    QualifiedEventId,
    Report,
    ReportRequest,
    ResponseRequired,
)
from openadr.times import Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class EiResponse:
    """ei:eiResponse; ``response_code`` is three digits, 2xx is success; ``request_id`` echoes the request (R303)."""

    request_id: str = ""
    response_code: int = ResponseCode.OK
    response_description: str | None = None

    @property
    def ok(self) -> bool:
        """True for any 2xx."""
        return 200 <= self.response_code < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class EventResponse:
    """ei:eventResponse: the answer to one event (R42, R48)."""

    request_id: str
    event_id: str
    modification_number: int
    opt_type: OptType
    response_code: int = ResponseCode.OK
    response_description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRegistration:
    """VEN to VTN."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePartyRegistration:
    """VEN to VTN (R402)."""

    request_id: str
    profile_name: str = "2.0b"
    transport_name: str = "simpleHttp"
    transport_address: str | None = None
    report_only: bool = False
    xml_signature: bool = False
    ven_name: str | None = None
    http_pull_model: bool | None = True
    registration_id: str | None = None
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedPartyRegistration:
    """Answer to a query or a create (R403, R404)."""

    response: EiResponse
    vtn_id: str
    profiles: tuple[Profile, ...]
    registration_id: str | None = None
    ven_id: str | None = None
    requested_poll_freq: Duration | None = None
    service_specific_info: tuple[NamedInfo, ...] | None = None
    extensions: tuple[NamedInfo, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPartyRegistration:
    """Either side (R407)."""

    request_id: str
    registration_id: str
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanceledPartyRegistration:
    """Answer to CancelPartyRegistration."""

    response: EiResponse
    registration_id: str | None = None
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReregistration:
    """VTN to VEN."""

    ven_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """VEN to VTN, HTTP pull only (R500)."""

    ven_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """oadrResponse."""

    response: EiResponse
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent:
    """VEN to VTN (R23)."""

    request_id: str
    ven_id: str
    reply_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableEvent:
    """One event of a payload that means nothing (a duration over a century...), so that it spoils no other (R19)."""

    event_id: str
    modification_number: int
    response_required: ResponseRequired
    code: int
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributeEvent:
    """VTN to VEN: all far, near and active events of the VEN (R50)."""

    request_id: str
    vtn_id: str
    events: tuple[Event, ...] = ()
    response: EiResponse | None = None  # mandatory as answer to oadrRequestEvent or oadrPoll (R40)
    unreadable: tuple[UnreadableEvent, ...] = ()  # only ever read


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedEvent:
    """VEN to VTN."""

    response: EiResponse
    ven_id: str
    event_responses: tuple[EventResponse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOpt:
    """VEN to VTN: a schedule (``vavailability``) or the qualification of an event, never both."""

    opt_id: str
    opt_type: OptType
    opt_reason: str
    ven_id: str
    created_date_time: datetime
    request_id: str
    market_context: str | None = None
    vavailability: tuple[Availability, ...] | None = None
    qualified_event_id: QualifiedEventId | None = None
    target: EiTarget = field(default_factory=EiTarget)
    device_class: EiTarget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedOpt:
    """Answer to CreateOpt."""

    response: EiResponse
    opt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOpt:
    """VEN to VTN."""

    request_id: str
    opt_id: str
    ven_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CanceledOpt:
    """Answer to CancelOpt."""

    response: EiResponse
    opt_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterReport:
    """METADATA, either side (R306)."""

    request_id: str
    reports: tuple[Report, ...] = ()
    ven_id: str | None = None
    report_request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredReport:
    """Answer to RegisterReport, may carry requests (R344)."""

    response: EiResponse
    report_requests: tuple[ReportRequest, ...] = ()
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateReport:
    """Either side: ask for reports."""

    request_id: str
    report_requests: tuple[ReportRequest, ...]
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedReport:
    """Answer to CreateReport; ``pending_reports`` lists everything still to be delivered (R329)."""

    response: EiResponse
    pending_reports: tuple[str, ...] = ()
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelReport:
    """Either side."""

    request_id: str
    report_request_ids: tuple[str, ...]
    report_to_follow: bool = False
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanceledReport:
    """Answer to CancelReport."""

    response: EiResponse
    pending_reports: tuple[str, ...] = ()
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateReport:
    """Data, either side."""

    request_id: str
    reports: tuple[Report, ...] = ()
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatedReport:
    """Answer to UpdateReport, may carry a cancel (R328)."""

    response: EiResponse
    cancel_report: CancelReport | None = None
    ven_id: str | None = None


Message = (
    QueryRegistration
    | CreatePartyRegistration
    | CreatedPartyRegistration
    | CancelPartyRegistration
    | CanceledPartyRegistration
    | RequestReregistration
    | Poll
    | Response
    | RequestEvent
    | DistributeEvent
    | CreatedEvent
    | CreateOpt
    | CreatedOpt
    | CancelOpt
    | CanceledOpt
    | RegisterReport
    | RegisteredReport
    | CreateReport
    | CreatedReport
    | CancelReport
    | CanceledReport
    | UpdateReport
    | UpdatedReport
)

ROOTS: dict[str, type[Message]] = {f"oadr{root.__name__}": root for root in Message.__args__}
