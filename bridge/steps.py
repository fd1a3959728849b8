"""Which command a charger gets next, and what it waits for, by what it should hold and what it is known to hold; pure.

Rule: doing a command twice is harmless. A tighter limit goes at once; one that only loosens keeps dwell, dead band and
write rate (ARB-04), its place among chargers that came back together (RND-09), and its moment after programmes were
read anew (RND-12), so that controllers never fight over a charger. An emergency and an override wait for none of that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.fleet import Charger
from bridge.schedule import FOREVER, growth_a, holds, limit_at, over
from bridge.store import Installed
from bridge.store.records import InstallState
from bridge.target import LimitSchedule

CHANGED = "changed limit"


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
    cause = _set_cause(need, need.wanted, installed, renewed, now)
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


def _set_cause(
    need: Need, wanted: LimitSchedule, installed: Installed | None, renewed: bool, now: datetime
) -> str | None:
    if installed is None or installed.state is InstallState.CLEARING:
        return "new limit"
    if not holds(installed.schedule, wanted, now, lasting_s=need.lasting_s):
        return CHANGED
    if renewed:
        return "charger connected or began a session"
    if installed.state in (InstallState.SENT, InstallState.UNANSWERED):
        return "no answer"
    return "meter disagrees" if need.again and installed.state is InstallState.ACCEPTED else None
