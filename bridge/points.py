"""The data points that the VEN offers: what each rID means, and the METADATA that says so; pure.

Rule (TEL-01, TEL-02): an rID is a letter for the quantity and the name of a resource (``P-`` power, ``E-`` energy,
``S-`` status, ``U-``, ``D-`` and ``H-`` flexibility) or, with ``G`` in front, of a group: a feeder, a site, a level of
the network that the VTN may know (TEL-11). The live and the half-hourly report have the same rIDs. Flexibility is
offered only where a state of charge is known (TEL-10). ``M-``, ``F-`` and ``A-`` complete the data set for demand side
response: meter register, mains frequency, energy that still fits in (TEL-02).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.location import Level
from bridge.resources import Resource
from openadr.model import EiTarget, ItemBase, ReportDescription, SamplingRate, energy_real, power_real
from openadr.times import Duration
from ven.model import ReportCapability

USAGE = "bridge-usage"
STATUS = "bridge-status"
HISTORY = "bridge-history"
FLEXIBILITY = "bridge-flexibility"
CURTAILABLE = "bridge-curtailable"
DSR = "bridge-dsr"
HALF_HOURLY = SamplingRate(min_period=Duration(seconds=1800), max_period=Duration(seconds=1800))


class Quantity(StrEnum):
    """What a data point is about; the value is the beginning of its rID."""

    POWER = "P"
    ENERGY = "E"
    STATUS = "S"
    UP = "U"  # kW more that could be drawn
    DOWN = "D"  # kW less
    HOLD = "H"  # for how long the higher could be held, s
    CURTAILABLE = "C"  # kW of a group that a command would take away now (TEL-13)
    REGISTER = "M"  # the meter's reading, Wh
    FREQUENCY = "F"  # of the mains, Hz
    AVAILABLE = "A"  # Wh that still fit in


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One data point over the resources ``members``; ``group`` names them together, ``None`` for a single one."""

    r_id: str
    quantity: Quantity
    members: tuple[Resource, ...]
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """What is offered: fastest and slowest interval, how far back data and half-hours are kept, all in s."""

    fastest_s: int = 10
    slowest_s: int = 900
    buffer_s: int = 7 * 86_400  # at the fastest rate far more than the 100 points that R510 asks for
    history_s: int = 760 * 86_400  # 25 months of half-hours
    stale_s: float = 180.0  # an older reading is marked as such
    dsr: bool = False  # offer the data set for demand side response (TEL-02)
    locations: Mapping[str, tuple[Level, ...]] = field(default_factory=dict)  # levels told, by the VTN's name


def _groups(resources: Iterable[Resource], levels: Sequence[Level]) -> dict[str, tuple[Resource, ...]]:
    found: dict[str, list[Resource]] = {}
    for resource in resources:
        places = () if resource.location is None else resource.location.told(levels)
        for name in sorted({*resource.memberships, *places}):
            found.setdefault(name, []).append(resource)
    return {name: tuple(members) for name, members in sorted(found.items())}


_STORE = (Quantity.UP, Quantity.DOWN, Quantity.HOLD, Quantity.AVAILABLE)
_SUMS = (Quantity.POWER, Quantity.ENERGY, Quantity.CURTAILABLE)


def points(
    resources: Sequence[Resource],
    measured: frozenset[str] = frozenset(),
    *,
    levels: Sequence[Level] = (),
    dsr: bool = False,
) -> Mapping[str, Point]:
    """Return every data point by rID: of each resource, then of each group.

    ``measured`` names the resources whose state of charge is known, ``levels`` those of the network that may be told.
    """
    found: list[Point] = []
    for resource in resources:
        name = resource.resource_id
        quantities = [Quantity.POWER, Quantity.ENERGY, Quantity.STATUS]
        quantities += [Quantity.REGISTER, Quantity.FREQUENCY] if dsr else []
        quantities += _STORE if name in measured else ()
        found += [Point(r_id=f"{each}-{name}", quantity=each, members=(resource,)) for each in quantities]
    for name, members in _groups(resources, levels).items():
        for quantity in _SUMS:
            found.append(Point(r_id=f"G{quantity}-{name}", quantity=quantity, members=members, group=name))
    return {point.r_id: point for point in found}


def _unit(point: Point) -> ItemBase | None:
    if point.quantity in (Quantity.POWER, Quantity.UP, Quantity.DOWN, Quantity.CURTAILABLE):
        return power_real(voltage=point.members[0].voltage)
    if point.quantity is Quantity.FREQUENCY:
        return ItemBase(kind="frequency", item_description="Frequency", item_units="Hz")
    return energy_real() if point.quantity in (Quantity.ENERGY, Quantity.REGISTER, Quantity.AVAILABLE) else None


_REPORT_TYPES: Mapping[Quantity, tuple[str, str]] = {
    Quantity.POWER: ("usage", "Direct Read"),
    Quantity.ENERGY: ("usage", "Direct Read"),
    Quantity.STATUS: ("x-resourceStatus", "x-notApplicable"),
    Quantity.CURTAILABLE: ("x-curtailable", "Estimated"),
    Quantity.REGISTER: ("reading", "Direct Read"),
    Quantity.FREQUENCY: ("reading", "Direct Read"),
}
"""reportType and readingType; what is missing here is worked out: flexibility."""


def _description(point: Point, rate: SamplingRate) -> ReportDescription:
    report_type, reading_type = _REPORT_TYPES.get(point.quantity, ("x-flexibility", "Estimated"))
    names = tuple(resource.resource_id for resource in point.members)
    return ReportDescription(
        r_id=point.r_id,
        report_type=report_type,
        reading_type=reading_type,
        report_data_source=EiTarget(resource_ids=names) if point.group is None else EiTarget(group_ids=(point.group,)),
        item_base=_unit(point),
        sampling_rate=rate,
    )


_REPORTS: tuple[tuple[str, str, frozenset[Quantity]], ...] = (
    (USAGE, "TELEMETRY_USAGE", frozenset({Quantity.POWER, Quantity.ENERGY})),
    (STATUS, "TELEMETRY_STATUS", frozenset({Quantity.STATUS})),
    (HISTORY, "HISTORY_USAGE", frozenset({Quantity.POWER, Quantity.ENERGY})),
    (CURTAILABLE, "x-CURTAILABLE", frozenset({Quantity.CURTAILABLE})),
    (FLEXIBILITY, "x-FLEXIBILITY", frozenset({Quantity.UP, Quantity.DOWN, Quantity.HOLD})),
    (DSR, "x-DSR", frozenset({Quantity.REGISTER, Quantity.FREQUENCY, Quantity.AVAILABLE, Quantity.UP, Quantity.DOWN})),
)


def offered(known: Iterable[Point], sampling: Sampling) -> tuple[ReportCapability, ...]:
    """Return what METADATA lists; a report without a point is left out."""
    known = tuple(known)
    reports = _REPORTS if sampling.dsr else tuple(each for each in _REPORTS if each[0] != DSR)
    rate = SamplingRate(
        min_period=Duration(seconds=sampling.fastest_s), max_period=Duration(seconds=sampling.slowest_s)
    )
    found = []
    for specifier, name, quantities in reports:
        history = specifier == HISTORY
        rows = tuple(
            _description(each, HALF_HOURLY if history else rate) for each in known if each.quantity in quantities
        )
        if rows:
            kept = Duration(seconds=sampling.history_s if history else sampling.buffer_s)
            found.append(
                ReportCapability(report_specifier_id=specifier, report_name=name, duration=kept, descriptions=rows)
            )
    return tuple(found)
