"""What the overview's routes give, as typed values; names and units as in the other bodies.

Rule: no logic beyond copying and naming.
"""

from datetime import datetime

from bridge.api.bodies import Body
from bridge.figures import Availability, GroupFigures, KeyFigures
from bridge.location import Location
from bridge.overview import Card
from bridge.prices import Price
from bridge.store import Alert, Outcome
from bridge.store.records import Phase

LOW, MEDIUM = 1 / 3, 2 / 3  # of the installed maximum: below is a low, a medium, above a high charge rate
_GAPS = ("power", "energy register", "phase currents", "state of charge", "mains frequency")


class GroupBody(Body, frozen=True):
    """One group now ('' is all): what could be curtailed, and of how many that was made (TEL-13)."""

    group_id: str
    resources: int
    online: int
    charging: int
    metered: int
    out: int
    kw_rated: float
    kw: float
    kw_curtailable: float
    kw_to_floor: float
    kw_held: float


class FiguresBody(Body, frozen=True):
    """What events came to over a time (TEL-18); ``kWhShortfall`` is what drivers will miss as limits stand now."""

    start: datetime
    end: datetime
    events: int
    participations: int
    measured: int
    states: dict[str, int]
    kw_baseline: float
    kw_reduction: float
    reduction_share: float | None
    kw_peak_reduction: float
    kwh_withheld: float
    kwh_shortfall: float
    verified_rate: float | None
    opt_out_rate: float | None
    override_rate: float | None


class AvailabilityBody(Body, frozen=True):
    """How available one resource was over a time (TEL-14)."""

    resource_id: str
    hours: float
    online_hours: float
    plugged_hours: float
    overridden_hours: float
    responses: int
    response_s: float | None
    response: str


class AlertBody(Body, frozen=True):
    """One alert (TEL-17)."""

    alert_id: str
    kind: str
    subject: str
    severity: str
    text: str
    raised_at: datetime
    cleared_at: datetime | None


class PriceBody(Body, frozen=True):
    """The price in force, as the event told it."""

    value: float
    kind: str
    unit: str
    event_id: str


class StatusEvent(Body, frozen=True):
    """One event at a resource: running, planned, or recent (over for less than a day)."""

    event_id: str
    when: str
    state: str
    reason: str
    start: datetime
    end: datetime | None
    limit_a: float | None
    kw_before: float | None
    kw_during: float | None


class LocationBody(Body, frozen=True):
    """Where a resource is in the network; the premises are for operators only."""

    premises: str
    lv_feeder: str
    secondary: str
    primary: str
    bsp: str
    gsp: str
    voltage_v: float | None
    confidence: str


class StatusBody(Body, frozen=True):
    """One resource's status card: the six categories of feedback (TEL-04), and what a card shows (TEL-15)."""

    resource_id: str
    charger_id: str
    type: str
    vendor: str
    model: str
    firmware: str
    meter_class: str
    site: str | None
    feeder: str | None
    location: LocationBody | None
    connected: bool
    session: bool
    status: str
    power_w: float | None
    power_at: datetime | None
    direction: str
    charge_rate: str
    limit_a: float | None
    limit_source: str
    limit_reason: str
    price: PriceBody | None
    events: tuple[StatusEvent, ...]
    manual_override: bool
    suspended: bool
    communication_failure: bool
    offline_since: datetime | None
    vtn_silent_since: datetime | None
    gaps: tuple[str, ...]


def group_body(each: GroupFigures) -> GroupBody:
    """Return a group as the API shows it."""
    return GroupBody(
        group_id=each.group_id,
        resources=each.resources,
        online=each.online,
        charging=each.charging,
        metered=each.metered,
        out=each.out,
        kw_rated=each.rated_kw,
        kw=each.power_kw,
        kw_curtailable=each.curtailable_kw,
        kw_to_floor=each.to_floor_kw,
        kw_held=each.held_kw,
    )


def figures_body(figures: KeyFigures, shortfall_kwh: float, start: datetime, end: datetime) -> FiguresBody:
    """Return the key figures as the API shows them."""
    return FiguresBody(
        start=start,
        end=end,
        events=figures.events,
        participations=figures.participations,
        measured=figures.measured,
        states=dict(figures.states),
        kw_baseline=figures.baseline_kw,
        kw_reduction=figures.reduction_kw,
        reduction_share=figures.reduction_share,
        kw_peak_reduction=figures.peak_reduction_kw,
        kwh_withheld=figures.withheld_kwh,
        kwh_shortfall=shortfall_kwh,
        verified_rate=figures.verified_rate,
        opt_out_rate=figures.opt_out_rate,
        override_rate=figures.override_rate,
    )


def availability_body(each: Availability) -> AvailabilityBody:
    """Return a resource's availability."""
    return AvailabilityBody(
        resource_id=each.resource_id,
        hours=each.hours,
        online_hours=each.online_h,
        plugged_hours=each.plugged_h,
        overridden_hours=each.overridden_h,
        responses=each.responses,
        response_s=each.response_s,
        response=each.response.value,
    )


def alert_body(each: Alert) -> AlertBody:
    """Return an alert."""
    return AlertBody(**{name: getattr(each, name) for name in AlertBody.__struct_fields__})


def status_body(card: Card) -> StatusBody:
    """Return a status card."""
    resource, status, reading = card.resource, card.status, card.charger.reading
    return StatusBody(
        resource_id=resource.resource_id,
        charger_id=resource.charger,
        type=resource.kind.value,
        vendor=status.vendor,
        model=status.model,
        firmware=status.firmware,
        meter_class=resource.meter_class,
        site=resource.site,
        feeder=resource.feeder,
        location=None if resource.location is None else _location(resource.location),
        connected=card.charger.connected,
        session=card.charger.session,
        status=status.status,
        power_w=card.power_w,
        power_at=None if reading is None else reading.at,
        direction=_direction(card.power_w),
        charge_rate=_rate(card.power_w, resource.max_kw * 1000.0),
        limit_a=card.effective.limit_a,
        limit_source=card.effective.source,
        limit_reason=card.effective.reason,
        price=None if card.price is None else _price(card.price),
        events=tuple(map(_event, card.outcomes)),
        manual_override=card.overridden,
        suspended=card.suspended,
        communication_failure=not card.charger.connected or card.vtn_silent_since is not None,
        offline_since=card.charger.offline_since,
        vtn_silent_since=card.vtn_silent_since,
        gaps=_gaps(card),
    )


def _location(place: Location) -> LocationBody:
    return LocationBody(
        premises=place.premises,
        lv_feeder=place.lv_feeder,
        secondary=place.secondary,
        primary=place.primary,
        bsp=place.bsp,
        gsp=place.gsp,
        voltage_v=place.voltage_v,
        confidence=place.confidence.value,
    )


def _price(price: Price) -> PriceBody:
    return PriceBody(value=price.value, kind=price.kind, unit=price.unit, event_id=price.event_id)


def _event(outcome: Outcome) -> StatusEvent:
    when = {Phase.PLANNED: "planned", Phase.RUNNING: "running"}.get(outcome.phase, "recent")
    return StatusEvent(
        event_id=outcome.event_id,
        when=when,
        state=outcome.state.value,
        reason=outcome.reason,
        start=outcome.effective_start,
        end=outcome.effective_end,
        limit_a=outcome.limit_a,
        kw_before=outcome.kw_before,
        kw_during=outcome.kw_during,
    )


def _direction(power_w: float | None) -> str:
    if power_w is None or power_w == 0.0:
        return "none" if power_w == 0.0 else "unknown"
    return "import" if power_w > 0.0 else "export"


def _rate(power_w: float | None, most_w: float) -> str:
    if power_w is None:
        return "unknown"
    share = abs(power_w) / most_w
    if share == 0.0:
        return "none"
    return "low" if share <= LOW else "medium" if share <= MEDIUM else "high"


def _gaps(card: Card) -> tuple[str, ...]:
    """Return what this device has not told with its last reading: what a card therefore cannot show."""
    reading = card.charger.reading
    if reading is None:
        return _GAPS
    told = (reading.power_w, reading.energy_wh, reading.current_a, reading.soc, reading.frequency_hz)
    return tuple(name for name, value in zip(_GAPS, told, strict=True) if value is None)
