"""When the next report of a request is expected, and what to make of one that comes or does not. Pure.

Rule: a one-shot is expected at once (R324), a periodic report every reportBackDuration after the last one until its
interval is over (R325, R341); one that is later than ``grace_s`` is overdue until data comes.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from vtn.store.rows import RequestState, StoredRequest

TOLERATED = 1  # reports after the end of a request: one may have been on its way


def one_shot(row: StoredRequest) -> bool:
    """True if the request is answered by a single report."""
    return row.request.specifier.report_back_duration.is_zero


def begins(row: StoredRequest) -> datetime:
    """Return when reporting begins."""
    start = row.request.specifier.interval_start
    return row.created_at if start is None else max(start, row.created_at)


def ends(row: StoredRequest) -> datetime | None:
    """Return when reporting ends, ``None``: never, or after one report."""
    spec = row.request.specifier
    if one_shot(row) or spec.interval_duration is None or spec.interval_duration.is_zero:
        return None
    return spec.interval_duration.after(spec.interval_start or row.created_at)


def expected(row: StoredRequest) -> datetime | None:
    """Return when the next report should come, ``None``: no more is to come."""
    if not row.state.open:
        return None
    if one_shot(row):
        return None if row.received else row.created_at
    back, end = row.request.specifier.report_back_duration, ends(row)
    last = row.last_data_at
    if last is not None and end is not None and last >= end - back.length(last) / 4:
        return None  # a clock that is a little fast may have sent the last one early
    return back.after(begins(row) if last is None else max(begins(row), last))


def deadline(row: StoredRequest, grace_s: float) -> datetime | None:
    """Return when the next report is late."""
    at = expected(row)
    return None if at is None else at + timedelta(seconds=grace_s)


def arrived(row: StoredRequest, now: datetime, grace_s: float) -> dict[str, Any]:
    """Return the columns that change when a report comes."""
    changes: dict[str, Any] = {"last_data_at": now, "received": row.received + 1}
    if not row.state.open:
        return changes if one_shot(row) else changes | {"stray": row.stray + 1}
    changes["overdue_since"] = None
    if row.state is RequestState.CANCELLING:
        return changes
    after = replace(row, last_data_at=now, received=row.received + 1, state=RequestState.DELIVERING)
    late = deadline(after, grace_s)
    if late is None:
        return changes | {"state": str(RequestState.DONE), "ended_at": now, "due_at": None, "standing": False}
    return changes | {"state": str(RequestState.DELIVERING), "due_at": late}


def unwanted(row: StoredRequest) -> bool:
    """True if reports go on after the end of a request, beyond those that may have been on their way (R335, R345)."""
    return not row.state.open and not one_shot(row) and row.stray >= TOLERATED + row.to_follow


def judged(row: StoredRequest, now: datetime, grace_s: float) -> dict[str, Any]:
    """Return the columns that change when ``due_at`` of an open request has passed."""
    if row.state is RequestState.CANCELLING:
        text = "the VEN did not answer the oadrCancelReport"
        return {"state": str(RequestState.CANCELLED), "ended_at": now, "due_at": None, "reason": text}
    late, end = deadline(row, grace_s), ends(row)
    if late is None:
        return {"state": str(RequestState.DONE), "ended_at": now, "due_at": None, "standing": False}
    last_chance = None if end is None else _last_chance(row, end, grace_s)
    if last_chance is not None and now >= last_chance:
        text = "its time is over; the last reports did not come" if row.received else "its time is over; no report came"
        return {
            "state": str(RequestState.DONE),
            "ended_at": now,
            "due_at": None,
            "reason": text,
            "overdue_since": row.overdue_since or late,
            "standing": False,
        }
    if now < late:
        return {"due_at": late}
    return {"state": str(RequestState.OVERDUE), "overdue_since": row.overdue_since or late, "due_at": last_chance}


def _last_chance(row: StoredRequest, end: datetime, grace_s: float) -> datetime:
    return row.request.specifier.report_back_duration.after(end) + timedelta(seconds=grace_s)
