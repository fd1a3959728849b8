"""What every service is given besides the transaction and the request: the VTN's own ids and policies, and the peer.

Rule: values and pure functions only; a policy says how often and how much, in seconds and counts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from openadr.errors import ComplianceError
from openadr.messages import EiResponse
from openadr.times import Duration
from vtn.services.addresses import AddressRule

PROFILE = "2.0b"
TRANSPORT = "simpleHttp"
POLL_FREQ = Duration(seconds=10)  # how soon an event reaches a VEN against how many polls the VTN serves
LAST_YEAR = 9000  # times of report requests lie before: durations, a century at most, can be added to them
LONGEST_RETRY = timedelta(days=7)  # between two repetitions, whatever the policy says
MAX_ID_LENGTH = 255  # characters; what the database keeps of an identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Send again until answered: after q, 2q, 4q ... (EVT-18), ``attempts`` times in all."""

    first_s: float = 60.0
    attempts: int = 6

    def due(self, attempts_made: int, now: datetime) -> datetime | None:
        """Return when to send again after ``attempts_made`` sendings, ``None``: give up."""
        again = self.again(attempts_made)
        return None if again is None else now + again

    def again(self, attempts_made: int) -> timedelta | None:
        """Return how long after that."""
        if attempts_made >= self.attempts:
            return None
        return min(timedelta(seconds=self.first_s * 2.0 ** min(attempts_made - 1, 30)), LONGEST_RETRY)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPolicy:
    """Which reports to ask for when a VEN offers them, how fine and how often."""

    names: tuple[str, ...] = ("TELEMETRY_USAGE", "TELEMETRY_STATUS")
    granularity_s: int = 60
    back_s: int = 60
    overdue_s: float = 120.0  # how late a report may be
    metadata_s: float = 300.0  # how long after its registration a VEN's METADATA may be missing
    offer: tuple[str, ...] = ()  # the reports of its own that the VTN offers
    offer_s: int = 30 * 86_400  # how far back they go


class Contexts(StrEnum):
    """Which market contexts events may belong to."""

    OPEN = "open"  # any; the terms of a programme hold where there is one
    LISTED = "listed"  # those of programmes only


@dataclass(frozen=True, slots=True, kw_only=True)
class PushPolicy:
    """Which addresses HTTP push may go to, and what happens when a VEN does not answer there.

    The pause after a failure is ``first_s``, doubled each time up to ``longest_s``; after ``attempts`` failures in a
    row the payloads wait for the VEN to poll, to be heard of, or for something new.
    """

    addresses: AddressRule
    first_s: float = 2.0
    longest_s: float = 600.0
    attempts: int = 8
    lease_s: float = 60.0  # how long one exchange may take before another process may push to the same VEN
    settle_s: float = 1.0  # between a registration and the first push: the VEN has to take the answer in

    def pause_s(self, failures: int, draw: float) -> float | None:
        """Return for how long to leave a VEN alone, ``None``: give up; ``draw`` in [0, 1) spreads it by 10 %."""
        if failures >= self.attempts:
            return None
        return min(self.first_s * 2.0 ** min(failures - 1, 30), self.longest_s) * (0.9 + 0.2 * draw)


class SignaturePolicy(StrEnum):
    """What becomes of XML signatures on messages of VENs (R514)."""

    OFF = "off"  # not looked at; a VEN that wants them cannot register
    ACCEPT = "accept"  # verified where they are; a VEN registered with oadrXmlSignature has to sign
    REQUIRE = "require"  # every message has to be signed


class EnrolmentMode(StrEnum):
    """What becomes of a certificate that is trusted and not enrolled."""

    LISTED = "listed"  # refused, nothing is kept of it
    ASK = "ask"  # refused, and noted for an operator to approve


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentPolicy:
    """How VENs come to be enrolled; ``most`` candidates are kept."""

    mode: EnrolmentMode = EnrolmentMode.LISTED
    most: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class OptLimits:
    """How much one VEN may have in force: reading it all must not take longer than some 100 ms."""

    schedules: int = 5_000
    windows: int = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The VTN's identity and policies; ``new_id(prefix)`` makes identifiers that begin with a letter."""

    vtn_id: str
    new_id: Callable[[str], str]
    poll_freq: Duration = POLL_FREQ
    signatures: SignaturePolicy = SignaturePolicy.ACCEPT
    events: RetryPolicy = field(default_factory=RetryPolicy)
    queue: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=4))
    reports: ReportPolicy = field(default_factory=ReportPolicy)
    enrolment: EnrolmentPolicy = field(default_factory=EnrolmentPolicy)
    opts: OptLimits = field(default_factory=OptLimits)
    push: PushPolicy | None = None  # None: HTTP push is not offered
    contexts: Contexts = Contexts.OPEN
    current_value: bool = False  # signals are sent with currentValue (R113)


def done(request_id: str, description: str = "OK") -> EiResponse:
    """Return code 200 echoing the request (R303)."""
    return EiResponse(request_id=request_id, response_description=description)


def short_id(text: str, name: str) -> str:
    """Return an identifier that can be kept. Raises ``ComplianceError`` if empty or too long."""
    if not 0 < len(text) <= MAX_ID_LENGTH:
        raise ComplianceError(f"{name}: 1 to {MAX_ID_LENGTH} characters are accepted, got {len(text)}", field=name)
    return text
