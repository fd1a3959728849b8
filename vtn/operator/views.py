"""What an operator gets to see, as pydantic models in the standard's names, made from rows.

Rule: every instant in UTC with ``Z``, every duration as ISO 8601 text; absent values are null, never left out.
"""

from openadr.model import EventStatus, OptType, ResponseRequired, SignalType
from vtn.operator.fields import DurationText, Instant, View
from vtn.services.overview import DeliveryState
from vtn.store.rows import OptKind, OptSource


class IntervalView(View):
    """One value of a signal."""

    duration: DurationText
    uid: int
    value: float


class ItemBaseView(View):
    """A unit."""

    kind: str
    itemDescription: str
    itemUnits: str
    siScaleCode: str


class SignalView(View):
    """A signal as published."""

    signalID: str
    signalName: str
    signalType: SignalType
    itemBase: ItemBaseView | None
    deviceClass: tuple[str, ...]
    intervals: tuple[IntervalView, ...]


class TargetsView(View):
    """The targets an operator named."""

    venID: tuple[str, ...]
    resourceID: tuple[str, ...]
    groupID: tuple[str, ...]


class EventSummary(View):
    """An event without its states."""

    eventID: str
    modificationNumber: int
    eventStatus: EventStatus
    marketContext: str
    priority: int
    dtstart: Instant
    duration: DurationText
    startafter: DurationText | None
    notification: DurationText
    rampUp: DurationText | None
    recovery: DurationText | None
    signals: tuple[SignalView, ...]
    targets: TargetsView
    responseRequired: ResponseRequired
    testEvent: str | None
    vtnComment: str | None
    modificationReason: str | None
    createdDateTime: Instant
    modifiedDateTime: Instant


class TelemetryView(View):
    """One value at one time; ``value`` with ``unit``, or a resource status."""

    venID: str
    resourceID: str | None
    reportName: str
    reportSpecifierID: str
    reportRequestID: str
    rID: str
    dtstart: Instant
    durationSeconds: int | None
    value: float | None
    unit: str | None
    online: bool | None
    manualOverride: bool | None
    dataQuality: str | None
    confidence: int | None
    accuracy: float | None
    receivedDateTime: Instant


class ResourceEventView(View):
    """One resource in an event."""

    resourceID: str
    state: DeliveryState
    optType: OptType | None
    optSource: OptSource | None
    optReason: str | None
    telemetry: tuple[TelemetryView, ...]


class VenEventView(View):
    """One VEN in an event; ``deliveries`` counts those of the present modification."""

    venID: str
    state: DeliveryState
    deliveredModificationNumber: int | None
    deliveredDateTime: Instant | None
    deliveries: int
    requestIDs: tuple[str, ...]
    answeredModificationNumber: int | None
    answeredDateTime: Instant | None
    responseCode: int | None
    responseDescription: str | None
    optType: OptType | None
    optSource: OptSource | None
    optReason: str | None
    resources: tuple[ResourceEventView, ...]


class VersionView(View):
    """Who made a version of an event."""

    modificationNumber: int
    eventStatus: EventStatus
    actor: str
    at: Instant


class EventDetail(EventSummary):
    """An event with its versions and the state per VEN and resource."""

    versions: tuple[VersionView, ...]
    vens: tuple[VenEventView, ...]


class EventPage(View):
    """Some events; ``next`` is the cursor of the following page, null at the end."""

    events: tuple[EventSummary, ...]
    next: str | None


class ResourceView(View):
    """A resource behind a VEN; ``source`` is enrolment or metadata."""

    resourceID: str
    source: str
    groupIDs: tuple[str, ...]


class VenView(View):
    """A VEN."""

    venID: str
    venName: str | None
    fingerprint: str
    registered: bool
    registrationID: str | None
    registeredDateTime: Instant | None
    enrolledDateTime: Instant
    lastSeenDateTime: Instant | None
    profileName: str | None
    transportName: str | None
    httpPullModel: bool | None
    reportOnly: bool
    resources: tuple[ResourceView, ...]


class VenPage(View):
    """Some VENs."""

    vens: tuple[VenView, ...]
    next: str | None


class ReportPage(View):
    """Some telemetry, oldest first."""

    reports: tuple[TelemetryView, ...]
    next: str | None


class WindowView(View):
    """One window of an opt schedule; duration PT0S is open-ended."""

    dtstart: Instant
    duration: DurationText


class OptView(View):
    """An oadrCreateOpt and what became of it."""

    venID: str
    optID: str
    kind: OptKind
    optType: OptType
    optReason: str
    eventID: str | None
    modificationNumber: int | None
    marketContext: str | None
    targets: TargetsView
    available: tuple[WindowView, ...]
    createdDateTime: Instant
    receivedDateTime: Instant
    supersededDateTime: Instant | None
    supersededFor: tuple[str, ...]
    cancelledDateTime: Instant | None


class OptPage(View):
    """Some opts, newest first."""

    opts: tuple[OptView, ...]
    next: str | None


class ProblemView(View):
    """An error (RFC 9457); ``field`` names what to correct."""

    type: str
    title: str
    status: int
    detail: str
    reference: str
    field: str | None = None
