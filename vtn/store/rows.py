"""Frozen rows the repositories return and take; values only, no SQL.

Rule: a row says what is stored, in the words of the standard; what it means is for the services.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from openadr.messages import Message
from openadr.model import Report, ReportDescription, ReportRequest

AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)  # a due time that has always come, whatever the clock says
NEVER = datetime(9999, 12, 31, tzinfo=UTC)  # when an open-ended event leaves payloads: an index has no use for null


class EndedBy(StrEnum):
    """How a registration ended."""

    VEN = "ven"  # it cancelled
    OPERATOR = "operator"  # an operator cancelled and the VEN answered
    NO_ANSWER = "noAnswer"  # an operator cancelled and the VEN did not answer in time


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
