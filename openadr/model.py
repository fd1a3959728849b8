"""Events, signals, reports, opts and registration data as frozen dataclasses, in the words of OpenADR 2.0b.

Rule: values only. Attribute names are the standard's element names in snake case; collections are tuples; instants are
aware UTC datetimes; lengths of time are ``Duration``. What an exchange carries around them is in ``messages``.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from openadr.intervals import LoadControlState as LoadControlState
from openadr.intervals import LoadControlValue as LoadControlValue
from openadr.intervals import PlainIntervals as PlainIntervals
from openadr.intervals import ReportInterval as ReportInterval
from openadr.intervals import ReportPayload as ReportPayload
from openadr.intervals import ResourceStatus as ResourceStatus
from openadr.times import ZERO, Duration


class EventStatus(StrEnum):
    """ei:eventStatus."""

    NONE = "none"
    FAR = "far"
    NEAR = "near"
    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class OptType(StrEnum):
    """ei:optType."""

    OPT_IN = "optIn"
    OPT_OUT = "optOut"


class ResponseRequired(StrEnum):
    """oadr:oadrResponseRequired (R12)."""

    ALWAYS = "always"
    NEVER = "never"


class SignalName(StrEnum):
    """Well-known ei:signalName values; ``x-`` names are plain strings."""

    SIMPLE = "SIMPLE"
    ELECTRICITY_PRICE = "ELECTRICITY_PRICE"
    ENERGY_PRICE = "ENERGY_PRICE"
    DEMAND_CHARGE = "DEMAND_CHARGE"
    BID_PRICE = "BID_PRICE"
    BID_LOAD = "BID_LOAD"
    BID_ENERGY = "BID_ENERGY"
    CHARGE_STATE = "CHARGE_STATE"
    LOAD_DISPATCH = "LOAD_DISPATCH"
    LOAD_CONTROL = "LOAD_CONTROL"


class SignalType(StrEnum):
    """ei:signalType: a closed list in the XSD."""

    DELTA = "delta"
    LEVEL = "level"
    MULTIPLIER = "multiplier"
    PRICE = "price"
    PRICE_MULTIPLIER = "priceMultiplier"
    PRICE_RELATIVE = "priceRelative"
    SETPOINT = "setpoint"
    LOAD_CONTROL_CAPACITY = "x-loadControlCapacity"
    LOAD_CONTROL_LEVEL_OFFSET = "x-loadControlLevelOffset"
    LOAD_CONTROL_PERCENT_OFFSET = "x-loadControlPercentOffset"
    LOAD_CONTROL_SETPOINT = "x-loadControlSetpoint"


class OptReason(StrEnum):
    """Well-known ei:optReason values; ``x-`` reasons are plain strings."""

    ECONOMIC = "economic"
    EMERGENCY = "emergency"
    MUST_RUN = "mustRun"
    NOT_PARTICIPATING = "notParticipating"
    OUTAGE_RUN_STATUS = "outageRunStatus"
    OVERRIDE_STATUS = "overrideStatus"
    PARTICIPATING = "participating"
    X_SCHEDULE = "x-schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class EiTarget:
    """ei:eiTarget, reportSubject, reportDataSource, oadrDeviceClass: criteria OR'd within (R22), empty means all."""

    aggregated_pnodes: tuple[str, ...] = ()
    end_device_assets: tuple[str, ...] = ()
    meter_assets: tuple[str, ...] = ()
    pnodes: tuple[str, ...] = ()
    service_areas: tuple[str, ...] = ()  # each the gml:posList text of the area's outer ring
    service_delivery_points: tuple[str, ...] = ()
    service_locations: tuple[str, ...] = ()  # as service_areas
    transport_interfaces: tuple[tuple[str, str], ...] = ()  # (pointOfReceipt, pointOfDelivery)
    group_ids: tuple[str, ...] = ()
    group_names: tuple[str, ...] = ()
    resource_ids: tuple[str, ...] = ()
    ven_ids: tuple[str, ...] = ()
    party_ids: tuple[str, ...] = ()

    @property
    def names_all(self) -> bool:
        """True if no criterion narrows it: empty, or venIDs only (R22)."""
        return self == EiTarget(ven_ids=self.ven_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemBase:
    """emix:itemBase, the unit: ``kind`` is the element's local name (powerReal, energyReal, currencyPerKWh...)."""

    kind: str
    item_description: str = ""
    item_units: str = ""
    si_scale_code: str = "none"
    hertz: float | None = None  # powerAttributes: mandatory with the three power kinds
    voltage: float | None = None
    ac: bool | None = None
    pulse_factor: float | None = None  # kWh per count, kind pulseCount only


def power_real(*, scale: str = "none", hertz: float = 50.0, voltage: float = 230.0) -> ItemBase:
    """Return the unit real power in W times ``scale``."""
    return ItemBase(
        kind="powerReal",
        item_description="RealPower",
        item_units="W",
        si_scale_code=scale,
        hertz=hertz,
        voltage=voltage,
        ac=True,
    )


def energy_real(*, scale: str = "none") -> ItemBase:
    """Return the unit real energy in Wh times ``scale``."""
    return ItemBase(kind="energyReal", item_description="RealEnergy", item_units="Wh", si_scale_code=scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """One ei:interval of a signal or baseline; ``uid`` counts from 0 (R2, R102)."""

    duration: Duration
    uid: int
    value: float
    dtstart: datetime | None = None  # never sent by us (R103); accepted from others


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """ei:eiEventSignal. ``target`` may only name device classes (R111)."""

    signal_name: str
    signal_type: SignalType
    signal_id: str
    intervals: tuple[Interval, ...]
    target: EiTarget | None = None
    item_base: ItemBase | None = None
    current_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """ei:eiEventBaseline: own times, not bound to the event target (R108)."""

    dtstart: datetime
    duration: Duration
    intervals: tuple[Interval, ...]
    baseline_id: str
    baseline_name: str
    resource_ids: tuple[str, ...] = ()
    item_base: ItemBase | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDescriptor:
    """ei:eventDescriptor."""

    event_id: str
    modification_number: int
    market_context: str
    created_date_time: datetime
    event_status: EventStatus
    priority: int = 0  # 1 is highest; 0 is none and therefore last (R3)
    modification_date_time: datetime | None = None
    modification_reason: str | None = None
    test_event: str | None = None  # anything but exactly "false" is a test (R6)
    vtn_comment: str | None = None

    @property
    def is_test(self) -> bool:
        """True for every testEvent text except exactly ``false`` (R6); absent or empty is no test."""
        return bool(self.test_event) and self.test_event != "false"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivePeriod:
    """ei:eiActivePeriod: scheduled times. ``duration`` zero is open-ended (R47)."""

    dtstart: datetime
    duration: Duration
    startafter: Duration | None = None  # None: tolerance absent; zero: explicitly immediate (RND-03)
    notification: Duration = ZERO
    ramp_up: Duration | None = None
    recovery: Duration | None = None

    @property
    def end(self) -> datetime | None:
        """Scheduled end (exclusive, R18), ``None`` for an open-ended event."""
        return None if self.duration.is_zero else self.duration.after(self.dtstart)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """ei:eiEvent with its oadrResponseRequired."""

    descriptor: EventDescriptor
    active_period: ActivePeriod
    signals: tuple[Signal, ...]
    target: EiTarget = field(default_factory=EiTarget)
    baseline: Baseline | None = None
    response_required: ResponseRequired = ResponseRequired.ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingRate:
    """oadr:oadrSamplingRate: fastest, slowest, on change."""

    min_period: Duration
    max_period: Duration
    on_change: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDescription:
    """oadr:oadrReportDescription: one data point offered in METADATA."""

    r_id: str
    report_type: str
    reading_type: str
    report_subject: EiTarget | None = None
    report_data_source: EiTarget | None = None
    item_base: ItemBase | None = None
    market_context: str | None = None
    sampling_rate: SamplingRate | None = None
    green_button: str | None = None  # the atom:feed that takes the place of a unit (HISTORY_GREENBUTTON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """oadr:oadrReport: METADATA has descriptions, reportRequestID 0 (R311); data has dtstart, intervals (R313)."""

    report_request_id: str
    report_specifier_id: str
    created_date_time: datetime
    report_name: str | None = None
    dtstart: datetime | None = None
    duration: Duration | None = None
    intervals: tuple[ReportInterval, ...] | PlainIntervals = ()
    descriptions: tuple[ReportDescription, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecifierPayload:
    """ei:specifierPayload: one rID asked for; readingType is always x-notApplicable (R338)."""

    r_id: str
    reading_type: str = "x-notApplicable"
    item_base: ItemBase | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSpecifier:
    """ei:reportSpecifier: what, how fine, how often, from when for how long (R317, R324)."""

    report_specifier_id: str
    granularity: Duration
    report_back_duration: Duration
    payloads: tuple[SpecifierPayload, ...]
    interval_start: datetime | None = None  # reportInterval; None: absent
    interval_duration: Duration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """oadr:oadrReportRequest."""

    report_request_id: str
    specifier: ReportSpecifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """One xcal:available window of an opt schedule; duration zero is open-ended (R210)."""

    dtstart: datetime
    duration: Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class QualifiedEventId:
    """ei:qualifiedEventID."""

    event_id: str
    modification_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """oadr:oadrProfile: a version and its transports."""

    profile_name: str
    transports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValue:
    """oadr:oadrInfo."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedInfo:
    """oadr:oadrService or oadr:oadrExtension: a name with its infos."""

    name: str
    infos: tuple[KeyValue, ...] = ()
