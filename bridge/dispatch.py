"""Brings each charger to the schedule it should hold: one command in flight a charger, bounded retries with back-off.

Rule: what to do next is decided by ``next_step``, a pure function; what was sent is on disk before it is sent, and
the answer is on disk before anybody is told. No charger waits for another, and an emergency for no answer to what it
makes void. Doing a command twice is harmless. A tighter limit goes at once; one that only loosens keeps dwell, dead
band and write rate (ARB-04), so that controllers never fight over a charger.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.fleet import Charger
from bridge.guard import Change, FrequencyGuard, change, held_back
from bridge.schedule import FOREVER, growth_a, holds, limit_at, over
from bridge.store import BridgeStore, Changes, Command, Installed
from bridge.store.records import InstallState
from bridge.target import CommandOutcome, CommandResult, LimitSchedule, LimitTarget
from runtime.clock import Clock, Draw
from runtime.logs import get_logger

CHANGED = "changed limit"
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
class Calm:
    """What keeps controllers from fighting (ARB-04). It only ever delays a loosening: nobody is put at risk by it."""

    min_dwell_s: float = 60.0  # a limit stays at least so long before it is loosened
    deadband_kw: float = 0.3  # a smaller gain is not worth a command
    writes_per_hour: int = 10  # to one charger: its memory wears out
    rejoin_s: float = 0.0  # chargers that come back together change over so long (RND-09)


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
    """What a charger should hold; ``again`` asks to assert it anew.

    ``lasting_s`` is how long a last limit without an end is given, ``None`` if it has one. ``urgent``: an emergency or
    an override, exempt from ``Calm``. ``deadband_a`` is the dead band at this charger.
    """

    wanted: LimitSchedule | None
    lasting_s: float | None = None
    again: bool = False
    urgent: bool = True
    deadband_a: float = 0.0
    hz: float | None = None  # frequency of the mains there, if a fresh reading tells it
    guarded: bool = False  # the frequency guard looks at it: an event's limit, or its end (RND-11)
    loosen_from: datetime | None = None  # other programmes are in force since: until then nothing is loosened (RND-12)
    rejoin_until: datetime | None = None  # the charger came back among many: until then it goes on as it is


def next_step(need: Need, installed: Installed | None, charger: Charger, attempts: int, now: datetime) -> Step | None:
    """Return what to send, ``None`` for nothing.

    A limit without an answer is tried again as long as it is wanted. A removal is tried until the schedule has expired,
    so that nobody is held back by an event that is over (OUT-02), and at least ``attempts`` times.
    """
    if not charger.connected:
        return None
    renewed = installed is not None and charger.renewed_at is not None and installed.sent_at < charger.renewed_at
    if installed is not None and installed.state is InstallState.STALE:
        return _clear(installed, charger.identity, attempts, False, now, "its replacement was refused")
    if need.wanted is None:
        if installed is None:
            return None
        return _clear(installed, charger.identity, attempts, renewed, now, "nothing to limit")
    cause = _set_cause(need, installed, renewed, now)
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


def waits(need: Need, installed: Installed | None, calm: Calm, writes: Sequence[datetime], now: datetime) -> bool:
    """True if a change that only loosens must wait (ARB-04); ``writes`` are the instants of the latest commands.

    A removal keeps the dwell only: nobody is held back for an hour by a limit that nobody wants any more.
    """
    if need.urgent or installed is None or installed.state is not InstallState.ACCEPTED:
        return False
    if over(installed.schedule, now):
        return False
    end, until = installed.schedule.end, FOREVER
    if need.lasting_s is not None and (end - now).total_seconds() * 2 > need.lasting_s:
        until = end  # a limit without an end is renewed in time: that it lasts longer is no change
    growth = growth_a(installed.schedule, need.wanted, now, until)
    if growth == -math.inf:
        return False
    if now < installed.sent_at + timedelta(seconds=calm.min_dwell_s):
        return True
    if need.wanted is None:
        return False
    lately = sum(at > now - timedelta(hours=1) for at in writes)
    return growth <= need.deadband_a or lately >= calm.writes_per_hour


def overtakes(need: Need, flying: Step, now: datetime) -> bool:
    """True if an emergency must not wait for the answer to ``flying``: it is stricter now, and makes that void."""
    if not need.urgent or need.wanted is None:
        return False
    asked = limit_at(need.wanted, now)
    under_way = limit_at(flying.schedule, now) if flying.kind is Kind.SET else None
    return asked is not None and (under_way is None or asked < under_way)


def rejoins(need: Need, installed: Installed | None, charger: Charger, now: datetime) -> bool:
    """True if a charger that came back with many others waits for its own moment to change (RND-09).

    What was in force when it came back counts, not what begins later; an emergency and an override wait for nothing.
    """
    until, back = need.rejoin_until, charger.connected_since
    if until is None or now >= until or need.urgent or back is None:
        return False
    if installed is not None and installed.sent_at >= back:
        return False
    if need.wanted is not None and need.wanted.start > back:
        return False
    known = installed is not None and installed.state in (InstallState.ACCEPTED, InstallState.SENT)
    have = limit_at(installed.schedule, now) if installed is not None and known else None
    return have != (None if need.wanted is None else limit_at(need.wanted, now))


def activates(need: Need, installed: Installed | None, now: datetime) -> bool:
    """True if a change that only loosens waits for its moment after programmes were read anew (RND-12)."""
    if need.loosen_from is None or now >= need.loosen_from or need.urgent or installed is None:
        return False
    accepted = installed.state is InstallState.ACCEPTED and not over(installed.schedule, now)
    return accepted and growth_a(installed.schedule, need.wanted, now) not in (-math.inf, 0.0)


def _clear(installed: Installed, charger: str, attempts: int, renewed: bool, now: datetime, cause: str) -> Step | None:
    repeated = installed.state is InstallState.CLEARING and not renewed
    if repeated and installed.attempts >= attempts and now >= installed.schedule.expires:
        return None
    return Step(
        charger=charger,
        kind=Kind.CLEAR,
        schedule=installed.schedule,
        cause=cause,
        attempt=installed.attempts + 1 if repeated else 1,
    )


def _set_cause(need: Need, installed: Installed | None, renewed: bool, now: datetime) -> str | None:
    if need.wanted is None:
        return None
    if installed is None or installed.state is InstallState.CLEARING:
        return "new limit"
    if not holds(installed.schedule, need.wanted, now, lasting_s=need.lasting_s):
        return CHANGED
    if renewed:
        return "charger connected or began a session"
    if installed.state in (InstallState.SENT, InstallState.UNANSWERED):
        return "no answer"
    return "meter disagrees" if need.again and installed.state is InstallState.ACCEPTED else None


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
        self._flying: dict[str, asyncio.Task[None]] = {}  # the latest command to each charger
        self._sent: dict[str, Step] = {}  # what it is
        self._tasks: set[asyncio.Task[None]] = set()  # with those that were overtaken
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
        flying = self._sent.get(charger.identity)
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
        kept = before is not None and holds(before.schedule, step.schedule, now, lasting_s=None)
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
        self._writes.setdefault(step.charger, deque(maxlen=self._calm.writes_per_hour)).append(intent.sent_at)
        task = asyncio.create_task(self._carry_out(step, intent, before), name=f"command {step.charger}")
        self._flying[step.charger], self._sent[step.charger] = task, step
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait until no command is in flight (tests, shutdown)."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Give up what is in flight; it counts as unanswered and is asserted again at the next start."""
        flying = list(self._tasks)
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
            if not self._overtaken(step.charger):
                del self._flying[step.charger], self._sent[step.charger]
            self._wake(step.charger)

    def _overtaken(self, charger: str) -> bool:
        """True in the task of a command after which a newer one was sent: what the charger holds is that one's."""
        return self._flying.get(charger) is not asyncio.current_task()

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
        if self._overtaken(step.charger):
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
