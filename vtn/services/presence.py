"""Whether a VEN is there: by when it was last heard of and how often it was asked to poll. Pure.

Rule: a VEN may poll later than it was asked to (R500), so a few missed polls make it late, not gone. A VEN that is
pushed to need not say anything by itself and is not judged by its silence.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from vtn.store.rows import Ven

LATE_AFTER = 3  # poll intervals: one may be lost, one may be slow
GONE_AFTER = 10  # poll intervals
GRACE = timedelta(seconds=10)  # for VENs asked to poll every few seconds: last_seen is written every 5 s


class Presence(StrEnum):
    """Whether a VEN is there."""

    UNREGISTERED = "unregistered"
    SUSPENDED = "suspended"
    ONLINE = "online"
    LATE = "late"
    OFFLINE = "offline"
    PUSH = "push"  # it need not ask


def presence(ven: Ven, now: datetime, poll_freq_s: int) -> Presence:
    """Return how a VEN is doing; ``poll_freq_s`` counts where it was never told another."""
    if ven.suspended:
        return Presence.SUSPENDED
    if not ven.registered:
        return Presence.UNREGISTERED
    if ven.pushed:
        return Presence.PUSH
    heard = ven.last_seen or ven.registered_at
    if heard is None:
        return Presence.OFFLINE
    interval = timedelta(seconds=ven.told_poll_s or poll_freq_s)
    silent = now - heard - GRACE
    if silent <= LATE_AFTER * interval:
        return Presence.ONLINE
    return Presence.LATE if silent <= GONE_AFTER * interval else Presence.OFFLINE
