"""An operator asks a VEN for a report, for its METADATA, or for an end of it: checked, written and queued in one
transaction.

Rule: a request stays within what the VEN offers (R300, R317, R340) and has the form of its kind: once, periodic or
history (R324, R325). Fields are named as the operator wrote them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from openadr.errors import InvalidData, InvalidId, NotAllowed
from openadr.messages import CancelReport, CreateReport
from openadr.model import ReportDescription, ReportRequest, ReportSpecifier, SpecifierPayload
from openadr.times import ZERO, Duration, whole_second
from vtn.services.context import LAST_YEAR, Desk, ReportPolicy, RetryPolicy
from vtn.services.reportdue import deadline, one_shot
from vtn.services.reportpolicy import granularity_s, points_of
from vtn.store.reports import METADATA
from vtn.store.rows import RequestState, Specifier, StoredRequest, Ven
from vtn.store.store import Tx

LONGEST_S = 7 * 86_400.0  # for an answer to a cancel, whatever the retry policy says


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What an operator wants; no ``r_ids`` means all of the report, no ``back`` means once."""

    ven_id: str
    report_specifier_id: str
    r_ids: tuple[str, ...] = ()
    granularity: Duration | None = None
    back: Duration | None = None
    start: datetime | None = None
    duration: Duration | None = None


async def ask(tx: Tx, draft: Draft, now: datetime, desk: Desk, actor: str) -> StoredRequest:
    """Ask for a report. Raises ``OadrError`` naming the field."""
    await _registered(tx, draft.ven_id)
    if draft.report_specifier_id == METADATA:
        return await ask_metadata(tx, draft.ven_id, now, desk, actor=actor)
    offer = {each.report_specifier_id: each for each in await tx.reports.offer(draft.ven_id)}
    offered = offer.get(draft.report_specifier_id)
    if offered is None:
        names = ", ".join(sorted(offer)[:10]) or "nothing"
        raise InvalidId(f"reportSpecifierID: this VEN offers {names} (R300)", field="reportSpecifierID")
    return await _send(
        tx, _stored(offered, specifier(draft, offered, now, desk.reports), now, desk.new_id), desk, actor
    )


async def ask_metadata(tx: Tx, ven_id: str, now: datetime, desk: Desk, *, actor: str | None) -> StoredRequest:
    """Ask a VEN for its METADATA (R327); one request at a time."""
    for each in await tx.reports.open_requests(ven_id):
        if each.request.specifier.report_specifier_id == METADATA and each.state.open:
            if each.state is not RequestState.OVERDUE:
                return each
            values = {"state": str(RequestState.CANCELLED), "ended_at": now, "due_at": None, "reason": "asked anew"}
            await tx.reports.set_request(each.report_request_id, **values)
    wanted = ReportSpecifier(
        report_specifier_id=METADATA,
        granularity=ZERO,
        report_back_duration=ZERO,
        payloads=(SpecifierPayload(r_id="0"),),  # R308
    )
    row = StoredRequest(
        ven_id=ven_id,
        report_name=METADATA,
        request=ReportRequest(report_request_id=desk.new_id("rpt"), specifier=wanted),
        points={},
        state=RequestState.REQUESTED,
        created_at=now,
    )
    return await _send(tx, row, desk, actor)


async def _registered(tx: Tx, ven_id: str) -> Ven:
    ven = await tx.vens.get(ven_id)
    if ven is None:
        raise InvalidId(f"venID: no VEN {ven_id[:80]!r} is enrolled", field="venID")
    if not ven.registered:
        raise NotAllowed("venID: this VEN is not registered now", field="venID")
    return ven


async def _send(tx: Tx, row: StoredRequest, desk: Desk, actor: str | None) -> StoredRequest:
    """Write a request and queue the oadrCreateReport that carries it."""
    request_id = desk.new_id("req")
    row = replace(row, request_id=request_id, actor=actor, standing=actor is not None and not one_shot(row))
    row = replace(row, due_at=deadline(row, desk.reports.overdue_s))
    await tx.reports.add_request(row)
    message = CreateReport(request_id=request_id, report_requests=(row.request,), ven_id=row.ven_id)
    await tx.queue.add(row.ven_id, message, request_id, row.created_at)
    return row


def again(
    standing: tuple[StoredRequest, ...], offer: tuple[Specifier, ...], now: datetime, new_id: Callable[[str], str]
) -> dict[str, StoredRequest | str]:
    """Return for each standing request what takes its place under a new offer, or why nothing can (R306)."""
    known = {each.report_specifier_id: each for each in offer}
    made: dict[str, StoredRequest | str] = {}
    for old in standing:
        spec = old.request.specifier
        offered = known.get(spec.report_specifier_id)
        if offered is None:
            made[old.report_request_id] = "the new METADATA does not offer it (R306)"
            continue
        try:
            made[old.report_request_id] = replace(
                _stored(offered, _renewed(spec, offered, now), now, new_id), actor=old.actor, standing=True
            )
        except (InvalidId, InvalidData) as error:
            made[old.report_request_id] = f"not within the new METADATA: {error.description}"
    return made


def _renewed(spec: ReportSpecifier, offered: Specifier, now: datetime) -> ReportSpecifier:
    """Return what is left of a periodic request. Raises ``InvalidId`` or ``InvalidData``."""
    length, start = spec.interval_duration, spec.interval_start
    if length is not None and not length.is_zero and start is not None:
        length = Duration.of(length.after(start) - max(start, now))
    draft = Draft(
        ven_id=offered.ven_id,
        report_specifier_id=spec.report_specifier_id,
        r_ids=tuple(each.r_id for each in spec.payloads),
        granularity=spec.granularity,
        back=spec.report_back_duration,
        start=start if start is not None and start > now else None,
        duration=length,
    )
    return specifier(draft, offered, now, ReportPolicy())


def _stored(offered: Specifier, wanted: ReportSpecifier, now: datetime, new_id: Callable[[str], str]) -> StoredRequest:
    chosen = {each.r_id for each in wanted.payloads}
    return StoredRequest(
        ven_id=offered.ven_id,
        report_name=offered.report_name,
        request=ReportRequest(report_request_id=new_id("rpt"), specifier=wanted),
        points={r_id: point for r_id, point in points_of(offered).items() if r_id in chosen},
        state=RequestState.REQUESTED,
        created_at=now,
    )


# --- the form of a request --------------------------------------------------------------------------------------------


def specifier(draft: Draft, offered: Specifier, now: datetime, policy: ReportPolicy) -> ReportSpecifier:
    """Return the request's specifier. Raises ``InvalidId`` or ``InvalidData`` naming the operator's field."""
    points = _points(draft, offered)
    payloads = tuple(SpecifierPayload(r_id=each.r_id) for each in points)  # readingType x-notApplicable (R338)
    lengths = ((draft.granularity, "granularity"), (draft.back, "reportBackDuration"), (draft.duration, "duration"))
    for length, field in lengths:
        if length is not None and length.length(now) < timedelta(0):
            raise InvalidData(f"{field} must not be negative", field=field)
    if draft.start is not None and draft.start.year >= LAST_YEAR:
        raise InvalidData(f"dtstart: times up to the year {LAST_YEAR - 1} are accepted", field="dtstart")
    base = ReportSpecifier(
        report_specifier_id=offered.report_specifier_id,
        granularity=ZERO,
        report_back_duration=ZERO,
        payloads=payloads,
    )
    if offered.report_name.startswith("HISTORY_"):
        return _history(draft, base, now)
    if draft.back is None or draft.back.is_zero:
        return _once(draft, base)
    return _periodic(draft, base, offered, points, now, policy)


def _points(draft: Draft, offered: Specifier) -> tuple[ReportDescription, ...]:
    known = {each.r_id: each for each in offered.descriptions}
    for r_id in draft.r_ids:
        if r_id not in known:
            raise InvalidId(f"rIDs: {r_id[:80]!r} is not offered in this report (R300)", field="rIDs")
    if len(set(draft.r_ids)) < len(draft.r_ids):
        raise InvalidData("rIDs: each may be named once", field="rIDs")
    return tuple(known[r_id] for r_id in draft.r_ids) if draft.r_ids else offered.descriptions


def _history(draft: Draft, base: ReportSpecifier, now: datetime) -> ReportSpecifier:
    for length, field in ((draft.granularity, "granularity"), (draft.back, "reportBackDuration")):
        if length is not None and not length.is_zero:
            raise InvalidData(f"{field}: history comes once and as it was recorded: PT0S (R317, R324)", field=field)
    if draft.start is None:
        raise InvalidData("dtstart: history needs the beginning of the time that is wanted (R324)", field="dtstart")
    if draft.start >= now:
        raise InvalidData("dtstart: history lies in the past (R325)", field="dtstart")
    length = draft.duration or ZERO
    if not length.is_zero and length.after(draft.start) > now:
        raise InvalidData("duration: history lies in the past; PT0S is all since dtstart (R325)", field="duration")
    return replace(base, interval_start=whole_second(draft.start), interval_duration=length)


def _once(draft: Draft, base: ReportSpecifier) -> ReportSpecifier:
    for value, field in ((draft.start, "dtstart"), (draft.duration, "duration")):
        if value is not None:
            text = f"{field}: telemetry without reportBackDuration is delivered once and at once (R324)"
            raise InvalidData(text, field=field)
    return base


def _periodic(
    draft: Draft,
    base: ReportSpecifier,
    offered: Specifier,
    points: tuple[ReportDescription, ...],
    now: datetime,
    policy: ReportPolicy,
) -> ReportSpecifier:
    assert draft.back is not None  # noqa: S101  the caller has looked
    back = draft.back.length(now)
    granularity = draft.granularity
    if granularity is None:
        fitting = granularity_s(points, min(policy.granularity_s, int(back.total_seconds())), now)
        granularity = Duration(seconds=fitting)
    _check_rate(granularity, back, points, now)
    buffered = Duration.parse(offered.duration).length(now) if offered.duration else timedelta(0)
    if buffered and back > buffered:
        text = f"reportBackDuration: the VEN keeps {offered.duration} of data (R312, R340)"
        raise InvalidData(text, field="reportBackDuration")
    start = whole_second(now if draft.start is None else draft.start)
    length = draft.duration or ZERO
    if not length.is_zero and length.after(start) <= now:
        raise InvalidData("duration: the time that is wanted is over (R325)", field="duration")
    return replace(
        base,
        granularity=granularity,
        report_back_duration=draft.back,
        interval_start=start,
        interval_duration=length,
    )


def _check_rate(granularity: Duration, back: timedelta, points: tuple[ReportDescription, ...], now: datetime) -> None:
    wanted = granularity.length(now)
    if wanted > back:
        raise InvalidData("granularity must not exceed reportBackDuration (R317)", field="granularity")
    for each in points:
        rate = each.sampling_rate
        if rate is None:
            continue
        if not wanted:
            if not rate.on_change:
                text = f"granularity: rID {each.r_id[:80]!r} is not offered on change (PT0S; R317)"
                raise InvalidData(text, field="granularity")
        elif wanted < rate.min_period.length(now) or timedelta(0) < rate.max_period.length(now) < wanted:
            text = f"granularity: rID {each.r_id[:80]!r} is offered from {rate.min_period} to {rate.max_period} (R317)"
            raise InvalidData(text, field="granularity")


# --- the end of a request ---------------------------------------------------------------------------------------------


async def cancel(
    tx: Tx, report_request_id: str, now: datetime, desk: Desk, *, to_follow: bool, reason: str | None
) -> StoredRequest | None:
    """End a request by oadrCancelReport; ``None`` if there is none. Raises ``NotAllowed`` if it is over."""
    row = await tx.reports.request(report_request_id, lock=True)
    if row is None:
        return None
    if row.state is RequestState.CANCELLING:
        return row
    if not row.state.open:
        if not row.standing:
            raise NotAllowed(f"this request is {row.state} already", field="reportRequestID")
        row = replace(row, state=RequestState.CANCELLED, standing=False, reason=reason, due_at=None)
    else:
        row = replace(
            row,
            state=RequestState.CANCELLING,
            standing=False,
            to_follow=to_follow,
            reason=reason,
            cancel_id=desk.new_id("req"),
            due_at=now + timedelta(seconds=patience_s(desk.queue) + desk.reports.overdue_s),
        )
        await send_cancel(tx, row, now)
    names = ("standing", "to_follow", "reason", "cancel_id", "due_at")
    values = {name: getattr(row, name) for name in names}
    await tx.reports.set_request(report_request_id, state=str(row.state), **values)
    return row


async def send_cancel(tx: Tx, row: StoredRequest, now: datetime) -> None:
    """Queue the oadrCancelReport of one request: some VENs do not answer one that names several."""
    request_id = row.cancel_id or ""
    message = CancelReport(
        request_id=request_id,
        report_request_ids=(row.report_request_id,),
        report_to_follow=row.to_follow,
        ven_id=row.ven_id,
    )
    await tx.queue.add(row.ven_id, message, request_id, now)


def patience_s(policy: RetryPolicy) -> float:
    """Return how long a payload is sent again before it is given up."""
    return min(policy.first_s * (2.0 ** min(policy.attempts, 30) - 1), LONGEST_S)
