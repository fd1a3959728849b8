"""Takes dynamic references when they are due: readings in, frozen references out, stored before anything uses them.

Rule: once stored a reference is what it is, over restarts too (MAP-05); which are due is decided in
``bridge.reference``. What was not measured is stored as not measured, so that the plan does not change later.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bridge.asks import Content, Reference
from bridge.reference import Agenda, Key, Wanted, agenda
from bridge.resources import Resource
from bridge.store import BridgeStore, Changes
from runtime.logs import get_logger

log = get_logger(__name__)

Contents = Callable[[], Mapping[str, Content]]
"""Returns what stores hold now, by resourceID; only where it is measured."""


def unknown_contents() -> Mapping[str, Content]:
    """Return nothing: no device here tells its state of charge."""
    return {}


def no_session(_resource_id: str) -> str:
    """Return '': nobody knows which car is there."""
    return ""


class ReferenceBook:
    """The references of all events that the VEN lists."""

    def __init__(
        self,
        store: BridgeStore,
        resources: Mapping[str, Resource],
        contents: Contents = unknown_contents,
        session_of: Callable[[str], str] = no_session,
    ) -> None:
        self._store, self._resources, self._contents, self._session_of = store, resources, contents, session_of
        self._taken: dict[Key, Reference] = {}
        self._read: set[str] = set()

    @property
    def measured(self) -> frozenset[str]:
        """The resources whose state of charge is known."""
        return frozenset(self._contents())

    async def kept(self, event_ids: Iterable[str]) -> dict[str, frozenset[str]]:
        """Return where a content was measured for these events, by eventID, as long as no other car is there.

        A car that falls silent stays in; one that has come since, and says nothing, is not held to the other's figures.
        """
        await self._recall(frozenset(event_ids))
        found: dict[str, set[str]] = {}
        for (event_id, name), each in self._taken.items():
            if each.content is not None and self._session_of(name) in ("", each.content.session):
                found.setdefault(event_id, set()).add(name)
        return {event_id: frozenset(names) for event_id, names in found.items()}

    async def _recall(self, event_ids: frozenset[str]) -> None:
        unread = event_ids - self._read
        if unread:
            self._taken |= await self._store.references(unread)
            self._read |= unread

    async def update(self, wanted: Sequence[Wanted], now: datetime, flush: Callable[[], Awaitable[None]]) -> Agenda:
        """Take what is due now, and return which references count and when the next is due."""
        await self._recall(frozenset(each.event_id for each in wanted))
        await self._renew(wanted)
        found = agenda(wanted, self._taken, now)
        if found.due:
            await flush()  # the readings up to now belong to the mean
            await self._take(found.due)
            found = agenda(wanted, self._taken, now)
        return found

    async def _renew(self, wanted: Sequence[Wanted]) -> None:
        """Take the content anew where another car has come: what the first one held says nothing about it."""
        contents = self._contents()
        new: list[Reference] = []
        for each in wanted:
            known, present = self._taken.get(each.key), contents.get(each.resource_id)
            if known is None or present is None:
                continue
            if known.content is None or known.content.session != present.session:
                new.append(replace(known, content=present))
        await self._store.write(Changes(references=tuple(new)))
        self._taken |= {(each.event_id, each.resource_id): each for each in new}

    async def _take(self, due: Sequence[Wanted]) -> None:
        windows: dict[tuple[datetime, datetime], list[Wanted]] = {}
        for each in due:
            windows.setdefault((each.since, each.at), []).append(each)
        contents = self._contents()
        new: list[Reference] = []
        for (since, at), group in windows.items():
            chargers = [self._resources[each.resource_id].charger for each in group]
            means = await self._store.mean_power(chargers, since, at)
            for each, charger in zip(group, chargers, strict=True):
                mean = means.get(charger)
                new.append(
                    Reference(
                        event_id=each.event_id,
                        resource_id=each.resource_id,
                        at=at,
                        power_w=None if mean is None else mean.power_w,
                        window_s=each.window_s,
                        samples=0 if mean is None else mean.samples,
                        content=contents.get(each.resource_id),
                    )
                )
        await self._store.write(Changes(references=tuple(new)))
        for reference in new:
            self._taken[(reference.event_id, reference.resource_id)] = reference
            log.info(
                "reference frozen",
                event_id=reference.event_id,
                resource=reference.resource_id,
                at=reference.at.isoformat(),
                power_w=reference.power_w,
                samples=reference.samples,
            )

    def drop(self, event_ids: frozenset[str]) -> None:
        """Forget all but the references of these events (the others stay in the database as evidence)."""
        self._read &= event_ids
        self._taken = {key: each for key, each in self._taken.items() if key[0] in event_ids}
