"""What an operator may send, as pydantic models in the standard's names, and how it becomes a draft or a query.

Rule: models check form; what needs the database or the signal table is checked by the services.
"""

from pydantic import Field

from openadr.model import ItemBase, ResponseRequired, SignalType, power_real
from openadr.times import ZERO
from vtn.operator.fields import DurationText, Instant, Model, TestText, utc
from vtn.services.enrolment import Enrolment
from vtn.services.publish import Draft, DraftInterval, DraftSignal

_TEXT = Field(min_length=1, max_length=255)
_LIMIT = Field(100, ge=1, le=1000)


class IntervalIn(Model):
    """One value of a signal; a single interval may leave its duration to the event's."""

    value: float
    duration: DurationText | None = None


class ItemBaseIn(Model):
    """A unit, for signals whose name and type do not fix one."""

    kind: str = _TEXT
    itemDescription: str = ""
    itemUnits: str = ""
    siScaleCode: str = "none"
    hertz: float | None = None
    voltage: float | None = None
    ac: bool | None = None

    def unit(self) -> ItemBase:
        """Return the unit; the three power kinds get 50 Hz, 230 V, AC where nothing is given."""
        power = power_real() if self.kind.startswith("power") else ItemBase(kind=self.kind)
        return ItemBase(
            kind=self.kind,
            item_description=self.itemDescription or self.kind,
            item_units=self.itemUnits or power.item_units,
            si_scale_code=self.siScaleCode,
            hertz=power.hertz if self.hertz is None else self.hertz,
            voltage=power.voltage if self.voltage is None else self.voltage,
            ac=power.ac if self.ac is None else self.ac,
        )


class SignalIn(Model):
    """One signal."""

    signalName: str = _TEXT
    signalType: SignalType
    intervals: tuple[IntervalIn, ...] = Field(min_length=1, max_length=10_000)
    itemBase: ItemBaseIn | None = None
    deviceClass: tuple[str, ...] = ()

    def draft(self) -> DraftSignal:
        """Return it for the service."""
        return DraftSignal(
            signal_name=self.signalName,
            signal_type=self.signalType,
            intervals=tuple(DraftInterval(value=each.value, duration=each.duration) for each in self.intervals),
            item_base=None if self.itemBase is None else self.itemBase.unit(),
            device_classes=self.deviceClass,
        )


class TargetsIn(Model):
    """Who the event is for; the lists are OR'd, at least one name is needed."""

    venID: tuple[str, ...] = ()
    resourceID: tuple[str, ...] = ()
    groupID: tuple[str, ...] = ()


class EventIn(Model):
    """A new event; without ``dtstart`` it starts now."""

    marketContext: str = Field(min_length=1, max_length=2000)
    duration: DurationText
    signals: tuple[SignalIn, ...] = Field(min_length=1, max_length=100)
    targets: TargetsIn
    dtstart: Instant | None = None
    priority: int = Field(0, ge=0, le=4_294_967_295)
    startafter: DurationText | None = None
    notification: DurationText = ZERO
    rampUp: DurationText | None = None
    recovery: DurationText | None = None
    responseRequired: ResponseRequired = ResponseRequired.ALWAYS
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


class CancelIn(Model):
    """Why an event is cancelled."""

    reason: str | None = Field(None, max_length=4000)


class ResourceIn(Model):
    """A resource behind a VEN."""

    resourceID: str = _TEXT
    groupIDs: tuple[str, ...] = ()


class VenIn(Model):
    """A VEN to enrol; ``fingerprint`` is that of its certificate."""

    venID: str = _TEXT
    fingerprint: str = Field(min_length=20, max_length=64)
    venName: str | None = Field(None, max_length=255)
    resources: tuple[ResourceIn, ...] = ()

    def enrolment(self) -> Enrolment:
        """Return it for the service."""
        return Enrolment(
            ven_id=self.venID,
            fingerprint=self.fingerprint,
            ven_name=self.venName,
            resources=tuple((each.resourceID, each.groupIDs) for each in self.resources),
        )


class Page(Model):
    """How much of a list: ``cursor`` is the ``next`` of the page before."""

    limit: int = _LIMIT
    cursor: str | None = Field(None, max_length=1000)


class OptQuery(Page):
    """Which opts."""

    venID: str | None = None
    eventID: str | None = None


class ReportQuery(Page):
    """Which telemetry; ``start`` is inclusive, ``end`` exclusive."""

    venID: str | None = None
    resourceID: str | None = None
    rID: str | None = None
    start: Instant | None = None
    end: Instant | None = None
