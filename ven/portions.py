"""Large reports in portions: how far one collection of history reaches, and how many values one message has; pure.

Rule: no message is larger than a VTN must be able to take. History is collected and sent portion by portion, oldest
first, as several oadrUpdateReport of the same reportRequestID (R346: a predictable sequence); values of one instant
stay in one message.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from openadr.model import ReportInterval
from ven.model import ReportCapability, StoredRequest

MAX_VALUES = 2_000  # in one oadrUpdateReport: some 800 kB of XML, which every VTN can take


def portion_end(stored: StoredRequest, capability: ReportCapability, start: datetime, end: datetime) -> datetime:
    """Return how far one collection of history from ``start`` on reaches, ``end`` at the latest.

    It ends at a border of the data's own period (half-hours count from midnight UTC), so that none is parted.
    """
    asked = {payload.r_id for payload in stored.request.specifier.payloads}
    rates = [each.sampling_rate for each in capability.descriptions if each.r_id in asked]
    known = [rate.min_period.length(start) for rate in rates if rate is not None]
    periods = [length for length in known if length > timedelta()]
    if not capability.report_name.startswith("HISTORY_") or not periods:
        return end
    period = min(periods)
    reach = start + period * max(1, MAX_VALUES // max(1, len(asked)))
    return min(end, _border(reach, period))


def _border(at: datetime, period: timedelta) -> datetime:
    length_s = period.total_seconds()
    return datetime.fromtimestamp(at.timestamp() // length_s * length_s, tz=UTC)


def pieces(intervals: Sequence[ReportInterval]) -> Iterator[tuple[ReportInterval, ...]]:
    """Yield ``intervals`` in their order, at most ``MAX_VALUES`` values at a time; nothing yields one empty piece."""
    piece: list[ReportInterval] = []
    values = 0
    for moment in _moments(intervals):
        count = sum(len(each.payloads) for each in moment)
        if piece and values + count > MAX_VALUES:
            yield tuple(piece)
            piece, values = [], 0
        piece += moment
        values += count
    yield tuple(piece)


def _moments(intervals: Sequence[ReportInterval]) -> Iterator[list[ReportInterval]]:
    """Yield the intervals of one instant together, but no more of them than a message takes."""
    found: list[ReportInterval] = []
    for each in intervals:
        if found and (each.dtstart != found[-1].dtstart or len(found) >= MAX_VALUES):
            yield found
            found = []
        found.append(each)
    if found:
        yield found
