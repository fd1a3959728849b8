"""What the chargers have told us: connection, session, latest reading, and readings waiting to be stored.

Rule: memory only and no decisions; it implements ``FleetEvents``, whose callbacks return at once. A reading dated in
the future is a wrong clock at the charger and is dated at its arrival; what a charger says about the past is kept as
said.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bridge.target import CarNeeds, ChargerStatus, ForeignLimit, MeterReading
from runtime.clock import Clock

BUFFER = 100_000  # readings kept while the database is away; then the oldest go (about 10 h of 1,000 chargers at 60 s)
CROWD_S = 600.0  # chargers that connect within so long of each other have come back together
CROWD_SHARE, CROWD_LEAST = 0.02, 10  # more than this share, and than so many (rnd.max_share_per_second)
SLACK_S = 5  # clocks differ by so much without being wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceWord:
    """What a device says of itself about what it was told: that it follows, or not; a meter outranks it."""

    follows: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateOfCharge:
    """What a car said last of its battery: ``share`` 0 to 1, in which session, when."""

    share: float
    session: str
    at: datetime


class Charger:
    """Volatile facts of one charger."""

    __slots__ = (
        "connected",
        "connected_since",
        "foreign",
        "identity",
        "level",
        "limit_in_w",
        "offline_since",
        "own_delay_s",
        "reading",
        "says",
        "session",
        "session_name",
        "session_since",
        "silent_since",
        "soc",
    )

    def __init__(self, identity: str, now: datetime) -> None:
        self.identity = identity
        self.connected = False
        self.connected_since: datetime | None = None
        self.offline_since: datetime | None = now
        self.session = False
        self.session_since: datetime | None = None
        self.reading: MeterReading | None = None
        self.says: DeviceWord | None = None
        self.level: int | None = None  # as the device says: 1 less load than usual, 0 as usual, -1 more
        self.foreign: tuple[ForeignLimit, ...] = ()  # limits of other systems that it holds (ARB-13)
        self.own_delay_s: int | None = None  # how long it delays by itself, as it says (RND-05)
        self.silent_since: datetime | None = None  # connected, and leaves what we ask without an answer
        self.session_name = ""
        self.soc: StateOfCharge | None = None
        self.limit_in_w = False  # limits reach it as a total in W, not as A per phase

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
        self._connects: deque[datetime] = deque()  # the latest, of all chargers
        self._delays: dict[str, None] = {}  # who has said how long it delays by itself
        self._touched: dict[str, None] = {}  # who connected, left, began or ended a session
        self._read: dict[str, None] = {}  # who sent a reading
        self._sessions: dict[tuple[str, str], datetime] = {}  # charger and session: when it was first heard of
        self._needs: dict[str, tuple[CarNeeds, datetime]] = {}  # the latest of each charger
        self.telling: dict[str, None] = {}  # whose cars have told a state of charge
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
            charger.connected, charger.connected_since, charger.level = False, None, None
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
        self._of_car(charger, reading)
        if not reading.metered:
            return
        if charger.reading is None or reading.at >= charger.reading.at:
            charger.reading = reading
            self._read[reading.charger] = None
        if len(self._pending) >= BUFFER:
            self._pending.popleft()
            self.dropped += 1
        self._pending.append(reading)

    def _of_car(self, charger: Charger, reading: MeterReading) -> None:
        """Keep what the reading says of the car and its session."""
        latest = [each.at for each in (charger.soc, charger.reading) if each is not None]
        if latest and reading.at < max(latest):
            return
        if reading.session and reading.session != charger.session_name:
            charger.session_name = reading.session
            self._sessions[charger.identity, reading.session] = min(reading.at, self._clock.now())
        if reading.soc is not None:
            charger.soc = StateOfCharge(share=reading.soc, session=reading.session, at=reading.at)
            self.telling[charger.identity] = None

    def needs(self, identity: str, needs: CarNeeds, now: datetime) -> None:
        """Keep what a car asks for, for the next decision, and its state of charge."""
        charger = self._known(identity)
        if charger is not None:
            charger.session_name = needs.session
            if needs.soc is not None:
                charger.soc = StateOfCharge(share=needs.soc, session=needs.session, at=now)
                self.telling[identity] = None
            self._needs[identity] = (needs, now)
            self._touch(identity)

    def take_needs(self) -> tuple[tuple[str, CarNeeds, datetime], ...]:
        """Return and forget what cars have asked for."""
        taken, self._needs = self._needs, {}
        return tuple((identity, needs, at) for identity, (needs, at) in taken.items())

    def take_sessions(self) -> tuple[tuple[str, str, datetime], ...]:
        """Return and forget which sessions have been heard of for the first time since this process began."""
        taken, self._sessions = self._sessions, {}
        return tuple((identity, session, at) for (identity, session), at in taken.items())

    def put_back_needs(self, taken: Iterable[tuple[str, CarNeeds, datetime]]) -> None:
        """Take back what could not be dealt with; what has come since is newer."""
        self._needs = {identity: (needs, at) for identity, needs, at in taken} | self._needs

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

    def says(self, identity: str, word: DeviceWord | None) -> None:
        """Keep what a device says about the command that it has; ``None``: nothing yet, or no more."""
        charger = self._known(identity)
        if charger is not None and charger.says != word:
            charger.says = word
            self._touch(identity)

    def operates(self, identity: str, level: int | None) -> None:
        """Keep whether a device says that it takes less than usual (1), more (-1) or as usual (0)."""
        charger = self._known(identity)
        if charger is not None and charger.level != level:
            charger.level = level
            self._touch(identity)

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
            charger.silent_since = _no_later(charger.silent_since, now)
            if charger.reading is not None and charger.reading.at > now:
                charger.reading = None
            if charger.soc is not None and charger.soc.at > now:
                charger.soc = None

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
        charger.limit_in_w = status.limit_in_w
        if status.connected and not charger.connected:
            self.connected(status.identity, status.connected_since or now)
        elif charger.connected and not status.connected:
            self.disconnected(status.identity, now)
        if status.own_delay_s is not None and charger.own_delay_s != status.own_delay_s:
            charger.own_delay_s = status.own_delay_s
            self._delays[status.identity] = None
        if charger.foreign != status.foreign:
            charger.foreign = status.foreign
            self._touch(status.identity)
        if (charger.silent_since is not None) is not status.unresponsive:
            charger.silent_since = now if status.unresponsive else None
            self._touch(status.identity)
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

    def take_delays(self) -> tuple[str, ...]:
        """Return and forget who has said how long it delays by itself."""
        taken, self._delays = tuple(self._delays), {}
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
