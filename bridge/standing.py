"""Limits that are no event's: configured ones and those that operators set on resources and groups, durably.

Rule: a limit is on disk before it counts, and stays in force over restarts until its end or until it is taken back
(ARB-11, OUT-04). A limit in kW on a single resource is rounded down to A per phase, and what lies between 0 and 6 A is
a pause (decision 9: supervisory and site caps).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bridge.allocate import GroupLimit, round_share
from bridge.arbiter import Source, StandingCap
from bridge.groups import Dividend, Group, Sharing
from bridge.resources import Resource
from bridge.store import BridgeStore, Changes, StandingLimit


class UnknownTarget(Exception):
    """A standing limit names a resource or a group that is not here."""


def on_resource(limit: StandingLimit, resource: Resource) -> StandingCap:
    """Return an operator's limit as a cap in A per phase, rounded down; below the least current it is a pause."""
    options = [resource.max_a] if limit.limit_a is None else [limit.limit_a]
    if limit.limit_kw is not None:
        options.append(limit.limit_kw * 1000.0 / (resource.phases * resource.voltage))
    amperes = round_share(min(options))
    if amperes < resource.least_a:
        amperes = 0.0
    return StandingCap(
        source=limit.source,
        limit_a=amperes,
        reason=limit.reason,
        cap_id=limit.limit_id,
        start=limit.start,
        end=limit.end,
    )


class StandingBook:
    """All standing limits in force or to come."""

    def __init__(
        self,
        *,
        resources: Sequence[Resource],
        groups: Sequence[Group],
        configured: Mapping[str, tuple[StandingCap, ...]],
        sharing: Sharing,
        store: BridgeStore,
    ) -> None:
        self._resources = {each.resource_id: each for each in resources}
        self._groups = {each.group_id: each for each in groups}
        self._configured, self._sharing, self._store = configured, sharing, store
        self.limits: dict[str, StandingLimit] = {}
        self._on: dict[str, tuple[StandingCap, ...]] = {}
        members: dict[str, list[str]] = {}
        for each in resources:
            for name in dict.fromkeys(each.memberships):
                members.setdefault(name, []).append(each.resource_id)
        self.members: dict[str, tuple[str, ...]] = {name: tuple(found) for name, found in members.items()}

    async def load(self) -> None:
        """Take up what was in force before the restart."""
        self.limits = {each.limit_id: each for each in await self._store.standing()}
        self._index()

    def _index(self) -> None:
        found: dict[str, list[StandingCap]] = {name: list(caps) for name, caps in self._configured.items()}
        for each in self.limits.values():
            resource = self._resources.get(each.resource_id or "")
            if resource is not None:
                found.setdefault(resource.resource_id, []).append(on_resource(each, resource))
        self._on = {name: tuple(caps) for name, caps in found.items()}

    def of(self, resource_id: str) -> tuple[StandingCap, ...]:
        """Return the standing caps of one resource, shares of groups left out."""
        return self._on.get(resource_id, ())

    def touched_by(self, limit: StandingLimit) -> tuple[str, ...]:
        """Return the resources that a limit is about."""
        if limit.resource_id is not None:
            return (limit.resource_id,)
        return self.members.get(limit.group_id or "", ())

    async def add(self, limit: StandingLimit) -> None:
        """Set a limit. Raises ``UnknownTarget``."""
        if not self.touched_by(limit) or (limit.resource_id is not None and limit.resource_id not in self._resources):
            raise UnknownTarget(f"{limit.resource_id or limit.group_id} is neither a resource nor a group here")
        await self._store.write(Changes(standing=(limit,)))
        self.limits[limit.limit_id] = limit
        self._index()

    async def end(self, limit_id: str, now: datetime) -> StandingLimit:
        """Take a limit back. Raises ``KeyError`` for one that is not in force."""
        ended = replace(self.limits[limit_id], ended_at=now)
        await self._store.write(Changes(standing=(ended,)))
        del self.limits[limit_id]
        self._index()
        return ended

    async def close(self, now: datetime) -> tuple[StandingLimit, ...]:
        """Close the limits whose time is over; return them."""
        over = tuple(replace(each, ended_at=now) for each in self.limits.values() if each.end and now >= each.end)
        if over:
            await self._store.write(Changes(standing=over))
            for each in over:
                del self.limits[each.limit_id]
            self._index()
        return over

    def dividends(self, now: datetime) -> Iterable[Dividend]:
        """Yield every group's limits in force, each source for itself, small groups first."""
        found: list[Dividend] = []
        for group in self._groups.values():
            if group.limit != GroupLimit() and group.group_id in self.members:
                found.append(self._dividend(group.group_id, group.source, (group.limit,), ""))
        asked: dict[tuple[str, Source], list[StandingLimit]] = {}
        for each in self.limits.values():
            if each.group_id is not None and each.start <= now and (each.end is None or now < each.end):
                asked.setdefault((each.group_id, each.source), []).append(each)
        for (group_id, source), limits in asked.items():
            if group_id in self.members:
                sums = tuple(GroupLimit(per_phase_a=each.limit_a, total_kw=each.limit_kw) for each in limits)
                reason = "; ".join(dict.fromkeys(each.reason for each in limits))
                found.append(self._dividend(group_id, source, sums, reason, key=f"{group_id} by {source.value}"))
        return sorted(found, key=lambda each: len(each.members))

    def _dividend(
        self, group_id: str, source: Source, limits: Sequence[GroupLimit], reason: str, key: str | None = None
    ) -> Dividend:
        group = self._groups.get(group_id)
        amperes = [each.per_phase_a for each in limits if each.per_phase_a is not None]
        kilowatts = [each.total_kw for each in limits if each.total_kw is not None]
        return Dividend(
            key=group_id if key is None else key,
            name=f"group {group_id}" if group is None else f"{group.source.value} {group_id}",
            limit=GroupLimit(per_phase_a=min(amperes, default=None), total_kw=min(kilowatts, default=None)),
            sharing=self._sharing if group is None else group.sharing,
            members=self.members[group_id],
            source=source,
            reason=reason,
            owner="" if group is None or source is not group.source else group.owner,
        )
