"""Rows to views: how stored things look to an operator. Pure.

Rule: field by field, no logic beyond naming; statuses are computed at ``now``.
"""

from datetime import datetime
from typing import Any

from openadr.messages import CreateOpt
from openadr.model import EiTarget, Signal
from openadr.timeline import status
from vtn.operator.views import (
    EventDetail,
    EventSummary,
    IntervalView,
    ItemBaseView,
    OptView,
    ResourceEventView,
    ResourceView,
    SignalView,
    TargetsView,
    TelemetryView,
    VenEventView,
    VenView,
    VersionView,
    WindowView,
)
from vtn.services import overview
from vtn.store.rows import Resource, StoredEvent, StoredOpt, Telemetry, Ven


def event_summary(stored: StoredEvent, now: datetime) -> EventSummary:
    """Show an event."""
    return EventSummary(**_event(stored, now))


def event_detail(view: overview.EventView, now: datetime) -> EventDetail:
    """Show an event with its states."""
    return EventDetail(
        **_event(view.stored, now),
        versions=tuple(
            VersionView(
                modificationNumber=each.event.descriptor.modification_number,
                eventStatus=each.event.descriptor.event_status,
                actor=each.actor,
                at=each.at,
            )
            for each in view.versions
        ),
        vens=tuple(_ven_event(each) for each in view.vens),
    )


def _event(stored: StoredEvent, now: datetime) -> dict[str, Any]:
    event = stored.event
    described, period = event.descriptor, event.active_period
    return {
        "eventID": described.event_id,
        "modificationNumber": described.modification_number,
        "eventStatus": status(event, now),
        "marketContext": described.market_context,
        "priority": described.priority,
        "dtstart": period.dtstart,
        "duration": period.duration,
        "startafter": period.startafter,
        "notification": period.notification,
        "rampUp": period.ramp_up,
        "recovery": period.recovery,
        "signals": tuple(_signal(each) for each in event.signals),
        "targets": _targets(event.target),
        "responseRequired": event.response_required,
        "testEvent": described.test_event,
        "vtnComment": described.vtn_comment,
        "modificationReason": described.modification_reason,
        "createdDateTime": stored.created_at,
        "modifiedDateTime": stored.modified_at,
    }


def _signal(signal: Signal) -> SignalView:
    unit = signal.item_base
    return SignalView(
        signalID=signal.signal_id,
        signalName=signal.signal_name,
        signalType=signal.signal_type,
        itemBase=None
        if unit is None
        else ItemBaseView(
            kind=unit.kind,
            itemDescription=unit.item_description,
            itemUnits=unit.item_units,
            siScaleCode=unit.si_scale_code,
        ),
        deviceClass=() if signal.target is None else signal.target.end_device_assets,
        intervals=tuple(
            IntervalView(duration=each.duration, uid=each.uid, value=each.value) for each in signal.intervals
        ),
    )


def _targets(target: EiTarget) -> TargetsView:
    return TargetsView(venID=target.ven_ids, resourceID=target.resource_ids, groupID=target.group_ids)


def _ven_event(view: overview.VenView) -> VenEventView:
    state = view.state
    return VenEventView(
        venID=state.ven_id,
        state=view.delivery,
        deliveredModificationNumber=state.delivered_modification,
        deliveredDateTime=state.delivered_at,
        deliveries=state.deliveries,
        requestIDs=view.request_ids,
        answeredModificationNumber=state.answered_modification,
        answeredDateTime=state.answered_at,
        responseCode=state.response_code,
        responseDescription=state.response_description,
        optType=view.opt.opt_type,
        optSource=view.opt.source,
        optReason=view.opt.reason,
        resources=tuple(
            ResourceEventView(
                resourceID=each.resource_id,
                state=view.delivery,
                optType=each.opt.opt_type,
                optSource=each.opt.source,
                optReason=each.opt.reason,
                telemetry=tuple(telemetry(reading) for reading in each.telemetry),
            )
            for each in view.resources
        ),
    )


def telemetry(row: Telemetry) -> TelemetryView:
    """Show one value."""
    return TelemetryView(
        venID=row.ven_id,
        resourceID=row.resource_id,
        reportName=row.report_name,
        reportSpecifierID=row.report_specifier_id,
        reportRequestID=row.report_request_id,
        rID=row.r_id,
        dtstart=row.dtstart,
        durationSeconds=row.duration_s,
        value=row.value,
        unit=row.unit,
        online=row.online,
        manualOverride=row.manual_override,
        dataQuality=row.data_quality,
        confidence=row.confidence,
        accuracy=row.accuracy,
        receivedDateTime=row.received_at,
    )


def ven(row: Ven, resources: tuple[Resource, ...]) -> VenView:
    """Show a VEN with its resources."""
    return VenView(
        venID=row.ven_id,
        venName=row.ven_name,
        fingerprint=row.fingerprint,
        registered=row.registered,
        registrationID=row.registration_id,
        registeredDateTime=row.registered_at,
        enrolledDateTime=row.enrolled_at,
        lastSeenDateTime=row.last_seen,
        profileName=row.profile_name,
        transportName=row.transport_name,
        httpPullModel=row.http_pull_model,
        reportOnly=row.report_only,
        resources=tuple(
            ResourceView(resourceID=each.resource_id, source=each.source, groupIDs=each.group_ids)
            for each in resources
            if each.ven_id == row.ven_id
        ),
    )


def opt(row: StoredOpt) -> OptView:
    """Show an opt."""
    message: CreateOpt = row.message
    qualified = message.qualified_event_id
    return OptView(
        venID=row.ven_id,
        optID=message.opt_id,
        kind=row.kind,
        optType=message.opt_type,
        optReason=message.opt_reason,
        eventID=None if qualified is None else qualified.event_id,
        modificationNumber=None if qualified is None else qualified.modification_number,
        marketContext=message.market_context,
        targets=_targets(message.target),
        available=tuple(
            WindowView(dtstart=each.dtstart, duration=each.duration) for each in message.vavailability or ()
        ),
        createdDateTime=message.created_date_time,
        receivedDateTime=row.received_at,
        supersededDateTime=row.superseded_at,
        supersededFor=row.superseded_for,
        cancelledDateTime=row.cancelled_at,
    )
