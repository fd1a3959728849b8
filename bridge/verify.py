"""What a charger did about an event, judged by its meter: accepted, applied and verified are different states; pure.

Rule (decision 0005, EVT-17, TEL-12): an answer is no effect. *accepted* is the charger's word, *applied* means that
the schedule is in force by time, *verified* needs a meter reading taken after the settling time that is at or under
the limit. An idle charger promises nothing and an offline one is never counted as delivered (OUT-09).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.target import CommandOutcome, MeterReading


class OutcomeState(StrEnum):
    """The outcome of one event at one resource."""

    RECEIVED = "received"  # known here, no answer from the charger yet
    ACCEPTED = "accepted"  # the charger said yes; not in force yet
    APPLIED = "applied"  # in force by time; no proof yet
    VERIFIED = "verified"  # the meter says so
    PARTIAL = "partial"  # met for a part of the event only
    FAILED = "failed"  # refused, or accepted and ignored
    OPTED_OUT = "opted_out"  # the driver overrode it
    UNRESPONSIVE = "unresponsive"  # offline, or no answer
    CONSTRAINED_BY = "constrained_by"  # the meter complies, but under somebody else's lower limit
    IDLE = "idle"  # no load there to limit


SETTLED = frozenset({OutcomeState.VERIFIED, OutcomeState.CONSTRAINED_BY})


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyPolicy:
    """How proof is taken; tolerance is the larger of the share and the W (converted to A per phase)."""

    enabled: bool = True
    settle_s: float = 60.0  # ramp of the car and the charger, and the next meter sample
    tolerance: float = 0.05  # share of the limit: meter class and control error
    tolerance_w: float = 200.0  # what a paused charger may still draw: electronics, contactor, cooling
    voltage_band: float = 0.1  # a line may be so much above its nominal voltage (IEC 60038)
    retries: int = 2  # the schedule is asserted again this often before the charger counts as ignoring it
    stale_s: float = 900.0  # a reading older than this proves nothing about now: the slowest meters send every 15 min
    idle_w: float = 100.0  # below it a charger is not charging
    offline_after_s: float = 60.0  # a shorter loss of contact is no outage


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """All that is known of one event at one resource now. Limits in A per phase, powers in W, instants in UTC."""

    limit_a: float | None  # this event's cap in force now, None: the event asks for none
    effective_a: float | None  # what the charger was told to hold, by the arbiter
    limited_by: str | None  # who limits more than this event, None: nobody
    phases: int
    voltage: float
    since: datetime | None  # when the cap in force began; None: the event has not begun here
    accepted_at: datetime | None  # when the charger agreed to the schedule it holds now
    trouble: CommandOutcome | None  # why the last command failed for good, None: it did not
    trouble_detail: str
    offline_since: datetime | None
    connected_since: datetime | None
    transaction: bool
    reading: MeterReading | None  # the latest
    before_w: float | None  # mean power before the start, None: not measured
    override: str | None  # the reason of the override that takes this event out
    retries: int  # how often the schedule was asserted again because the meter disagreed
    held: str = ""  # why a command is held back by us, '' if none is
    foreign: str = ""  # limits of other systems that the charger tells of
    silent_since: datetime | None = None  # connected, and nothing that we ask is answered
    in_w: bool = False  # the charger is told watts in all, not amperes per phase
    says: tuple[bool, str] | None = None  # whether the device itself says that it follows, and in which words


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement: ``checked`` a reading was compared, ``met`` it was under the limit, ``retry`` assert again."""

    state: OutcomeState
    reason: str
    checked: bool = False
    met: bool = False
    retry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many readings were compared during the event, and how many of them failed for good."""

    met: int = 0
    failed: int = 0

    def add(self, verdict: Verdict) -> "Tally":
        """Count one verdict."""
        if not verdict.checked:
            return self
        if verdict.met:
            return replace(self, met=self.met + 1)
        return replace(self, failed=self.failed + (verdict.state is OutcomeState.FAILED))


def measured_a(reading: MeterReading, phases: int, voltage: float) -> float | None:
    """Return the highest phase current in A; ``None`` without any.

    From total power if not every phase was reported, should that be higher: what is missing must not hide a load.
    """
    currents = reading.current_a or ()
    if currents and (len(currents) >= phases or reading.power_w is None):
        return max(currents)
    return None if reading.power_w is None else max(*currents, reading.power_w / (phases * voltage), 0.0)


def power_w(reading: MeterReading, voltage: float) -> float | None:
    """Return the total power in W, from the phase currents if the meter reports no power."""
    if reading.power_w is not None:
        return reading.power_w
    return sum(reading.current_a) * voltage if reading.current_a else None


def by_power(reading: MeterReading, phases: int) -> bool:
    """True if the phase currents are worked out from total power: the meter does not report all of them."""
    return len(reading.current_a or ()) < phases and reading.power_w is not None


def allowed_a(limit_a: float, phases: int, voltage: float, policy: VerifyPolicy, *, derived: bool = False) -> float:
    """Return the highest current in A per phase that still counts as meeting ``limit_a``.

    A current ``derived`` from power by the nominal voltage reads too high while the line is above it.
    """
    margin = max(limit_a * policy.tolerance, policy.tolerance_w / (phases * voltage))
    return limit_a + margin + (limit_a * policy.voltage_band if derived else 0.0)


def judge(seen: Observation, previous: OutcomeState, reason: str, policy: VerifyPolicy, now: datetime) -> Verdict:
    """Return the state at ``now``; ``previous`` and its ``reason`` hold as long as nothing new is known."""
    early = _without_meter(seen, policy, now)
    if early is not None:
        return early
    if seen.since is None or now < seen.since:
        return Verdict(state=OutcomeState.ACCEPTED, reason="accepted by the charger, waits for the start")
    if seen.limit_a is None:
        if previous in (OutcomeState.RECEIVED, OutcomeState.ACCEPTED):
            return Verdict(state=OutcomeState.APPLIED, reason="normal operation: no limit asked")
        return Verdict(state=previous, reason=reason)
    settled = max(at for at in (seen.since, seen.accepted_at, seen.connected_since) if at is not None) + timedelta(
        seconds=policy.settle_s
    )
    if now < settled:
        return _waiting(previous, reason, "in force by time, waiting for the meter")
    if _is_stale(seen, policy, now) and previous in SETTLED:
        return Verdict(state=OutcomeState.APPLIED, reason=f"no meter reading for {policy.stale_s:g} s")
    return _by_meter(seen, previous, reason, policy, settled)


def _without_meter(seen: Observation, policy: VerifyPolicy, now: datetime) -> Verdict | None:
    """Return what is clear without any reading: overridden, offline, refused, no answer, not accepted yet."""
    begun = seen.since is not None and now >= seen.since
    if seen.override is not None:
        return Verdict(state=OutcomeState.OPTED_OUT, reason=f"driver override: {seen.override}")
    if seen.offline_since is not None:
        since = max(seen.offline_since, seen.since) if seen.since is not None else seen.offline_since
        if begun and now >= since + timedelta(seconds=policy.offline_after_s):
            held = (
                "the schedule was accepted before, its effect is not seen" if seen.accepted_at else "nothing was sent"
            )
            return Verdict(state=OutcomeState.UNRESPONSIVE, reason=f"no connection to the charger; {held}")
        if seen.accepted_at is None:
            return Verdict(state=OutcomeState.RECEIVED, reason="the charger is not connected")
        return None
    if begun and _is_silent(seen, policy, now):
        return Verdict(
            state=OutcomeState.UNRESPONSIVE,
            reason="connected, and leaves every call without an answer; no meter reading",
        )
    if seen.trouble in (CommandOutcome.REJECTED, CommandOutcome.NOT_SUPPORTED):
        return Verdict(state=OutcomeState.FAILED, reason=f"refused by the charger: {seen.trouble_detail}")
    if seen.trouble is not None:
        return Verdict(
            state=OutcomeState.UNRESPONSIVE, reason=f"no usable answer ({seen.trouble}): {seen.trouble_detail}"
        )
    if begun and seen.held and seen.accepted_at is None:
        return Verdict(state=OutcomeState.PARTIAL, reason=f"held back: {seen.held}")  # RND-11: correct, and no fault
    if seen.accepted_at is None and (seen.limit_a is not None or not begun):
        return Verdict(state=OutcomeState.RECEIVED, reason="not yet accepted by the charger")
    return None


def _is_silent(seen: Observation, policy: VerifyPolicy, now: datetime) -> bool:
    """True if the charger has said nothing for so long that whatever was proven before says nothing about now."""
    if seen.silent_since is None or now < seen.silent_since + timedelta(seconds=policy.offline_after_s):
        return False
    return seen.reading is None or seen.reading.at <= seen.silent_since


def _waiting(previous: OutcomeState, reason: str, why: str) -> Verdict:
    """Return *applied*, or keep a judgement that was already made."""
    if previous in (OutcomeState.RECEIVED, OutcomeState.ACCEPTED, OutcomeState.APPLIED):
        return Verdict(state=OutcomeState.APPLIED, reason=why)
    return Verdict(state=previous, reason=reason)


def _is_stale(seen: Observation, policy: VerifyPolicy, now: datetime) -> bool:
    """True if a session runs and its meter has fallen silent."""
    return seen.transaction and seen.reading is not None and now > seen.reading.at + timedelta(seconds=policy.stale_s)


def _by_meter(
    seen: Observation, previous: OutcomeState, reason: str, policy: VerifyPolicy, settled: datetime
) -> Verdict:
    fresh = seen.reading if seen.reading is not None and seen.reading.at >= settled else None
    amperes = None if fresh is None else measured_a(fresh, seen.phases, seen.voltage)
    if amperes is None or fresh is None:
        if not seen.transaction and seen.offline_since is None:  # of one that is away nothing is known, after a restart
            return Verdict(state=OutcomeState.IDLE, reason="no charging session: nothing to limit")
        if seen.says is not None and not seen.says[0]:  # CTA-04: an acknowledgement without effect is no delivery
            return Verdict(state=OutcomeState.FAILED, reason=f"acknowledged without effect: {seen.says[1]}")
        told = "" if seen.says is None else f"; the device says that it follows: {seen.says[1]}"
        return _waiting(previous, reason, f"in force by time, no meter reading since it settled{told}")
    watts = power_w(fresh, seen.voltage) or 0.0
    if watts < policy.idle_w and (not seen.transaction or _was_idle(seen, policy)):
        words = "the charger draws nothing and drew nothing before" if seen.transaction else "no charging session"
        return Verdict(state=OutcomeState.IDLE, reason=words)
    if not policy.enabled:
        return _waiting(previous, reason, "in force by time; verification is switched off")
    return _compare(seen, amperes, policy, fresh)


def _was_idle(seen: Observation, policy: VerifyPolicy) -> bool:
    """True if the car drew nothing before; without a measurement only a pause explains why it draws nothing now."""
    if seen.before_w is not None:
        return seen.before_w < policy.idle_w
    return (seen.effective_a or 0.0) > 0.0


def _in_amperes(
    seen: Observation, amperes: float, policy: VerifyPolicy, reading: MeterReading
) -> tuple[bool, str, str]:
    """Compare phase by phase; return whether the limit is met, what is drawn and the limit as texts name them."""
    limit_a, derived = seen.limit_a or 0.0, by_power(reading, seen.phases)
    met, limit = amperes <= allowed_a(limit_a, seen.phases, seen.voltage, policy, derived=derived), f"{limit_a:g} A"
    one_phase_a = (reading.power_w or 0.0) / seen.voltage
    if met and derived and one_phase_a > allowed_a(limit_a, 1, seen.voltage, policy, derived=True):
        limit += "; by total power, for the meter does not say how it is spread over the phases"
    return met, f"{amperes:.1f} A per phase", limit


def _in_watts(seen: Observation, amperes: float, policy: VerifyPolicy, reading: MeterReading) -> tuple[bool, str, str]:
    """Compare total power: a charger that is told watts may give all of them to a car on one phase (MAP-08)."""
    limit_w = (seen.limit_a or 0.0) * seen.phases * seen.voltage
    drawn_w = power_w(reading, seen.voltage) or 0.0
    met = drawn_w <= limit_w + max(limit_w * policy.tolerance, policy.tolerance_w)
    return met, f"{drawn_w / 1000:.2f} kW ({amperes:.1f} A)", f"{limit_w / 1000:.6g} kW in all"


def _compare(seen: Observation, amperes: float, policy: VerifyPolicy, reading: MeterReading) -> Verdict:
    met, drawn, limit = (_in_watts if seen.in_w else _in_amperes)(seen, amperes, policy, reading)
    if met:
        words = f"meter reads {drawn}, limit {limit}"
        if seen.limited_by is not None:
            return Verdict(
                state=OutcomeState.CONSTRAINED_BY,
                reason=f"{words}; limited by {seen.limited_by}",
                checked=True,
                met=True,
            )
        return Verdict(state=OutcomeState.VERIFIED, reason=words, checked=True, met=True)
    words = f"meter reads {drawn} against a limit of {limit}"
    if seen.retries < policy.retries:
        return Verdict(state=OutcomeState.APPLIED, reason=f"{words}; asserting again", checked=True, retry=True)
    others = f"; another system sets limits there: {seen.foreign}" if seen.foreign else ""
    tried = f"after {seen.retries} {'retry' if seen.retries == 1 else 'retries'}"
    return Verdict(
        state=OutcomeState.FAILED,
        reason=f"accepted and ignored: {words} {tried}{others}",
        checked=True,
    )


def conclude(state: OutcomeState, reason: str, tally: Tally) -> tuple[OutcomeState, str]:
    """Return the final state at the event's end: met for a part only is *partial*; without proof it stays unproven."""
    checks = tally.met + tally.failed
    if state is OutcomeState.OPTED_OUT:
        return state, reason
    if state is OutcomeState.UNRESPONSIVE:
        return state, f"{reason}; met in {tally.met} readings before" if tally.met else reason
    if tally.met and tally.failed:
        return OutcomeState.PARTIAL, f"met in {tally.met} of {checks} readings; last: {reason}"
    if tally.failed:
        failed = f"not met in {tally.failed} readings while there was a load; then: "
        return OutcomeState.FAILED, f"{failed}{reason}" if state is OutcomeState.IDLE else reason
    if state is OutcomeState.IDLE and tally.met:
        return OutcomeState.VERIFIED, f"met in {checks} readings while there was a load; then: {reason}"
    if state is OutcomeState.APPLIED and tally.met:
        return state, f"{reason}; met in {tally.met} readings before"
    if state is OutcomeState.RECEIVED and tally.met:
        return OutcomeState.PARTIAL, f"met in {tally.met} readings; then: {reason}"
    if state in (OutcomeState.ACCEPTED, OutcomeState.APPLIED):
        return state, f"{reason}; no proof by meter until the end"
    return state, reason
