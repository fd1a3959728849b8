"""Resources of VENs as schedules see them: with their groups and device classes.

Rule: a VEN that names no resources is one subject as a whole; a resource that is not enrolled has no groups.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vtn.services.availability import Subject
from vtn.store.rows import Resource
from vtn.store.store import Tx
from vtn.store.targets import Attribute, device_classes

_TOGETHER = 500  # VENs in one query


@dataclass(frozen=True, slots=True)
class Subjects:
    """What is known of the resources of some VENs."""

    resources: Mapping[str, Mapping[str, Resource]]  # by venID and resourceID
    classes: Mapping[str, Mapping[str | None, frozenset[str]]]

    def one(self, ven_id: str, resource_id: str | None) -> Subject:
        """Return a resource, or (None) a VEN as a whole."""
        known = None if resource_id is None else self.resources.get(ven_id, {}).get(resource_id)
        classes = self.classes.get(ven_id, {})
        return Subject(
            resource_id=resource_id,
            group_ids=() if known is None else known.group_ids,
            device_classes=classes.get(resource_id, frozenset()) | classes.get(None, frozenset()),
        )

    def all_of(self, ven_id: str) -> tuple[Subject, ...]:
        """Return every resource of a VEN, the VEN as a whole if it has named none."""
        names: Sequence[str | None] = sorted(self.resources.get(ven_id, {})) or (None,)
        return tuple(self.one(ven_id, name) for name in names)


async def read_subjects(tx: Tx, ven_ids: Sequence[str]) -> Subjects:
    """Read the resources of these VENs."""
    resources: dict[str, dict[str, Resource]] = {}
    attributes: dict[str, list[Attribute]] = {}
    for start in range(0, len(ven_ids), _TOGETHER):
        some = ven_ids[start : start + _TOGETHER]
        for row in await tx.vens.resources(ven_ids=some):
            resources.setdefault(row.ven_id, {})[row.resource_id] = row
        for each in await tx.targets.of_vens(some):
            attributes.setdefault(each.ven_id, []).append(each)
    return Subjects(resources, {ven_id: device_classes(rows) for ven_id, rows in attributes.items()})
