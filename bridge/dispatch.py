"""Brings each charger to the schedule it should hold: one command in flight a charger, bounded retries with back-off.

Rule: what to do next is decided in ``steps``, purely; what was sent is on disk before it is sent, and the answer is on
disk before anybody is told. No charger waits for another, and an emergency for no answer to what it makes void.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from bridge.fleet import Charger
from bridge.guard import Change, FrequencyGuard, change, held_back
from bridge.inflight import InFlight
from bridge.schedule import growth_a, holds, limit_at, over
from bridge.steps import CHANGED, Calm, Kind, Need, Patience, Step, activates, next_step, overtakes, rejoins, waits
from bridge.store import BridgeStore, Changes, Command, Installed
from bridge.store.records import InstallState
from bridge.target import CommandOutcome, CommandResult, LimitTarget
from runtime.clock import Clock, Draw
from runtime.logs import get_logger

_MOST_DOUBLINGS = 20  # of the pause between tries: far beyond any ``backoff_max_s``, and no overflow

log = get_logger(__name__)


def _refused(intent: Installed, before: Installed | None, result: CommandResult, now: datetime) -> Installed:
    """Return what the charger holds after it said no: perhaps still the schedule before.

    An older schedule that is anywhere stricter than what is wanted now must go, or it holds the charger back for
    nothing; then the new one is offered once more. One that is looser stays: some reduction is better than none.
    """
    held = before is not None and before.state in (InstallState.ACCEPTED, InstallState.SENT)
    if before is not None and held and growth_a(intent.schedule, before.schedule, now) == -math.inf:
        return replace(before, state=InstallState.STALE, attempts=0, detail=f"replacement refused: {result.detail}")
    stays = "; the earlier schedule stays" if before is not None and held and not over(before.schedule, now) else ""
    return replace(intent, state=InstallState.REFUSED, detail=f"{result.detail}{stays}")


def _holds_on(before: Installed, step: Step, now: datetime) -> bool:
    """True if what a charger has agreed to limits it now as ``step`` does: the answer to that changes nothing yet."""
    present = limit_at(before.schedule, now)
    same = step.kind is Kind.SET and present is not None and present == limit_at(step.schedule, now)
    return same or holds(before.schedule, step.schedule, now, lasting_s=None)


class Dispatcher:
    """Sends commands and keeps what every charger holds, in memory and on disk."""

    def __init__(
        self,
        *,
        target: LimitTarget,
        store: BridgeStore,
        clock: Clock,
        draw: Draw,
        patience: Patience,
        calm: Calm,
        wake: Callable[[str], None],
        guard: FrequencyGuard | None = None,
    ) -> None:
        self._target, self._store, self._clock, self._draw = target, store, clock, draw
        self._patience, self._calm, self._wake = patience, calm, wake
        self.installed: dict[str, Installed] = {}
        self._writes: dict[str, deque[datetime]] = {}
        self._flying: InFlight[Step] = InFlight()  # by charger
        self._not_before: dict[str, datetime] = {}
        self._guard = guard or FrequencyGuard()
        self._held: dict[str, tuple[datetime, str, Change]] = {}  # by the frequency guard: until when, why, what
        self._rejoin: dict[str, datetime] = {}  # chargers that wait for their moment after they came back

    async def load(self, now: datetime) -> None:
        """Take up what was known before the restart; an answer that was lost counts as none."""
        self.installed = await self._store.installed()
        for charger, sent in (await self._store.writes_since(now - timedelta(hours=1))).items():
            self._writes[charger] = deque(sent, maxlen=self._calm.writes_per_hour)

    def due(self, charger: str) -> datetime | None:
        """Return when a command that waits may be sent, ``None`` if none is known to wait."""
        row, held = self.installed.get(charger), self._held[charger][0] if charger in self._held else None
        if row is None:
            return min((at for at in (self._rejoin.get(charger), held) if at is not None), default=None)
        marks = [held, self._rejoin.get(charger), self._not_before.get(charger), row.schedule.end, row.schedule.expires]
        marks.append(row.sent_at + timedelta(seconds=self._calm.min_dwell_s))
        now = self._clock.now()
        return min((at for at in marks if at is not None and at > now), default=None)

    def set_back(self, now: datetime) -> None:
        """The clock was set back to ``now``: what seems to lie ahead of it happened just now."""
        self._not_before.clear()
        self._held.clear()
        self._rejoin.clear()
        for charger, row in self.installed.items():
            accepted = None if row.accepted_at is None else min(row.accepted_at, now)
            self.installed[charger] = replace(row, sent_at=min(row.sent_at, now), accepted_at=accepted)

    @property
    def in_flight(self) -> int:
        """Return how many commands wait for an answer."""
        return len(self._flying)

    def plan(self, charger: Charger, need: Need, now: datetime) -> Step | None:
        """Return the next command for a charger if it may be sent now."""
        flying = self._flying.get(charger.identity)
        if flying is not None and not overtakes(need, flying, now):
            return None
        installed = self.installed.get(charger.identity)
        step = next_step(need, installed, charger, self._patience.attempts, now)
        if step is None or (step.attempt > 1 and now < self._not_before.get(charger.identity, now)):
            return None
        if rejoins(need, installed, charger, now):
            self._rejoin[charger.identity] = need.rejoin_until or now
            return None
        self._rejoin.pop(charger.identity, None)
        changes = step.kind is Kind.CLEAR or step.cause == CHANGED
        if changes and waits(need, installed, self._calm, self._writes.get(charger.identity, ()), now):
            return None
        if activates(need, installed, now):
            self._rejoin[charger.identity] = need.loosen_from or now
            return None
        return None if self._holds_back(charger.identity, need, installed, now) else step

    def _holds_back(self, charger: str, need: Need, installed: Installed | None, now: datetime) -> bool:
        """True while the frequency guard lets no such command out (RND-11)."""
        before = self._held.pop(charger, None)
        if not need.guarded or not self._guard.enabled:
            return False
        have = None if installed is None else limit_at(installed.schedule, now)
        want = None if need.wanted is None else limit_at(need.wanted, now)
        what = change(have, want)
        if before is not None and before[2] is what and now < before[0]:
            self._held[charger] = before
            return True
        why = held_back(self._guard, what, need.hz)
        if why:
            pause = self._guard.retry_s + self._draw() * self._guard.jitter_s
            self._held[charger] = (now + timedelta(seconds=pause), why, what)
            log.warning("command held back", charger=charger, why=why, again_s=round(pause))
        return bool(why)

    def held(self, charger: str) -> str:
        """Return why a command to the charger is held back, '' if none is."""
        found = self._held.get(charger)
        return "" if found is None else found[1]

    def busy(self, charger: str) -> bool:
        """True while a command to the charger waits for its answer."""
        return charger in self._flying

    def intent(self, step: Step, now: datetime) -> Installed:
        """Return the row that must be on disk before ``step`` is sent."""
        before = self.installed.get(step.charger)
        late = step.kind is Kind.SET and step.attempt > self._patience.attempts
        sent = InstallState.UNANSWERED if late else InstallState.SENT
        return Installed(
            charger=step.charger,
            schedule=step.schedule,
            state=sent if step.kind is Kind.SET else InstallState.CLEARING,
            detail=step.cause,
            attempts=step.attempt,
            sent_at=now,
            accepted_at=before.accepted_at if before is not None and _holds_on(before, step, now) else None,
        )

    def start(self, step: Step, intent: Installed) -> None:
        """Send ``step`` in its own task; ``intent`` is on disk already."""
        before = self.installed.get(step.charger)
        self.installed[step.charger] = intent
        self._writes.setdefault(step.charger, deque(maxlen=self._calm.writes_per_hour)).append(intent.sent_at)
        work = self._carry_out(step, intent, before)
        self._flying.start(step.charger, step, work, label=f"command {step.charger}")

    async def settle(self) -> None:
        """Wait until no command is in flight (tests, shutdown)."""
        await self._flying.settle()

    async def close(self) -> None:
        """Give up what is in flight; it counts as unanswered and is asserted again at the next start."""
        await self._flying.close()

    async def _carry_out(self, step: Step, intent: Installed, before: Installed | None) -> None:
        try:
            result = await self._send(step)
            await self._record(step, intent, before, result)
        except Exception as error:
            log.error("command result not recorded", charger=step.charger, exc_info=error)
        finally:
            self._flying.land(step.charger)
            self._wake(step.charger)

    async def _send(self, step: Step) -> CommandResult:
        try:
            if step.kind is Kind.SET:
                return await self._target.set_limit(step.charger, step.schedule)
            return await self._target.clear_limit(step.charger, step.schedule.schedule_id)
        except Exception as error:
            log.error("command failed on our side", charger=step.charger, exc_info=error)
            return CommandResult(outcome=CommandOutcome.ERROR, detail=type(error).__name__, at=self._clock.now())

    async def _record(self, step: Step, intent: Installed, before: Installed | None, result: CommandResult) -> None:
        now = self._clock.now()
        command = Command(
            charger=step.charger,
            kind=step.kind.value,
            cause=step.cause,
            schedule=step.schedule if step.kind is Kind.SET else None,
            outcome=result.outcome,
            detail=result.detail,
            sent_at=intent.sent_at,
            done_at=now,
        )
        if self._flying.overtaken(step.charger):  # what the charger holds is the newer command's
            await self._store.write(Changes(commands=(command,)))
            log.info("command overtaken", charger=step.charger, outcome=result.outcome.value, detail=result.detail)
            return
        row = self._after(step, intent, before, result, now)
        removed = () if row is not None else (step.charger,)
        await self._store.write(Changes(commands=(command,), installed=() if row is None else (row,), removed=removed))
        if row is None:
            self.installed.pop(step.charger, None)
        else:
            self.installed[step.charger] = row
        log.info(
            "command answered",
            charger=step.charger,
            kind=step.kind.value,
            cause=step.cause,
            limit=step.schedule.reason,
            source=step.schedule.source,
            until=step.schedule.end,
            attempt=step.attempt,
            outcome=result.outcome.value,
            detail=result.detail,
        )

    def _after(
        self, step: Step, intent: Installed, before: Installed | None, result: CommandResult, now: datetime
    ) -> Installed | None:
        """Return what the charger holds after the answer; ``None`` for nothing of ours."""
        match result.outcome:
            case CommandOutcome.ACCEPTED:
                if step.kind is Kind.CLEAR:
                    return None
                return replace(intent, state=InstallState.ACCEPTED, detail=result.detail, accepted_at=now)
            case CommandOutcome.OFFLINE:
                return before  # nothing was sent, so nothing has changed
            case CommandOutcome.REJECTED | CommandOutcome.NOT_SUPPORTED if step.kind is Kind.SET:
                return _refused(intent, before, result, now)
        exhausted = step.kind is Kind.SET and step.attempt >= self._patience.attempts
        doublings = _MOST_DOUBLINGS if exhausted else min(step.attempt - 1, _MOST_DOUBLINGS)
        pause = self._patience.backoff_s * 2**doublings * (1 + self._draw())
        self._not_before[step.charger] = now + timedelta(seconds=min(pause, self._patience.backoff_max_s))
        detail = f"{result.outcome.value}: {result.detail}"
        return replace(intent, state=InstallState.UNANSWERED if exhausted else intent.state, detail=detail)
