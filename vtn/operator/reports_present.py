"""Reports to views: how offers, requests, values and buckets look to an operator. Pure.

Rule: field by field; what stands for a bucket follows its unit, and the answer says what it is.
"""

from openadr.model import ItemBase, ReportDescription
from vtn.operator.reports_models import (
    Aggregate,
    BucketView,
    DeliveryView,
    DocumentView,
    OfferView,
    PointView,
    RequestPointView,
    RequestView,
    SamplingView,
    UnitView,
)
from vtn.services.ownoffer import is_energy
from vtn.services.reportdue import expected
from vtn.store.rows import Bucket, OwnReport, ReportDocument, Specifier, StoredRequest


def bucket(row: Bucket, resolution_s: int, wanted: Aggregate) -> BucketView:
    """Show the figures of a bucket."""
    aggregate = _fitting(row) if wanted is Aggregate.AUTO else wanted
    values = {
        Aggregate.MEAN: row.mean,
        Aggregate.MIN: row.minimum,
        Aggregate.MAX: row.maximum,
        Aggregate.SUM: row.total,
        Aggregate.LAST: row.last,
        Aggregate.COUNT: float(row.count),
    }
    return BucketView(
        venID=row.ven_id,
        resourceID=row.resource_id,
        reportName=row.report_name,
        rID=row.r_id,
        unit=row.unit,
        dtstart=row.start,
        durationSeconds=resolution_s,
        aggregate=aggregate,
        value=values[aggregate],
        count=row.count,
        bad=row.bad,
        mean=row.mean,
        min=row.minimum,
        max=row.maximum,
        sum=row.total,
        last=row.last,
    )


def _fitting(row: Bucket) -> Aggregate:
    """Energy of intervals adds up, a meter's register is read at its last, everything else is averaged."""
    if is_energy(row.unit):
        return Aggregate.SUM if row.spans else Aggregate.LAST
    return Aggregate.MEAN


def document(row: ReportDocument) -> DocumentView:
    """Show a document without its text."""
    return DocumentView(
        documentID=row.row_id or 0,
        venID=row.ven_id,
        reportRequestID=row.report_request_id,
        reportSpecifierID=row.report_specifier_id,
        reportName=row.report_name,
        position=row.position,
        dtstart=row.dtstart,
        receivedDateTime=row.received_at,
    )


def offer(row: Specifier) -> OfferView:
    """Show what a VEN offers."""
    return OfferView(
        venID=row.ven_id,
        reportSpecifierID=row.report_specifier_id,
        reportName=row.report_name,
        duration=row.duration,
        registeredDateTime=row.registered_at,
        remarks=row.remarks,
        points=tuple(map(_point, row.descriptions)),
    )


def _point(point: ReportDescription) -> PointView:
    source, subject, rate = point.report_data_source, point.report_subject, point.sampling_rate
    return PointView(
        rID=point.r_id,
        reportType=point.report_type,
        readingType=point.reading_type,
        itemBase=None if point.item_base is None else _unit(point.item_base),
        resourceIDs=() if source is None else source.resource_ids,
        deviceClasses=() if subject is None else subject.end_device_assets,
        marketContext=point.market_context,
        samplingRate=None
        if rate is None
        else SamplingView(minPeriod=rate.min_period, maxPeriod=rate.max_period, onChange=rate.on_change),
    )


def _unit(unit: ItemBase) -> UnitView:
    return UnitView(
        kind=unit.kind,
        itemDescription=unit.item_description,
        itemUnits=unit.item_units,
        siScaleCode=unit.si_scale_code,
    )


def request(row: StoredRequest) -> RequestView:
    """Show a report request."""
    spec = row.request.specifier
    return RequestView(
        reportRequestID=row.report_request_id,
        venID=row.ven_id,
        reportSpecifierID=spec.report_specifier_id,
        reportName=row.report_name,
        state=row.state,
        granularity=spec.granularity,
        reportBackDuration=spec.report_back_duration,
        dtstart=spec.interval_start,
        duration=spec.interval_duration,
        points=tuple(
            RequestPointView(rID=r_id, resourceID=point.resource_id, unit=point.unit)
            for r_id, point in row.points.items()
        ),
        actor=row.actor,
        standing=row.standing,
        createdDateTime=row.created_at,
        confirmedDateTime=row.confirmed_at,
        expectedDateTime=expected(row),
        overdueSince=row.overdue_since,
        lastDataDateTime=row.last_data_at,
        endedDateTime=row.ended_at,
        reports=row.received,
        responseCode=row.response_code,
        reason=row.reason,
    )


def delivery(row: OwnReport) -> DeliveryView:
    """Show what a VEN has asked of this VTN."""
    spec = row.request.specifier
    return DeliveryView(
        venID=row.ven_id,
        reportRequestID=row.report_request_id,
        reportSpecifierID=spec.report_specifier_id,
        rIDs=tuple(each.r_id for each in spec.payloads),
        granularity=spec.granularity,
        reportBackDuration=spec.report_back_duration,
        createdDateTime=row.created_at,
        nextDateTime=row.next_due,
        untilDateTime=row.until,
        reports=row.sent,
        endedDateTime=row.ended_at,
        reason=row.reason,
    )
