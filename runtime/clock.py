"""The only place that reads the clock or draws random numbers: shells take a ``Clock`` and a ``Draw`` from here.

Rule: everything else is given ``now`` (aware UTC) and draws as arguments. ``FakeClock`` is a maintained fake: a test
steps it and never sleeps for time-dependent logic.
"""

import asyncio
import heapq
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Protocol

Draw = Callable[[], float]
"""Returns a number drawn uniformly from [0, 1)."""

BEAT_S = 0.25  # a quarter of the period of the most frequent loops
_SYSTEM = secrets.SystemRandom()


class Clock(Protocol):
    """Wall time in aware UTC, and waiting by it."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` s have passed on this clock; at once, after one turn of the loop, if not positive."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the event loop's monotonic clock."""
        await asyncio.sleep(max(0.0, seconds))


class Beat:
    """A clock whose sleeps of half a second or more end at common instants, never later than asked.

    What a process does every second costs several times as much if each thing wakes it by itself, because nothing of it
    is in the processor's caches any more.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` s have passed, or up to ``BEAT_S`` earlier."""
        if seconds >= 2 * BEAT_S:
            now = self._clock.now().timestamp()
            seconds = (now + seconds) // BEAT_S * BEAT_S - now
        await self._clock.sleep(seconds)


class FakeClock:
    """A clock that stands still until a test moves it; sleepers wake when it passes their instant, in order."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("FakeClock: start must be aware")
        self._now = start.astimezone(UTC)
        self._order = count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return the instant the test last set."""
        return self._now

    @property
    def sleepers(self) -> int:
        """How many coroutines wait on this clock now."""
        return sum(not future.done() for _, _, future in self._sleepers)

    def advance(self, seconds: float) -> datetime:
        """Move forward by ``seconds`` s and wake who is due; return the new instant."""
        if seconds < 0:
            raise ValueError("FakeClock.advance: seconds must not be negative; use set() to go back")
        return self.set(self._now + timedelta(seconds=seconds))

    def set(self, instant: datetime) -> datetime:
        """Move to ``instant``, also backwards (a clock step), and wake who is due; return it."""
        self._now = instant.astimezone(UTC)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has moved the clock ``seconds`` s on."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + timedelta(seconds=seconds), next(self._order), future))
        await future


def system_draw() -> float:
    """Draw from [0, 1) with the system's generator."""
    return _SYSTEM.random()


def new_id(prefix: str) -> str:
    """Return a fresh identifier ``prefix-<16 hex digits>``; ``prefix`` must begin with a letter.

    Some peers turn identifiers that look like numbers into numbers, so ours never do.
    """
    if not prefix[:1].isalpha():
        raise ValueError("new_id: prefix must begin with a letter")
    return f"{prefix}-{secrets.token_hex(8)}"
