"""Frozen rows the repositories return and take; values only, no SQL.

Rule: a row says what is stored, in the words of the standard; what it means is for the services.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from openadr.messages import CreateOpt, Message
from openadr.model import Event, OptType, ReportDescription, ReportRequest, ResponseRequired


class OptSource(StrEnum):
    """Which payload set an opt state: an oadrCreateOpt wins over every oadrCreatedEvent (R206)."""

    CREATED_EVENT = "createdEvent"
    CREATE_OPT = "createOpt"


class OptKind(StrEnum):
    """What an oadrCreateOpt was: a schedule or the qualification of an event."""

    SCHEDULE = "schedule"
    EVENT = "event"


class RequestState(StrEnum):
    """Life of a report request of ours."""

    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    REPLACED = "replaced"  # by new METADATA (R306)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ven:
    """An enrolled VEN; ``registration_id`` is ``None`` until it has registered."""

    ven_id: str
    fingerprint: str
    enrolled_at: datetime
    ven_name: str | None = None
    registration_id: str | None = None
    registered_at: datetime | None = None
    profile_name: str | None = None
    transport_name: str | None = None
    transport_address: str | None = None
    http_pull_model: bool | None = None
    report_only: bool = False
    xml_signature: bool = False
    last_seen: datetime | None = None

    @property
    def registered(self) -> bool:
        """True while a registration is in force."""
        return self.registration_id is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A resource behind a VEN, known by enrolment or by METADATA."""

    ven_id: str
    resource_id: str
    source: str = "enrolment"
    group_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event as published: its target names everyone, its status is only ``cancelled`` or not."""

    event: Event
    cancelled: bool
    created_at: datetime
    modified_at: datetime
    payload_end: datetime | None  # R66; None: open-ended

    @property
    def event_id(self) -> str:
        """The eventID."""
        return self.event.descriptor.event_id

    @property
    def modification_number(self) -> int:
        """The present modificationNumber."""
        return self.event.descriptor.modification_number

    @property
    def always(self) -> bool:
        """True if the VEN has to answer (R12)."""
        return self.event.response_required is ResponseRequired.ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class EventVersion:
    """One version of an event, who made it and when."""

    event: Event
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventVen:
    """What one VEN was sent of an event and what it said."""

    event_id: str
    ven_id: str
    whole_ven: bool
    delivered_modification: int | None = None
    delivered_at: datetime | None = None
    deliveries: int = 0
    due_at: datetime | None = None
    answered_modification: int | None = None
    answered_at: datetime | None = None
    response_code: int | None = None
    response_description: str | None = None
    answer: OptType | None = None
    qualified: OptType | None = None
    qualified_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventResource:
    """The opt state of one resource in one event (R16, R17, R206)."""

    event_id: str
    ven_id: str
    resource_id: str
    opt_type: OptType | None = None
    source: OptSource | None = None
    reason: str | None = None
    opt_id: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """An event of one VEN: the event, the VEN's own state, and its resources in the event (empty: all it has)."""

    stored: StoredEvent
    state: EventVen
    resource_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An event handed out in one payload; ``due_at``: when to hand it out again if no answer comes."""

    event_id: str
    ven_id: str
    modification_number: int
    request_id: str
    at: datetime
    due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOpt:
    """An oadrCreateOpt and what became of it."""

    row_id: int
    ven_id: str
    kind: OptKind
    message: CreateOpt
    received_at: datetime
    superseded_at: datetime | None = None
    superseded_for: tuple[str, ...] = ()
    cancelled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Specifier:
    """A report a VEN offers."""

    ven_id: str
    report_specifier_id: str
    report_name: str  # without METADATA_
    duration: str | None
    registered_at: datetime
    descriptions: tuple[ReportDescription, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one rID means, kept with the request so that later METADATA cannot change stored data."""

    resource_id: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRequest:
    """A report request of ours to a VEN."""

    ven_id: str
    report_name: str
    request: ReportRequest
    points: dict[str, Point]  # by rID
    state: RequestState
    created_at: datetime
    last_data_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """One value at one time: a float with its unit, or a resource status."""

    ven_id: str
    report_request_id: str
    r_id: str
    dtstart: datetime
    report_specifier_id: str
    report_name: str
    received_at: datetime
    duration_s: int | None = None
    resource_id: str | None = None
    value: float | None = None
    unit: str | None = None
    online: bool | None = None
    manual_override: bool | None = None
    load_control_state: str | None = None  # JSON
    data_quality: str | None = None
    confidence: int | None = None
    accuracy: float | None = None
    row_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """A payload waiting in a VEN's poll queue."""

    row_id: int
    ven_id: str
    message: Message
    request_id: str
    created_at: datetime
    due_at: datetime | None
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueHead:
    """What a VEN's poll queue sends next and when; ``attempts`` is how often it was sent already."""

    root: str
    due_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The stored answer to an operator's request with an Idempotency-Key."""

    digest: bytes
    status: int
    body: bytes
