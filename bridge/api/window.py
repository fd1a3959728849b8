"""The stretch of time that a query is about: ``start`` and ``end``, the last day if absent.

Rule: instants carry their offset; a stretch is bounded, for one answer is worked out of it.
"""

from datetime import UTC, datetime, timedelta

from aiohttp import web

from runtime.http import Problem

LONGEST = timedelta(days=92)  # a quarter of a year


def window(request: web.Request, now: datetime) -> tuple[datetime, datetime]:
    """Return [start, end) as the query says, until ``now`` at most. Raises ``Problem`` 400."""
    end = min(_instant(request, "end") or now, now)
    start = _instant(request, "start") or end - timedelta(days=1)
    if start >= end or end - start > LONGEST:
        raise Problem(400, f"start: before end, by at most {LONGEST.days} days", title="Invalid query")
    return start, end


def _instant(request: web.Request, name: str) -> datetime | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Problem(400, f"{name}: an instant with its offset, such as 2026-03-02T14:00:00Z", title="Invalid query")
    return at.astimezone(UTC)
