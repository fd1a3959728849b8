"""Keeps the plan of all resources up to date: events in, draws made and stored, effective limits out.

Rule: the plan is a pure function of events, programmes and draws; a draw is on disk before anything is planned by it
(RND-01). This shell only reads, draws and remembers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from bridge.arbiter import Effective, Override, StandingCap, timeline
from bridge.plan import Draw as ResourceDraw
from bridge.plan import KnownEvent, ResourcePlan, pairs, plan
from bridge.program import Programmes
from bridge.resources import Resource
from bridge.store import BridgeStore, Changes, Outcome
from bridge.store.records import Phase
from openadr.model import OptType
from openadr.timeline import in_payload
from runtime.clock import Draw
from ven.model import StoredEvent


class EventSource(Protocol):
    """Where events come from: the VEN's store."""

    async def events(self) -> tuple[StoredEvent, ...]:
        """Return every event that is to be carried out, the cancelled ones that are stopping included."""
        ...

    async def forget(self, event_id: str) -> None:
        """Hide an event that every resource has ended."""
        ...


Standing = Callable[[Resource], tuple[StandingCap, ...]]
"""Caps of a resource that are no event's."""


def no_standing(_resource: Resource) -> tuple[StandingCap, ...]:
    """Return no standing caps."""
    return ()


class Planner:
    """What every event means for every resource, and the effective limit of each from now on."""

    def __init__(
        self,
        *,
        resources: Sequence[Resource],
        programmes: Programmes,
        events: EventSource,
        store: BridgeStore,
        draw: Draw,
        ven_id: Callable[[], str | None],
        standing: Standing = no_standing,
    ) -> None:
        self.resources = {resource.resource_id: resource for resource in resources}
        self.plans: dict[str, tuple[ResourcePlan, ...]] = {}
        self._programmes, self._events, self._store, self._draw = programmes, events, store, draw
        self._ven_id, self._standing = ven_id, standing
        self._known: tuple[KnownEvent, ...] = ()
        self._draws: dict[tuple[str, str], ResourceDraw] = {}
        self._lines: dict[str, tuple[Effective, ...]] = {}

    async def replan(self) -> None:
        """Read the events anew and plan them."""
        self._known = tuple(
            KnownEvent(event=each.event, cancelled_at=each.cancelled_at)
            for each in await self._events.events()
            if each.opt_type is OptType.OPT_IN
        )
        resources, ven_id = tuple(self.resources.values()), self._ven_id()
        await self._draw_for(pairs(self._known, self._programmes, resources, ven_id))
        grouped: dict[str, list[ResourcePlan]] = {}
        for each in plan(self._known, self._programmes, resources, self._draws, ven_id):
            grouped.setdefault(each.resource_id, []).append(each)
        self.plans = {resource_id: tuple(plans) for resource_id, plans in grouped.items()}

    async def _draw_for(self, wanted: Iterable[tuple[str, str]]) -> None:
        wanted = tuple(wanted)
        unread = {event_id for event_id, resource_id in wanted if (event_id, resource_id) not in self._draws}
        if unread:
            self._draws |= await self._store.draws(unread)
        new = tuple(
            ResourceDraw(event_id=event_id, resource_id=resource_id, start_u=self._draw(), release_u=self._draw())
            for event_id, resource_id in wanted
            if (event_id, resource_id) not in self._draws
        )
        await self._store.write(Changes(draws=new))
        self._draws |= {(each.event_id, each.resource_id): each for each in new}

    def arbitrate(self, resources: Iterable[Resource], overrides: Sequence[Override], now: datetime) -> None:
        """Work out the effective limits of some resources from ``now`` on."""
        for resource in resources:
            caps = [cap for each in self.plans.get(resource.resource_id, ()) for cap in each.caps]
            mine = [each for each in overrides if each.resource_id == resource.resource_id]
            self._lines[resource.resource_id] = timeline(caps, mine, self._standing(resource), now)

    def line(self, resource_id: str, now: datetime) -> tuple[Effective, ...]:
        """Return the effective limit of a resource from ``now`` on; never empty."""
        pieces = self._lines.get(resource_id, ())
        left = tuple(piece for piece in pieces if piece.end is None or now < piece.end)
        return left or (Effective(start=now, end=None, limit_a=None, source="none", reason="no limit"),)

    def live(self, now: datetime) -> frozenset[tuple[str, str]]:
        """Return the (eventID, resourceID) of every event that is not over at its resource."""
        return frozenset(
            (each.event_id, each.resource_id)
            for group in self.plans.values()
            for each in group
            if each.timing.end is None or now < each.timing.end
        )

    async def release(self, outcomes: Mapping[tuple[str, str], Outcome], now: datetime) -> bool:
        """Let the VEN forget events that are over and measured everywhere; True if there were any."""
        over = {each.event.descriptor.event_id for each in self._known if _over(each, now)}
        for group in self.plans.values():
            for each in group:
                outcome = outcomes.get((each.event_id, each.resource_id))
                if outcome is None or outcome.phase is not Phase.CLOSED:
                    over.discard(each.event_id)
        for event_id in sorted(over):
            await self._events.forget(event_id)
        return bool(over)

    def drop_draws(self, keys: Iterable[tuple[str, str]]) -> None:
        """Forget draws of events that are gone (they stay in the database as evidence)."""
        for key in keys:
            self._draws.pop(key, None)


def _over(known: KnownEvent, now: datetime) -> bool:
    """True if the event is cancelled, or its time is over for every possible draw."""
    return known.cancelled_at is not None or not in_payload(known.event, now)
