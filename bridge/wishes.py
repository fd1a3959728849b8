"""What people want of a charger: overrides, opt schedules, suspensions, and limits that an operator sets.

Rule: a wish is durable before it counts and counts before this returns (VEN-08); the charger's command leaves at once,
and what fails on the way is met again in the next round.
"""

from datetime import datetime

from bridge.arbiter import Override, Source
from bridge.core import Core
from bridge.desk import DRIVER
from bridge.overrides import ConfirmationNeeded, OverrideRefused
from bridge.store import StandingLimit
from runtime.logs import get_logger

OVERRIDE = "override"  # the only thing done at a charger that is a wish to leave an event (OCP-11)

log = get_logger(__name__)


class Wishes(Core):
    """The part of the supervisor that people speak to."""

    # -- standing limits ----------------------------------------------------------------------------------------------

    async def set_standing(self, limit: StandingLimit) -> StandingLimit:
        """Put an operator's limit in force; it is durable when this returns. Raises ``UnknownTarget``."""
        async with self._lock:
            await self.book.add(limit)
            self._standing_changed(limit, self._clock.now())
        self.wake()
        return limit

    async def end_standing(self, limit_id: str) -> StandingLimit:
        """Take an operator's limit back. Raises ``KeyError`` for one that is not in force."""
        now = self._clock.now()
        async with self._lock:
            ended = await self.book.end(limit_id, now)
            self._standing_changed(ended, now)
        self.wake()
        return ended

    def _standing_changed(self, limit: StandingLimit, now: datetime) -> None:
        names = self.book.touched_by(limit)
        self._limits_changed(names, now)
        log.info(
            "standing limit",
            limit_id=limit.limit_id,
            source=limit.source.value,
            reason=limit.reason,
            ended=limit.ended_at is not None,
            resources=len(names),
            supervisory=limit.source is Source.DSO,
        )

    # -- overrides ----------------------------------------------------------------------------------------------------

    async def override(
        self,
        resource_id: str,
        *,
        event_id: str | None,
        reason: str,
        duration_s: float | None,
        source: str,
        confirmation: str | None = None,
    ) -> Override:
        """Let a charger leave events: decision and opt are durable when this returns, the command is on its way.

        Raises ``KeyError`` for an unknown resource, ``UnknownEvent``, ``OverrideRefused``, ``ConfirmationNeeded``.
        """
        asked_at = self._clock.now()
        async with self._lock:
            name = self.resources[resource_id].resource_id
            made, new = await self.desk.make(
                name,
                event_id=event_id,
                reason=reason,
                duration_s=duration_s,
                source=source,
                now=asked_at,
                confirmation=confirmation,
            )
            if new:
                await self._at_once(name, asked_at)
        self.wake()
        return made

    async def end_override(self, override_id: str) -> Override:
        """End an override, opt schedule or suspension before its time. Raises ``KeyError`` for an unknown one."""
        now = self._clock.now()
        async with self._lock:
            ended = await self.desk.end(override_id, now)
            if ended.resource_id in self.resources:
                await self._at_once(ended.resource_id, now)
        self.wake()
        return ended

    async def opt_ahead(
        self, resource_id: str, *, source: str, start: datetime, end: datetime | None, reason: str
    ) -> Override:
        """Suspend a resource, or schedule its opt-out ahead; durable and told upstream.

        Raises ``KeyError`` for an unknown resource, ``OverrideRefused`` for a time that is over.
        """
        now = self._clock.now()
        async with self._lock:
            name = self.resources[resource_id].resource_id
            made = await self.desk.ahead(name, source=source, start=start, end=end, reason=reason, now=now)
            await self._at_once(name, now)
        self.wake()
        return made

    async def _at_once(self, name: str, now: datetime) -> None:
        """Send what follows from an override and owe the opt for it; what fails now is met again in the next round."""
        resource = self.resources[name]
        self._asked[resource.charger] = now
        self._limits_changed((name,), now)
        try:
            await self._send(self._steps((name,), now), now)
            await self.ledger.judge(self.planner.plans, (name,), lambda each: self._scene(each, now))
            mine = [each for each in self.ledger.outcomes.values() if each.resource_id == name]
            if mine:
                await self.reporter.report(mine, now, {event_id for event_id, _ in self.ledger.outcomes})
        except Exception as error:
            log.error("an override is durable and follows at the next round", resource=name, exc_info=error)

    async def _driver_actions(self, now: datetime) -> None:
        """Turn what drivers did at the charger into overrides of the events in force (ARB-08)."""
        taken = self.fleet.take_actions()
        try:
            for identity, kind, at in taken:
                await self._driver_action(identity, kind, max(at, now), now)
        except Exception:
            self.fleet.put_back_actions(taken)  # doing one twice changes nothing
            raise

    async def _driver_action(self, identity: str, kind: str, at: datetime, now: datetime) -> None:
        if kind != OVERRIDE:
            log.info("driver action noted", charger=identity, kind=kind)
            return
        name = self._resource_of[identity]
        try:
            _, new = await self.desk.make(
                name, event_id=None, reason=f"at the charger: {kind}", duration_s=None, source=DRIVER, now=at
            )
        except ConfirmationNeeded as needed:
            log.info("driver action waits for a second", charger=identity, kind=kind, until=needed.until.isoformat())
            return
        except OverrideRefused as refusal:
            log.info("driver action without effect", charger=identity, kind=kind, why=refusal.detail)
            return
        if new:
            await self._at_once(name, now)

    async def _close_overrides(self, now: datetime) -> None:
        if not self.desk.all:
            return
        over = await self.desk.close(self.planner.live(now), now)
        names = tuple(dict.fromkeys(each.resource_id for each in over if each.resource_id in self.resources))
        self.planner.arbitrate(names, self.desk.by_resource, now)
        self.agenda.touch(names)
