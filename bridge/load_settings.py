"""Settings that every controllable load has, whatever it is spoken to by: a charger, a CTA-2045 device.

Rule: what a resource of the VEN is (place, wiring, rating, who may limit it) is told with the same keys for every
family; a family's own table adds how the device is reached.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from bridge.data_settings import DataSection
from bridge.resources import DEVICE_CLASSES, LEAST_A, Kind, Resource, Scenario
from bridge.service import LONGEST_GAP_H, Promise
from runtime.settings import Section


class PromiseSection(Section):
    """The ``promise`` table of a load: the terms of its customer; 0 promises nothing."""

    events_per_week: int = Field(default=0, ge=0, description="Most events in 7 days; it rests from the others")
    hours_per_event: float = Field(default=0.0, ge=0, le=168, description="An event lets it go after so long, h")
    gap_hours: float = Field(default=0.0, ge=0, le=LONGEST_GAP_H, description="Least time between two events, h")
    floor: float = Field(
        default=0.0, ge=0, le=1, description="Share of the installed maximum that events leave it, emergencies excepted"
    )
    stops_per_week: int = Field(default=0, ge=0, description="Events in 7 days that may go below the floor")

    @property
    def promise(self) -> Promise:
        """The terms as a value."""
        return Promise(**self.model_dump())


class LoadSection(DataSection):
    """The keys of a load, which is a resource of the VEN."""

    identity: str = Field(min_length=1, max_length=48, description="Its name here, unlike every other's")
    resource_id: str = Field(min_length=1, description="resourceID that the VTN targets")
    type: Kind = Field(default=Kind.EVSE, description="What it is; decides the device classes it answers to")
    phases: Literal[1, 2, 3] = Field(default=3, description="Phases connected")
    lines: tuple[Literal[1, 2, 3], ...] = Field(
        default=(), description="Phases of the site it is wired to; empty: 1, or 1 and 2, or all"
    )
    max_a: float = Field(default=32.0, gt=0, le=1000, description="Installed maximum, A per phase")
    rated_a: float | None = Field(
        default=None, gt=0, le=1000, description="What the device itself could do, A per phase"
    )
    voltage: float = Field(default=230.0, ge=100, le=1000, description="Line to neutral, V")
    groups: tuple[str, ...] = Field(default=(), description="groupIDs it belongs to: site, feeder, substation")
    site: str | None = Field(default=None, min_length=1, description="Site it stands on; a groupID too")
    feeder: str | None = Field(default=None, min_length=1, description="Feeder that supplies it; a groupID too")
    scenario: Scenario | None = Field(
        default=None, description="Where it stands; en_route takes part in no demand response (CHG-14)"
    )
    priority: int = Field(default=0, ge=0, description="1 is served first in a group, 0 last (strategy priority)")
    contracted_kw: float | None = Field(default=None, ge=0, description="Flexibility sold for it, kW; for the ledger")
    binary: bool = Field(default=False, description="Can only be switched on and off: below its maximum it is off")
    battery_kwh: float | None = Field(
        default=None, gt=0, le=10_000, description="Capacity of the store, or of the car that always charges here, kWh"
    )
    exports: bool = Field(
        default=False, description="Declared to give back power; until a driver can prove it, DRM 5 to 8 stay refused"
    )
    promise: PromiseSection = Field(default=PromiseSection(), description="What the customer was promised (VEN-13)")
    random_window_s: int | None = Field(
        default=None, ge=0, le=1800, description="Random window where an event carries none, s; else the programme's"
    )
    own_delay_s: int = Field(
        default=0, ge=0, le=1800, description="It delays changes itself by up to so long at random; we then do not, s"
    )
    ev_controlled: bool = Field(
        default=False, description="The car or its maker's service decides what is drawn; limits here go before it"
    )
    accepts_emergency: bool = Field(
        default=True, description="false, with ev_controlled: its power is offered to nobody"
    )
    limit_a: float | None = Field(
        default=None, ge=0, description="Limit that always holds, A per phase (source default)"
    )
    test_enrolled: bool = Field(default=False, description="Takes part in test events")
    vtn: str = Field(default="", description="The VTN that leads it: a name of [[vtns]]; empty: that of [ven]")
    also_vtns: tuple[str, ...] = Field(
        default=(), description="Further VTNs it is enrolled with ('' is that of [ven]); the lowest limit counts"
    )

    @model_validator(mode="after")
    def _wired(self) -> Self:
        if self.lines and (len(self.lines) != self.phases or len(set(self.lines)) != len(self.lines)):
            raise ValueError(f"lines: {self.phases} different phases of the site are needed, or none")
        if self.rated_a is not None and self.rated_a < self.max_a:
            raise ValueError(f"rated_a: {self.rated_a:g} A is below the installed maximum max_a = {self.max_a:g} A")
        if self.type is Kind.EVSE and self.max_a < LEAST_A:
            raise ValueError(f"max_a: a charger cannot be held below {LEAST_A:g} A (MAP-09)")
        if self.limit_a is not None and 0.0 < self.limit_a < LEAST_A and self.type is Kind.EVSE:
            raise ValueError(f"limit_a: a charger can hold 0 or {LEAST_A:g} A and more (MAP-09)")
        return self

    @property
    def resource(self) -> Resource:
        """The load as a resource."""
        return Resource(
            resource_id=self.resource_id,
            charger=self.identity,
            max_a=self.max_a,
            phases=self.phases,
            voltage=self.voltage,
            groups=self.groups,
            test_enrolled=self.test_enrolled,
            device_classes=DEVICE_CLASSES[self.type],
            kind=self.type,
            rated_a=self.rated_a,
            wired_to=self.lines,
            site=self.site,
            feeder=self.feeder,
            scenario=self.scenario,
            priority=self.priority,
            contracted_kw=self.contracted_kw,
            binary=self.binary,
            random_window_s=self.random_window_s,
            own_delay_s=self.own_delay_s,
            ev_controlled=self.ev_controlled,
            accepts_emergency=self.accepts_emergency,
            battery_wh=None if self.battery_kwh is None else self.battery_kwh * 1000.0,
            exports=self.exports,
            promise=self.promise.promise,
            location=None if self.location is None else self.location.location,
            meter_class=self.meter_class,
            provider_since=self.provider_since,
        )
