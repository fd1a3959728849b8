"""Plain intervals of an oadrReport, read column by column: the hot path of the gateway, thousands of values a message.

Rule: gives what ``report_data`` reads interval by interval, or ``None`` where it cannot: for intervals that are not
plain and for anything that is to be refused, so that the refusal is worded in one place. A column is the texts of its
elements. In a tree without comments an element without children has one text, or none if it is empty. So if the texts
of all columns account for every element there is, each is where the schema puts it. libxml2 collects the texts without
holding the GIL.
"""

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar, cast

from lxml import etree

from openadr.intervals import PlainIntervals
from openadr.times import Duration, parse_instant
from openadr.wire.xml import NAMESPACES

_BARE = len("2026-01-01T00:00:00Z")  # what the XSD lets pass with so many characters and a Z at the end looks like this
_T = TypeVar("_T")


def _texts(path: str) -> Callable[[etree._Element], list[str]]:
    found = etree.XPath(f"*/{path}/text()", namespaces=NAMESPACES, smart_strings=False)
    return cast(Callable[[etree._Element], list[str]], found)


# Where the schema allows one element only, it is not asked for its name.
_STARTS, _DURATIONS, _UIDS = _texts("xcal:dtstart/*"), _texts("xcal:duration/*"), _texts("xcal:uid/*")
_R_IDS, _VALUES = _texts("oadr:oadrReportPayload/*[1]"), _texts("oadr:oadrReportPayload/ei:payloadFloat/*")
_CONFIDENCES, _ACCURACIES = _texts("oadr:oadrReportPayload/ei:confidence"), _texts("oadr:oadrReportPayload/ei:accuracy")
_QUALITIES = _texts("oadr:oadrReportPayload/oadr:oadrDataQuality")
_PAYLOADS = etree.XPath("*/oadr:oadrReportPayload", namespaces=NAMESPACES)
_QUALITY = f"{{{NAMESPACES['oadr']}}}oadrDataQuality"
_ELEMENTS = etree.XPath("count(descendant::*)")
_UNEVEN = etree.XPath("boolean(ei:interval[count(oadr:oadrReportPayload) != $width])", namespaces=NAMESPACES)


def read_plain(intervals: etree._Element) -> PlainIntervals | None:
    """Read strm:intervals of a schema-valid tree without comments; ``None`` if they are not plain or not sound."""
    texts = _plain_texts(intervals)
    if texts is None:
        return None
    starts, durations, uids, r_ids, values, confidences, accuracies, qualities = texts
    try:
        return PlainIntervals(
            starts=tuple(map(datetime.fromisoformat if _all_bare(starts) else _instant, starts)),
            durations=_each(Duration.parse, durations),
            uids=_each(int, uids),
            r_ids=tuple(r_ids),
            values=_numbers(values),
            confidences=_each(int, confidences),
            accuracies=_each(_number, accuracies),
            qualities=_each(_token, qualities) if len(qualities) in (0, len(r_ids)) else _some_qualities(intervals),
        )
    except ValueError:
        return None


def _plain_texts(intervals: etree._Element) -> list[list[str]] | None:
    """Return the texts of each column; an empty list: no interval has it."""
    count = len(intervals)
    starts, r_ids, values = _STARTS(intervals), _R_IDS(intervals), _VALUES(intervals)
    payloads = len(r_ids)
    if not (len(starts) == count and len(values) == payloads and payloads):
        return None
    timed = [read(intervals) for read in (_DURATIONS, _UIDS)]
    optional = [read(intervals) for read in (_CONFIDENCES, _ACCURACIES)]
    qualities = _QUALITIES(intervals)  # bad ones are said of single values
    if any(len(column) not in (0, count) for column in timed):
        return None
    if any(len(column) not in (0, payloads) for column in optional):
        return None
    if payloads % count or (payloads != count and _UNEVEN(intervals, width=payloads // count)):
        return None
    read = 3 * count + 2 * sum(map(len, timed)) + 4 * payloads + sum(map(len, optional)) + len(qualities)
    if _ELEMENTS(intervals) != read:  # a feed, or a status, or a text that is not there
        return None
    return [starts, *timed, r_ids, values, *optional, qualities]


def _all_bare(starts: Sequence[str]) -> bool:
    return set(map(len, starts)) == {_BARE} and "".join(starts)[_BARE - 1 :: _BARE] == "Z" * len(starts)


def _instant(text: str) -> datetime:
    return parse_instant(text.strip())


def _each(read: Callable[[str], _T], texts: Sequence[str]) -> tuple[_T, ...] | None:
    """Read a column; a text that all have is read once."""
    if texts and texts.count(texts[0]) == len(texts):
        return (read(texts[0]),) * len(texts)
    return tuple(map(read, texts)) or None


def _number(text: str) -> float:
    return _numbers([text])[0]


def _numbers(texts: Sequence[str]) -> tuple[float, ...]:
    numbers = tuple(map(float, texts))
    if not all(map(math.isfinite, numbers)):
        raise ValueError("not finite")
    return numbers


def _some_qualities(intervals: etree._Element) -> tuple[str | None, ...]:
    last = [payload[-1] for payload in cast(list[etree._Element], _PAYLOADS(intervals))]  # where the schema puts it
    return tuple(_token(each.text or "") if each.tag == _QUALITY else None for each in last)


def _token(text: str) -> str:
    return " ".join(text.split())
