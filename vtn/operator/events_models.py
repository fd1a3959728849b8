"""Events as an operator sends and sees them: pydantic models in the standard's names, and the drafts they become.

Rule: models check form; what needs the database or the signal table is checked by the services. Every instant goes out
in UTC with ``Z``, every duration as ISO 8601 text; absent values are null, never left out.
"""

from pydantic import Field

from openadr.model import EventStatus, ItemBase, OptType, ResponseRequired, SignalType, power_real
from openadr.times import ZERO
from openadr.wire.units import UNITS
from vtn.operator.fields import DurationText, Instant, Model, TestText, View, utc
from vtn.operator.requests import Page
from vtn.operator.views import TelemetryView
from vtn.services.drafts import Draft, DraftBaseline, DraftInterval, DraftSignal
from vtn.services.modify import Change
from vtn.services.overview import DeliveryState
from vtn.store.eventrows import OptSource

_TEXT = Field(min_length=1, max_length=255)
_MOST_INTERVALS = 10_000  # a year of hours
_MOST_TARGETS = 20_000  # names in one list


class IntervalIn(Model):
    """One value of a signal; a single interval may leave its duration to the event's."""

    value: float
    duration: DurationText | None = None

    def draft(self) -> DraftInterval:
        """Return it for the service."""
        return DraftInterval(value=self.value, duration=self.duration)


class ItemBaseIn(Model):
    """A unit, for signals whose name and type do not fix one."""

    kind: str = _TEXT
    itemDescription: str = ""
    itemUnits: str = ""
    siScaleCode: str = "none"
    hertz: float | None = None
    voltage: float | None = None
    ac: bool | None = None
    pulseFactor: float | None = None

    def unit(self) -> ItemBase:
        """Return the unit; what its kind fixes is filled in, the three power kinds get 50 Hz, 230 V, AC."""
        power = power_real() if self.kind.startswith("power") else ItemBase(kind=self.kind)
        known = UNITS.get(self.kind)
        return ItemBase(
            kind=self.kind,
            item_description=self.itemDescription or (self.kind if known is None else known.description),
            item_units=self.itemUnits or ("" if known is None else known.default_unit),
            si_scale_code=self.siScaleCode,
            hertz=power.hertz if self.hertz is None else self.hertz,
            voltage=power.voltage if self.voltage is None else self.voltage,
            ac=power.ac if self.ac is None else self.ac,
            pulse_factor=self.pulseFactor,
        )


class SignalIn(Model):
    """One signal."""

    signalName: str = _TEXT
    signalType: SignalType
    intervals: tuple[IntervalIn, ...] = Field(min_length=1, max_length=_MOST_INTERVALS)
    itemBase: ItemBaseIn | None = None
    deviceClass: tuple[str, ...] = Field((), max_length=100)

    def draft(self) -> DraftSignal:
        """Return it for the service."""
        return DraftSignal(
            signal_name=self.signalName,
            signal_type=self.signalType,
            intervals=tuple(each.draft() for each in self.intervals),
            item_base=None if self.itemBase is None else self.itemBase.unit(),
            device_classes=self.deviceClass,
        )


class BaselineIn(Model):
    """What the resources together would draw without the event; times default to the event's."""

    baselineName: str = _TEXT
    intervals: tuple[IntervalIn, ...] = Field(min_length=1, max_length=_MOST_INTERVALS)
    resourceID: tuple[str, ...] = Field((), max_length=_MOST_TARGETS)
    itemBase: ItemBaseIn | None = None
    dtstart: Instant | None = None
    duration: DurationText | None = None

    def draft(self) -> DraftBaseline:
        """Return it for the service."""
        return DraftBaseline(
            name=self.baselineName,
            intervals=tuple(each.draft() for each in self.intervals),
            resource_ids=self.resourceID,
            item_base=None if self.itemBase is None else self.itemBase.unit(),
            dtstart=utc(self.dtstart),
            duration=self.duration,
        )


class EventTargetsIn(Model):
    """Who the event is for; the lists are OR'd, at least one name is needed."""

    venID: tuple[str, ...] = Field((), max_length=_MOST_TARGETS)
    resourceID: tuple[str, ...] = Field((), max_length=_MOST_TARGETS)
    groupID: tuple[str, ...] = Field((), max_length=_MOST_TARGETS)
    partyID: tuple[str, ...] = Field((), max_length=_MOST_TARGETS)
    area: tuple[str, ...] = Field((), max_length=_MOST_TARGETS)


class EventIn(Model):
    """A new event; without ``dtstart`` it starts now, without ``responseRequired`` the programme says, else always."""

    marketContext: str = Field(min_length=1, max_length=2000)
    duration: DurationText
    signals: tuple[SignalIn, ...] = Field(min_length=1, max_length=100)
    targets: EventTargetsIn
    baseline: BaselineIn | None = None
    dtstart: Instant | None = None
    priority: int = Field(0, ge=0, le=4_294_967_295)
    startafter: DurationText | None = None
    notification: DurationText = ZERO
    rampUp: DurationText | None = None
    recovery: DurationText | None = None
    responseRequired: ResponseRequired | None = None
    testEvent: TestText = None
    vtnComment: str | None = Field(None, max_length=4000)

    def draft(self) -> Draft:
        """Return it for the service."""
        return Draft(
            market_context=self.marketContext,
            duration=self.duration,
            signals=tuple(each.draft() for each in self.signals),
            ven_ids=self.targets.venID,
            resource_ids=self.targets.resourceID,
            group_ids=self.targets.groupID,
            party_ids=self.targets.partyID,
            areas=self.targets.area,
            baseline=None if self.baseline is None else self.baseline.draft(),
            dtstart=utc(self.dtstart),
            priority=self.priority,
            startafter=self.startafter,
            notification=self.notification,
            ramp_up=self.rampUp,
            recovery=self.recovery,
            response_required=self.responseRequired,
            test_event=self.testEvent,
            vtn_comment=self.vtnComment,
        )


class EventChangeIn(EventIn):
    """An event as it shall be from now on, in place of the version ``modificationNumber``.

    What is left out is as in a new event, but ``dtstart`` and ``responseRequired``, which stay.
    """

    modificationNumber: int = Field(ge=0)
    modificationReason: str | None = Field(None, max_length=4000)

    def change(self) -> Change:
        """Return it for the service."""
        return Change(draft=self.draft(), expected=self.modificationNumber, reason=self.modificationReason)


class CancelIn(Model):
    """Why an event is cancelled; with ``modificationNumber``, only if it is still at that version."""

    reason: str | None = Field(None, max_length=4000)
    modificationNumber: int | None = Field(None, ge=0)


class EventQuery(Page):
    """Which events; ``start`` to ``end`` (exclusive) is a time they touch."""

    status: EventStatus | None = None
    marketContext: str | None = Field(None, max_length=2000)
    venID: str | None = Field(None, max_length=255)
    start: Instant | None = None
    end: Instant | None = None


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
    hertz: float | None
    voltage: float | None
    ac: bool | None
    pulseFactor: float | None


class SignalView(View):
    """A signal as published; ``currentValue`` is the running interval's, null where the standard gives none."""

    signalID: str
    signalName: str
    signalType: SignalType
    itemBase: ItemBaseView | None
    deviceClass: tuple[str, ...]
    intervals: tuple[IntervalView, ...]
    currentValue: float | None


class BaselineView(View):
    """A baseline as published."""

    baselineID: str
    baselineName: str
    dtstart: Instant
    duration: DurationText
    resourceID: tuple[str, ...]
    itemBase: ItemBaseView | None
    intervals: tuple[IntervalView, ...]


class EventTargetsView(View):
    """The targets an operator named."""

    venID: tuple[str, ...]
    resourceID: tuple[str, ...]
    groupID: tuple[str, ...]
    partyID: tuple[str, ...]
    area: tuple[str, ...]


class EventContent(View):
    """What an event says, in one version of it."""

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
    baseline: BaselineView | None
    targets: EventTargetsView
    responseRequired: ResponseRequired
    testEvent: str | None
    vtnComment: str | None
    modificationReason: str | None


class CountsView(View):
    """How an event stands: VENs that have the present version, have answered it, are in or out, and resources."""

    vens: int
    delivered: int
    acknowledged: int
    optedIn: int
    optedOut: int
    unanswered: int
    resources: int


class EventSummary(EventContent):
    """An event and how it stands."""

    eventID: str
    createdDateTime: Instant
    modifiedDateTime: Instant
    counts: CountsView


class AbsenceView(View):
    """An opt schedule that has a resource or a VEN out during the event: it would not take part."""

    optID: str | None
    optReason: str | None
    start: Instant
    until: Instant | None


class ResourceEventView(View):
    """One resource in an event."""

    resourceID: str
    state: DeliveryState
    optType: OptType | None
    optSource: OptSource | None
    optReason: str | None
    unavailable: AbsenceView | None
    telemetry: tuple[TelemetryView, ...]


class VenEventView(View):
    """One VEN in an event; ``deliveries`` counts those of the present modification.

    ``withdrawnModificationNumber``: the version that left the VEN out; it gets the event cancelled with that number.
    ``signalID`` are the signals that concern it, null if all do.
    """

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
    withdrawnModificationNumber: int | None
    signalID: tuple[str, ...] | None
    unavailable: AbsenceView | None
    resources: tuple[ResourceEventView, ...]


class VersionView(EventContent):
    """One version of an event, who made it and when; its eventStatus is only ``cancelled`` or not."""

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
