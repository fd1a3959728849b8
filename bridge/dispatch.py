"""Brings each charger to the schedule it should hold: one command in flight a charger, bounded retries with back-off.

Rule: what to do next is decided by ``next_step``, a pure function; what was sent is on disk before it is sent, and
the answer is on disk before anybody is told. No charger waits for another. Doing a command twice is harmless.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.fleet import Charger
from bridge.schedule import Horizon, holds
from bridge.store import BridgeStore, Changes, Command, Installed
from bridge.store.records import InstallState
from bridge.target import CommandOutcome, CommandResult, LimitSchedule, LimitTarget
from runtime.clock import Clock, Draw
from runtime.logs import get_logger

_MOST_DOUBLINGS = 20  # of the pause between tries: far beyond any ``backoff_max_s``, and no overflow

log = get_logger(__name__)


class Kind(StrEnum):
    """What a command does."""

    SET = "set"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often and how soon a command is tried again when no usable answer comes."""

    attempts: int = 4  # quick tries; after them once every ``backoff_max_s``, for a deaf charger may hear again
    backoff_s: float = 5.0  # first pause, doubled each time, plus up to as much again at random (RND-11)
    backoff_max_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The next command for a charger; ``schedule`` is what to set, or what to remove; ``cause`` says why."""

    charger: str
    kind: Kind
    schedule: LimitSchedule
    cause: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a charger should hold: ``open_ended`` if its last limit has no end; ``again`` asks to assert it anew."""

    wanted: LimitSchedule | None
    open_ended: bool = False
    again: bool = False


def next_step(
    need: Need, installed: Installed | None, charger: Charger, horizon: Horizon, attempts: int, now: datetime
) -> Step | None:
    """Return what to send, ``None`` for nothing.

    A limit without an answer is tried again as long as it is wanted. A removal is tried until the schedule has expired,
    so that nobody is held back by an event that is over (OUT-02), and at least ``attempts`` times.
    """
    if not charger.connected:
        return None
    renewed = installed is not None and charger.renewed_at is not None and installed.sent_at < charger.renewed_at
    if need.wanted is None:
        return None if installed is None else _clear(installed, charger.identity, attempts, renewed, now)
    cause = _set_cause(need, installed, horizon, renewed, now)
    if cause is None:
        return None
    lost = installed is not None and cause == "no answer"
    return Step(
        charger=charger.identity,
        kind=Kind.SET,
        schedule=need.wanted,
        cause=cause,
        attempt=installed.attempts + 1 if installed is not None and lost else 1,
    )


def _clear(installed: Installed, charger: str, attempts: int, renewed: bool, now: datetime) -> Step | None:
    repeated = installed.state is InstallState.CLEARING and not renewed
    if repeated and installed.attempts >= attempts and now >= installed.schedule.expires:
        return None
    return Step(
        charger=charger,
        kind=Kind.CLEAR,
        schedule=installed.schedule,
        cause="nothing to limit",
        attempt=installed.attempts + 1 if repeated else 1,
    )


def _set_cause(need: Need, installed: Installed | None, horizon: Horizon, renewed: bool, now: datetime) -> str | None:
    if need.wanted is None:
        return None
    if installed is None or installed.state is InstallState.CLEARING:
        return "new limit"
    if not holds(installed.schedule, need.wanted, now, open_ended=need.open_ended, horizon=horizon):
        return "changed limit"
    if renewed:
        return "charger connected or began a session"
    if installed.state in (InstallState.SENT, InstallState.UNANSWERED):
        return "no answer"
    return "meter disagrees" if need.again and installed.state is InstallState.ACCEPTED else None


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
        horizon: Horizon,
        wake: Callable[[], None],
    ) -> None:
        self._target, self._store, self._clock, self._draw = target, store, clock, draw
        self._patience, self._horizon, self._wake = patience, horizon, wake
        self.installed: dict[str, Installed] = {}
        self._flying: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, datetime] = {}

    async def load(self) -> None:
        """Take up what was known before the restart; an answer that was lost counts as none."""
        self.installed = await self._store.installed()

    def set_back(self, now: datetime) -> None:
        """The clock was set back to ``now``: what seems to lie ahead of it happened just now."""
        self._not_before.clear()
        for charger, row in self.installed.items():
            accepted = None if row.accepted_at is None else min(row.accepted_at, now)
            self.installed[charger] = replace(row, sent_at=min(row.sent_at, now), accepted_at=accepted)

    @property
    def in_flight(self) -> int:
        """Return how many commands wait for an answer."""
        return len(self._flying)

    def plan(self, charger: Charger, need: Need, now: datetime) -> Step | None:
        """Return the next command for a charger if it may be sent now."""
        if charger.identity in self._flying:
            return None
        step = next_step(
            need, self.installed.get(charger.identity), charger, self._horizon, self._patience.attempts, now
        )
        if step is None or (step.attempt > 1 and now < self._not_before.get(charger.identity, now)):
            return None
        return step

    def intent(self, step: Step, now: datetime) -> Installed:
        """Return the row that must be on disk before ``step`` is sent."""
        before = self.installed.get(step.charger)
        late = step.kind is Kind.SET and step.attempt > self._patience.attempts
        sent = InstallState.UNANSWERED if late else InstallState.SENT
        kept = before is not None and holds(
            before.schedule, step.schedule, now, open_ended=False, horizon=self._horizon
        )
        return Installed(
            charger=step.charger,
            schedule=step.schedule,
            state=sent if step.kind is Kind.SET else InstallState.CLEARING,
            detail=step.cause,
            attempts=step.attempt,
            sent_at=now,
            accepted_at=before.accepted_at if before is not None and kept else None,
        )

    def start(self, step: Step, intent: Installed) -> None:
        """Send ``step`` in its own task; ``intent`` is on disk already."""
        before = self.installed.get(step.charger)
        self.installed[step.charger] = intent
        self._flying[step.charger] = asyncio.create_task(
            self._carry_out(step, intent, before), name=f"command {step.charger}"
        )

    async def settle(self) -> None:
        """Wait until no command is in flight (tests, shutdown)."""
        while self._flying:
            await asyncio.gather(*self._flying.values(), return_exceptions=True)

    async def close(self) -> None:
        """Give up what is in flight; it counts as unanswered and is asserted again at the next start."""
        flying = list(self._flying.values())
        for task in flying:
            task.cancel()
        await asyncio.gather(*flying, return_exceptions=True)

    async def _carry_out(self, step: Step, intent: Installed, before: Installed | None) -> None:
        try:
            result = await self._send(step)
            await self._record(step, intent, before, result)
        except Exception as error:
            log.error("command result not recorded", charger=step.charger, exc_info=error)
        finally:
            self._flying.pop(step.charger, None)
            self._wake()

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
        row = self._after(step, intent, before, result, now)
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
                return replace(intent, state=InstallState.REFUSED, detail=result.detail)
        exhausted = step.kind is Kind.SET and step.attempt >= self._patience.attempts
        doublings = _MOST_DOUBLINGS if exhausted else min(step.attempt - 1, _MOST_DOUBLINGS)
        pause = self._patience.backoff_s * 2**doublings * (1 + self._draw())
        self._not_before[step.charger] = now + timedelta(seconds=min(pause, self._patience.backoff_max_s))
        detail = f"{result.outcome.value}: {result.detail}"
        return replace(intent, state=InstallState.UNANSWERED if exhausted else intent.state, detail=detail)
