"""Keeps the plan of all resources up to date: events in, draws made and stored, effective limits out.

Rule: the plan is a pure function of events, programmes and draws; a draw is on disk before anything is planned by it
(RND-01). This shell only reads, draws and remembers; it works out anew only what has changed.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from bridge.arbiter import Effective, Override, StandingCap, in_force, limit_now, timeline
from bridge.batches import in_turns
from bridge.eventplans import EventPlans, Inputs, Refused
from bridge.outage import Outage
from bridge.plan import Cap, KnownEvent, ResourcePlan, about_content
from bridge.plan import Draw as ResourceDraw
from bridge.program import Programmes
from bridge.reference import Wanted
from bridge.references import Contents, ReferenceBook, no_session, unknown_contents
from bridge.resources import Resource
from bridge.service import LONGEST_GAP_H, WEEK, Promise
from bridge.serviceplan import keep
from bridge.spread import Step
from bridge.store import BridgeStore, Changes, Outcome
from bridge.store.records import Phase
from openadr.model import OptType
from openadr.timeline import in_payload
from runtime.clock import Draw
from runtime.logs import get_logger
from ven.model import StoredEvent

log = get_logger(__name__)

DRAWN = 500  # draws a transaction


class EventSource(Protocol):
    """Where events come from: the VEN's store."""

    async def events(self) -> tuple[StoredEvent, ...]:
        """Return every event that is to be carried out, the cancelled ones that are stopping included."""
        ...

    async def forget(self, event_id: str) -> None:
        """Hide an event that every resource has ended."""
        ...


class Others(Protocol):
    """Who else limits a resource: standing caps and shares of groups."""

    def caps(self, resource_id: str) -> tuple[StandingCap, ...]:
        """Return the caps of a resource that are no event's and no group's."""
        ...

    def shares(self, resource_id: str) -> tuple[StandingCap, ...]:
        """Return what the resource has of the limits of its groups."""
        ...

    def priced(self, cap: Cap) -> tuple[float, str]:
        """Return the resource's share of a group event's limit, and the words for it."""
        ...

    def at_grid(self, cap: Cap) -> tuple[Cap, ...]:
        """Return a limit at the grid as limits at the device."""
        ...


def never_silent(_event_id: str) -> tuple[Outage, ...]:
    """Return no silences."""
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
        others: Others,
        contents: Contents = unknown_contents,
        session_of: Callable[[str], str] = no_session,
        promises: Mapping[str, Promise] | None = None,
        outages: Callable[[str], tuple[Outage, ...]] = never_silent,
    ) -> None:
        self.resources = {resource.resource_id: resource for resource in resources}
        self.plans: dict[str, tuple[ResourcePlan, ...]] = {}
        self.group_edges: tuple[datetime, ...] = ()  # instants at which a group event's limit begins or ends
        self._programmes, self._events, self._store, self._draw = programmes, events, store, draw
        self._ven_id, self._others, self._outages = ven_id, others, outages
        self._known: tuple[KnownEvent, ...] = ()
        self._raw: dict[str, tuple[ResourcePlan, ...]] = {}
        self._draws: dict[tuple[str, str], ResourceDraw] = {}
        self._lines: dict[str, tuple[Effective, ...]] = {}
        self._inputs: Inputs | None = None
        self._events_plans = EventPlans()
        self._steep: set[str] = set()  # events that were said to be too steep
        self._book = ReferenceBook(store, self.resources, contents, session_of)
        self._promises = promises or {}
        self.refused: tuple[Refused, ...] = ()  # resources that take no part in an event though others do
        self._wanted: list[Wanted] = []
        self._reference_at: datetime | None = None  # when the next dynamic reference is to be taken
        self._release_at: datetime | None = None  # when a recovery ends that an event is kept for

    @property
    def programmes(self) -> Programmes:
        """The programmes in force."""
        return self._programmes

    @property
    def known(self) -> tuple[KnownEvent, ...]:
        """The events of the present plan, informative ones included."""
        return self._known

    def use(self, programmes: Programmes) -> None:
        """Take over programmes that were read anew; they count from the next ``replan`` on, for every event."""
        for known in self._known:
            if self._programmes.usable(known.event) is not None and programmes.usable(known.event) is None:
                log.warning(
                    "no programme understands this event any more: it limits nothing from now on",
                    event_id=known.event.descriptor.event_id,
                )
        self._programmes = programmes

    @property
    def steps(self) -> tuple[Step, ...]:
        """How steeply each event changes the fleet's power (RND-04)."""
        return self._events_plans.steps

    def _warn(self) -> None:
        """Say once of each event that its windows are too short for such a fleet."""
        steep = {each.event_id for each in self.steps if each.steep}
        for each in self.steps:
            if each.event_id in steep - self._steep:
                log.warning(
                    "this event changes the fleet's power faster than its ramp limit",
                    event_id=each.event_id,
                    kw=round(each.whole_kw),
                    kw_per_s=round(each.kw_s),
                    most_kw_per_s=round(each.most_kw_s),
                )
        self._steep = steep

    def reference_due(self, now: datetime) -> bool:
        """True if a dynamic reference is to be taken by now: the plan must be made anew."""
        return self._reference_at is not None and now >= self._reference_at

    async def replan(self, now: datetime, flush: Callable[[], Awaitable[None]]) -> tuple[str, ...]:
        """Read the events anew and plan them if anything has changed; return the resources whose plan did.

        ``flush`` stores the readings that have come in: a reference is taken of them.
        """
        known = tuple(
            KnownEvent(event=each.event, cancelled_at=each.cancelled_at, received_at=each.received_at)
            for each in await self._events.events()
            if each.opt_type is OptType.OPT_IN
        )
        inputs = Inputs(
            known=known,
            resources=tuple(self.resources.values()),
            programmes=self._programmes,
            ven_id=self._ven_id(),
            measured=self._book.measured,
            silences={(name := each.event.descriptor.event_id): self._outages(name) for each in known},
            content_kept=await self._book.kept(
                each.event.descriptor.event_id for each in known if about_content(each.event)
            ),
        )
        if inputs == self._inputs and not self.reference_due(now):
            return ()
        if inputs != self._inputs:
            await self._events_plans.stage(inputs)
            await self._draw_for(self._events_plans.undrawn)
            self._book.drop(frozenset(each.event.descriptor.event_id for each in known))
            self._wanted = await self._events_plans.want(self._draws)
            self._inputs = None  # planned below, or tried again
        taken = await self._book.update(self._wanted, now, flush)
        raw = await self._events_plans.plan(self._draws, taken.valid, inputs.silences)
        rested = await self._keep_promises(raw, now)
        self.refused = (*self._events_plans.refused, *rested)
        changed: list[str] = []
        async for some in in_turns(tuple(self.resources), 1000):
            changed += [name for name in some if self._raw.get(name) != raw.get(name)]
        self._raw, self._known, self._inputs, self._reference_at = raw, known, inputs, taken.next_at
        self.price(changed)  # in one piece: nobody sees a plan of which a part is old
        self._warn()
        if changed:
            self.group_edges = await _group_edges(raw)
        return tuple(changed)

    async def _keep_promises(self, raw: dict[str, tuple[ResourcePlan, ...]], now: datetime) -> list[Refused]:
        """Change the plans of resources so that their agreed terms are kept; return what they rest from (VEN-13)."""
        names = [name for name in self._promises if name in raw]
        if not names:
            return []
        chargers = {self.resources[name].charger: name for name in names}
        past = await self._store.past(chargers, now - WEEK - timedelta(hours=LONGEST_GAP_H))
        rested: list[Refused] = []
        for name in names:
            kept = keep(self._promises[name], self.resources[name], raw[name], past.get(name, ()))
            rested += [
                Refused(
                    event_id=each.event_id,
                    modification_number=each.modification_number,
                    resource_id=name,
                    reason=kept.rests[each.event_id],
                )
                for each in raw[name]
                if each.event_id in kept.rests
            ]
            raw[name] = kept.plans
            if not kept.plans:
                del raw[name]
        return rested

    def price(self, resource_ids: Iterable[str]) -> None:
        """Put the shares of group events, and what sites supply themselves, into the plans of some resources."""
        for name in resource_ids:
            raw = self._raw.get(name)
            if raw is None:
                self.plans.pop(name, None)
            else:
                self.plans[name] = tuple(self._priced(each) for each in raw)

    def _priced(self, each: ResourcePlan) -> ResourcePlan:
        if all(cap.group_kw is None and not cap.at_grid for cap in each.caps):
            return each
        caps: list[Cap] = []
        for cap in each.caps:
            if cap.group_kw is not None:
                amperes, reason = self._others.priced(cap)
                cap = replace(cap, limit_a=amperes, reason=reason)
            caps += self._others.at_grid(cap) if cap.at_grid else (cap,)
        return replace(each, caps=tuple(caps))

    async def _draw_for(self, wanted: Iterable[tuple[str, str]]) -> None:
        missing = [key for key in wanted if key not in self._draws]
        if missing:
            self._draws |= await self._store.draws(dict.fromkeys(event_id for event_id, _ in missing))
        async for some in in_turns([key for key in missing if key not in self._draws], DRAWN):
            new = tuple(
                ResourceDraw(event_id=event_id, resource_id=resource_id, start_u=self._draw(), release_u=self._draw())
                for event_id, resource_id in some
            )
            await self._store.write(Changes(draws=new))
            self._draws |= {(each.event_id, each.resource_id): each for each in new}

    def arbitrate(
        self, resource_ids: Iterable[str], overrides: Mapping[str, Sequence[Override]], now: datetime
    ) -> None:
        """Work out the effective limits of some resources from ``now`` on; ``overrides`` is by resourceID."""
        for name in resource_ids:
            caps = [cap for each in self.plans.get(name, ()) for cap in each.caps]
            standing = self.standing(name)
            if caps or standing:
                self._lines[name] = timeline(caps, overrides.get(name, ()), standing, now)
            else:
                self._lines.pop(name, None)

    def standing(self, resource_id: str) -> tuple[StandingCap, ...]:
        """Return every cap of a resource that is no event's."""
        return (*self._others.caps(resource_id), *self._others.shares(resource_id))

    def limiters(self, resource_id: str, overrides: Sequence[Override], now: datetime) -> tuple[Effective, ...]:
        """Return everybody who limits a resource now, the one that wins first (ARB-20)."""
        caps = [cap for each in self.plans.get(resource_id, ()) for cap in each.caps]
        return in_force(caps, overrides, self.standing(resource_id), now)

    def ceiling_a(self, resource_id: str, overrides: Sequence[Override], now: datetime) -> float | None:
        """Return what everybody but its groups lets a resource have now; its share of a group event is no ceiling."""
        caps = [cap for each in self.plans.get(resource_id, ()) for cap in each.caps if cap.group_kw is None]
        return limit_now(caps, overrides, self._others.caps(resource_id), now)

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
            if each.over is None or now < each.over
        )

    async def release(self, outcomes: Mapping[tuple[str, str], Outcome], now: datetime) -> bool:
        """Let the VEN forget events that are over and measured everywhere; True if there were any."""
        over = {each.event.descriptor.event_id for each in self._known if _over(each, now)}
        self._release_at = None
        if not over:
            return False
        async for some in in_turns(tuple(self.plans.values()), 1000):
            for each in (each for group in some for each in group if each.event_id in over):
                outcome = outcomes.get((each.event_id, each.resource_id))
                if outcome is None or outcome.phase is not Phase.CLOSED:
                    over.discard(each.event_id)
                elif each.over is not None and now < each.over:  # its recovery goes on
                    over.discard(each.event_id)
                    self._release_at = min(each.over, self._release_at or each.over)
        for event_id in sorted(over):
            await self._events.forget(event_id)
        return bool(over)

    def release_due(self, now: datetime) -> bool:
        """True if a recovery is over by now that ``release`` had to wait for."""
        return self._release_at is not None and now >= self._release_at

    def drop_draws(self, keys: Iterable[tuple[str, str]]) -> None:
        """Forget draws of events that are gone (they stay in the database as evidence)."""
        for key in keys:
            self._draws.pop(key, None)


def _over(known: KnownEvent, now: datetime) -> bool:
    """True if the event is cancelled, or its time is over for every possible draw."""
    return known.cancelled_at is not None or not in_payload(known.event, now)


async def _group_edges(raw: Mapping[str, Sequence[ResourcePlan]]) -> tuple[datetime, ...]:
    """Return the instants at which the limit of a group event begins or ends."""
    ends: set[datetime] = set()
    async for some in in_turns(tuple(raw.values()), 1000):
        for each in (each for group in some for each in group):
            for cap in each.caps:
                if cap.group_kw is not None:
                    ends.update(at for at in (cap.start, cap.end) if at is not None)
    return tuple(sorted(ends))
