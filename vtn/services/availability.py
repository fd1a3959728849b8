"""Who is available when, by the opt schedules in force: pure.

Rule (R201, R202, R205, R209, R210): a schedule holds for the resources of its target within its windows, for one
programme or for all; a window of duration 0 has no end. Where an optIn and an optOut schedule speak of the same time,
the programme says which wins; where none speaks, the programme's default state holds. Windows include their start and
exclude their end.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from heapq import heappop, heappush

from openadr.model import Availability as Window
from openadr.model import OptType
from openadr.uris import normal
from vtn.store.eventrows import StoredOpt
from vtn.store.programmes import OptRules


class Source(StrEnum):
    """What an availability comes from."""

    SCHEDULE = "schedule"
    DEFAULT = "default"  # of the programme


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom schedules are about: a resource, or (``resource_id`` None) a VEN that names none."""

    resource_id: str | None = None
    group_ids: tuple[str, ...] = ()
    device_classes: frozenset[str] = frozenset()  # its own and its VEN's; empty: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What holds from ``since`` until ``until`` (None: without end); ``opt_type`` None: nobody has said anything."""

    since: datetime
    until: datetime | None
    opt_type: OptType | None = None
    source: Source | None = None
    opt_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Span:
    start: datetime
    end: datetime | None
    row: StoredOpt


_Entry = tuple[int, int, _Span]  # what sorts the newest schedule first, what keeps entries apart, the span


def window_end(window: Window) -> datetime | None:
    """Return the end of a window, ``None`` without end (R210)."""
    return None if window.duration.is_zero else window.duration.after(window.dtstart)


def ends_at(windows: Iterable[Window]) -> datetime | None:
    """Return when the last of the windows is over, ``None`` if one of them never is."""
    ends = [window_end(each) for each in windows]
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None


def covers(row: StoredOpt, subject: Subject) -> bool:
    """True if a schedule is about ``subject``."""
    message = row.message
    if subject.resource_id in row.superseded_for:
        return False
    classes = () if message.device_class is None else message.device_class.end_device_assets
    if classes and subject.device_classes and not subject.device_classes & set(classes):
        return False
    target = message.target
    if target.names_all:
        return True
    return subject.resource_id in target.resource_ids or bool(set(subject.group_ids) & set(target.group_ids))


def concerns(row: StoredOpt, context: str | None, rules: OptRules | None) -> bool:
    """True if a schedule holds within a programme (R205), and the programme knows schedules of its type (R201)."""
    named = row.message.market_context
    if named and (context is None or normal(named) != normal(context)):
        return False
    return rules is None or row.message.opt_type in rules.schedule_types


def timeline(
    rows: Iterable[StoredOpt],
    subject: Subject,
    context: str | None,
    rules: OptRules | None,
    start: datetime,
    end: datetime | None = None,
) -> tuple[Verdict, ...]:
    """Return what holds for ``subject`` from ``start`` on, part by part; at least one, without gaps.

    ``rows`` are schedules in force. Parts that begin at ``end`` or later are left out, neighbours that say the same by
    the same schedule are one part.
    """
    spans = [
        _Span(each.dtstart, window_end(each), row)
        for row in rows
        if concerns(row, context, rules) and covers(row, subject)
        for each in row.message.vavailability or ()
    ]
    spans = [each for each in spans if each.end is None or each.end > start]
    marks = {start, *(each.start for each in spans), *(each.end for each in spans if each.end is not None)}
    cuts = sorted(mark for mark in marks if mark >= start)
    beginning = sorted(spans, key=lambda each: each.start)
    running: dict[OptType, list[_Entry]] = {kind: [] for kind in OptType}
    found: list[Verdict] = []
    position = 0
    for cut in cuts:
        while position < len(beginning) and beginning[position].start <= cut:
            span = beginning[position]
            heappush(running[span.row.message.opt_type], (-span.row.row_id, position, span))
            position += 1
        _extend(found, _holds(running, rules, cut))
    return tuple(each for each in found if each.since == start or end is None or each.since < end)


def at(
    rows: Iterable[StoredOpt], subject: Subject, context: str | None, rules: OptRules | None, instant: datetime
) -> Verdict:
    """Return what holds for ``subject`` at an instant, and until when."""
    return timeline(rows, subject, context, rules, instant)[0]


def opted_out(
    rows: Iterable[StoredOpt],
    subject: Subject,
    context: str | None,
    rules: OptRules | None,
    start: datetime,
    end: datetime | None,
) -> Verdict | None:
    """Return the first part of [start, end) in which a schedule has ``subject`` opted out, ``None``: there is none."""
    parts = timeline(rows, subject, context, rules, start, end)
    return next((each for each in parts if each.opt_type is OptType.OPT_OUT and each.source is Source.SCHEDULE), None)


def _holds(running: Mapping[OptType, list[_Entry]], rules: OptRules | None, now: datetime) -> Verdict:
    """Return what holds at ``now``, open at its end: of the type that wins, the newest schedule."""
    first = OptType.OPT_OUT if rules is None else rules.precedence
    for kind in sorted(OptType, key=lambda each: each is not first):
        heap = running[kind]
        while heap and _over(heap[0][-1], now):
            heappop(heap)
        if heap:
            message = heap[0][-1].row.message
            return Verdict(
                since=now,
                until=None,
                opt_type=kind,
                source=Source.SCHEDULE,
                opt_id=message.opt_id,
                reason=message.opt_reason,
            )
    if rules is None:
        return Verdict(since=now, until=None)
    return Verdict(since=now, until=None, opt_type=rules.default_state, source=Source.DEFAULT)


def _over(span: _Span, now: datetime) -> bool:
    return span.end is not None and span.end <= now


def _extend(found: list[Verdict], verdict: Verdict) -> None:
    """Append a part, or let the one before go on."""
    if found:
        last = found[-1]
        if _said(last) == _said(verdict):
            return
        found[-1] = replace(last, until=verdict.since)
    found.append(verdict)


def _said(verdict: Verdict) -> tuple[object, ...]:
    return (verdict.opt_type, verdict.source, verdict.opt_id, verdict.reason)
