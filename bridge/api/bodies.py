"""What the operator API takes and gives, as typed values; names as in the standards (resourceID, eventID, optType).

Rule: no logic beyond copying; units are in the names (A per phase, W, kW, Wh). Instants are UTC with ``Z``.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from bridge.arbiter import Effective, Override
from bridge.limiters import responsible
from bridge.resources import Resource
from bridge.store import Installed, OptTold, Outcome
from bridge.target import ChargerStatus, ForeignLimit

PREFIX = "/api/v1"
_WHOLE = {"id": "ID", "ids": "IDs", "a": "A", "w": "W", "wh": "Wh", "kw": "kW"}
MAX_OVERRIDE_MINUTES = 1440  # a day: what lasts longer is a matter of enrolment, not of overriding


def standard_name(name: str) -> str:
    """Return ``resource_id`` as ``resourceID``, ``kw_before`` as ``kWBefore``, ``limit_a`` as ``limitA``."""
    first, *rest = name.split("_")
    return {"kw": "kW", "kwh": "kWh"}.get(first, first) + "".join(_WHOLE.get(part, part.capitalize()) for part in rest)


class Body(msgspec.Struct, frozen=True, kw_only=True, rename=standard_name):
    """Base of all bodies."""


class ReadingBody(Body, frozen=True):
    """The latest meter reading."""

    at: datetime
    power_w: float | None
    current_a: tuple[float, ...] | None
    energy_wh: float | None
    soc: float | None


class EventOutcome(Body, frozen=True):
    """How one event stands at one charger, in short."""

    event_id: str
    state: str
    reason: str


class ChargerBody(Body, frozen=True):
    """One charger with its live values."""

    charger_id: str
    resource_id: str
    type: str
    groups: tuple[str, ...]
    site: str | None
    feeder: str | None
    scenario: str | None
    phases: int
    max_a: float
    connected: bool
    unresponsive: bool
    enrolled: bool
    protocol: str | None
    vendor: str
    model: str
    firmware: str
    session: bool
    status: str
    last_seen: datetime | None
    reading: ReadingBody | None
    limit_a: float | None
    limit_source: str
    limit_reason: str
    foreign_limits: tuple[ForeignLimit, ...]
    manual_override: bool
    outcomes: tuple[EventOutcome, ...]


class ScheduleBody(Body, frozen=True):
    """What the charger holds of ours."""

    state: str
    detail: str
    start: datetime
    end: datetime
    expires: datetime
    sent_at: datetime
    accepted_at: datetime | None


class LimitBody(Body, frozen=True):
    """The effective limit of one charger: who set it, why, and how far it is proven."""

    charger_id: str
    resource_id: str
    limit_a: float | None
    source: str
    category: str
    authority: str
    layer: str | None
    owner: str
    reason: str
    event_id: str | None
    next_limit_a: float | None
    starts_in_s: int | None
    until: datetime | None
    losers: tuple[str, ...]
    state: str | None
    accepted_at: datetime | None
    applied_at: datetime | None
    verified_at: datetime | None
    schedule: ScheduleBody | None


class OutcomeBody(Body, frozen=True):
    """What one event came to at one resource."""

    event_id: str
    resource_id: str
    charger_id: str
    modification_number: int
    programme: str
    state: str
    reason: str
    phase: str
    limit_a: float | None
    effective_start: datetime
    effective_end: datetime | None
    scheduled_start: datetime | None
    scheduled_end: datetime | None
    accepted_at: datetime | None
    applied_at: datetime | None
    verified_at: datetime | None
    kw_before: float | None
    kw_during: float | None
    kw_after: float | None
    readings_met: int
    readings_failed: int
    retries: int
    opt_type: str | None
    opt_reason: str | None
    updated_at: datetime


class OverrideRequest(Body, frozen=True, forbid_unknown_fields=True):
    """POST /overrides: exactly one of ``chargerID`` and ``resourceID``; without ``eventID`` all events in force.

    ``confirmation`` is what a first call was answered with 202, where a second step is needed.
    """

    charger_id: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    resource_id: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    event_id: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=500)] = "not given"
    duration_minutes: Annotated[float, msgspec.Meta(gt=0, le=MAX_OVERRIDE_MINUTES)] | None = None
    confirmation: str | None = None


class ConfirmBody(Body, frozen=True):
    """202: nothing has changed yet; the same call with this ``confirmation`` until then is the second step."""

    confirmation: str
    until: datetime
    event_ids: tuple[str, ...]


class OverrideBody(Body, frozen=True):
    """One override."""

    id: str
    charger_id: str
    resource_id: str
    event_ids: tuple[str, ...]
    reason: str
    source: str
    start: datetime
    end: datetime | None


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True):
    """An error answer (RFC 9457); ``rule`` names the rule that was met, where there is one."""

    type: str
    title: str
    status: int
    detail: str
    reference: str
    rule: str | None = None


def charger_body(
    resource: Resource,
    status: ChargerStatus | None,
    effective: Effective,
    outcomes: tuple[Outcome, ...],
    manual_override: bool,
) -> ChargerBody:
    """Return a charger as the API shows it; one never seen shows as not connected."""
    status = status or ChargerStatus(identity=resource.charger, connected=False)
    last = status.last_reading
    return ChargerBody(
        charger_id=resource.charger,
        resource_id=resource.resource_id,
        type=resource.kind.value,
        groups=resource.groups,
        site=resource.site,
        feeder=resource.feeder,
        scenario=None if resource.scenario is None else resource.scenario.value,
        phases=resource.phases,
        max_a=resource.max_a,
        connected=status.connected,
        unresponsive=status.unresponsive,
        enrolled=status.enrolled,
        protocol=status.protocol,
        vendor=status.vendor,
        model=status.model,
        firmware=status.firmware,
        session=status.transaction,
        status=status.status,
        last_seen=status.last_seen,
        reading=None
        if last is None
        else ReadingBody(
            at=last.at, power_w=last.power_w, current_a=last.current_a, energy_wh=last.energy_wh, soc=last.soc
        ),
        limit_a=effective.limit_a,
        limit_source=effective.source,
        limit_reason=effective.reason,
        foreign_limits=status.foreign,
        manual_override=manual_override,
        outcomes=tuple(
            EventOutcome(event_id=each.event_id, state=each.state.value, reason=each.reason) for each in outcomes
        ),
    )


def limit_body(
    resource: Resource,
    line: Sequence[Effective],
    outcome: Outcome | None,
    installed: Installed | None,
    now: datetime,
) -> LimitBody:
    """Return an effective limit and what comes next; ``outcome`` is the limiting event's, if an event limits."""
    effective, ahead = line[0], next((each for each in line[1:] if each.limit_a is not None), None)
    layer, owner = responsible(effective.source, effective.owner)
    return LimitBody(
        charger_id=resource.charger,
        resource_id=resource.resource_id,
        limit_a=effective.limit_a,
        source=effective.source,
        category=effective.category,
        authority=effective.authority,
        layer=None if layer is None else layer.value,
        owner=owner,
        next_limit_a=None if ahead is None else ahead.limit_a,
        starts_in_s=None if ahead is None else max(0, math.ceil((ahead.start - now).total_seconds())),
        reason=effective.reason,
        event_id=effective.event_id,
        until=effective.end,
        losers=effective.losers,
        state=None if outcome is None else outcome.state.value,
        accepted_at=None if outcome is None else outcome.accepted_at,
        applied_at=None if outcome is None else outcome.applied_at,
        verified_at=None if outcome is None else outcome.verified_at,
        schedule=None
        if installed is None
        else ScheduleBody(
            state=installed.state.value,
            detail=installed.detail,
            start=installed.schedule.start,
            end=installed.schedule.end,
            expires=installed.schedule.expires,
            sent_at=installed.sent_at,
            accepted_at=installed.accepted_at,
        ),
    )


def outcome_body(outcome: Outcome, told: OptTold | None, kw_during: float | None) -> OutcomeBody:
    """Return an outcome; ``kw_during`` is the mean so far for an event that still runs."""
    return OutcomeBody(
        event_id=outcome.event_id,
        resource_id=outcome.resource_id,
        charger_id=outcome.charger,
        modification_number=outcome.modification_number,
        programme=outcome.programme,
        state=outcome.state.value,
        reason=outcome.reason,
        phase=outcome.phase.value,
        limit_a=outcome.limit_a,
        effective_start=outcome.effective_start,
        effective_end=outcome.effective_end,
        scheduled_start=outcome.scheduled_start,
        scheduled_end=outcome.scheduled_end,
        accepted_at=outcome.accepted_at,
        applied_at=outcome.applied_at,
        verified_at=outcome.verified_at,
        kw_before=outcome.kw_before,
        kw_during=outcome.kw_during if outcome.kw_during is not None else kw_during,
        kw_after=outcome.kw_after,
        readings_met=outcome.met,
        readings_failed=outcome.failed,
        retries=outcome.retries,
        opt_type=None if told is None else told.opt_type,
        opt_reason=None if told is None else told.reason,
        updated_at=outcome.updated_at,
    )


def override_body(override: Override, charger: str) -> OverrideBody:
    """Return an override."""
    return OverrideBody(
        id=override.override_id,
        charger_id=charger,
        resource_id=override.resource_id,
        event_ids=override.event_ids,
        reason=override.reason,
        source=override.source,
        start=override.start,
        end=override.end,
    )
