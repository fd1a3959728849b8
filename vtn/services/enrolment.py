"""Enrolling VENs: a venID, the fingerprint of its certificate, and the resources and groups behind it.

Rule: a VEN exists at this VTN only by enrolment; venID and certificate belong to each other one to one.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from openadr.errors import InvalidData, NotAllowed
from openadr.identity import normal_fingerprint
from vtn.services.context import short_id
from vtn.store.rows import Resource, Ven
from vtn.store.store import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What an operator says of a VEN; ``resources`` are (resourceID, groupIDs)."""

    ven_id: str
    fingerprint: str
    ven_name: str | None = None
    resources: tuple[tuple[str, tuple[str, ...]], ...] = ()


async def enrol(tx: Tx, given: Enrolment, now: datetime) -> Ven:
    """Add a VEN. Raises ``NotAllowed`` if venID or certificate is taken, ``InvalidData`` for what cannot be."""
    short_id(given.ven_id, "venID")
    for resource_id, count in Counter(name for name, _ in given.resources).items():
        short_id(resource_id, "resourceID")
        if count > 1:
            raise InvalidData(f"resourceID {resource_id!r} is named twice", field="resources.resourceID")
    fingerprint = normal_fingerprint(given.fingerprint)
    if await tx.vens.get(given.ven_id) is not None:
        raise NotAllowed(f"venID {given.ven_id!r} is enrolled already", field="venID")
    other = await tx.vens.by_fingerprint(fingerprint)
    if other is not None:
        raise NotAllowed(f"the certificate belongs to venID {other.ven_id!r}", field="fingerprint")
    ven = Ven(ven_id=given.ven_id, fingerprint=fingerprint, ven_name=given.ven_name, enrolled_at=now)
    await tx.vens.add(ven)
    await tx.candidates.drop(fingerprint)
    await tx.vens.add_resources(
        Resource(
            ven_id=given.ven_id, resource_id=resource_id, group_ids=tuple(short_id(each, "groupID") for each in groups)
        )
        for resource_id, groups in given.resources
    )
    return ven
