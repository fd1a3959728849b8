"""Controllable loads behind this VEN and the rule which of them an event's target names; pure.

Rule (R22): an event without criteria, or with venIDs only, means every resource; otherwise the criteria are OR'd and
narrow the choice. A signal may in addition name device classes, which are AND'd with the event's target (R111). The
key of a resource is the charger, never a vehicle or a person (VEN-02).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from openadr.model import EiTarget

EVSE_CLASSES = ("EVSE", "Electric_Vehicle")  # endDeviceAsset mrid values that mean a charger (OpenADR device classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One charger: ``max_a`` is the installed maximum in A per phase, ``voltage`` line to neutral in V."""

    resource_id: str
    charger: str
    max_a: float
    phases: int = 3
    voltage: float = 230.0
    groups: tuple[str, ...] = ()
    test_enrolled: bool = False  # takes part in test events (EVT-21)
    device_classes: tuple[str, ...] = EVSE_CLASSES


def _named(resource: Resource, target: EiTarget) -> bool:
    groups = (*target.group_ids, *target.group_names)
    return (
        resource.resource_id in target.resource_ids
        or any(group in resource.groups for group in groups)
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
