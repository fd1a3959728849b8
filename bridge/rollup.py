"""Rolls meter readings up into half-hours, kept long after the readings are gone (TEL-07).

Rule: doing it again changes nothing. Half-hours are made a little after they end; readings that come later (a charger
sends what it kept during an outage) have theirs made anew: which they are is written with the readings themselves, so
that a restart forgets none. After one the last few are made once more.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bridge.halfhour import FAR_S, HALF_HOUR, HalfHour, half_hour, start_of
from bridge.store import BridgeStore, Changes, Sample

SETTLE = timedelta(minutes=2)  # readings of the last minute are still on their way
AGAIN = 4  # half-hours made once more after a restart
PORTION = 200  # chargers at a time: their readings fit in memory, and nobody waits long for the database
MOST = 48  # half-hours made in one turn: the rest at the next


class RollUp:
    """The half-hours of all chargers."""

    def __init__(self, store: BridgeStore, chargers: Sequence[str]) -> None:
        self._store, self._chargers = store, tuple(chargers)
        self._next: datetime | None = None

    async def run(self, now: datetime) -> int:
        """Make what is due; return how many half-hours were."""
        if self._next is None:
            self._next = await self._first(now)
        done = start_of(now - SETTLE)
        again = await self._store.late_half_hours()
        ready = [at for at in sorted(again) if at + HALF_HOUR <= min(done, self._next)]
        ahead = [self._next + HALF_HOUR * number for number in range((done - self._next) // HALF_HOUR)]
        made = 0
        for at in [*ready, *ahead][:MOST]:
            await self._make(at)
            if at in again:
                await self._store.write(Changes(late_made=((at, again[at]),)))
            self._next = max(self._next, at + HALF_HOUR)
            made += 1
        return made

    async def _first(self, now: datetime) -> datetime:
        last, oldest = await self._store.last_half_hour(), await self._store.oldest_reading()
        if last is not None:
            return last - HALF_HOUR * (AGAIN - 1)
        return start_of(now if oldest is None else min(now, oldest))

    async def _make(self, start: datetime) -> None:
        margin = timedelta(seconds=FAR_S)
        for first in range(0, len(self._chargers), PORTION):
            part = self._chargers[first : first + PORTION]
            by_charger: dict[str, list[Sample]] = {}
            for reading in await self._store.samples(part, start - margin, start + HALF_HOUR + margin):
                by_charger.setdefault(reading.charger, []).append(reading)
            made = [half_hour(charger, mine, start) for charger, mine in by_charger.items()]
            rows: tuple[HalfHour, ...] = tuple(each for each in made if each is not None)
            await self._store.write(Changes(half_hours=rows))
