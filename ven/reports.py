"""The VEN as reporter: METADATA, taking and cancelling report requests, and delivering data when it is due.

Rule: a set of requests is taken whole or not at all (check first, then change); one delivery covers one
reportBackDuration, so an outage is made good by several reports of the ordinary size, oldest first (R346); what is
larger goes in portions (``ven.portions``).
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from openadr.errors import InvalidData, InvalidId
from openadr.messages import RegisterReport, UpdateReport
from openadr.model import (
    Report,
    ReportDescription,
    ReportInterval,
    ReportPayload,
    ReportRequest,
    ReportSpecifier,
    ResourceStatus,
    SamplingRate,
)
from openadr.times import Duration
from ven.model import Gather, ReportCapability, State, StoredRequest
from ven.portions import portion_end

METADATA = "METADATA"  # reportSpecifierID that asks for the list itself (R327)
BACKLOG_PERIODS = 100  # deliveries made good after an outage at the least (R510); more where more is buffered
NO_DATA = "Quality Bad - Not Connected"  # R318: the placeholder's quality
_STATUS_TYPE = "x-resourceStatus"

Capabilities = Sequence[ReportCapability]


def digest(capabilities: Capabilities) -> str:
    """Return a short text that changes when the offered reports change."""
    return hashlib.sha256(msgspec.json.encode(tuple(capabilities))).hexdigest()[:16]


def metadata(
    capabilities: Capabilities, ven_id: str, request_id: str, now: datetime, report_request_id: str | None = None
) -> RegisterReport:
    """Build METADATA (R305, R306, R311, R312); ``report_request_id`` only as answer to a request."""
    reports = tuple(
        Report(
            report_request_id="0",
            report_specifier_id=capability.report_specifier_id,
            created_date_time=now,
            report_name=_metadata_name(capability.report_name),
            duration=capability.duration,
            descriptions=capability.descriptions,
        )
        for capability in capabilities
    )
    return RegisterReport(request_id=request_id, reports=reports, ven_id=ven_id, report_request_id=report_request_id)


def _metadata_name(name: str) -> str:
    return name if name.startswith("x-") else f"METADATA_{name}"  # METADATA_x-... is not in the XSD


def is_metadata(request: ReportRequest) -> bool:
    """Tell whether the METADATA list is asked for, not data (R327)."""
    return request.specifier.report_specifier_id == METADATA


# --- taking and cancelling --------------------------------------------------------------------------------------------


def take(state: State, requests: Iterable[ReportRequest], now: datetime, capabilities: Capabilities) -> State:
    """Put report requests in force. Raises ``OadrError`` and changes nothing if any of them cannot be met.

    A request that is in force already, unchanged, keeps its schedule (a resend is harmless).
    """
    taken = dict(state.requests)
    for request in requests:
        stored = _schedule(request, now, capabilities)
        known = taken.get(request.report_request_id)
        if known is None or known.request != request:
            taken[request.report_request_id] = stored
    return replace(state, requests=taken)


def _schedule(request: ReportRequest, now: datetime, capabilities: Capabilities) -> StoredRequest:
    spec = request.specifier
    back = spec.report_back_duration
    if is_metadata(request):
        return StoredRequest(request=request, next_due=now, covered_until=now, last=back.is_zero)
    capability = _capability(spec, capabilities)
    _check(spec, capability, now)
    oldest = now - capability.duration.length(now)
    start = oldest if spec.interval_start is None and back.is_zero else spec.interval_start or now
    until = _until(spec, start)
    if back.is_zero:  # R324: once, at once
        history = capability.report_name.startswith("HISTORY_")
        covered, until = (start, until) if history else (oldest, None)
        return StoredRequest(request=request, next_due=now, covered_until=covered, until=until, last=True)
    start = max(start, oldest)
    at_once = spec.granularity == back  # point data: the first value stands already (8.3.2.2)
    return StoredRequest(
        request=request,
        next_due=start if at_once else back.after(start),
        covered_until=start - back.length(start) if at_once else start,
        until=until,
    )


def _until(spec: ReportSpecifier, start: datetime) -> datetime | None:
    length = spec.interval_duration
    return None if length is None or length.is_zero else length.after(start)  # R325: 0 is for ever


def _capability(spec: ReportSpecifier, capabilities: Capabilities) -> ReportCapability:
    for capability in capabilities:
        if capability.report_specifier_id == spec.report_specifier_id:
            return capability
    raise InvalidId(f"reportSpecifierID {spec.report_specifier_id} is not offered (R304)", field="reportSpecifierID")


def _check(spec: ReportSpecifier, capability: ReportCapability, now: datetime) -> None:
    offered = {description.r_id: description for description in capability.descriptions}
    for payload in spec.payloads:
        if payload.r_id not in offered:
            raise InvalidId(f"rID {payload.r_id} is not offered (R304)", field="rID")
        rate = offered[payload.r_id].sampling_rate
        if rate is not None and not spec.report_back_duration.is_zero:
            _check_rate(spec, rate, now)
    if _negative(spec.report_back_duration) or _negative(spec.granularity):
        raise InvalidData("granularity and reportBackDuration must not be negative (R317)", field="granularity")


def _negative(length: Duration) -> bool:
    return length.seconds < 0 or length.months < 0


def _check_rate(spec: ReportSpecifier, rate: SamplingRate, now: datetime) -> None:
    wanted = spec.granularity.length(now)
    if spec.granularity.is_zero:
        if not rate.on_change:
            raise InvalidData("granularity 0 (on change) is not offered (R317, R340)", field="granularity")
    elif not rate.min_period.length(now) <= wanted <= rate.max_period.length(now):
        raise InvalidData(f"granularity {spec.granularity} is not offered (R317, R340)", field="granularity")
    if wanted > spec.report_back_duration.length(now):
        raise InvalidData("granularity exceeds reportBackDuration (R317)", field="granularity")


def cancel(state: State, ids: Iterable[str], report_to_follow: bool, now: datetime) -> tuple[State, tuple[str, ...]]:
    """End report requests; with ``report_to_follow`` after one more report (R345). Return the unknown ids too."""
    requests, unknown = dict(state.requests), []
    for request_id in ids:
        known = requests.pop(request_id, None)
        if known is None:
            unknown.append(request_id)
        elif report_to_follow:
            requests[request_id] = replace(known, next_due=now, last=True)
    return replace(state, requests=requests), tuple(unknown)


def drop_data_requests(state: State) -> State:
    """Forget every request but periodic METADATA: new METADATA replaces all (R306)."""
    kept = {key: stored for key, stored in state.requests.items() if is_metadata(stored.request) and not stored.last}
    return replace(state, requests=kept)


# --- delivering -------------------------------------------------------------------------------------------------------


def due(state: State, now: datetime, capabilities: Capabilities = ()) -> Gather | None:
    """Return the delivery that is due at ``now``, the longest due first, ``None`` if there is none.

    ``capabilities`` say for how long data is buffered: so far back an outage is made good.
    """
    ready = [stored for stored in state.requests.values() if stored.next_due <= now]
    if not ready:
        return None
    stored = min(ready, key=lambda one: one.next_due)
    specifier = stored.request.specifier.report_specifier_id
    mine = next((each for each in capabilities if each.report_specifier_id == specifier), None)
    if stored.last:
        end = now if stored.until is None else min(now, stored.until)
        start = min(stored.covered_until, end)
        reach = end if mine is None else portion_end(stored, mine, start, end)
        return Gather(stored=stored, start=start, end=reach, partial=reach < end)
    stored = _skip_backlog(stored, now, Duration() if mine is None else mine.duration)
    end = stored.next_due if stored.until is None else min(stored.next_due, stored.until)
    return Gather(stored=stored, start=min(stored.covered_until, end), end=end)


def _skip_backlog(stored: StoredRequest, now: datetime, buffered: Duration) -> StoredRequest:
    """Return the request moved on to where the buffered data begins, at least ``BACKLOG_PERIODS`` behind ``now``."""
    step = stored.request.specifier.report_back_duration.length(stored.next_due)
    behind, most = (now - stored.next_due) // step, max(BACKLOG_PERIODS, buffered.length(now) // step)
    if behind <= most:
        return stored
    moved = stored.next_due + step * (behind - most)
    return replace(stored, next_due=moved, covered_until=moved - step)


def advanced(state: State, gather: Gather) -> State:
    """Move a request past a delivery, or end it after its last one."""
    stored, requests = gather.stored, dict(state.requests)
    key = stored.request.report_request_id
    following = stored.request.specifier.report_back_duration.after(stored.next_due)
    if gather.partial:
        requests[key] = replace(stored, covered_until=gather.end)
    elif stored.last or (stored.until is not None and gather.end >= stored.until):
        del requests[key]
    else:
        requests[key] = replace(stored, next_due=following, covered_until=gather.end)
    return replace(state, requests=requests)


def data(
    gather: Gather,
    intervals: Sequence[ReportInterval],
    capabilities: Capabilities,
    *,
    ven_id: str,
    request_id: str,
    now: datetime,
) -> UpdateReport:
    """Build the oadrUpdateReport of one delivery (R313). Raises ``InvalidId`` if the report is offered no more."""
    spec = gather.stored.request.specifier
    capability = _capability(spec, capabilities)
    filled = tuple(map(_finite, intervals)) or (_placeholder(spec, capability, gather.end),)
    report = Report(
        report_request_id=gather.stored.request.report_request_id,
        report_specifier_id=spec.report_specifier_id,
        created_date_time=now,
        report_name=capability.report_name,
        dtstart=filled[0].dtstart or gather.start,
        intervals=filled,
    )
    return UpdateReport(request_id=request_id, reports=(report,), ven_id=ven_id)


def _placeholder(spec: ReportSpecifier, capability: ReportCapability, at: datetime) -> ReportInterval:
    """Return one point that says that there is no valid data (R318)."""
    offered = {description.r_id: description for description in capability.descriptions}
    payloads = tuple(
        ReportPayload(r_id=payload.r_id, value=_blank(offered.get(payload.r_id)), data_quality=NO_DATA)
        for payload in spec.payloads
    )
    return ReportInterval(payloads=payloads, dtstart=at)


def _blank(description: ReportDescription | None) -> float | ResourceStatus:
    if description is not None and description.report_type == _STATUS_TYPE:
        return ResourceStatus(online=False, manual_override=False)
    return 0.0


def _finite(interval: ReportInterval) -> ReportInterval:
    return replace(interval, payloads=tuple(map(_finite_payload, interval.payloads)))


def _finite_payload(payload: ReportPayload) -> ReportPayload:
    if isinstance(payload.value, ResourceStatus) or math.isfinite(payload.value):
        return payload
    return replace(payload, value=0.0, data_quality="Quality Bad - Non Specific")
