"""Keeps the shares of every divided limit: facts in, shares stored, then told.

Rule: a share is on disk before it is told, so that a restart divides as before (OUT-04). How a limit is divided is
decided in ``bridge.groups``; this shell remembers, and looks again only where something has changed.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from bridge.allocate import GroupLimit
from bridge.arbiter import StandingCap
from bridge.groups import Dividend, Facts, Sharing, divide
from bridge.plan import Cap, ResourcePlan
from bridge.store import BridgeStore, Changes, Share

AGAIN_S = 2.0  # a division in which somebody waits for room is looked at this often


def event_key(event_id: str, group_kw: float) -> str:
    """Return the name of the division of a group event's limit; stretches with the same limit share alike."""
    return f"event {event_id} {group_kw:g} kW"


def event_dividends(
    plans: Mapping[str, tuple[ResourcePlan, ...]], sharing: Sharing, now: datetime
) -> tuple[Dividend, ...]:
    """Return the divided limits of all group events, each limit once, with the resources it is for."""
    members: dict[tuple[str, float], dict[str, None]] = {}
    running: set[tuple[str, float]] = set()
    for resource_id, group in plans.items():
        for cap in (cap for each in group for cap in each.caps):
            if cap.group_kw is not None:
                members.setdefault((cap.event_id, cap.group_kw), {})[resource_id] = None
                if cap.contains(now):
                    running.add((cap.event_id, cap.group_kw))
    return tuple(
        Dividend(
            key=event_key(event_id, group_kw),
            name=f"event {event_id}",
            limit=GroupLimit(total_kw=group_kw),
            sharing=sharing,
            members=tuple(names),
            running=(event_id, group_kw) in running,
        )
        for (event_id, group_kw), names in members.items()
    )


class Sharer:
    """The divided limits and what every member has of them."""

    def __init__(self, store: BridgeStore) -> None:
        self._store = store
        self._events: tuple[Dividend, ...] = ()
        self._groups: tuple[Dividend, ...] = ()
        self._of: dict[str, tuple[Dividend, ...]] = {}
        self._shares: dict[str, dict[str, float]] = {}
        self._told: dict[str, dict[str, float]] = {}
        self._dirty: set[str] = set()
        self._turns: dict[str, int] = {}
        self._again: dict[str, datetime] = {}

    async def load(self) -> None:
        """Take up the shares from before the restart."""
        self._shares = await self._store.shares()
        self._told = {key: dict(shares) for key, shares in self._shares.items()}

    def follow(self, events: tuple[Dividend, ...], groups: Iterable[Dividend]) -> set[str]:
        """Take over which limits are to be divided now; return the resources for which that has changed."""
        groups = tuple(groups)
        if events == self._events and groups == self._groups:
            return set()
        before = {each.key: each for each in (*self._events, *self._groups)}
        self._events, self._groups = events, groups
        now = {each.key: each for each in (*events, *groups)}
        moved = {
            each for key in {*before, *now} if before.get(key) != now.get(key) for each in _members(before, now, key)
        }
        of: dict[str, list[Dividend]] = {}
        for each in (*events, *groups):
            if before.get(each.key) != each:
                self._dirty.add(each.key)
            for name in each.members:
                of.setdefault(name, []).append(each)
        self._of = {name: tuple(found) for name, found in of.items()}
        return moved

    @property
    def events(self) -> tuple[Dividend, ...]:
        """The divided limits of events."""
        return self._events

    @property
    def empty(self) -> bool:
        """True while nothing is divided and nothing was."""
        return not self._events and not self._groups and not self._shares

    def touch(self, resource_id: str) -> None:
        """Something has changed at a resource: its groups are divided anew."""
        self._dirty.update(each.key for each in self._of.get(resource_id, ()))

    def divided(self, resource_id: str) -> bool:
        """True if a limit is divided that the resource has a part of."""
        return resource_id in self._of

    def caps(self, resource_id: str) -> tuple[StandingCap, ...]:
        """Return what a resource has of the limits of its groups, as caps."""
        return tuple(
            each.cap(self._told[each.key][resource_id])
            for each in self._of.get(resource_id, ())
            if each.source is not None and resource_id in self._told.get(each.key, ())
        )

    def priced(self, cap: Cap) -> tuple[float, str]:
        """Return a resource's share of a group event's limit, and the words for it; 0 A until it has one."""
        key = event_key(cap.event_id, cap.group_kw or 0.0)
        amperes = self._told.get(key, {}).get(cap.resource_id)
        dividend = next((each for each in self._of.get(cap.resource_id, ()) if each.key == key), None)
        if amperes is None or dividend is None:
            return 0.0, f"{cap.reason}; waits for its share"
        return amperes, f"{cap.reason}; {dividend.words(amperes)}"

    async def update(
        self, facts: Callable[[str], Facts], priced: Callable[[set[str]], None], now: datetime
    ) -> set[str]:
        """Divide anew what has changed; return the resources that may be told something else than before.

        ``priced`` is called with those whose event shares have changed, before the groups' own limits are divided.
        """
        changed: set[str] = set()
        live = {each.key for each in (*self._events, *self._groups)}
        gone = tuple(key for key in self._shares if key not in live)
        for key in gone:
            changed |= set(self._told.pop(key, ()))
            del self._shares[key]
            self._again.pop(key, None)
        await self._store.write(Changes(dropped_divisions=gone))
        for each in self._events:
            moved = await self._divide(each, facts, now)
            changed |= moved
        priced(changed)
        for each in self._groups:
            moved = await self._divide(each, facts, now)
            changed |= moved
        return changed

    async def _divide(self, dividend: Dividend, facts: Callable[[str], Facts], now: datetime) -> set[str]:
        key, turn = dividend.key, int(now.timestamp() // dividend.sharing.rotate_s)
        again = self._again.get(key)
        if key not in self._dirty and self._turns.get(key) == turn and (again is None or now < again):
            return set()
        present = self._shares.get(key, {})
        known = [facts(name) for name in dividend.members]
        found = divide(dividend.limit, dividend.sharing, known, present, now, running=dividend.running)
        new = {name: share for name, share in found.shares.items() if present.get(name) != share}
        await self._store.write(
            Changes(shares=tuple(Share(division=key, resource_id=name, limit_a=share) for name, share in new.items()))
        )
        self._shares[key] = {**present, **new}
        told = self._told.setdefault(key, {})
        moved = {name for name, amperes in found.told.items() if told.get(name) != amperes}
        told |= found.told
        self._turns[key] = turn
        self._dirty.discard(key)
        if found.settled:
            self._again.pop(key, None)
        else:
            self._again[key] = now + timedelta(seconds=AGAIN_S)
        return moved


def _members(before: Mapping[str, Dividend], now: Mapping[str, Dividend], key: str) -> set[str]:
    return {name for book in (before, now) if key in book for name in book[key].members}
