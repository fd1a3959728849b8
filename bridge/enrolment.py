"""What customers have agreed to and how they want to charge, carried out: agreements, random windows, modes, calendar.

Rule: what is agreed or chosen is on disk before it counts, and a withdrawal counts at once (ARB-19). An agreement and a
window change what a resource *is* to the plan; a mode and the calendar are standing limits beside the events.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bridge.arbiter import BOOST, Source, StandingCap
from bridge.batches import in_turns
from bridge.core import Parts
from bridge.limiters import Limiter, register
from bridge.modes import KINDS, Mode, Slot, Target, Wish, pauses
from bridge.needdesk import Needful
from bridge.overrides import OverrideRefused
from bridge.prices import PRICES
from bridge.program import Programmes
from bridge.resources import Resource, select
from bridge.stacking import Claim, claims, offerable_kw
from bridge.store import Agreement, Changes
from bridge.timetable import stretches
from openadr import timeline
from runtime.logs import get_logger

MODES_S = 60.0  # charging modes are compared with forecast and need this often
ROLL_S = 6 * 3600.0  # the calendar is worked out this often for the days ahead
PRICE = "price"

log = get_logger(__name__)

Enrolment = Callable[[Mapping[str, Resource]], None]
"""Called with the resources as they are now, by resourceID."""


class Enrolled(Needful):
    """The part of the supervisor that minds what customers agreed to and chose."""

    def __init__(self, given: Parts) -> None:
        super().__init__(given)
        self.agreements: dict[str, Agreement] = {}  # that nobody has withdrawn, by id
        self.forecasts: dict[str, tuple[Slot, ...]] = {}  # by kind
        self.modes: dict[str, Wish] = {}  # charging modes, by resourceID
        self._as_configured: dict[str, Resource] = dict(self.resources)
        self._windows: dict[str, tuple[tuple[datetime, int | None], ...]] = {}
        self._enrolment: Enrolment = lambda _resources: None
        self._boosted: dict[str, datetime | None] = {}  # resources that boost: since when their car has charged
        self._agreed_at: datetime | None = None
        self._modes_at = self._roll_at = given.clock.now()

    async def _load_enrolment(self, now: datetime) -> None:
        self._as_configured = dict(self.resources)
        self.agreements = {each.agreement_id: each for each in await self._store.agreements()}
        self._windows = await self._store.random_windows()
        self.modes = {
            name: wish for name, wish in (await self._store.charging_modes()).items() if name in self.resources
        }
        self.forecasts = {kind: await self._store.forecast(kind) for kind in sorted(set(KINDS.values()))}
        self._modes_at = self._roll_at = now
        self._amend(now)
        await self._roll(now)

    def watch_enrolment(self, told: Enrolment) -> None:
        """Tell ``told`` the resources now, and whenever an agreement or a window has changed them."""
        self._enrolment = told
        told(self.resources)

    def _amend(self, now: datetime, names: Iterable[str] | None = None) -> None:
        """Put agreements and windows into the resources (all, or those named); the plan follows from them."""
        held: dict[str, list[Agreement]] = {}
        for each in self.agreements.values():
            if each.holds(now):
                held.setdefault(each.resource_id, []).append(each)
        asked = self.settings.consent_required
        for name in self._as_configured if names is None else names:
            mine = held.get(name, ())
            base = self._as_configured[name]
            self.resources[name] = replace(
                base,
                own_delay_s=base.own_delay_s or self.fleet.get(base.charger).own_delay_s or 0,
                random_windows=self._windows.get(name, ()),
                agreements=frozenset(each.context for each in mine) if asked else None,
                yields_to=frozenset(each.context for each in mine if each.over_user),
            )
        edges = [at for each in self.agreements.values() for at in (each.given_at, each.until)]
        self._agreed_at = min((at for at in edges if at is not None and at > now), default=None)
        self._stale = True
        self._modes_at = now
        self._enrolment(self.resources)

    # -- agreements and windows ---------------------------------------------------------------------------------------

    async def agree(self, agreement: Agreement) -> Agreement:
        """Note an agreement; it is durable when this returns. Raises ``KeyError`` for an unknown resource."""
        name = self.resources[agreement.resource_id].resource_id
        async with self._lock:
            await self._store.write(Changes(agreements=(agreement,)))
            self.agreements[agreement.agreement_id] = agreement
            self._amend(self._clock.now(), (name,))
        log.info("agreement", resource=name, context=agreement.context, who=agreement.who, terms=agreement.terms)
        self.wake()
        return agreement

    async def withdraw(self, agreement_id: str) -> Agreement:
        """Take an agreement back: events of its programme let the resource go at once. Raises ``KeyError``."""
        now = self._clock.now()
        async with self._lock:
            ended = replace(self.agreements[agreement_id], withdrawn_at=now)
            await self._store.write(Changes(agreements=(ended,)))
            del self.agreements[agreement_id]
            self._amend(now, (ended.resource_id,) if ended.resource_id in self.resources else ())
        log.info("agreement withdrawn", resource=ended.resource_id, context=ended.context)
        self.wake()
        return ended

    async def set_window(self, resource_id: str, window_s: int | None) -> None:
        """Set the random window of a resource for events that come from now on; ``None``: as configured (RND-04)."""
        name, now = self.resources[resource_id].resource_id, self._clock.now()
        async with self._lock:
            await self._store.write(Changes(random_windows=((name, window_s, now),)))
            self._windows[name] = (*self._windows.get(name, ()), (now, window_s))
            self._amend(now, (name,))
        log.info("random window", resource=name, window_s=window_s)
        self.wake()

    # -- modes --------------------------------------------------------------------------------------------------------

    async def choose(self, resource_id: str, mode: Mode) -> Wish:
        """Put a charging mode in force (ARB-18). Raises ``KeyError``, and ``OverrideRefused`` where none may boost."""
        name, now = self.resources[resource_id].resource_id, self._clock.now()
        async with self._lock:
            if mode is Mode.BOOST:
                self._may_boost(name, now)
            wish = Wish(resource_id=name, mode=mode, at=now)
            await self._store.write(Changes(modes=(wish,)))
            self.modes[name] = wish
            await self._boost(name, mode is Mode.BOOST, now)
            self._rethink((name,), now)
            await self._at_once(name, now)
        self.wake()
        return wish

    def _may_boost(self, name: str, now: datetime) -> None:
        """Raise ``OverrideRefused`` if an event is in force that nobody may leave (table 4.1)."""
        for each in self.planner.plans.get(name, ()):
            if any(cap.contains(now) and cap.limit_a is not None and not cap.overridable for cap in each.caps):
                raise OverrideRefused(
                    f"event {each.event_id} belongs to a programme that cannot be overridden", "ARB-05"
                )

    async def _boost(self, name: str, wanted: bool, now: datetime) -> None:
        """Have the override of a boost in force, or not."""
        present = [each for each in self.desk.of(name) if each.source == BOOST]
        if wanted and not present:
            await self.desk.ahead(name, source=BOOST, start=now, end=None, reason="boost", now=now)
        for each in () if wanted else present:
            await self.desk.end(each.override_id, now)

    async def set_forecast(self, kind: str, slots: Iterable[Slot]) -> None:
        """Take over a forecast anew; durable."""
        found = tuple(sorted(slots, key=lambda each: each.start))
        async with self._lock:
            await self._store.write(Changes(forecasts=((kind, found),)))
            self.forecasts[kind] = found
            self._modes_at = self._clock.now()
        self.wake()

    def slots(self, kind: str, resource: Resource) -> tuple[Slot, ...]:
        """Return a forecast; prices that events tell go before a forecast of the same time."""
        told = list(self._prices(resource)) if kind == PRICE else []
        rest = [each for each in self.forecasts.get(kind, ()) if not any(_overlap(each, one) for one in told)]
        return tuple(sorted((*told, *rest), key=lambda each: each.start))

    def _prices(self, resource: Resource) -> Iterable[Slot]:
        for known in self.planner.known:
            if known.cancelled_at is None and select((resource,), known.event.target):
                for signal in known.event.signals:
                    if signal.signal_name in PRICES:
                        for each in timeline.segments(known.event, signal, 0):
                            if each.end is not None:
                                yield Slot(start=each.start, end=each.end, value=each.value)

    def _rethink(self, names: Iterable[str], now: datetime) -> None:
        """Work out what the modes of some resources pause, and let it count where it has changed."""
        for name in names:
            found, wish = self._pauses(name, now), self.modes.get(name)
            if found == self.paused.get(name, ()):
                continue
            self.paused[name] = found
            self._limits_changed((name,), now)
            log.info("charging mode", resource=name, mode=None if wish is None else wish.mode.value, pauses=len(found))

    def _pauses(self, name: str, now: datetime) -> tuple[StandingCap, ...]:
        wish, resource, need = self.modes.get(name), self.resources[name], self.needs.get(name)
        if wish is None or wish.mode not in KINDS:
            return ()
        target = Target() if need is None else Target(left_wh=self._left(need), departure=need.departure)
        slots = self.slots(KINDS[wish.mode], resource)
        return tuple(
            StandingCap(
                source=Source.USER,
                limit_a=0.0,
                reason=f"mode {wish.mode}: waits until {end:%H:%M}Z",
                cap_id=f"mode {name}",
                start=start,
                end=end,
                optional=True,
                yields_to=resource.yields_to,
            )
            for start, end in pauses(wish.mode, slots, target, resource.max_kw, now)
        )

    # -- every round --------------------------------------------------------------------------------------------------

    async def _mind_enrolment(self, now: datetime) -> None:
        """Let agreements begin and end, and work out the calendar where its time has come."""
        delays = [self._resource_of[identity] for identity in self.fleet.take_delays()]
        if delays:
            self._amend(now, delays)
        if self._agreed_at is not None and now >= self._agreed_at:
            self._amend(now)
        if now >= self._roll_at:
            await self._roll(now)

    async def _mind_modes(self, now: datetime) -> None:
        """Work out the charging modes where their time has come; prices are known once the events are planned."""
        await self._end_boosts(now)
        if now >= self._modes_at:
            self._modes_at = now + timedelta(seconds=MODES_S)
            async for some in in_turns(tuple({**self.modes, **self.paused})):
                self._rethink(some, now)

    async def _end_boosts(self, now: datetime) -> None:
        """A boost ends when its car leaves: vehicles share chargers (ARB-07)."""
        for name, wish in tuple(self.modes.items()):
            if wish.mode is not Mode.BOOST:
                continue
            charger = self.fleet.get(self.resources[name].charger)
            since = charger.session_since
            known = self._boosted.get(name)
            if charger.session and known is None:
                self._boosted[name] = since
            if name in self._boosted and (not charger.session or (known is not None and known != since)):
                del self._boosted[name]
                await self._store.write(Changes(modes_gone=(name,)))
                del self.modes[name]
                await self._boost(name, False, now)
                await self._at_once(name, now)
                log.info("boost ended", resource=name)

    async def _roll(self, now: datetime) -> None:
        """Work out the calendar for the days ahead, of the settings and of the programmes."""
        self._roll_at = now + timedelta(seconds=ROLL_S)
        changed: list[str] = []
        async for some in in_turns(tuple(self.resources.values())):
            for each in some:
                found = self._by_calendar(each, self.planner.programmes, now)
                if found != self.timetable.get(each.resource_id, ()):
                    self.timetable[each.resource_id] = found
                    changed.append(each.resource_id)
        async for names in in_turns(changed):
            self._limits_changed(names, now)

    def _by_calendar(self, resource: Resource, programmes: Programmes, now: datetime) -> tuple[StandingCap, ...]:
        rules = [(rule, "") for rule in self.settings.calendar]
        for programme in programmes.by_context.values():
            if resource.agreements is None or programme.context in resource.agreements:
                rules += [(rule, programme.issuer or "") for rule in programme.calendar]
        place = self._places[resource.charger]
        return tuple(
            StandingCap(
                source=Source.CALENDAR,
                limit_a=each.limit_a,
                reason=each.reason,
                cap_id=f"calendar {each.rule}",
                start=each.start,
                end=each.end,
                owner=owner,
            )
            for rule, owner in rules
            if rule.is_for(resource)
            for each in stretches(rule, resource, place, now)
        )

    # -- shown --------------------------------------------------------------------------------------------------------

    def note_frequency(self, hz: float, at: datetime) -> None:
        """Take over what an instrument says of the mains (RND-11)."""
        self.frequency = (hz, at)

    def limiters(self, resource_id: str, now: datetime) -> tuple[Limiter, ...]:
        """Return everybody who limits a resource now, with layer and owner (ARB-20)."""
        charger = self.fleet.get(self.resources[resource_id].charger)
        return register(self.planner.limiters(resource_id, self.desk.of(resource_id), now), charger.foreign)

    def claims(self, resource_id: str, start: datetime, end: datetime) -> tuple[Claim, ...]:
        """Return what events claim of a resource in [start, end), each kW counted once (ARB-14)."""
        plans, standing = self.planner.plans.get(resource_id, ()), self.planner.standing(resource_id)
        return claims(self.resources[resource_id], plans, standing, start, end)

    def offerable_kw(self, resource_id: str, now: datetime) -> float:
        """Return what may be offered of a resource now, kW (ARB-14, ARB-15)."""
        return offerable_kw(self.resources[resource_id], self.planner.standing(resource_id), now)


def _overlap(one: Slot, other: Slot) -> bool:
    return one.start < other.end and other.start < one.end
