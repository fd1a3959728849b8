"""The last resort of an emergency: a charger that ignores the limit is taken out of service, then its session stopped.

Rule (ARB-17): only for an emergency's limit, only after the limit was asserted again in vain, one step at a time with a
meter check in between, each step on disk and in the log; and what was taken out of service comes back when the
emergency is over. ``next_measure`` decides and is pure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.fleet import Charger
from bridge.inflight import InFlight
from bridge.plan import ResourcePlan
from bridge.store import BridgeStore, Changes, Command, Outcome, Stage, Supply
from bridge.target import CommandOutcome, CommandResult, LimitTarget
from bridge.verify import OutcomeState
from runtime.clock import Clock
from runtime.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastResort:
    """Whether and when the supply is cut."""

    enabled: bool = True
    verify_s: float = 60.0  # after taking a charger out of service its meter has so long to fall
    drawing_w: float = 500.0  # above it a charger still delivers; below it is electronics and the cable


class Measure(StrEnum):
    """What to do about one charger."""

    DISABLE = "disable"
    STOP = "stop"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """What an emergency in force has come to at a charger; ``failed``: the limit was asserted again in vain."""

    event_id: str
    failed: bool


def emergency_at(
    plans: Sequence[ResourcePlan], outcomes: Mapping[tuple[str, str], Outcome], now: datetime
) -> Emergency | None:
    """Return the emergency in force at a resource, one that failed first; ``None`` without any."""
    found: Emergency | None = None
    for plan in plans:
        if any(cap.emergency and cap.limit_a is not None and cap.contains(now) for cap in plan.caps):
            outcome = outcomes.get((plan.event_id, plan.resource_id))
            failed = outcome is not None and outcome.state is OutcomeState.FAILED
            if found is None or failed:
                found = Emergency(event_id=plan.event_id, failed=failed)
    return found


def next_measure(
    supply: Supply | None, emergency: Emergency | None, charger: Charger, rules: LastResort, now: datetime
) -> Measure | None:
    """Return the next step for a charger, ``None`` for nothing."""
    if not charger.connected:
        return None
    if supply is not None and (emergency is None or supply.stage is Stage.RESTORING):
        return Measure.RESTORE
    if emergency is None or not rules.enabled:
        return None
    if supply is None:
        return Measure.DISABLE if emergency.failed else None
    waited = now >= supply.at + timedelta(seconds=rules.verify_s)
    reading = charger.reading
    fresh = reading is not None and reading.at > supply.at and reading.power_w is not None
    drawing = fresh and reading is not None and (reading.power_w or 0.0) > rules.drawing_w
    return Measure.STOP if supply.stage is Stage.UNAVAILABLE and waited and drawing else None


class Escalator:
    """Carries the last resort out, one command in flight a charger."""

    def __init__(
        self,
        *,
        target: LimitTarget,
        store: BridgeStore,
        clock: Clock,
        wake: Callable[[str], None],
        rules: LastResort | None = None,
    ) -> None:
        self._target, self._store, self._clock, self._wake = target, store, clock, wake
        self._rules = rules or LastResort()
        self.supplies: dict[str, Supply] = {}
        self._flying: InFlight[Measure] = InFlight()  # by charger
        self._not_before: dict[str, datetime] = {}

    async def load(self) -> None:
        """Take up what was cut before the restart."""
        self.supplies = await self._store.supplies()

    async def attend(
        self,
        charger: Charger,
        plans: Sequence[ResourcePlan],
        outcomes: Mapping[tuple[str, str], Outcome],
        now: datetime,
    ) -> None:
        """Take the next step for one charger, if one is due."""
        supply = self.supplies.get(charger.identity)
        if (supply is None and not plans) or charger.identity in self._flying:
            return
        emergency = emergency_at(plans, outcomes, now)
        measure = next_measure(supply, emergency, charger, self._rules, now)
        if measure is None or now < self._not_before.get(charger.identity, now):
            return
        event_id = emergency.event_id if emergency is not None else "" if supply is None else supply.event_id
        stages = {Measure.DISABLE: Stage.UNAVAILABLE, Measure.STOP: Stage.STOPPED, Measure.RESTORE: Stage.RESTORING}
        intent = Supply(charger=charger.identity, event_id=event_id, stage=stages[measure], detail="sent", at=now)
        await self._store.write(Changes(supplies=(intent,)))  # on disk first: what was cut must be given back
        self.supplies[charger.identity] = intent
        work = self._carry_out(measure, intent)
        self._flying.start(charger.identity, measure, work, label=f"last resort {charger.identity}")

    async def settle(self) -> None:
        """Wait until nothing is in flight (tests)."""
        await self._flying.settle()

    async def close(self) -> None:
        """Give up what is in flight; it is on disk and goes on at the next start."""
        await self._flying.close()

    async def _carry_out(self, measure: Measure, intent: Supply) -> None:
        try:
            result = await self._send(measure, intent.charger)
            await self._record(measure, intent, result)
        except Exception as error:
            log.error("last resort not recorded", charger=intent.charger, exc_info=error)
        finally:
            self._flying.land(intent.charger)
            self._wake(intent.charger)

    async def _send(self, measure: Measure, charger: str) -> CommandResult:
        if measure is Measure.STOP:
            return await self._target.stop_session(charger)
        return await self._target.set_available(charger, measure is Measure.RESTORE)

    async def _record(self, measure: Measure, intent: Supply, result: CommandResult) -> None:
        now = self._clock.now()
        done = result.outcome is CommandOutcome.ACCEPTED
        command = Command(
            charger=intent.charger,
            kind=measure.value,
            cause=f"emergency {intent.event_id}",
            schedule=None,
            outcome=result.outcome,
            detail=result.detail,
            sent_at=intent.at,
            done_at=now,
        )
        if measure is Measure.RESTORE and done:
            await self._store.write(Changes(commands=(command,), restored=(intent.charger,)))
            self.supplies.pop(intent.charger, None)
        else:
            row = replace(intent, detail=f"{result.outcome.value}: {result.detail}", at=now)
            await self._store.write(Changes(commands=(command,), supplies=(row,)))
            self.supplies[intent.charger] = row
            self._not_before[intent.charger] = now + timedelta(seconds=0.0 if done else self._rules.verify_s)
        log.warning(
            "last resort",
            charger=intent.charger,
            event_id=intent.event_id,
            step=measure.value,
            outcome=result.outcome.value,
            detail=result.detail,
        )
