"""VENs, their queues and candidates as an operator sees them. Pure.

Rule: field by field; what is derived is derived by the services at ``now``.
"""

from collections.abc import Iterable
from datetime import datetime

from vtn.operator.vens_models import CandidateView, QueuedView, ResourceView, VenView
from vtn.services.administration import Belongings
from vtn.services.context import Desk
from vtn.services.presence import presence
from vtn.services.registration import poll_freq
from vtn.store.codec import root_of
from vtn.store.rows import Candidate, Outbound, Resource, Ven
from vtn.store.targets import Attribute, AttributeKind


def vens(
    rows: Iterable[Ven], resources: Iterable[Resource], attributes: Iterable[Attribute], now: datetime, desk: Desk
) -> tuple[VenView, ...]:
    """Show many VENs; each resource and attribute is looked at once."""
    owned: dict[str, list[Resource]] = {}
    for resource in resources:
        owned.setdefault(resource.ven_id, []).append(resource)
    held: dict[str, list[Attribute]] = {}
    for attribute in attributes:
        held.setdefault(attribute.ven_id, []).append(attribute)
    return tuple(ven(row, owned.get(row.ven_id, ()), held.get(row.ven_id, ()), now, desk) for row in rows)


def ven(row: Ven, resources: Iterable[Resource], attributes: Iterable[Attribute], now: datetime, desk: Desk) -> VenView:
    """Show a VEN with its resources and what they belong to."""
    held = {each.resource_id: each for each in belongings(row.ven_id, attributes)}
    own = held.get(None, Belongings())
    interval_s = poll_freq(row, desk).seconds
    overlap = row.old_until is not None and row.old_until > now
    return VenView(
        venID=row.ven_id,
        venName=row.ven_name,
        presence=presence(row, now, interval_s),
        fingerprint=row.fingerprint,
        oldFingerprint=row.old_fingerprint if overlap else None,
        oldUntilDateTime=row.old_until if overlap else None,
        oldLastSeenDateTime=row.old_last_seen if overlap else None,
        certificateCN=row.certificate_cn,
        certificateNotAfterDateTime=row.certificate_not_after,
        registered=row.registered,
        registrationID=row.registration_id,
        registeredDateTime=row.registered_at,
        cancelByDateTime=row.cancel_by,
        endedDateTime=row.ended_at,
        endedBy=row.ended_by,
        suspendedDateTime=row.suspended_at,
        suspendedReason=row.suspended_reason,
        enrolledDateTime=row.enrolled_at,
        lastSeenDateTime=row.last_seen,
        pollFreqSeconds=interval_s,
        toldPollFreqSeconds=row.told_poll_s,
        profileName=row.profile_name,
        transportName=row.transport_name,
        transportAddress=row.transport_address,
        httpPullModel=row.http_pull_model,
        reportOnly=row.report_only,
        xmlSignature=row.xml_signature,
        party=own.party,
        area=own.area,
        deviceClass=own.device_class,
        resources=tuple(_resource(each, held.get(each.resource_id, Belongings())) for each in resources),
    )


def _resource(row: Resource, held: Belongings) -> ResourceView:
    return ResourceView(
        resourceID=row.resource_id,
        source=row.source,
        groupIDs=row.group_ids,
        party=held.party,
        area=held.area,
        deviceClass=held.device_class,
    )


def belongings(ven_id: str, attributes: Iterable[Attribute]) -> tuple[Belongings, ...]:
    """Return what a VEN and its resources belong to."""
    values: dict[str | None, dict[AttributeKind, list[str]]] = {}
    for each in attributes:
        if each.ven_id == ven_id:
            values.setdefault(each.resource_id, {}).setdefault(each.kind, []).append(each.value)
    return tuple(
        Belongings(
            resource_id=resource_id,
            party=tuple(kinds.get(AttributeKind.PARTY, ())),
            area=tuple(kinds.get(AttributeKind.AREA, ())),
            device_class=tuple(kinds.get(AttributeKind.DEVICE_CLASS, ())),
        )
        for resource_id, kinds in values.items()
    )


def queued(row: Outbound) -> QueuedView:
    """Show a payload of a queue."""
    return QueuedView(
        id=row.row_id,
        payload=root_of(type(row.message)),
        requestID=row.request_id,
        state=row.state,
        attempts=row.attempts,
        createdDateTime=row.created_at,
        dueDateTime=row.due_at,
        sentDateTime=row.sent_at,
        answeredDateTime=row.answered_at,
        responseCode=row.response_code,
    )


def candidate(row: Candidate) -> CandidateView:
    """Show a candidate."""
    return CandidateView(
        fingerprint=row.fingerprint,
        state=row.state,
        subjectCN=row.subject_cn,
        issuerCN=row.issuer_cn,
        notAfterDateTime=row.not_after,
        venName=row.ven_name,
        firstSeenDateTime=row.first_seen,
        lastSeenDateTime=row.last_seen,
    )
