"""Events from rows to views: how they look to an operator. Pure.

Rule: field by field, no logic beyond naming; statuses and running values are computed at ``now``.
"""

from datetime import datetime
from typing import Any

from openadr.model import Baseline, EiTarget, Event, EventStatus, Interval, ItemBase, Signal
from openadr.timeline import status
from vtn.operator.events_models import (
    AbsenceView,
    BaselineView,
    CountsView,
    EventDetail,
    EventSummary,
    EventTargetsView,
    IntervalView,
    ItemBaseView,
    ResourceEventView,
    SignalView,
    VenEventView,
    VersionView,
)
from vtn.operator.present import telemetry
from vtn.services import overview
from vtn.services.availability import Verdict
from vtn.services.events import value_now
from vtn.store.eventrows import EventCounts, EventVersion, StoredEvent


def summary(stored: StoredEvent, counts: EventCounts, now: datetime) -> EventSummary:
    """Show an event."""
    return EventSummary(**_summary(stored, counts, now))


def detail(view: overview.EventView, now: datetime) -> EventDetail:
    """Show an event with its versions and states."""
    return EventDetail(
        **_summary(view.stored, view.counts, now),
        versions=tuple(_version(each) for each in view.versions),
        vens=tuple(_ven_event(each) for each in view.vens),
    )


def _summary(stored: StoredEvent, counts: EventCounts, now: datetime) -> dict[str, Any]:
    return {
        **_content(stored.event, status(stored.event, now), now),
        "eventID": stored.event_id,
        "createdDateTime": stored.created_at,
        "modifiedDateTime": stored.modified_at,
        "counts": CountsView(
            vens=counts.vens,
            delivered=counts.delivered,
            acknowledged=counts.acknowledged,
            optedIn=counts.opted_in,
            optedOut=counts.opted_out,
            unanswered=counts.unanswered,
            resources=counts.resources,
        ),
    }


def _version(version: EventVersion) -> VersionView:
    event = version.event
    return VersionView(**_content(event, event.descriptor.event_status, None), actor=version.actor, at=version.at)


def _content(event: Event, state: EventStatus, now: datetime | None) -> dict[str, Any]:
    described, period = event.descriptor, event.active_period
    return {
        "modificationNumber": described.modification_number,
        "eventStatus": state,
        "marketContext": described.market_context,
        "priority": described.priority,
        "dtstart": period.dtstart,
        "duration": period.duration,
        "startafter": period.startafter,
        "notification": period.notification,
        "rampUp": period.ramp_up,
        "recovery": period.recovery,
        "signals": tuple(
            _signal(each, None if now is None else value_now(each, event, state, now)) for each in event.signals
        ),
        "baseline": None if event.baseline is None else _baseline(event.baseline),
        "targets": _targets(event.target),
        "responseRequired": event.response_required,
        "testEvent": described.test_event,
        "vtnComment": described.vtn_comment,
        "modificationReason": described.modification_reason,
    }


def _signal(signal: Signal, value: float | None) -> SignalView:
    return SignalView(
        signalID=signal.signal_id,
        signalName=signal.signal_name,
        signalType=signal.signal_type,
        itemBase=_unit(signal.item_base),
        deviceClass=() if signal.target is None else signal.target.end_device_assets,
        intervals=_intervals(signal.intervals),
        currentValue=value,
    )


def _baseline(baseline: Baseline) -> BaselineView:
    return BaselineView(
        baselineID=baseline.baseline_id,
        baselineName=baseline.baseline_name,
        dtstart=baseline.dtstart,
        duration=baseline.duration,
        resourceID=baseline.resource_ids,
        itemBase=_unit(baseline.item_base),
        intervals=_intervals(baseline.intervals),
    )


def _intervals(intervals: tuple[Interval, ...]) -> tuple[IntervalView, ...]:
    return tuple(IntervalView(duration=each.duration, uid=each.uid, value=each.value) for each in intervals)


def _unit(unit: ItemBase | None) -> ItemBaseView | None:
    if unit is None:
        return None
    return ItemBaseView(
        kind=unit.kind,
        itemDescription=unit.item_description,
        itemUnits=unit.item_units,
        siScaleCode=unit.si_scale_code,
        hertz=unit.hertz,
        voltage=unit.voltage,
        ac=unit.ac,
        pulseFactor=unit.pulse_factor,
    )


def _targets(target: EiTarget) -> EventTargetsView:
    return EventTargetsView(
        venID=target.ven_ids,
        resourceID=target.resource_ids,
        groupID=target.group_ids,
        partyID=target.party_ids,
        area=target.group_names,
    )


def _absence(verdict: Verdict | None) -> AbsenceView | None:
    if verdict is None:
        return None
    return AbsenceView(optID=verdict.opt_id, optReason=verdict.reason, start=verdict.since, until=verdict.until)


def _ven_event(view: overview.VenView) -> VenEventView:
    state, handed = view.state, view.handed
    return VenEventView(
        venID=state.ven_id,
        state=view.delivery,
        deliveredModificationNumber=None if handed is None else handed.modification_number,
        deliveredDateTime=None if handed is None else handed.at,
        deliveries=view.deliveries,
        requestIDs=view.request_ids,
        answeredModificationNumber=state.answered_modification,
        answeredDateTime=state.answered_at,
        responseCode=state.response_code,
        responseDescription=state.response_description,
        optType=view.opt.opt_type,
        optSource=view.opt.source,
        optReason=view.opt.reason,
        withdrawnModificationNumber=state.withdrawn,
        signalID=view.signal_ids,
        unavailable=_absence(view.unavailable),
        resources=tuple(
            ResourceEventView(
                resourceID=each.resource_id,
                state=view.delivery,
                optType=each.opt.opt_type,
                optSource=each.opt.source,
                optReason=each.opt.reason,
                unavailable=_absence(each.unavailable),
                telemetry=tuple(telemetry(reading) for reading in each.telemetry),
            )
            for each in view.resources
        ),
    )
