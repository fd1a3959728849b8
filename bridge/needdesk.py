"""What drivers and cars need, minded by the supervisor: kept, compared with the limits, carried out if it must run.

Rule: a need is on disk before it counts. It ends at its departure or with another session (ARB-07): the next car at the
charger has another driver. What is decided is decided in ``bridge.needs``; plug-ins are only counted here (VEN-13).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bridge.core import Parts
from bridge.grid import Loan, SiteReading
from bridge.jobs import Job
from bridge.needs import CAR, DRIVER, Controllers, DriverNeed, Feasibility, by_event, feasibility, left_wh, to_leave
from bridge.overrides import OverrideRefused, UnknownEvent
from bridge.service import SPAN, dropped
from bridge.store import Changes
from bridge.target import CarNeeds
from bridge.wishes import Wishes
from runtime.logs import get_logger

LOOK_S = 10.0  # needs are compared with the limits this often

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedView:
    """A need and how it stands: with all limits, and with each event alone."""

    need: DriverNeed
    stands: Feasibility
    events: dict[str, Feasibility]


class Needful(Wishes):
    """The part of the supervisor that minds what people need."""

    def __init__(self, given: Parts) -> None:
        super().__init__(given)
        self.needs: dict[str, DriverNeed] = {}  # by resourceID
        self.plugged: dict[str, dict[str, datetime]] = {}  # by charger: session and when it began
        self._needs_at = given.clock.now()

    async def _load_needs(self, now: datetime) -> None:
        await self.contents.load()
        self.needs = {each.resource_id: each for each in await self._store.needs()}
        self.plugged = await self._store.plug_ins(now - 2 * SPAN)
        self._needs_at = now

    # -- asked for ----------------------------------------------------------------------------------------------------

    async def ask_need(self, need: DriverNeed, battery_wh: float | None = None) -> DriverNeed:
        """Put a driver's need in force; it is durable when this returns. ``KeyError``: an unknown resource."""
        charger = self.fleet.get(self.resources[need.resource_id].charger)
        async with self._lock:
            session = self.contents.session_of(need.resource_id) if charger.session else ""
            if battery_wh is not None:
                self.contents.learn(need.resource_id, session, battery_wh)
            meter_wh = None if charger.reading is None else charger.reading.energy_wh
            need = replace(need, session=session, meter_wh=meter_wh)
            await self._keep_need(need)
        self.wake()
        return need

    async def end_need(self, resource_id: str) -> None:
        """Take a need back. Raises ``KeyError`` if there is none."""
        async with self._lock:
            await self._drop_need(self.needs[resource_id], "taken back")

    async def _keep_need(self, need: DriverNeed) -> None:
        await self._store.write(Changes(needs=(need,)))
        self.needs[need.resource_id] = need
        self._needs_at = self._clock.now()

    async def _drop_need(self, need: DriverNeed, why: str) -> None:
        await self._store.write(Changes(needs_gone=(need.resource_id,)))
        self.needs.pop(need.resource_id, None)
        log.info("need ended", resource=need.resource_id, why=why)

    # -- looked at ----------------------------------------------------------------------------------------------------

    def stands(self, need: DriverNeed, now: datetime) -> NeedView:
        """Return how a need stands."""
        resource, left, limits = self.resources[need.resource_id], self._left(need), self._limits(need.resource_id)
        return NeedView(
            need=need,
            stands=feasibility(need, left, resource, limits, now),
            events=dict(by_event(need, left, resource, limits, now)),
        )

    def _left(self, need: DriverNeed) -> float | None:
        reading = self.fleet.get(self.resources[need.resource_id].charger).reading
        meter_wh = None if reading is None else reading.energy_wh
        return left_wh(need, self.contents.of(need.resource_id), meter_wh)

    def _limits(self, name: str) -> Controllers:
        return Controllers(
            caps=[cap for each in self.planner.plans.get(name, ()) for cap in each.caps],
            overrides=self.desk.of(name),
            standing=self.planner.standing(name),
        )

    async def _mind_needs(self, now: datetime) -> None:
        """Take over what cars said, end what is over, and leave events for what must run."""
        await self._car_needs(now)
        await self._plug_ins()
        if now < self._needs_at:
            return
        self._needs_at = now + timedelta(seconds=LOOK_S)
        await self.contents.note()
        for need in tuple(self.needs.values()):
            resource = self.resources.get(need.resource_id)
            session = "" if resource is None else self.contents.session_of(need.resource_id)
            if resource is None or now >= need.departure:
                await self._drop_need(need, "departure")
            elif session and need.session and session != need.session:
                await self._drop_need(need, "another session")
            elif session and not need.session:
                await self._keep_need(replace(need, session=session))
            elif need.must_run:
                await self._must_run(need, now)

    async def _must_run(self, need: DriverNeed, now: datetime) -> None:
        """Leave the events that keep the need from being met, as far as they may be left."""
        name = need.resource_id
        events, stands = to_leave(need, self._left(need), self.resources[name], self._limits(name), now)
        for event_id in events:
            reason = f"must run: departure {need.departure:%H:%M}Z"
            try:
                _, new = await self.desk.make(
                    name, event_id=event_id, reason=reason, duration_s=None, source="need", now=now, free=True
                )
            except (OverrideRefused, UnknownEvent) as refusal:
                log.info("need without effect", resource=name, event_id=event_id, why=str(refusal))
                continue
            if new:
                await self._at_once(name, now)
        if events:
            log.info("events left for a need", resource=name, events=events, stands=stands.words)

    # -- said by cars -------------------------------------------------------------------------------------------------

    async def _car_needs(self, now: datetime) -> None:
        taken = self.fleet.take_needs()
        try:
            for identity, needs, at in taken:
                await self._car_need(self._resource_of[identity], needs, at, now)
        except Exception:
            self.fleet.put_back_needs(taken)  # doing one twice changes nothing
            raise

    async def _car_need(self, name: str, said: CarNeeds, at: datetime, now: datetime) -> None:
        if said.battery_wh is not None:
            self.contents.learn(name, said.session, said.battery_wh)
        known = self.needs.get(name)
        if known is not None and known.source == DRIVER and known.session in ("", said.session):
            return  # a driver who has said it here knows better
        if said.departure is None or said.departure <= now or (said.energy_wh is None and said.full_soc is None):
            return
        reading = self.fleet.get(self.resources[name].charger).reading
        await self._keep_need(
            DriverNeed(
                resource_id=name,
                departure=said.departure,
                asked_at=at,
                energy_wh=said.energy_wh,
                target_soc=said.full_soc if said.energy_wh is None else None,
                source=CAR,
                session=said.session,
                meter_wh=None if reading is None else reading.energy_wh,
            )
        )

    # -- supply of their own ------------------------------------------------------------------------------------------

    async def site_reading(self, reading: SiteReading) -> tuple[float, dict[str, Loan]]:
        """Take a reading of a site's meter (MAP-11); return its own supply in W and what is lent of it.

        Raises ``UnknownSite``.
        """
        now = self._clock.now()
        async with self._lock:
            supply_w, loans, changed = self.grid.read(reading, now)
            self.planner.price(changed)
            self.planner.arbitrate(changed, self.desk.by_resource, now)
            self.agenda.touch(changed)
        self.wake()
        return supply_w, loans

    # -- plug-ins -----------------------------------------------------------------------------------------------------

    async def _plug_ins(self) -> None:
        new = [
            (charger, session, at)
            for charger, session, at in self.fleet.take_sessions()
            if session not in self.plugged.get(charger, {})
        ]
        await self._store.write(Changes(plug_ins=tuple(new)))
        for charger, session, at in new:
            self.plugged.setdefault(charger, {})[session] = at

    def plug_ins(self, resource_id: str, now: datetime) -> tuple[int, int, bool]:
        """Return plug-ins of the last fortnight and of the one before, and whether they have dropped."""
        return dropped(self.plugged.get(self.resources[resource_id].charger, {}).values(), now)

    async def flag_dropped(self, now: datetime) -> None:
        """Say where people have stopped to plug in, and forget what is too old to count (a daily job)."""
        for sessions in self.plugged.values():
            for session in [name for name, at in sessions.items() if at <= now - 2 * SPAN]:
                del sessions[session]
        for name in self.resources:
            late, early, fewer = self.plug_ins(name, now)
            if fewer:
                log.warning("plug-ins dropped", resource=name, last_14_days=late, before=early, rule="VEN-13")


def plug_in_watch(supervisor: Needful) -> Job:
    """Return the daily job that says where plug-ins have dropped."""
    return Job(name="plug-ins", every_s=86_400, run=supervisor.flag_dropped)
