"""The book of outcomes: opened with a plan, moved on by evidence, measured, closed; memory and database in step.

Rule: an outcome is on disk before anybody can see it (``save``). What it becomes is decided in ``bridge.outcomes``;
this shell reads and writes.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bridge import outcomes as book
from bridge.agenda import Agenda
from bridge.batches import batches, in_turns
from bridge.metrics import BridgeMetrics
from bridge.outcomes import Measuring, Power, Scene, Window
from bridge.plan import ResourcePlan
from bridge.resources import Resource
from bridge.store import BridgeStore, Changes, Outcome
from bridge.store.records import Phase
from runtime.logs import get_logger

log = get_logger(__name__)

SAVED = 250  # outcomes a transaction: its rows are made while everybody else waits

Key = tuple[str, str]
"""(eventID, resourceID)."""

Plans = Mapping[str, tuple[ResourcePlan, ...]]
"""What every event means, by resourceID."""


class Ledger:
    """Outcomes of all events that are not closed, by (eventID, resourceID)."""

    def __init__(self, store: BridgeStore, metrics: BridgeMetrics, measuring: Measuring) -> None:
        self._store, self._metrics, self._measuring = store, metrics, measuring
        self.outcomes: dict[Key, Outcome] = {}
        self.version = 0  # counts changes
        self._fresh: dict[Key, None] = {}  # changed since ``take_fresh``
        self._due: Agenda[Key] = Agenda()

    async def load(self) -> None:
        """Take up what was open before the restart."""
        unfinished = await self._store.outcomes(unfinished=True)
        self.outcomes = {(each.event_id, each.resource_id): each for each in unfinished}
        for key, each in self.outcomes.items():
            self._appoint(key, each)

    async def set_back(self, now: datetime) -> None:
        """The clock was set back to ``now``: readings taken from now on are new, whatever was read before."""
        blind = [each for each in self.outcomes.values() if each.checked_at is not None and each.checked_at > now]
        await self.save([replace(each, checked_at=now) for each in blind])
        for key, each in self.outcomes.items():
            self._appoint(key, each)

    async def follow(self, plans: Plans, resources: Mapping[str, Resource], now: datetime) -> None:
        """Open, replan and end outcomes as the events come and go."""
        planned = {(each.event_id, each.resource_id): each for group in plans.values() for each in group}
        await self._recall(dict.fromkeys(key[0] for key in planned if key not in self.outcomes))
        changed: list[Outcome] = []
        async for some in in_turns(tuple(planned.items())):
            for key, each in some:
                known = self.outcomes.get(key)
                after = (
                    book.opened(each, resources[each.resource_id], now)
                    if known is None
                    else book.replanned(known, each, now)
                )
                if after != known:
                    changed.append(after)
        async for gone in in_turns([known for key, known in self.outcomes.items() if key not in planned]):
            changed += [after for known in gone if (after := book.vanished(known, now)) != known]
        await self.save(changed)

    async def _recall(self, event_ids: Iterable[str]) -> None:
        """Read outcomes that were closed before a restart, so that a listed event is not opened twice."""
        for event_id in event_ids:
            for outcome in await self._store.outcomes(event_id=event_id):
                key = (outcome.event_id, outcome.resource_id)
                if key not in self.outcomes:
                    self.outcomes[key] = outcome
                    self._appoint(key, outcome)

    async def judge(self, plans: Plans, resource_ids: Iterable[str], scene: Callable[[str], Scene]) -> set[str]:
        """Move open outcomes of some resources on; return the chargers that must be told again: the meter disagrees."""
        changed: list[Outcome] = []
        again: set[str] = set()
        async for some in in_turns([name for name in resource_ids if plans.get(name)]):
            for resource_id in some:
                seen = scene(resource_id)
                for each in plans.get(resource_id, ()):
                    outcome = self.outcomes.get((each.event_id, resource_id))
                    if outcome is None or outcome.phase not in (Phase.PLANNED, Phase.RUNNING):
                        continue
                    after, retry = book.advance(outcome, each, seen)
                    if retry:
                        again.add(outcome.charger)
                    if after != outcome:
                        changed.append(after)
        await self.save(changed)
        return again

    async def measure(self, now: datetime, flush: Callable[[], Awaitable[None]]) -> bool:
        """Take the mean powers that are due, one query for all with the same window; True if more may be due."""
        due: dict[Window, list[Outcome]] = {}
        keys = self._due.take(now)
        for key in keys:
            outcome = self.outcomes.get(key)
            window = None if outcome is None else book.window_due(outcome, self._measuring, now)
            if outcome is not None and window is not None:
                due.setdefault(window, []).append(outcome)
            elif outcome is not None and outcome.phase is Phase.PLANNED:
                self._appoint(key, outcome)  # its start was moved
        if not due:
            return False
        try:
            return await self._measure(due, now, flush)
        except BaseException:
            self._due.touch(keys)  # measured at the next round
            raise

    async def _measure(
        self, due: Mapping[Window, list[Outcome]], now: datetime, flush: Callable[[], Awaitable[None]]
    ) -> bool:
        await flush()
        changed = []
        for window, group in due.items():
            means = await self._store.mean_power([each.charger for each in group], window.start, window.end)
            for each in group:
                mean = means.get(each.charger)
                changed.append(book.measured(each, window.power, None if mean is None else mean.power_w, now))
        await self.save(changed)
        return any(window.power is not Power.AFTER for window in due)

    async def save(self, changed: Sequence[Outcome]) -> None:
        """Store outcomes, then show them."""
        for some in batches(changed, SAVED):
            await self._save(some)

    async def _save(self, changed: Sequence[Outcome]) -> None:
        await self._store.write(Changes(outcomes=tuple(changed)))
        self.version += len(changed)
        self._fresh |= dict.fromkeys((each.event_id, each.resource_id) for each in changed)
        for each in changed:
            key = (each.event_id, each.resource_id)
            before, self.outcomes[key] = self.outcomes.get(key), each
            self._appoint(key, each)
            if before is None or before.state is not each.state:
                self._metrics.outcomes.labels(state=each.state.value).inc()
                log.info("outcome", event_id=key[0], resource=key[1], state=each.state.value, reason=each.reason)

    def _appoint(self, key: Key, outcome: Outcome) -> None:
        at = book.measured_at(outcome, self._measuring)
        if at is not None:
            self._due.appoint(key, at)

    def take_fresh(self) -> tuple[Outcome, ...]:
        """Return and forget which outcomes have changed."""
        fresh, self._fresh = self._fresh, {}
        return tuple(self.outcomes[key] for key in fresh if key in self.outcomes)

    def forget(self, plans: Plans) -> tuple[Key, ...]:
        """Drop closed outcomes of events that are gone from memory; return which."""
        closed = [key for key, each in self.outcomes.items() if each.phase is Phase.CLOSED]
        gone = tuple(key for key in closed if all(each.event_id != key[0] for each in plans.get(key[1], ())))
        for key in gone:
            del self.outcomes[key]
        return gone
