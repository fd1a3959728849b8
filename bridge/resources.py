"""Controllable loads behind this VEN, typed, and the rule which of them an event's target names; pure.

Rule (R22): an event without criteria, or with venIDs only, means every resource; otherwise the criteria are OR'd and
narrow the choice. A signal may in addition name device classes, which are AND'd with the event's target (R111). The
key of a resource is the charger, never a vehicle or a person (VEN-02).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bridge.location import Location
from bridge.service import NOTHING_PROMISED, Promise
from openadr.model import EiTarget


class Kind(StrEnum):
    """What a resource is (VEN-02)."""

    EVSE = "evse"
    WATER_HEATER = "water_heater"
    HEAT_PUMP = "heat_pump"
    BATTERY = "battery"
    PV = "pv"


class Scenario(StrEnum):
    """Where a charger stands and therefore how it is used (CHG-14)."""

    HOME = "home"
    WORK = "work"
    DEPOT = "depot"
    DESTINATION = "destination"
    EN_ROUTE = "en_route"  # rapid charging on the way: left alone by demand response unless enrolled for it


DEVICE_CLASSES: Mapping[Kind, tuple[str, ...]] = {
    Kind.EVSE: ("EVSE", "Electric_Vehicle"),
    Kind.WATER_HEATER: ("Water_Heater",),
    Kind.HEAT_PUMP: ("Thermostat",),
    Kind.BATTERY: ("Storage", "RESU"),
    Kind.PV: ("Generation_Systems", "Smart_Inverter"),
}
"""endDeviceAsset mrid values that mean a resource of this kind (OpenADR device classes, R111)."""

EVSE_CLASSES = DEVICE_CLASSES[Kind.EVSE]
LEAST_A = 6.0  # IEC 61851: below it a charger can only pause (MAP-09)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One controllable load: ``max_a`` is the installed maximum in A per phase, ``voltage`` line to neutral in V.

    ``rated_a`` is what the device itself could do, ``lines`` the phases of the site it is wired to.
    """

    resource_id: str
    charger: str
    max_a: float
    phases: int = 3
    voltage: float = 230.0
    groups: tuple[str, ...] = ()
    test_enrolled: bool = False  # takes part in test events (EVT-21)
    device_classes: tuple[str, ...] = EVSE_CLASSES
    kind: Kind = Kind.EVSE
    rated_a: float | None = None
    wired_to: tuple[int, ...] = ()  # phases of the site (1 to 3); empty: the first ones
    site: str | None = None
    feeder: str | None = None
    scenario: Scenario | None = None
    priority: int = 0  # 1 is served first, 0 last, as with events (R3)
    contracted_kw: float | None = None  # flexibility sold for this resource; None: nothing was
    battery_wh: float | None = None  # of the store, or of the car that always charges here
    exports: bool = False  # declared to give back power; DRM 5 to 8 also need a probe that says so (MAP-14)
    promise: Promise = NOTHING_PROMISED  # the customer's terms (VEN-13)
    random_window_s: int | None = None  # of a random start where an event says nothing; None: the programme's (RND-04)
    random_windows: tuple[tuple[datetime, int | None], ...] = ()  # set since then, for events that come later
    own_delay_s: int = 0  # the device delays what it is told by up to so long at random: then nobody else does (RND-05)
    agreements: frozenset[str] | None = None  # programmes that were agreed to, by context; None: nobody asks (ARB-19)
    yields_to: frozenset[str] = frozenset()  # of these, whose events go before the user's own schedule
    ev_controlled: bool = False  # the car or its maker's service decides what is drawn (ARB-15)
    accepts_emergency: bool = True  # and an emergency's limit is kept all the same
    location: Location | None = None
    meter_class: str = ""  # accuracy class of its meter (TEL-08)
    provider_since: datetime | None = None  # no older data is told upstream (TEL-06)
    binary: bool = False  # can only be switched on and off: anything below its maximum is off (MAP-07)

    @property
    def lines(self) -> tuple[int, ...]:
        """The phases of the site that the resource loads."""
        return self.wired_to or (1, 2, 3)[: self.phases]

    @property
    def max_kw(self) -> float:
        """The installed maximum as power, kW."""
        return self.kw(self.max_a)

    @property
    def least_a(self) -> float:
        """The least current that is not a pause, A per phase."""
        return LEAST_A if self.kind is Kind.EVSE else 0.0

    @property
    def memberships(self) -> tuple[str, ...]:
        """Every groupID the resource answers to: its groups, its site and its feeder."""
        return (*self.groups, *(name for name in (self.site, self.feeder) if name is not None))

    def window_s(self, received_at: datetime | None) -> int | None:
        """Return the resource's own random window for an event that was learnt then, ``None`` if it has none (RND-04).

        A window counts for events that come after it: one that runs is not moved.
        """
        own = self.random_window_s
        for since, window in self.random_windows:
            if received_at is None or since <= received_at:
                own = self.random_window_s if window is None else window
        return own

    @property
    def dependable(self) -> bool:
        """True if its power may be promised to a grid: whoever controls it keeps an emergency's limit (ARB-15)."""
        return self.accepts_emergency or not self.ev_controlled

    def kw(self, amperes: float) -> float:
        """Return A per phase as kW over all phases."""
        return amperes * self.phases * self.voltage / 1000.0


def _named(resource: Resource, target: EiTarget) -> bool:
    groups = (*target.group_ids, *target.group_names)
    return (
        resource.resource_id in target.resource_ids
        or any(group in resource.memberships for group in groups)
        or any(asset in resource.device_classes for asset in target.end_device_assets)
    )


def select(resources: Iterable[Resource], target: EiTarget, ven_id: str | None = None) -> tuple[Resource, ...]:
    """Return the resources that ``target`` names, in the order given; empty means the target is not ours (462).

    ``ven_id`` is our own venID; ``None`` skips the check of venIDs (not registered yet).
    """
    if target.names_all:
        foreign = bool(target.ven_ids) and ven_id is not None and ven_id not in target.ven_ids
        return () if foreign else tuple(resources)
    return tuple(resource for resource in resources if _named(resource, target))


def in_class(resource: Resource, target: EiTarget | None) -> bool:
    """True if a signal's device classes include this resource; a signal without classes means all (R111)."""
    if target is None or not target.end_device_assets:
        return True
    return any(asset in resource.device_classes for asset in target.end_device_assets)
