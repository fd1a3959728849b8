"""Replay protection of signed messages (R514): which time of sending is taken, and which nonces are to be remembered.

Rule: no clock and no store here. A message is let in once: its time of sending is near ``now`` in both directions, and
the store has not seen the pair of fingerprint and nonce. The store asks and writes in one step, in the transaction that
acts on the message, and may forget a nonce only after ``forget_after``.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from openadr.errors import Replayed
from openadr.identity import fingerprint
from openadr.wire.signature import Authentic

WINDOW = timedelta(seconds=60)  # default: far above a poll's way and a kept clock's error; openleadr's own is 5 s
_SIGNERS = 4096  # whose fingerprints are remembered
_KEPT_WINDOWS = 2  # one would do on a clock that never steps; the second bears a step back by a whole window


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedNonce:
    """What a store keeps of a message let in: unique by (fingerprint, nonce) until ``forget_after``."""

    fingerprint: str  # of the certificate that signed, so that two peers may draw the same nonce
    nonce: str
    forget_after: datetime


_fingerprint = lru_cache(maxsize=_SIGNERS)(fingerprint)


def fresh(timestamp: datetime, now: datetime, window: timedelta) -> bool:
    """True if the time of sending is no further from ``now`` than ``window``, in the past or in the future (R514)."""
    return abs(now - timestamp) <= window


def admit(signed: Authentic, now: datetime, window: timedelta = WINDOW) -> UsedNonce:
    """Return what the store must not know yet. Raises ``Replayed`` if the time of sending is outside the window."""
    if not fresh(signed.timestamp, now, window):
        seconds = round((signed.timestamp - now).total_seconds())
        raise Replayed(
            f"ReplayProtect timestamp is {abs(seconds)} s {'ahead of' if seconds > 0 else 'behind'} the clock here;"
            f" the limit is {window.total_seconds():g} s (R514)"
        )
    return UsedNonce(
        fingerprint=_fingerprint(signed.certificate_der),
        nonce=signed.nonce,
        forget_after=signed.timestamp + _KEPT_WINDOWS * window,
    )
