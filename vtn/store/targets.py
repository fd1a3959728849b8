"""Repository of what VENs and resources belong to besides groups: a party, an area, a device class.

Rule: an attribute of the VEN as a whole (no resourceID) holds for everything behind it. Attributes are used when an
event is published or changed; a later enrolment does not change what was published.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import and_, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from vtn.store.tables import ven_attribute


class AttributeKind(StrEnum):
    """What an attribute says."""

    PARTY = "party"  # ei:partyID: who the load belongs to
    AREA = "area"  # a named part of the grid or the map: site, feeder, substation, postcode
    DEVICE_CLASS = "deviceClass"  # power:endDeviceAsset: which signals it understands (R111)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute; without ``resource_id`` it is that of the VEN as a whole."""

    ven_id: str
    resource_id: str | None
    kind: AttributeKind
    value: str


def device_classes(attributes: Iterable[Attribute]) -> dict[str | None, frozenset[str]]:
    """Return the device classes of the resources of one VEN, by resourceID; ``None``: of the VEN as a whole."""
    found: dict[str | None, set[str]] = {}
    for each in attributes:
        if each.kind is AttributeKind.DEVICE_CLASS:
            found.setdefault(each.resource_id, set()).add(each.value)
    return {name: frozenset(values) for name, values in found.items()}


class Targets:
    """Attributes of VENs within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def replace(self, ven_id: str, attributes: Iterable[Attribute]) -> None:
        """Make these the attributes of a VEN and its resources, in place of all before."""
        await self._connection.execute(delete(ven_attribute).where(ven_attribute.c.ven_id == ven_id))
        await self.add(attributes)

    async def add(self, attributes: Iterable[Attribute]) -> None:
        """Add attributes; resources they name must exist."""
        rows = [
            {"ven_id": each.ven_id, "resource_id": each.resource_id, "kind": str(each.kind), "value": each.value}
            for each in dict.fromkeys(attributes)
        ]
        if rows:
            await self._connection.execute(insert(ven_attribute), rows)

    async def of_vens(self, ven_ids: Sequence[str]) -> tuple[Attribute, ...]:
        """Return every attribute of these VENs and their resources."""
        return await self._find(ven_attribute.c.ven_id.in_(ven_ids))

    async def holders(self, wanted: Mapping[AttributeKind, Sequence[str]]) -> tuple[Attribute, ...]:
        """Return every attribute that has one of the values wanted for its kind."""
        found = [
            and_(ven_attribute.c.kind == str(kind), ven_attribute.c.value.in_(values))
            for kind, values in wanted.items()
            if values
        ]
        return await self._find(or_(*found)) if found else ()

    async def _find(self, condition: Any) -> tuple[Attribute, ...]:
        columns = (ven_attribute.c.ven_id, ven_attribute.c.resource_id, ven_attribute.c.kind, ven_attribute.c.value)
        rows = await self._connection.execute(select(*columns).where(condition).order_by(ven_attribute.c.id))
        return tuple(
            Attribute(ven_id=row.ven_id, resource_id=row.resource_id, kind=AttributeKind(row.kind), value=row.value)
            for row in rows
        )
