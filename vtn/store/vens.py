"""Repository of VENs, their resources and groups.

Rule: a VEN exists by enrolment only; registering fills columns of the same row, cancelling empties them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, String, and_, bindparam, case, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.columns import Instant
from vtn.store.codec import Touched, upsert
from vtn.store.report_tables import data_point, telemetry
from vtn.store.rows import EndedBy, Resource, Ven
from vtn.store.tables import ven, ven_group, ven_resource

_TOGETHER = 500  # VENs in one statement
_COLUMNS = tuple(ven.c)
_REGISTERED = select(ven.c.fingerprint, ven.c.ven_id, ven.c.xml_signature).where(
    ven.c.fingerprint.in_(bindparam("b_fingerprints", expanding=True)),
    ven.c.registration_id.is_not(None),
    ven.c.suspended_at.is_(None),
)
_OF_CERTIFICATE = select(*_COLUMNS).where(
    or_(ven.c.fingerprint == bindparam("b_fingerprint"), ven.c.old_fingerprint == bindparam("b_fingerprint"))
)
_OF_CERTIFICATE_AT = select(*_COLUMNS).where(
    or_(
        ven.c.fingerprint == bindparam("b_fingerprint"),
        and_(ven.c.old_fingerprint == bindparam("b_fingerprint"), ven.c.old_until > bindparam("b_now")),
    )
)
_KEY, _AT = bindparam("key", type_=String), bindparam("at", type_=Instant)
_SEEN = (
    update(ven)
    .where(or_(ven.c.fingerprint == _KEY, ven.c.old_fingerprint == _KEY))
    .values(last_seen=_AT, old_last_seen=case((ven.c.old_fingerprint == _KEY, _AT), else_=ven.c.old_last_seen))
)


def _ven(row: Row[Any]) -> Ven:
    values = dict(row._mapping)
    ended_by = values["ended_by"]
    return Ven(**{**values, "ended_by": None if ended_by is None else EndedBy(ended_by)})


class Vens:
    """VENs within one transaction; ``touched`` is told of every VEN whose row changes."""

    def __init__(self, connection: AsyncConnection, touched: Touched) -> None:
        self._connection = connection
        self._touched = touched

    async def get(self, ven_id: str) -> Ven | None:
        """Return one by venID (case-sensitive, R512)."""
        return await self._one(select(*_COLUMNS).where(ven.c.ven_id == ven_id))

    async def by_fingerprint(self, fingerprint: str, now: datetime | None = None) -> Ven | None:
        """Return the VEN of a certificate, present or old; at ``now`` an old one counts only until its time is over."""
        if now is None:
            return await self._one(_OF_CERTIFICATE, {"b_fingerprint": fingerprint})
        return await self._one(_OF_CERTIFICATE_AT, {"b_fingerprint": fingerprint, "b_now": now})

    async def registered(self, fingerprints: Sequence[str]) -> dict[str, tuple[str, bool]]:
        """Return venID and oadrXmlSignature of those of these certificates whose VENs are registered."""
        rows = await self._connection.execute(_REGISTERED, {"b_fingerprints": fingerprints})
        return {fingerprint: (ven_id, xml_signature) for fingerprint, ven_id, xml_signature in rows}

    async def _one(self, query: Select[Any], values: Mapping[str, object] | None = None) -> Ven | None:
        row = (await self._connection.execute(query, values)).one_or_none()
        return None if row is None else _ven(row)

    async def page(self, *, after: str = "", limit: int = 1000) -> tuple[Ven, ...]:
        """Return VENs by venID, those after ``after``."""
        rows = await self._connection.execute(
            select(*_COLUMNS).where(ven.c.ven_id > after).order_by(ven.c.ven_id).limit(limit)
        )
        return tuple(_ven(row) for row in rows)

    async def known(self, ven_ids: Iterable[str]) -> frozenset[str]:
        """Return those of ``ven_ids`` that exist."""
        rows = await self._connection.execute(select(ven.c.ven_id).where(ven.c.ven_id.in_(tuple(ven_ids))))
        return frozenset(rows.scalars())

    async def report_only(self, ven_ids: Sequence[str]) -> frozenset[str]:
        """Return those of ``ven_ids`` that have registered for reports only."""
        found: set[str] = set()
        for start in range(0, len(ven_ids), _TOGETHER):
            query = select(ven.c.ven_id).where(
                ven.c.ven_id.in_(ven_ids[start : start + _TOGETHER]), ven.c.report_only.is_(True)
            )
            found |= set((await self._connection.execute(query)).scalars())
        return frozenset(found)

    async def add(self, row: Ven) -> None:
        """Enrol a VEN."""
        values = {column.name: getattr(row, column.name) for column in _COLUMNS}
        await self._connection.execute(insert(ven).values(values))
        self._touched.everywhere(row.ven_id)

    async def update(self, ven_id: str, **values: Any) -> None:
        """Change columns of a VEN."""
        await self._connection.execute(update(ven).where(ven.c.ven_id == ven_id).values(**values))
        self._touched.everywhere(ven_id)

    async def for_change(self, ven_id: str) -> Ven | None:
        """Return one that nobody else changes until this transaction ends."""
        return await self._one(select(*_COLUMNS).where(ven.c.ven_id == ven_id).with_for_update())

    async def end_registration(
        self, ven_id: str, by: EndedBy, now: datetime, *, overdue_at: datetime | None = None
    ) -> bool:
        """Empty the columns of a registration; False if there is none, or none that was to end by ``overdue_at``."""
        statement = update(ven).where(ven.c.ven_id == ven_id, ven.c.registration_id.is_not(None))
        if overdue_at is not None:
            statement = statement.where(ven.c.cancel_by <= overdue_at)
        done = await self._connection.execute(
            statement.values(
                registration_id=None,
                registered_at=None,
                told_poll_s=None,
                cancel_by=None,
                ended_at=now,
                ended_by=str(by),
                ended_registration_id=ven.c.registration_id,
            )
        )
        self._touched.everywhere(ven_id)
        return done.rowcount > 0

    async def overdue(self, now: datetime, limit: int) -> tuple[str, ...]:
        """Return venIDs whose registrations are to end by now."""
        query = select(ven.c.ven_id).where(ven.c.cancel_by <= now).order_by(ven.c.cancel_by, ven.c.ven_id)
        return tuple((await self._connection.execute(query.limit(limit))).scalars())

    async def remove(self, ven_id: str) -> bool:
        """Forget a VEN and everything about it; False if there is none."""
        done = await self._connection.execute(delete(ven).where(ven.c.ven_id == ven_id))
        self._touched.everywhere(ven_id)
        return done.rowcount > 0

    async def drop_telemetry(self, ven_id: str, most: int) -> int:
        """Delete up to ``most`` values of a VEN; return how many."""
        points = select(data_point.c.id).where(data_point.c.ven_id == ven_id).scalar_subquery()
        some = select(telemetry.c.id).where(telemetry.c.point_id.in_(points)).limit(most)
        done = await self._connection.execute(delete(telemetry).where(telemetry.c.id.in_(some.scalar_subquery())))
        return done.rowcount

    async def seen(self, instants: Mapping[str, datetime]) -> None:
        """Write ``last_seen`` of many VENs, by fingerprint."""
        if instants:
            await self._connection.execute(_SEEN, [{"key": key, "at": at} for key, at in instants.items()])

    async def add_resources(self, resources: Iterable[Resource]) -> None:
        """Add resources, or their groups; what METADATA names does not replace an enrolment."""
        resources = tuple(resources)
        keys = [{"ven_id": each.ven_id, "resource_id": each.resource_id} for each in resources]
        known = {
            (row.ven_id, row.resource_id)
            for row in await self._connection.execute(
                select(ven_resource.c.ven_id, ven_resource.c.resource_id).where(
                    ven_resource.c.ven_id.in_({each.ven_id for each in resources})
                )
            )
        }
        fresh = [
            {**key, "source": each.source}
            for key, each in zip(keys, resources, strict=True)
            if (each.ven_id, each.resource_id) not in known
        ]
        await upsert(self._connection, ven_resource, fresh, ("ven_id", "resource_id"))
        groups = [
            {**key, "group_id": group} for key, each in zip(keys, resources, strict=True) for group in each.group_ids
        ]
        await upsert(self._connection, ven_group, groups, ("ven_id", "resource_id", "group_id"))

    async def replace_resources(self, ven_id: str, resources: Sequence[Resource]) -> None:
        """Make these the enrolled resources of a VEN, with these groups; what METADATA alone names stays without."""
        mine = ven_resource.c.ven_id == ven_id
        await self._connection.execute(delete(ven_group).where(ven_group.c.ven_id == ven_id))
        await self._connection.execute(
            delete(ven_resource).where(
                mine,
                ven_resource.c.source == "enrolment",
                ven_resource.c.resource_id.not_in([each.resource_id for each in resources]),
            )
        )
        rows = [{"ven_id": ven_id, "resource_id": each.resource_id, "source": "enrolment"} for each in resources]
        await upsert(self._connection, ven_resource, rows, ("ven_id", "resource_id"))
        groups = [
            {"ven_id": ven_id, "resource_id": each.resource_id, "group_id": group}
            for each in resources
            for group in each.group_ids
        ]
        await upsert(self._connection, ven_group, groups, ("ven_id", "resource_id", "group_id"))
        self._touched.here(ven_id)

    async def drop_metadata_resources(self, ven_id: str) -> None:
        """Forget the resources known from METADATA only (R306)."""
        await self._connection.execute(
            delete(ven_resource).where(ven_resource.c.ven_id == ven_id, ven_resource.c.source == "metadata")
        )

    async def resources(
        self, *, ven_ids: Iterable[str] = (), resource_ids: Iterable[str] = (), group_ids: Iterable[str] = ()
    ) -> tuple[Resource, ...]:
        """Return the resources of any of these VENs, with any of these resourceIDs, or in any of these groups."""
        named = tuple(group_ids)
        in_group = select(ven_group.c.ven_id, ven_group.c.resource_id).where(ven_group.c.group_id.in_(named)).subquery()
        query = (
            select(ven_resource.c.ven_id, ven_resource.c.resource_id, ven_resource.c.source, ven_group.c.group_id)
            .outerjoin(
                ven_group,
                (ven_group.c.ven_id == ven_resource.c.ven_id) & (ven_group.c.resource_id == ven_resource.c.resource_id),
            )
            .outerjoin(
                in_group,
                (in_group.c.ven_id == ven_resource.c.ven_id) & (in_group.c.resource_id == ven_resource.c.resource_id),
            )
            .where(
                ven_resource.c.ven_id.in_(tuple(ven_ids))
                | ven_resource.c.resource_id.in_(tuple(resource_ids))
                | in_group.c.ven_id.is_not(None)
            )
            .distinct()
            .order_by(ven_resource.c.ven_id, ven_resource.c.resource_id, ven_group.c.group_id)
        )
        found: dict[tuple[str, str], Resource] = {}
        for row in await self._connection.execute(query):
            key = (row.ven_id, row.resource_id)
            groups = (*found[key].group_ids, row.group_id) if key in found else (row.group_id,)
            found[key] = Resource(
                ven_id=row.ven_id,
                resource_id=row.resource_id,
                source=row.source,
                group_ids=tuple(group for group in groups if group is not None),
            )
        return tuple(found.values())
