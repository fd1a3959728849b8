"""Rows to views: how stored things look to an operator. Pure.

Rule: field by field, no logic beyond naming; statuses are computed at ``now``.
"""

from openadr.model import EiTarget
from vtn.operator.views import (
    TargetsView,
    TelemetryView,
)
from vtn.store.rows import Telemetry


def targets(target: EiTarget) -> TargetsView:
    """Show what a VEN aimed at."""
    return TargetsView(venID=target.ven_ids, resourceID=target.resource_ids, groupID=target.group_ids)


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
