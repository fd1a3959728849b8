"""The overrides of all resources: made, budgeted, ended; suspensions and opt schedules; told upstream where due.

Rule: a wish is on disk before anybody acts on it, and in force from that moment; the charger's command and the message
upstream follow (VEN-08). An opt schedule and a suspension are told ahead by oadrCreateOpt (VEN-06, VEN-09); without a
registration the telling waits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.arbiter import BOOST, CUSTOMER, EVERY_EVENT, SCHEDULE, SUSPENSION, Override
from bridge.overrides import (
    WEEK,
    Budget,
    ConfirmationNeeded,
    FirstStep,
    OverrideRefused,
    check_budget,
    finished,
    make_override,
    two_step,
)
from bridge.plan import ResourcePlan
from bridge.store import BridgeStore, Changes
from openadr.errors import NotRegistered
from openadr.model import Availability, OptReason, OptType
from openadr.times import Duration, whole_second
from runtime.clock import new_id
from runtime.logs import get_logger
from ven.opts import ScheduleOpt
from ven.state import Beside

log = get_logger(__name__)

DRIVER = "driver"  # source of an override pressed at the charger
AHEAD = (SCHEDULE, SUSPENSION, CUSTOMER, BOOST)
_REASONS = {
    SUSPENSION: OptReason.NOT_PARTICIPATING,
    CUSTOMER: OptReason.OVERRIDE_STATUS,
    BOOST: OptReason.OVERRIDE_STATUS,
}


class ScheduleSink(Protocol):
    """Where opt schedules go: the VEN's durable outbox."""

    async def opt_schedule(self, asked: ScheduleOpt, now: datetime, beside: Beside[str]) -> str:
        """Put an oadrCreateOpt with a schedule into the outbox, ``beside`` with it; return its optID."""
        ...

    async def cancel_opt(self, opt_id: str, now: datetime, beside: Beside[str]) -> None:
        """Put an oadrCancelOpt into the outbox, ``beside`` with it."""
        ...


class OverrideDesk:
    """Overrides in force or to come, by resource; ``plans`` is the planner's view of the events."""

    def __init__(
        self,
        *,
        store: BridgeStore,
        sink: ScheduleSink,
        budget: Budget,
        plans: Mapping[str, tuple[ResourcePlan, ...]],
    ) -> None:
        self._store, self._sink, self._budget, self._plans = store, sink, budget, plans
        self.all: tuple[Override, ...] = ()
        self.by_resource: dict[str, tuple[Override, ...]] = {}
        self._past: tuple[Override, ...] = ()  # of the last week, ended ones included: the budget counts them
        self._waits = False
        self._first_steps: dict[tuple[str, tuple[str, ...]], FirstStep] = {}  # of overrides that need a second one

    async def load(self, now: datetime) -> None:
        """Take up what was in force before the restart."""
        self._past = await self._store.overrides(include_closed=True, since=now - WEEK)
        self._set(await self._store.overrides())

    def _set(self, overrides: Sequence[Override]) -> None:
        self.all = tuple(overrides)
        found: dict[str, list[Override]] = {}
        for each in self.all:
            found.setdefault(each.resource_id, []).append(each)
        self.by_resource = {name: tuple(mine) for name, mine in found.items()}

    def of(self, resource_id: str) -> tuple[Override, ...]:
        """Return the overrides of one resource."""
        return self.by_resource.get(resource_id, ())

    def in_force(self, resource_id: str, now: datetime) -> bool:
        """True while somebody at the resource has left an event."""
        return any(each.start <= now and (each.end is None or now < each.end) for each in self.of(resource_id))

    def suspension(self, resource_id: str, now: datetime) -> Override | None:
        """Return the suspension of a resource, ``None`` if it is in service."""
        for each in self.of(resource_id):
            if each.source == SUSPENSION and each.covers(EVERY_EVENT, now):
                return each
        return None

    async def make(
        self,
        resource_id: str,
        *,
        event_id: str | None,
        reason: str,
        duration_s: float | None,
        source: str,
        now: datetime,
        free: bool = False,
        confirmation: str | None = None,
    ) -> tuple[Override, bool]:
        """Return the override, durable, and whether it is new; ``free``: it costs no budget.

        Raises ``UnknownEvent``, ``OverrideRefused``, ``ConfirmationNeeded``.
        """
        made = make_override(
            override_id=new_id("override"),
            resource_id=resource_id,
            plans=self._plans.get(resource_id, ()),
            event_id=event_id,
            reason=reason,
            duration_s=duration_s,
            source=source,
            now=now,
            budget=None if free else self._budget,
        )
        for each in self.of(resource_id):
            if made.end is None and each.end is None and set(made.event_ids) <= set(each.event_ids):
                return each, False  # asked again, perhaps because the answer was lost: one wish, one to take back
        check_budget(made, self._past, self._budget)
        if not free:
            self._second_step(made, confirmation, now)
        await self._store.write(Changes(overrides=(made,)))
        self._add(made)
        return made, True

    def _second_step(self, made: Override, confirmation: str | None, now: datetime) -> None:
        """Raise ``ConfirmationNeeded`` unless this is the second step, where one is needed (ARB-06)."""
        if not two_step(made, self._plans.get(made.resource_id, ()), self._budget):
            return
        key, by_hand = (made.resource_id, made.event_ids), made.source == DRIVER
        known = self._first_steps.pop(key, None)
        if known is not None and known.confirmed(confirmation, by_hand, now):
            return
        if known is None or now > known.until or known.by_hand is not by_hand:
            until = now + timedelta(seconds=self._budget.confirm_s)
            known = FirstStep(token=new_id("confirm"), asked_at=now, until=until, by_hand=by_hand)
        self._first_steps = {each: step for each, step in self._first_steps.items() if now <= step.until} | {key: known}
        raise ConfirmationNeeded(known.token, known.until, made.event_ids)

    def _add(self, made: Override) -> None:
        self._past = (*(each for each in self._past if each.start > made.start - WEEK), made)
        self._set((*self.all, made))

    async def end(self, override_id: str, now: datetime) -> Override:
        """End an override before its time, upstream too. Raises ``KeyError`` for one that is not in force."""
        ended = next((each for each in self.all if each.override_id == override_id), None)
        if ended is None:
            raise KeyError(override_id)
        closed = Changes(closed_overrides=(override_id,))
        if ended.opt_id:

            async def beside(connection: AsyncConnection, _opt_id: str) -> None:
                await self._store.write_in(connection, closed)

            try:
                await self._sink.cancel_opt(ended.opt_id, now, beside)
            except NotRegistered:  # a new registration starts without the old one's schedules
                await self._store.write(closed)
        else:
            await self._store.write(closed)
        self._set([each for each in self.all if each is not ended])
        return ended

    async def close(self, live: frozenset[tuple[str, str]], now: datetime) -> tuple[Override, ...]:
        """Close what has ended by time or with its events; return it."""
        over = finished(self.all, live, now)
        if over:
            await self._store.write(Changes(closed_overrides=tuple(each.override_id for each in over)))
            self._set([each for each in self.all if each not in over])
        return over

    async def ahead(
        self,
        resource_id: str,
        *,
        source: str,
        start: datetime,
        end: datetime | None,
        reason: str,
        now: datetime,
    ) -> Override:
        """Take a resource out of every event over [start, end) and tell so upstream. Raises ``OverrideRefused``."""
        if end is not None and end <= max(start, now):
            raise OverrideRefused("the schedule is over before it begins", "VEN-06")
        if source == SUSPENSION and (known := self.suspension(resource_id, now)) is not None:
            return known
        made = Override(
            override_id=new_id(source),
            resource_id=resource_id,
            event_ids=(EVERY_EVENT,),
            reason=reason,
            start=start,
            end=end,
            source=source,
        )
        await self._store.write(Changes(overrides=(made,)))
        self._add(made)
        await self.tell(now)
        return next(each for each in self.all if each.override_id == made.override_id)

    async def tell(self, now: datetime) -> None:
        """Tell upstream what has not been told; without a registration it waits for the next call."""
        for each in [each for each in self.all if each.source in AHEAD and not each.opt_id]:
            try:
                told = await self._tell(each, now)
            except NotRegistered:
                if not self._waits:
                    log.warning("opt schedules wait for the registration", resource=each.resource_id)
                self._waits = True
                return
            self._waits = False
            self._set([told if known is each else known for known in self.all])
            log.info("opt schedule queued", resource=each.resource_id, kind=each.source, opt_id=told.opt_id)

    async def _tell(self, each: Override, now: datetime) -> Override:
        start = whole_second(each.start)
        length = Duration() if each.end is None else Duration.of(whole_second(each.end) - start)

        async def note(connection: AsyncConnection, opt_id: str) -> None:
            await self._store.write_in(connection, Changes(overrides=(_told(each, opt_id),)))

        reason = _REASONS.get(each.source, OptReason.X_SCHEDULE)
        asked = ScheduleOpt(
            windows=(Availability(dtstart=start, duration=length),),
            resource_ids=(each.resource_id,),
            opt_type=OptType.OPT_OUT,
            reason=reason.value,
        )
        opt_id = await self._sink.opt_schedule(asked, now, note)
        return _told(each, opt_id)

    def next_edge(self, resource_id: str, now: datetime) -> datetime | None:
        """Return when the next override of a resource begins or ends."""
        edges = [at for each in self.of(resource_id) for at in (each.start, each.end) if at is not None and at > now]
        return min(edges, default=None)


def _told(each: Override, opt_id: str) -> Override:
    return replace(each, opt_id=opt_id)
