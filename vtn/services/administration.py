"""What an operator changes of an enrolled VEN: names, resources, what they belong to, certificate, access, its end.

Rule: everything is checked before anything is written, and a refusal names the field. A change takes the place of what
was there before; what is not mentioned stays.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from openadr.errors import InvalidData, NotAllowed
from openadr.identity import normal_fingerprint
from openadr.signals import DEVICE_CLASSES
from vtn.services.context import short_id
from vtn.store.rows import Resource, Ven
from vtn.store.store import Tx
from vtn.store.targets import Attribute, AttributeKind

LONGEST_POLL_S = 86_400  # a VEN that asks once a day; more is no polling


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """What a VEN as a whole (``resource_id`` None) or one of its resources belongs to."""

    resource_id: str | None = None
    party: tuple[str, ...] = ()
    area: tuple[str, ...] = ()
    device_class: tuple[str, ...] = ()

    def attributes(self, ven_id: str) -> tuple[Attribute, ...]:
        """Return them as rows. Raises ``OadrError`` naming what cannot be."""
        for name in self.device_class:
            if name not in DEVICE_CLASSES and not name.startswith("x-"):
                raise InvalidData(f"deviceClass {name[:80]!r} is not in the list of the standard", field="deviceClass")
        kinds = (
            (AttributeKind.PARTY, self.party),
            (AttributeKind.AREA, self.area),
            (AttributeKind.DEVICE_CLASS, self.device_class),
        )
        return tuple(
            Attribute(ven_id=ven_id, resource_id=self.resource_id, kind=kind, value=short_id(value, str(kind)))
            for kind, values in kinds
            for value in values
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What to change; ``None`` leaves it. ``poll_freq_s`` 0 goes back to the VTN's own."""

    ven_name: str | None = None
    poll_freq_s: int | None = None
    resources: tuple[tuple[str, tuple[str, ...]], ...] | None = None  # (resourceID, groupIDs)
    belongings: tuple[Belongings, ...] | None = None


async def change(tx: Tx, ven: Ven, given: Change) -> Ven:
    """Change an enrolment. Raises ``OadrError`` whose ``field`` names what to correct."""
    values: dict[str, object] = {}
    if given.ven_name is not None:
        values["ven_name"] = given.ven_name or None
    if given.poll_freq_s is not None:
        if not 0 <= given.poll_freq_s <= LONGEST_POLL_S:
            raise InvalidData(f"pollFreqSeconds: 1 to {LONGEST_POLL_S}", field="pollFreqSeconds")
        values["poll_freq_s"] = given.poll_freq_s or None
    attributes = None
    if given.belongings is not None:
        attributes = tuple(row for each in given.belongings for row in each.attributes(ven.ven_id))
    if given.resources is not None:
        _once(name for name, _ in given.resources)
        rows = [
            Resource(ven_id=ven.ven_id, resource_id=name, group_ids=tuple(short_id(each, "groupID") for each in groups))
            for name, groups in given.resources
        ]
        if attributes is None:  # those of resources that stay are kept
            names = {each.resource_id for each in rows}
            held = await tx.targets.of_vens((ven.ven_id,))
            attributes = tuple(each for each in held if each.resource_id is None or each.resource_id in names)
        await tx.vens.replace_resources(ven.ven_id, rows)
    if attributes is not None:
        await _known(tx, ven.ven_id, attributes)
        await tx.targets.replace(ven.ven_id, attributes)
    if values:
        await tx.vens.update(ven.ven_id, **values)
    return await tx.vens.get(ven.ven_id) or ven


def _once(names: Iterable[str]) -> None:
    for name, count in Counter(names).items():
        short_id(name, "resourceID")
        if count > 1:
            raise InvalidData(f"resourceID {name!r} is named twice", field="resources.resourceID")


async def _known(tx: Tx, ven_id: str, attributes: tuple[Attribute, ...]) -> None:
    known = {each.resource_id for each in await tx.vens.resources(ven_ids=(ven_id,))}
    missing = sorted({each.resource_id for each in attributes if each.resource_id is not None} - known)
    if missing:
        raise InvalidData(f"resourceID {missing[0][:80]!r} is not one of this VEN", field="resources.resourceID")


async def replace_certificate(
    tx: Tx, ven: Ven, fingerprint: str, now: datetime, old_until: datetime | None = None
) -> Ven:
    """Give a VEN another certificate; the present one is refused at once, or from ``old_until`` on.

    Raises ``NotAllowed`` if the certificate belongs to somebody.
    """
    wanted = normal_fingerprint(fingerprint)
    if old_until is not None and old_until <= now:
        raise InvalidData("oldUntil lies in the past", field="oldUntil")
    if wanted == ven.fingerprint:
        raise NotAllowed("it has this certificate already", field="fingerprint")
    other = await tx.vens.by_fingerprint(wanted)
    if other is not None and other.ven_id != ven.ven_id:
        raise NotAllowed(f"the certificate belongs to venID {other.ven_id!r}", field="fingerprint")
    await tx.candidates.drop(wanted)
    await tx.vens.update(
        ven.ven_id,
        fingerprint=wanted,
        old_fingerprint=None if old_until is None else ven.fingerprint,
        old_until=old_until,
        old_last_seen=None,
        certificate_cn=None,
        certificate_not_after=None,
    )
    return await tx.vens.get(ven.ven_id) or ven


async def suspend(tx: Tx, ven: Ven, now: datetime, reason: str | None) -> Ven:
    """Shut a VEN out: its messages get 463; everything about it is kept. A second time changes the reason only."""
    await tx.push.remove(ven.ven_id)
    await tx.vens.update(ven.ven_id, suspended_at=ven.suspended_at or now, suspended_reason=reason)
    return await tx.vens.get(ven.ven_id) or ven


async def resume(tx: Tx, ven: Ven, now: datetime) -> Ven:
    """Let a VEN in again; its registration goes on, what happened meanwhile waits for it."""
    if not ven.suspended:
        raise NotAllowed(f"venID {ven.ven_id!r} is not suspended", field="venID")
    await tx.vens.update(ven.ven_id, suspended_at=None, suspended_reason=None)
    if ven.pushed:
        await tx.push.enlist(ven.ven_id, now)
    return await tx.vens.get(ven.ven_id) or ven


def check_removable(ven: Ven) -> None:
    """Raise ``NotAllowed`` for a VEN that may still talk to us."""
    if ven.registered and not ven.suspended:
        raise NotAllowed("cancel its registration or suspend it first", field="venID")
