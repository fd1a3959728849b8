"""What every service is given besides the transaction and the request: the VTN's own ids and policies, and the peer.

Rule: values and pure functions only; a policy says how often and how much, in seconds and counts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from openadr.errors import ComplianceError
from openadr.messages import EiResponse
from openadr.times import Duration

PROFILE = "2.0b"
TRANSPORT = "simpleHttp"
POLL_FREQ = Duration(seconds=10)  # how soon an event reaches a VEN against how many polls the VTN serves
MAX_ID_LENGTH = 255  # characters; what the database keeps of an identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Send again until answered: after q, 2q, 4q ... (EVT-18), ``attempts`` times in all."""

    first_s: float = 60.0
    attempts: int = 6

    def due(self, attempts_made: int, now: datetime) -> datetime | None:
        """Return when to send again after ``attempts_made`` sendings, ``None``: give up."""
        if attempts_made >= self.attempts:
            return None
        return now + timedelta(seconds=self.first_s * 2 ** (attempts_made - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPolicy:
    """Which reports to ask for when a VEN offers them, how fine and how often."""

    names: tuple[str, ...] = ("TELEMETRY_USAGE", "TELEMETRY_STATUS")
    granularity_s: int = 60
    back_s: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The VTN's identity and policies; ``new_id(prefix)`` makes identifiers that begin with a letter."""

    vtn_id: str
    new_id: Callable[[str], str]
    poll_freq: Duration = POLL_FREQ
    events: RetryPolicy = field(default_factory=RetryPolicy)
    queue: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=4))
    reports: ReportPolicy = field(default_factory=ReportPolicy)


def done(request_id: str, description: str = "OK") -> EiResponse:
    """Return code 200 echoing the request (R303)."""
    return EiResponse(request_id=request_id, response_description=description)


def short_id(text: str, name: str) -> str:
    """Return an identifier that can be kept. Raises ``ComplianceError`` if empty or too long."""
    if not 0 < len(text) <= MAX_ID_LENGTH:
        raise ComplianceError(f"{name}: 1 to {MAX_ID_LENGTH} characters are accepted, got {len(text)}", field=name)
    return text
