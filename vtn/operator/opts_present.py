"""Opts and availability as an operator sees them. Pure.

Rule: field by field, no logic beyond naming; states are told at ``now``.
"""

from datetime import datetime

from openadr.messages import CreateOpt
from vtn.operator.opts_models import AvailabilityView, OptState, OptView, WindowView
from vtn.operator.present import targets
from vtn.services.availability import Verdict
from vtn.store.eventrows import StoredOpt


def opt(row: StoredOpt, now: datetime) -> OptView:
    """Show an opt."""
    message: CreateOpt = row.message
    qualified = message.qualified_event_id
    return OptView(
        venID=row.ven_id,
        optID=message.opt_id,
        kind=row.kind,
        state=state(row, now),
        optType=message.opt_type,
        optReason=message.opt_reason,
        eventID=None if qualified is None else qualified.event_id,
        modificationNumber=None if qualified is None else qualified.modification_number,
        marketContext=message.market_context,
        targets=targets(message.target),
        deviceClass=() if message.device_class is None else message.device_class.end_device_assets,
        available=tuple(
            WindowView(dtstart=each.dtstart, duration=each.duration) for each in message.vavailability or ()
        ),
        endsDateTime=row.ends_at,
        createdDateTime=message.created_date_time,
        receivedDateTime=row.received_at,
        supersededDateTime=row.superseded_at,
        supersededFor=row.superseded_for,
        cancelledDateTime=row.cancelled_at,
    )


def state(row: StoredOpt, now: datetime) -> OptState:
    """Return what has become of an opt."""
    if row.cancelled_at is not None:
        return OptState.CANCELLED
    if row.superseded_at is not None:
        return OptState.SUPERSEDED
    return OptState.OVER if row.ends_at is not None and row.ends_at <= now else OptState.IN_FORCE


def availability(ven_id: str, resource_id: str | None, context: str | None, verdict: Verdict) -> AvailabilityView:
    """Show what holds for somebody."""
    return AvailabilityView(
        venID=ven_id,
        resourceID=resource_id,
        marketContext=context,
        optType=verdict.opt_type,
        source=verdict.source,
        optID=verdict.opt_id,
        optReason=verdict.reason,
        since=verdict.since,
        until=verdict.until,
    )
