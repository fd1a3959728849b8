"""The data points that the VEN offers: what each rID means, and the METADATA that says so; pure.

Rule (TEL-01, TEL-02): an rID is a letter for the quantity and the name of a resource (``P-`` power, ``E-`` energy,
``S-`` status, ``U-``, ``D-`` and ``H-`` flexibility) or, with ``G`` in front, of a group: a feeder, a site. The live
and the half-hourly report have the same rIDs. Flexibility is offered only where a state of charge is known (TEL-10).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bridge.resources import Resource
from openadr.model import EiTarget, ItemBase, ReportDescription, SamplingRate, energy_real, power_real
from openadr.times import Duration
from ven.model import ReportCapability

USAGE = "bridge-usage"
STATUS = "bridge-status"
HISTORY = "bridge-history"
FLEXIBILITY = "bridge-flexibility"
HALF_HOURLY = SamplingRate(min_period=Duration(seconds=1800), max_period=Duration(seconds=1800))


class Quantity(StrEnum):
    """What a data point is about; the value is the beginning of its rID."""

    POWER = "P"
    ENERGY = "E"
    STATUS = "S"
    UP = "U"  # kW more that could be drawn
    DOWN = "D"  # kW less
    HOLD = "H"  # for how long the higher could be held, s


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


def _groups(resources: Iterable[Resource]) -> dict[str, tuple[Resource, ...]]:
    found: dict[str, list[Resource]] = {}
    for resource in resources:
        for name in sorted(set(resource.memberships)):
            found.setdefault(name, []).append(resource)
    return {name: tuple(members) for name, members in sorted(found.items())}


def points(resources: Sequence[Resource], measured: frozenset[str] = frozenset()) -> Mapping[str, Point]:
    """Return every data point by rID: of each resource, then of each group.

    ``measured`` names the resources whose state of charge is known.
    """
    found: list[Point] = []
    for resource in resources:
        name = resource.resource_id
        quantities = [Quantity.POWER, Quantity.ENERGY, Quantity.STATUS]
        quantities += [Quantity.UP, Quantity.DOWN, Quantity.HOLD] if name in measured else []
        found += [Point(r_id=f"{each}-{name}", quantity=each, members=(resource,)) for each in quantities]
    for name, members in _groups(resources).items():
        for quantity in (Quantity.POWER, Quantity.ENERGY):
            found.append(Point(r_id=f"G{quantity}-{name}", quantity=quantity, members=members, group=name))
    return {point.r_id: point for point in found}


def _unit(point: Point) -> ItemBase | None:
    if point.quantity in (Quantity.POWER, Quantity.UP, Quantity.DOWN):
        return power_real(voltage=point.members[0].voltage)
    return energy_real() if point.quantity is Quantity.ENERGY else None


def _description(point: Point, rate: SamplingRate) -> ReportDescription:
    status, live = point.quantity is Quantity.STATUS, point.quantity in (Quantity.POWER, Quantity.ENERGY)
    names = tuple(resource.resource_id for resource in point.members)
    return ReportDescription(
        r_id=point.r_id,
        report_type="x-resourceStatus" if status else "usage" if live else "x-flexibility",
        reading_type="x-notApplicable" if status else "Direct Read" if live else "Estimated",
        report_data_source=EiTarget(resource_ids=names) if point.group is None else EiTarget(group_ids=(point.group,)),
        item_base=_unit(point),
        sampling_rate=rate,
    )


_REPORTS: tuple[tuple[str, str, frozenset[Quantity]], ...] = (
    (USAGE, "TELEMETRY_USAGE", frozenset({Quantity.POWER, Quantity.ENERGY})),
    (STATUS, "TELEMETRY_STATUS", frozenset({Quantity.STATUS})),
    (HISTORY, "HISTORY_USAGE", frozenset({Quantity.POWER, Quantity.ENERGY})),
    (FLEXIBILITY, "x-FLEXIBILITY", frozenset({Quantity.UP, Quantity.DOWN, Quantity.HOLD})),
)


def offered(known: Iterable[Point], sampling: Sampling) -> tuple[ReportCapability, ...]:
    """Return what METADATA lists; a report without a point is left out."""
    known = tuple(known)
    rate = SamplingRate(
        min_period=Duration(seconds=sampling.fastest_s), max_period=Duration(seconds=sampling.slowest_s)
    )
    found = []
    for specifier, name, quantities in _REPORTS:
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
