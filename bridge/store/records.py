"""Rows of the bridge's database as frozen values.

Rule: no SQL here and no knowledge of the database; powers in W or kW as named, limits in A per phase, instants in UTC.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bridge.arbiter import Source
from bridge.target import CommandOutcome, LimitSchedule
from bridge.verify import OutcomeState


class InstallState(StrEnum):
    """How far a schedule has got on its way to a charger."""

    SENT = "sent"  # on its way, or the answer was lost: it may be there
    ACCEPTED = "accepted"
    REFUSED = "refused"  # the charger said no
    UNANSWERED = "unanswered"  # no usable answer, tried as often as allowed
    CLEARING = "clearing"  # is to be removed, not confirmed yet
    STALE = "stale"  # the charger refused what should replace it: it must go first


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What a charger holds of ours, as far as we know; ``attempts`` counts sends of this schedule."""

    charger: str
    schedule: LimitSchedule
    state: InstallState
    detail: str
    attempts: int
    sent_at: datetime
    accepted_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command with its result; ``kind`` is set or clear, ``cause`` says why it was sent."""

    charger: str
    kind: str
    cause: str
    schedule: LimitSchedule | None
    outcome: CommandOutcome
    detail: str
    sent_at: datetime
    done_at: datetime


class Phase(StrEnum):
    """Where in its life an outcome is."""

    PLANNED = "planned"  # before the start; the power before it is not measured yet
    RUNNING = "running"
    ENDED = "ended"  # over, the state is final; the power during the event is not measured yet
    AFTER = "after"  # the power after the event is not measured yet
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one event came to at one resource. ``kw_*`` are means by meter; ``met`` and ``failed`` count readings."""

    event_id: str
    resource_id: str
    modification_number: int
    charger: str
    programme: str
    state: OutcomeState
    reason: str
    limit_a: float | None
    effective_start: datetime
    effective_end: datetime | None
    known_at: datetime
    accepted_at: datetime | None = None
    applied_at: datetime | None = None
    verified_at: datetime | None = None
    kw_before: float | None = None
    kw_during: float | None = None
    kw_after: float | None = None
    met: int = 0
    failed: int = 0
    retries: int = 0
    checked_at: datetime | None = None
    phase: Phase = Phase.PLANNED
    updated_at: datetime
    scheduled_start: datetime | None = None  # what the VTN asked for; the stored draw explains the difference
    scheduled_end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptTold:
    """The last opt told upstream for one event at one resource."""

    event_id: str
    resource_id: str
    opt_type: str
    reason: str
    opt_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One stored reading: ``max_a`` is the highest phase current."""

    charger: str
    at: datetime
    power_w: float | None
    max_a: float | None
    energy_wh: float | None
    estimated: bool = False
    frequency_hz: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerMean:
    """Mean power of a charger over a stretch of time, from ``samples`` readings."""

    charger: str
    power_w: float
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingLimit:
    """A limit that an operator set on one resource or one group; ``ended_at`` is when it was taken back."""

    limit_id: str
    source: Source
    resource_id: str | None
    group_id: str | None
    limit_a: float | None
    limit_kw: float | None
    reason: str
    start: datetime
    end: datetime | None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a resource has of the limit of a group; ``division`` names the group, or the event and its limit."""

    division: str
    resource_id: str
    limit_a: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitNote:
    """From ``at`` on this limited the resource: why was I limited (ARB-09)."""

    resource_id: str
    at: datetime
    limit_a: float | None
    source: str
    event_id: str | None
    reason: str
    losers: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """What one event came to at one resource in one interval, and who limited (ARB-10). Powers in kW, means."""

    event_id: str
    resource_id: str
    start: datetime
    end: datetime
    contracted_kw: float | None
    requested_kw: float | None
    effective_kw: float | None
    metered_kw: float | None
    source: str
    by_event: str | None
    outcome: str
    reason: str
    counted_kw: float | None = None  # of what was asked for, the part that no other programme has a claim to (ARB-14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A customer's agreement to be controlled under one programme, normalised ``context``, until it is withdrawn.

    ``who`` gave it, to which text ``terms``; ``over_user``: its events go before the user's own schedule (ARB-19).
    """

    agreement_id: str
    resource_id: str
    context: str
    who: str
    terms: str
    given_at: datetime
    until: datetime | None = None
    over_user: bool = False
    withdrawn_at: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """True while it counts."""
        return self.withdrawn_at is None and self.given_at <= now and (self.until is None or now < self.until)


class Stage(StrEnum):
    """How far a supply has been cut as the last resort of an emergency (ARB-17)."""

    UNAVAILABLE = "unavailable"
    STOPPED = "stopped"
    RESTORING = "restoring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """A charger taken out of service by us for an emergency."""

    charger: str
    event_id: str
    stage: Stage
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """From ``at`` on the charger was connected or not, an override was in force or not, a session ran or not."""

    charger: str
    at: datetime
    online: bool
    overridden: bool
    session: bool = False
    level: int | None = None  # as the device says itself: 1 less load than usual, 0 as usual, -1 more


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that somebody should know of: raised once, cleared when it is over."""

    alert_id: str
    kind: str
    subject: str
    severity: str
    text: str
    raised_at: datetime
    cleared_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """An alert raised or cleared that the webhook has not taken yet: ``document`` is the JSON to post."""

    alert_id: str
    state: str
    document: str
    made_at: datetime
    attempts: int = 0
    not_before: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerKind:
    """What a probe has learnt of a kind of charger: ``knobs`` as JSON."""

    vendor: str
    model: str
    firmware: str
    protocol: str
    knobs: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerNotice:
    """Something that a charger reported of itself: a security event, how a firmware or log transfer goes."""

    charger: str
    at: datetime
    kind: str
    name: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """A commissioning self-test: ``evidence`` is the signed text, ``signature`` in base64 over it, "" for none."""

    test_id: str
    charger: str
    at: datetime
    passed: bool
    evidence: str
    signature: str


class MessageState(StrEnum):
    """How far a charger's message has got on its way to the CPO's CSMS."""

    QUEUED = "queued"  # to be sent, or sent without an answer yet
    ANSWERED = "answered"  # kept for a while, so that a repetition is answered alike
    REFUSED = "refused"  # the CSMS does not take it: kept for an operator, not sent again


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyMessage:
    """A charger's CALL for the CSMS behind the proxy: ``tail`` is action and payload byte for byte, ``mark`` its hash.

    ``provisional`` is the transaction id that a 1.6 start was given here.
    """

    charger: str
    seq: int
    version: str
    action: str
    message_id: str
    tail: str
    mark: str
    state: MessageState
    answer: str
    attempts: int
    provisional: int | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyTransaction:
    """A transaction id given to a charger in the place of the CSMS, and the CSMS's own once it is known."""

    charger: str
    provisional: int
    actual: int | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProfile:
    """A charging profile of the CPO. ``held``: the charger has it no more, or not yet, and is owed it after ours."""

    charger: str
    number: int
    version: str
    tail: str
    held: bool
    at: datetime
