"""Targets: which VENs own what an event is aimed at, which resources of each, and which parts concern each VEN.

Rule: criteria are alternatives (R22); every name must be somebody's. It is decided when an event is published or
changed and then kept: what a VEN sees never changes without a new modificationNumber (R5).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from openadr.errors import InvalidData, InvalidId, TargetMismatch
from openadr.model import Baseline, EiTarget, Event, Signal
from vtn.store.rows import Resource
from vtn.store.store import Tx
from vtn.store.targets import Attribute, AttributeKind

_KINDS = {AttributeKind.PARTY: "partyID", AttributeKind.AREA: "area"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who gets an event: VENs as a whole, single resources of others, and the parts that concern only some."""

    whole: frozenset[str]
    resources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by venID
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by venID, of those that do not get all

    @property
    def ven_ids(self) -> frozenset[str]:
        """Every VEN that gets the event."""
        return self.whole | self.resources.keys()


async def resolve(tx: Tx, event: Event) -> Audience:
    """Return who owns the targets of an event as an operator gave them.

    Raises ``InvalidId`` naming the first target that nobody has, ``TargetMismatch`` if no signal concerns anybody.
    """
    target = event.target
    if target == EiTarget():
        kinds = "venID, resourceID, groupID, partyID or area"
        raise InvalidData(f"targets: name at least one {kinds}", field="targets")
    known = await tx.vens.known(target.ven_ids)
    found = await tx.vens.resources(resource_ids=target.resource_ids, group_ids=target.group_ids)
    held = await tx.targets.holders({AttributeKind.PARTY: target.party_ids, AttributeKind.AREA: target.group_names})
    _all_known("venID", target.ven_ids, known)
    _all_known("resourceID", target.resource_ids, {each.resource_id for each in found})
    _all_known("groupID", target.group_ids, {group for each in found for group in each.group_ids})
    for kind, names in ((AttributeKind.PARTY, target.party_ids), (AttributeKind.AREA, target.group_names)):
        _all_known(_KINDS[kind], names, {each.value for each in held if each.kind is kind})
    audience = gathered(known, found, held)
    return await _concerned(tx, event, audience)


def gathered(known: frozenset[str], found: Iterable[Resource], held: Iterable[Attribute]) -> Audience:
    """Return the VENs that are meant as a whole, and the resources of the others. Pure."""
    held = tuple(held)
    whole = known | {each.ven_id for each in held if each.resource_id is None}
    named = {(each.ven_id, each.resource_id) for each in found}
    named |= {(each.ven_id, each.resource_id) for each in held if each.resource_id is not None}
    narrowed: dict[str, tuple[str, ...]] = {}
    for ven_id, resource_id in sorted(named):
        if ven_id not in whole:
            narrowed[ven_id] = (*narrowed.get(ven_id, ()), resource_id)
    return Audience(whole=whole, resources=narrowed)


def _all_known(element: str, named: Iterable[str], known: Iterable[str]) -> None:
    missing = sorted(set(named) - set(known))
    if missing:
        raise InvalidId(f"{element} {missing[0][:80]!r} is not enrolled", field=f"targets.{element}")


async def _concerned(tx: Tx, event: Event, audience: Audience) -> Audience:
    """Leave out the signals and the baseline that do not concern a VEN, and VENs that no signal concerns (R111)."""
    baseline = event.baseline
    classes: dict[str, set[str]] = {}
    if any(each.target is not None for each in event.signals):
        classes = _classes(await tx.targets.of_vens(sorted(audience.ven_ids)), audience)
    owners = None if baseline is None else await _owners(tx, baseline, audience)
    parts: dict[str, tuple[str, ...]] = {}
    left_out: set[str] = set()
    for ven_id in audience.ven_ids:
        signals = tuple(each.signal_id for each in event.signals if concerns(each, classes.get(ven_id)))
        has_baseline = baseline is not None and (owners is None or ven_id in owners)
        if not signals:
            left_out.add(ven_id)
        elif len(signals) < len(event.signals) or has_baseline != (baseline is not None):
            parts[ven_id] = (*signals, baseline.baseline_id) if baseline is not None and has_baseline else signals
    if left_out == audience.ven_ids:
        raise TargetMismatch("deviceClass: no target has one of these device classes (R111)", field="signals")
    return Audience(
        whole=audience.whole - left_out,
        resources={ven_id: names for ven_id, names in audience.resources.items() if ven_id not in left_out},
        parts=parts,
    )


def concerns(signal: Signal, classes: set[str] | None) -> bool:
    """True if a signal is for somebody with these device classes; of a VEN without any, nothing is known (R111)."""
    return signal.target is None or not classes or bool(classes & set(signal.target.end_device_assets))


def _classes(attributes: Iterable[Attribute], audience: Audience) -> dict[str, set[str]]:
    """Return the device classes that the event reaches behind each VEN."""
    found: dict[str, set[str]] = {}
    for each in attributes:
        reached = each.resource_id is None or each.resource_id in audience.resources.get(each.ven_id, ())
        if each.kind is AttributeKind.DEVICE_CLASS and (reached or each.ven_id in audience.whole):
            found.setdefault(each.ven_id, set()).add(each.value)
    return found


async def _owners(tx: Tx, baseline: Baseline, audience: Audience) -> frozenset[str] | None:
    """Return the VENs that have all the resources of a baseline, ``None`` if it names none (R108: taken together)."""
    wanted = set(baseline.resource_ids)
    if not wanted:
        return None
    found = await tx.vens.resources(resource_ids=sorted(wanted))
    missing = sorted(wanted - {each.resource_id for each in found})
    if missing:
        raise InvalidId(f"resourceID {missing[0][:80]!r} is not enrolled", field="baseline.resourceID")
    owned: dict[str, set[str]] = {}
    for each in found:
        if each.resource_id in wanted:
            owned.setdefault(each.ven_id, set()).add(each.resource_id)
    owners = frozenset(ven_id for ven_id, names in owned.items() if names == wanted) & audience.ven_ids
    if not owners:
        raise InvalidData(
            "baseline: its resources are taken together (R108), so one VEN of the event must have them all",
            field="baseline.resourceID",
        )
    return owners
