"""How the VEN stands with its VTN: when it was last heard, how far the clocks differ, whether that is well.

Rule: only what the VTN answered or pushed counts as contact; a step of the VTN's clock is told once, and once again
when it is over.
"""

from dataclasses import dataclass
from datetime import datetime

from runtime.logs import get_logger
from ven.metrics import VenMetrics
from ven.model import State
from ven.settings import VenSettings
from ven.transport import ExchangeFailed

SILENT_POLLS = 3.0  # poll intervals without contact before the VEN counts as unwell

log = get_logger(__name__)


class Unwell(Exception):
    """The VEN is not registered, or the VTN has been silent for too long; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenStatus:
    """How the VEN stands with its VTN. ``clock_offset_s`` is the VTN's clock less ours, to about a second."""

    registered: bool
    withdrawn: bool
    ven_id: str | None
    vtn_id: str | None
    last_contact: datetime | None
    clock_offset_s: float | None
    outbox_depth: int
    last_failure: str | None


class Contact:
    """What is known of the VTN since the start; ``last`` is when it was heard, ``None`` if it was not."""

    def __init__(self, settings: VenSettings, metrics: VenMetrics) -> None:
        self._settings, self._metrics = settings, metrics
        self.last: datetime | None = None
        self._failure: str | None = None
        self._offset_s: float | None = None
        self._warned = False

    def heard(self, message: str, now: datetime, vtn_time: datetime | None = None) -> None:
        """Note an exchange that the VTN answered, or one of its own."""
        self.last, self._failure = now, None
        if vtn_time is not None:
            self._offset_s = round((vtn_time - now).total_seconds(), 1)
            self._check_clock(self._offset_s)
        self._metrics.contact(message, now, self._offset_s)

    def failed(self, message: str, failed: ExchangeFailed) -> None:
        """Note an exchange without an answer."""
        self._metrics.failed(failed.failure.value)
        self._failure = str(failed)
        log.warning("exchange failed", message=message, failure=failed.failure.value, detail=failed.detail)

    def _check_clock(self, offset_s: float) -> None:
        apart = abs(offset_s) > self._settings.clock_warn_s
        if apart and not self._warned:
            log.warning("the VTN's clock differs from ours", offset_s=offset_s)
        elif self._warned and not apart:
            log.info("the VTN's clock agrees with ours again", offset_s=offset_s)
        self._warned = apart

    def status(self, state: State) -> VenStatus:
        """Return how the VEN stands now."""
        held = state.registration
        return VenStatus(
            registered=held is not None,
            withdrawn=state.withdrawn_at is not None,
            ven_id=None if held is None else held.ven_id,
            vtn_id=None if held is None else held.vtn_id,
            last_contact=self.last,
            clock_offset_s=self._offset_s,
            outbox_depth=len(state.outbox),
            last_failure=self._failure,
        )

    def patience_s(self, state: State) -> float:
        """Return how long a VTN that is well may be silent, s: a few poll intervals."""
        held, push = state.registration, self._settings.push
        poll_s = self._settings.poll_s if held is None else held.poll_s or self._settings.poll_s
        if held is not None and held.push_address is not None and push is not None:
            poll_s = push.resync_s
        return SILENT_POLLS * max(poll_s, self._settings.timeout_s)

    def check(self, state: State, now: datetime) -> None:
        """Return if registered and in contact; raises ``Unwell``."""
        if state.withdrawn_at is not None:
            return  # that is how the operator wants it
        if state.registration is None:
            raise Unwell(f"not registered with the VTN{f': {self._failure}' if self._failure else ''}")
        silence_s = self.patience_s(state)
        if self.last is None or (now - self.last).total_seconds() > silence_s:
            raise Unwell(f"no contact with the VTN for {silence_s:.0f} s: {self._failure or 'nothing was sent'}")
        if self._offset_s is not None and abs(self._offset_s) > self._settings.clock_degraded_s:
            raise Unwell(f"the VTN's clock differs from ours by {self._offset_s:+.0f} s")
