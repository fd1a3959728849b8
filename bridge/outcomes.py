"""From plan, command state and readings to the outcome of each event at each resource, step by step; pure.

Rule: ``advance`` makes one step from the stored outcome and what is known now; the shell stores the result before
anyone is told. An outcome only follows evidence: nothing is assumed from silence (EVT-17, OUT-09).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.arbiter import Effective, Override, overridden_by
from bridge.fleet import Charger
from bridge.plan import Cap, ResourcePlan
from bridge.resources import Resource
from bridge.schedule import limit_at
from bridge.store.records import Installed, InstallState, Outcome, Phase
from bridge.target import CommandOutcome, ForeignLimit
from bridge.verify import SETTLED, Observation, OutcomeState, Tally, Verdict, VerifyPolicy, conclude, judge

_TROUBLE = {InstallState.REFUSED: CommandOutcome.REJECTED, InstallState.UNANSWERED: CommandOutcome.TIMEOUT}
_LIVE = (Phase.PLANNED, Phase.RUNNING)
_SAME_A = 0.05  # limits have one decimal: closer than half of it is equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything known about one resource now."""

    resource: Resource
    charger: Charger
    installed: Installed | None
    effective: Effective
    overrides: tuple[Override, ...]
    policy: VerifyPolicy
    now: datetime
    held: str = ""  # why a command to the charger is held back, '' if none is


def opened(plan: ResourcePlan, resource: Resource, now: datetime) -> Outcome:
    """Return the outcome of an event that has just become known at a resource."""
    return Outcome(
        event_id=plan.event_id,
        resource_id=plan.resource_id,
        modification_number=plan.modification_number,
        charger=resource.charger,
        programme=plan.programme,
        state=OutcomeState.RECEIVED,
        reason="event received",
        limit_a=None,
        effective_start=plan.timing.start,
        effective_end=plan.timing.end,
        known_at=now,
        updated_at=now,
        scheduled_start=plan.timing.scheduled_start,
        scheduled_end=plan.timing.scheduled_end,
    )


def replanned(outcome: Outcome, plan: ResourcePlan, now: datetime) -> Outcome:
    """Return the outcome under a modified plan; a higher modification is tried anew, a revived event reopens."""
    changed = outcome.modification_number != plan.modification_number
    if outcome.phase not in _LIVE and (plan.timing.end is None or now < plan.timing.end):
        outcome = replace(outcome, phase=Phase.RUNNING, state=OutcomeState.RECEIVED, reason="event resumed")
    return replace(
        outcome,
        modification_number=plan.modification_number,
        programme=plan.programme,
        effective_start=plan.timing.start,
        effective_end=plan.timing.end,
        scheduled_start=plan.timing.scheduled_start,
        scheduled_end=plan.timing.scheduled_end,
        retries=0 if changed else outcome.retries,
    )


def cap_now(plan: ResourcePlan, now: datetime) -> Cap | None:
    """Return the cap in force, before the start the first one to come, afterwards ``None``."""
    for cap in plan.caps:
        if cap.contains(now) or now < cap.start:
            return cap
    return None


def _accepted_at(scene: Scene, cap: Cap) -> datetime | None:
    """Return when the charger agreed to a schedule that contains this cap, ``None`` if it has not."""
    row = scene.installed
    if row is None or row.accepted_at is None or cap.limit_a is None:
        return None
    held = limit_at(row.schedule, max(scene.now, cap.start))
    return row.accepted_at if held is not None and held <= cap.limit_a + _SAME_A else None


def observe(outcome: Outcome, cap: Cap, scene: Scene) -> Observation:
    """Gather what ``verify.judge`` needs."""
    override = overridden_by(cap, scene.overrides, max(scene.now, cap.start))
    row, effective = scene.installed, scene.effective
    return Observation(
        limit_a=cap.limit_a,
        effective_a=effective.limit_a,
        limited_by=_limited_by(outcome, cap, scene),
        held=scene.held,
        foreign="; ".join(_words(each) for each in scene.charger.foreign),
        phases=scene.resource.phases,
        voltage=scene.resource.voltage,
        since=cap.start,
        accepted_at=_accepted_at(scene, cap),
        trouble=None if row is None or cap.limit_a is None else _TROUBLE.get(row.state),
        trouble_detail="" if row is None else row.detail,
        offline_since=scene.charger.offline_since,
        silent_since=scene.charger.silent_since,
        connected_since=scene.charger.connected_since,
        transaction=scene.charger.session,
        reading=scene.charger.reading,
        before_w=None if outcome.kw_before is None else outcome.kw_before * 1000,
        override=None if override is None else override.reason,
        retries=outcome.retries,
        in_w=scene.charger.limit_in_w,
        says=None if scene.charger.says is None else (scene.charger.says.follows, scene.charger.says.words),
    )


def _limited_by(outcome: Outcome, cap: Cap, scene: Scene) -> str | None:
    """Return who lets the charger have less than this event does: another of ours, or another system (ARB-13)."""
    effective, asked = scene.effective, cap.limit_a
    if asked is None:
        return None
    ours = effective.event_id != outcome.event_id and effective.limit_a is not None
    if ours and effective.limit_a is not None and effective.limit_a < asked - _SAME_A:
        return f"{effective.event_id or effective.source} ({effective.limit_a:g} A)"
    lower = [each for each in scene.charger.foreign if each.limit_a is not None and each.limit_a < asked - _SAME_A]
    return _words(min(lower, key=lambda each: each.limit_a or 0.0)) if lower else None


def _words(foreign: ForeignLimit) -> str:
    amperes = "" if foreign.limit_a is None else f" ({foreign.limit_a:g} A)"
    return f"{foreign.source} at the charger{amperes}"


def advance(outcome: Outcome, plan: ResourcePlan, scene: Scene) -> tuple[Outcome, bool]:
    """Return the outcome after what is known now, and whether the schedule must be asserted again."""
    now, end = scene.now, plan.timing.end
    if end is not None and now >= end:
        return concluded(outcome, now), False
    cap = cap_now(plan, now)
    if cap is None:
        return outcome, False
    seen = observe(outcome, cap, scene)
    verdict = judge(seen, outcome.state, outcome.reason, scene.policy, now)
    read_at = None if seen.reading is None else seen.reading.at
    if verdict.checked and outcome.checked_at is not None and read_at is not None and read_at <= outcome.checked_at:
        return outcome, False  # this reading was judged before
    return _noted(outcome, seen, verdict, now), verdict.retry


def _noted(outcome: Outcome, seen: Observation, verdict: Verdict, now: datetime) -> Outcome:
    tally = Tally(met=outcome.met, failed=outcome.failed).add(verdict)
    begun = seen.since is not None and now >= seen.since
    applied = begun and (seen.accepted_at is not None or verdict.state is OutcomeState.APPLIED)
    result = replace(
        outcome,
        state=verdict.state,
        reason=verdict.reason,
        limit_a=seen.limit_a,
        accepted_at=outcome.accepted_at or seen.accepted_at,
        applied_at=outcome.applied_at or (now if applied else None),
        verified_at=outcome.verified_at or (now if verdict.state in SETTLED else None),
        met=tally.met,
        failed=tally.failed,
        retries=outcome.retries + verdict.retry,
        checked_at=seen.reading.at if verdict.checked and seen.reading is not None else outcome.checked_at,
    )
    return result if result == outcome else replace(result, updated_at=now)


def concluded(outcome: Outcome, now: datetime) -> Outcome:
    """Return the outcome at the event's end: the state is final, the powers are still to be measured."""
    if outcome.phase not in _LIVE:
        return outcome
    if outcome.phase is Phase.PLANNED and now < outcome.effective_start:
        reason = f"withdrawn before its start; {outcome.reason}"
        return replace(outcome, reason=reason, phase=Phase.CLOSED, updated_at=now)
    state, reason = conclude(outcome.state, outcome.reason, Tally(met=outcome.met, failed=outcome.failed))
    return replace(outcome, state=state, reason=reason, phase=Phase.ENDED, updated_at=now)


def vanished(outcome: Outcome, now: datetime) -> Outcome:
    """Return the outcome of an event that the VEN no longer lists: over, or withdrawn before its end."""
    if outcome.phase not in _LIVE or (outcome.effective_end is not None and now >= outcome.effective_end):
        return concluded(outcome, now)
    return concluded(replace(outcome, effective_end=max(now, outcome.effective_start)), now)


class Power(StrEnum):
    """Which mean power of an outcome."""

    BEFORE = "kw_before"
    DURING = "kw_during"
    AFTER = "kw_after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The stretch of time over which a mean power is wanted."""

    power: Power
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """Over how long the power before and after an event is averaged, and how long a change takes to settle, in s."""

    before_s: float = 300.0  # the dynamic reference of the requirements is the mean of the 5 min before
    settle_s: float = 60.0
    after_s: float = 60.0


def window_due(outcome: Outcome, how: Measuring, now: datetime) -> Window | None:
    """Return the next mean power to take, ``None`` if none is due; ``measured`` makes sure that each is taken once."""
    start, end = outcome.effective_start, outcome.effective_end
    settle, after = timedelta(seconds=how.settle_s), timedelta(seconds=how.after_s)
    match outcome.phase:
        case Phase.PLANNED if now >= start:
            at = max(start, outcome.known_at)  # a late arrival joins in the middle: its "before" ends there
            return Window(power=Power.BEFORE, start=at - timedelta(seconds=how.before_s), end=at)
        case Phase.ENDED if end is not None:
            return Window(power=Power.DURING, start=(outcome.applied_at or start) + settle, end=end)
        case Phase.AFTER if end is not None and now >= end + settle + after:
            return Window(power=Power.AFTER, start=end + settle, end=end + settle + after)
    return None


def measured_at(outcome: Outcome, how: Measuring) -> datetime | None:
    """Return from when on ``window_due`` may ask for a power, ``None`` if it never will."""
    match outcome.phase:
        case Phase.PLANNED:
            return outcome.effective_start
        case Phase.ENDED:
            return outcome.effective_end
        case Phase.AFTER if outcome.effective_end is not None:
            return outcome.effective_end + timedelta(seconds=how.settle_s + how.after_s)
    return None


def measured(outcome: Outcome, power: Power, mean_w: float | None, now: datetime) -> Outcome:
    """Return the outcome with the mean in W filled in (``None``: not measured) and its life one phase on."""
    kw = None if mean_w is None else round(mean_w / 1000, 3)
    match power:
        case Power.BEFORE:
            return replace(outcome, kw_before=kw, phase=Phase.RUNNING, updated_at=now)
        case Power.DURING:
            return replace(outcome, kw_during=kw, phase=Phase.AFTER, updated_at=now)
        case Power.AFTER:
            return replace(outcome, kw_after=kw, phase=Phase.CLOSED, updated_at=now)
