"""What the chargers have told us: connection, session, latest reading, and readings waiting to be stored.

Rule: memory only and no decisions; it implements ``FleetEvents``, whose callbacks return at once. A reading dated in
the future is a wrong clock at the charger and is dated at its arrival; what a charger says about the past is kept as
said.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from bridge.halfhour import start_of
from bridge.target import ChargerStatus, MeterReading
from runtime.clock import Clock

BUFFER = 100_000  # readings kept while the database is away; then the oldest go (about 10 h of 1,000 chargers at 60 s)
LATE = timedelta(minutes=2)  # an older reading was kept by the charger while it could not send
CROWD_S = 600.0  # chargers that connect within so long of each other have come back together
CROWD_SHARE, CROWD_LEAST = 0.02, 10  # more than this share, and than so many (rnd.max_share_per_second)
SLACK_S = 5  # clocks differ by so much without being wrong


class Charger:
    """Volatile facts of one charger."""

    __slots__ = ("connected", "connected_since", "identity", "offline_since", "reading", "session", "session_since")

    def __init__(self, identity: str, now: datetime) -> None:
        self.identity = identity
        self.connected = False
        self.connected_since: datetime | None = None
        self.offline_since: datetime | None = now
        self.session = False
        self.session_since: datetime | None = None
        self.reading: MeterReading | None = None

    @property
    def renewed_at(self) -> datetime | None:
        """When the charger last connected or began a session: what was installed before must be asserted again."""
        known = [at for at in (self.connected_since, self.session_since) if at is not None]
        return max(known, default=None)


class Fleet:
    """All enrolled chargers. ``watch`` names who is told whenever something happened that needs a decision."""

    def __init__(self, chargers: Iterable[str], clock: Clock) -> None:
        self._clock = clock
        self._wake: Callable[[], None] = lambda: None
        now = clock.now()
        self._chargers = {identity: Charger(identity, now) for identity in chargers}
        self._pending: deque[MeterReading] = deque()
        self._actions: dict[tuple[str, str], datetime] = {}  # the first of each charger and kind
        self._late: set[datetime] = set()  # half-hours that readings came late for
        self._connects: deque[datetime] = deque()  # the latest, of all chargers
        self._touched: dict[str, None] = {}  # who connected, left, began or ended a session
        self._read: dict[str, None] = {}  # who sent a reading
        self.unknown: set[str] = set()  # identities that are connected but not enrolled
        self.dropped = 0  # readings lost because the buffer was full

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` from now on."""
        self._wake = wake

    def get(self, identity: str) -> Charger:
        """Return one charger. Raises ``KeyError`` for one that is not enrolled."""
        return self._chargers[identity]

    def connected(self, identity: str, now: datetime) -> None:
        """The charger is ready for commands."""
        charger = self._known(identity)
        if charger is not None:
            charger.connected, charger.connected_since, charger.offline_since = True, now, None
            self._connects.append(now)
            self._touch(identity)

    def rejoin_until(self, identity: str, after_s: float, now: datetime) -> datetime | None:
        """Return until when a charger goes on as it is, ``None`` if it did not come back among many (RND-09)."""
        since = self._chargers[identity].connected_since
        if since is None or now >= since + timedelta(seconds=after_s):
            return None
        while self._connects and self._connects[0] <= now - timedelta(seconds=CROWD_S):
            self._connects.popleft()
        crowd = len(self._connects) > max(CROWD_LEAST, CROWD_SHARE * len(self._chargers))
        return since + timedelta(seconds=after_s) if crowd else None

    def disconnected(self, identity: str, now: datetime) -> None:
        """The connection is gone."""
        charger = self._known(identity)
        if charger is not None:
            charger.connected, charger.connected_since = False, None
            charger.offline_since = charger.offline_since or now
            self._touch(identity)

    def reading(self, reading: MeterReading) -> None:
        """Keep the latest by the charger's own time, and all of them for the store."""
        charger = self._known(reading.charger)
        if charger is None:
            return
        now = self._clock.now()
        if reading.at > now + timedelta(seconds=SLACK_S):
            reading = replace(reading, at=now)
        if reading.at < now - LATE:
            self._late.add(start_of(reading.at))
        if charger.reading is None or reading.at >= charger.reading.at:
            charger.reading = reading
            self._read[reading.charger] = None
        if len(self._pending) >= BUFFER:
            self._pending.popleft()
            self.dropped += 1
        self._pending.append(reading)

    def transaction(self, identity: str, started: bool, now: datetime) -> None:
        """A session started or ended."""
        charger = self._known(identity)
        if charger is not None:
            charger.session = started
            charger.session_since = now if started else None
            self._touch(identity)

    def driver_action(self, identity: str, kind: str, now: datetime) -> None:
        """Keep it for the next decision."""
        if self._known(identity) is not None:
            self._actions.setdefault((identity, kind), now)
            self._wake()

    def take_actions(self) -> tuple[tuple[str, str, datetime], ...]:
        """Return and forget what drivers did."""
        taken, self._actions = self._actions, {}
        return tuple((identity, kind, at) for (identity, kind), at in taken.items())

    def put_back_actions(self, actions: Iterable[tuple[str, str, datetime]]) -> None:
        """Take actions back that could not be dealt with."""
        self._actions = {(identity, kind): at for identity, kind, at in actions} | self._actions

    def set_back(self, now: datetime) -> None:
        """The clock was set back to ``now``: what seems to lie ahead of it happened just now."""
        self._connects.clear()
        for charger in self._chargers.values():
            charger.connected_since = _no_later(charger.connected_since, now)
            charger.session_since = _no_later(charger.session_since, now)
            charger.offline_since = _no_later(charger.offline_since, now)
            if charger.reading is not None and charger.reading.at > now:
                charger.reading = None

    def take_late(self) -> frozenset[datetime]:
        """Return and forget the half-hours that readings came late for."""
        taken, self._late = frozenset(self._late), set()
        return taken

    def take_readings(self) -> tuple[MeterReading, ...]:
        """Return and forget the readings that wait to be stored; one for each charger and instant."""
        taken, self._pending = self._pending, deque()
        return tuple({(reading.charger, reading.at): reading for reading in taken}.values())

    def put_back(self, readings: tuple[MeterReading, ...]) -> None:
        """Take readings back that could not be stored."""
        room = max(0, BUFFER - len(self._pending))
        self.dropped += max(0, len(readings) - room)
        self._pending.extendleft(reversed(readings[-room:] if room else ()))

    def follow(self, status: ChargerStatus | None, now: datetime) -> None:
        """Take over connection and session from a device family's own view, should a callback have been missed."""
        if status is None or status.identity not in self._chargers:
            return
        charger = self._chargers[status.identity]
        if status.connected and not charger.connected:
            self.connected(status.identity, status.connected_since or now)
        elif charger.connected and not status.connected:
            self.disconnected(status.identity, now)
        if charger.session is not status.transaction:
            charger.session = status.transaction
            self._touch(status.identity)

    def _touch(self, identity: str) -> None:
        self._touched[identity] = None
        self._wake()

    def take_touched(self) -> tuple[str, ...]:
        """Return and forget who connected, left, began or ended a session."""
        taken, self._touched = tuple(self._touched), {}
        return taken

    def take_read(self) -> tuple[str, ...]:
        """Return and forget who sent a reading."""
        taken, self._read = tuple(self._read), {}
        return taken

    def _known(self, identity: str) -> Charger | None:
        charger = self._chargers.get(identity)
        if charger is None:
            self.unknown.add(identity)
        return charger


def _no_later(instant: datetime | None, now: datetime) -> datetime | None:
    return None if instant is None else min(instant, now)
