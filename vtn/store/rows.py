"""Frozen rows the repositories return and take; values only, no SQL.

Rule: a row says what is stored, in the words of the standard; what it means is for the services.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from openadr.messages import CreateOpt, Message
from openadr.model import Event, OptType, Report, ReportDescription, ReportRequest, ResponseRequired

AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)  # a due time that has always come, whatever the clock says
NEVER = datetime(9999, 12, 31, tzinfo=UTC)  # when an open-ended event leaves payloads: an index has no use for null


class OptSource(StrEnum):
    """Which payload set an opt state: an oadrCreateOpt wins over every oadrCreatedEvent (R206)."""

    CREATED_EVENT = "createdEvent"
    CREATE_OPT = "createOpt"


class EndedBy(StrEnum):
    """How a registration ended."""

    VEN = "ven"  # it cancelled
    OPERATOR = "operator"  # an operator cancelled and the VEN answered
    NO_ANSWER = "noAnswer"  # an operator cancelled and the VEN did not answer in time


class OptKind(StrEnum):
    """What an oadrCreateOpt was: a schedule or the qualification of an event."""

    SCHEDULE = "schedule"
    EVENT = "event"


class RequestState(StrEnum):
    """Life of a report request of ours."""

    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    DELIVERING = "delivering"
    OVERDUE = "overdue"  # the next report should have come by now
    CANCELLING = "cancelling"  # oadrCancelReport is on its way
    DONE = "done"
    CANCELLED = "cancelled"
    REFUSED = "refused"  # by oadrCreatedReport
    REPLACED = "replaced"  # by new METADATA (R306)
    ERASED = "erased"  # by a new registration or the end of one (R406, R407)

    @property
    def open(self) -> bool:
        """True while reports are to come."""
        return self in OPEN


OPEN = frozenset(
    {
        RequestState.REQUESTED,
        RequestState.CONFIRMED,
        RequestState.DELIVERING,
        RequestState.OVERDUE,
        RequestState.CANCELLING,
    }
)


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
    poll_freq_s: int | None = None  # set by an operator for this VEN; None: the VTN's own
    told_poll_s: int | None = None  # what it was told when it registered
    old_fingerprint: str | None = None  # of the certificate before, good until ``old_until``
    old_until: datetime | None = None
    old_last_seen: datetime | None = None
    certificate_cn: str | None = None
    certificate_not_after: datetime | None = None
    suspended_at: datetime | None = None
    suspended_reason: str | None = None
    cancel_by: datetime | None = None  # an operator cancels the registration: it ends at the latest then
    ended_at: datetime | None = None
    ended_by: EndedBy | None = None
    ended_registration_id: str | None = None

    @property
    def registered(self) -> bool:
        """True while a registration is in force."""
        return self.registration_id is not None

    @property
    def suspended(self) -> bool:
        """True while an operator has it shut out."""
        return self.suspended_at is not None

    @property
    def pushed(self) -> bool:
        """True if it has registered for HTTP push."""
        return self.registered and self.http_pull_model is False


class CandidateState(StrEnum):
    """What an operator has said of a certificate that asks to be let in."""

    WAITING = "waiting"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The holder of a certificate of the trusted CA who has tried to register and is not enrolled."""

    fingerprint: str
    first_seen: datetime
    last_seen: datetime
    state: CandidateState = CandidateState.WAITING
    subject_cn: str = ""
    issuer_cn: str = ""
    not_after: datetime | None = None
    ven_name: str | None = None  # what it calls itself, which proves nothing


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
    """What one VEN has to do with an event and what it said."""

    event_id: str
    ven_id: str
    whole_ven: bool
    due_at: datetime | None = None  # since when it is to be handed out; None: the VEN has answered
    answered_modification: int | None = None
    answered_at: datetime | None = None
    response_code: int | None = None
    response_description: str | None = None
    answer: OptType | None = None
    qualified: OptType | None = None
    qualified_reason: str | None = None
    parts: tuple[str, ...] | None = None  # signalIDs and baselineID that concern the VEN; None: all
    withdrawn: int | None = None  # the version that left the VEN out: it sees the event cancelled with that number
    withdrawn_at: datetime | None = None
    withdrawn_end: datetime | None = None
    told_until: datetime | None = field(default=None, compare=False)  # when it leaves the payloads; the store's own


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
class Handed:
    """The newest version of an event that a VEN was handed: when last, how often, when again without an answer."""

    modification_number: int
    at: datetime
    times: int
    due_at: datetime | None

    @classmethod
    def after(cls, before: "Handed | None", number: int, at: datetime, again: timedelta | None) -> "Handed":
        """Return it once version ``number`` is handed out ``at``, due ``again`` after that; an older one is nothing."""
        if before is not None and before.modification_number > number:
            return before
        times = before.times if before is not None and before.modification_number == number else 0
        return cls(modification_number=number, at=at, times=times + 1, due_at=None if again is None else at + again)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """An event of one VEN: the event, the VEN's own state, and its resources in the event (empty: all it has)."""

    stored: StoredEvent
    state: EventVen
    resource_ids: tuple[str, ...] = ()
    changed_at: datetime | None = None  # when an event of this VEN was last made or changed (R115)
    handed: Handed | None = None  # since it registered last; None as well where nobody asked for it

    @property
    def times(self) -> int:
        """How often this version was handed out."""
        handed = self.handed
        return 0 if handed is None or handed.modification_number != self.stored.modification_number else handed.times

    @property
    def due(self) -> datetime | None:
        """When to hand it out next; what never was is due whatever the clock says: it may have been set back."""
        if self.state.due_at is None:
            return None
        handed = self.handed
        if handed is None or handed.modification_number != self.stored.modification_number:
            return AT_ONCE
        return None if self.state.answered_modification == handed.modification_number else handed.due_at


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """How an event stands with all its VENs: who has the present version and what they say."""

    vens: int = 0
    delivered: int = 0  # have the present version
    acknowledged: int = 0  # have answered it
    opted_in: int = 0  # by the last answer, or by an oadrCreateOpt for the whole VEN
    opted_out: int = 0
    unanswered: int = 0  # an answer to the present version is due and missing
    resources: int = 0


Contents = tuple[tuple[str, int, timedelta | None], ...]
"""The events of a payload with modificationNumber and how long after its hand-out each is due again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handout:
    """A payload handed out to a VEN; ``until``: when the last of its events leaves payloads."""

    ven_id: str
    request_id: str
    at: datetime
    events: Contents
    until: datetime


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
    ends_at: datetime | None = None  # of a schedule: when its last window is over; None: open-ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Specifier:
    """A report a VEN offers."""

    ven_id: str
    report_specifier_id: str
    report_name: str  # without METADATA_
    duration: str | None
    registered_at: datetime
    descriptions: tuple[ReportDescription, ...] = ()
    remarks: tuple[str, ...] = ()  # what is irregular in it, with the rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one rID means, kept with the request so that later METADATA cannot change stored data."""

    resource_id: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRequest:
    """A report request of ours to a VEN; ``actor`` is ``None`` if the policy asked."""

    ven_id: str
    report_name: str
    request: ReportRequest
    points: dict[str, Point]  # by rID
    state: RequestState
    created_at: datetime
    last_data_at: datetime | None = None
    request_id: str = ""  # of the payload that carried it
    actor: str | None = None
    standing: bool = False  # asked again after new METADATA
    confirmed_at: datetime | None = None
    due_at: datetime | None = None  # when to look at it again: late by then, or at its end
    overdue_since: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    response_code: int | None = None
    received: int = 0  # reports
    stray: int = 0  # reports that came after its end
    to_follow: bool = False  # one more report was asked for with the cancel (R345)
    cancel_id: str | None = None

    @property
    def report_request_id(self) -> str:
        """The reportRequestID."""
        return self.request.report_request_id


@dataclass(frozen=True, slots=True, kw_only=True)
class VenReport:
    """The state of METADATA with one VEN, both ways."""

    ven_id: str
    metadata_at: datetime | None = None  # when the VEN's came last
    asked_at: datetime | None = None  # when it was asked for because something was missing
    offered_at: datetime | None = None
    offer: tuple[Report, ...] = ()  # the reports in our METADATA


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReport:
    """A report that a VEN has asked of us; ``next_due`` is ``None`` when nothing more will be sent."""

    ven_id: str
    request: ReportRequest
    created_at: datetime
    next_due: datetime | None
    covered_until: datetime
    until: datetime | None = None  # None: for ever (R325)
    last: bool = False  # the next report is the last one
    sent: int = 0
    request_id: str = ""  # of the newest payload
    ended_at: datetime | None = None
    reason: str | None = None

    @property
    def report_request_id(self) -> str:
        """The reportRequestID."""
        return self.request.report_request_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDocument:
    """A Green Button feed as it came; ``position`` counts the feeds of one report."""

    ven_id: str
    report_request_id: str
    position: int
    report_specifier_id: str
    report_name: str
    received_at: datetime
    body: str
    dtstart: datetime | None = None
    row_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Values of one point within ``[start, start + resolution)``; values of bad quality are counted apart (R318)."""

    ven_id: str
    resource_id: str | None
    report_name: str
    r_id: str
    unit: str | None
    start: datetime
    count: int
    bad: int
    spans: bool  # all values have a duration
    mean: float | None
    minimum: float | None
    maximum: float | None
    total: float | None
    last: float | None
    last_at: datetime | None


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


class OutboundState(StrEnum):
    """How far a payload of a queue has got."""

    WAITING = "waiting"
    SENT = "sent"  # not answered: it comes again
    GAVE_UP = "gaveUp"  # sent for the last time; an answer still counts
    ANSWERED = "answered"


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
    sent_at: datetime | None = None
    answered_at: datetime | None = None
    response_code: int | None = None

    @property
    def state(self) -> OutboundState:
        """How far it has got."""
        if self.answered_at is not None:
            return OutboundState.ANSWERED
        if self.due_at is None:
            return OutboundState.GAVE_UP
        return OutboundState.SENT if self.attempts else OutboundState.WAITING


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueHead:
    """What a VEN's poll queue sends next and when (``None``: it was sent for the last time).

    ``attempts`` is how often it was sent already.
    """

    root: str
    due_at: datetime | None
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The stored answer to an operator's request with an Idempotency-Key."""

    digest: bytes
    status: int
    body: bytes
