"""Which reports to ask a VEN for, and how fine: pure arithmetic over what it offers.

Rule: never ask for more than was offered (R340): granularity within the sampling rate of every data point (R317), the
report-back period within what the VEN buffers.
"""

from collections.abc import Callable
from datetime import datetime

from openadr.model import ItemBase, ReportDescription, ReportRequest, ReportSpecifier, SpecifierPayload
from openadr.times import ZERO, Duration, whole_second
from vtn.services.context import ReportPolicy
from vtn.store.reports import resource_of
from vtn.store.rows import Point, RequestState, Specifier, StoredRequest

_SI_NONE = "none"


def wanted(
    offer: tuple[Specifier, ...], policy: ReportPolicy, now: datetime, new_id: Callable[[str], str]
) -> tuple[StoredRequest, ...]:
    """Return the requests to make of an offer."""
    return tuple(
        _request(each, policy, now, new_id("rpt"))
        for each in offer
        if each.report_name in policy.names and each.descriptions
    )


def _request(offered: Specifier, policy: ReportPolicy, now: datetime, request_id: str) -> StoredRequest:
    granularity = granularity_s(offered.descriptions, policy.granularity_s, now)
    back = max(policy.back_s, granularity)
    buffered = _seconds(Duration.parse(offered.duration), now) if offered.duration else 0
    if buffered >= granularity > 0:
        back = min(back, buffered)
    specifier = ReportSpecifier(
        report_specifier_id=offered.report_specifier_id,
        granularity=Duration(seconds=granularity),
        report_back_duration=Duration(seconds=back),
        payloads=tuple(SpecifierPayload(r_id=each.r_id) for each in offered.descriptions),
        interval_start=whole_second(now),
        interval_duration=ZERO,  # for ever (R325)
    )
    return StoredRequest(
        ven_id=offered.ven_id,
        report_name=offered.report_name,
        request=ReportRequest(report_request_id=request_id, specifier=specifier),
        points=points_of(offered),
        state=RequestState.REQUESTED,
        created_at=now,
    )


def points_of(offered: Specifier) -> dict[str, Point]:
    """Return what each rID of an offered report means."""
    return {each.r_id: Point(resource_id=resource_of(each), unit=unit(each.item_base)) for each in offered.descriptions}


def granularity_s(points: tuple[ReportDescription, ...], preferred_s: int, now: datetime) -> int:
    """Return the granularity in seconds nearest to ``preferred_s`` that every point's sampling rate allows.

    Where the points have no rate in common the slowest minimum is taken: too coarse for some, never too fine.
    """
    rates = [each.sampling_rate for each in points if each.sampling_rate is not None]
    if not rates:
        return preferred_s
    fastest = max(_seconds(rate.min_period, now) for rate in rates)
    slowest = min(_seconds(rate.max_period, now) for rate in rates)
    return max(fastest, min(preferred_s, slowest) if slowest else preferred_s)


def _seconds(length: Duration, now: datetime) -> int:
    return int(length.length(now).total_seconds())


def unit(item_base: ItemBase | None) -> str | None:
    """Return a data point's unit with its SI prefix, for example ``kW``."""
    if item_base is None:
        return None
    prefix = "" if item_base.si_scale_code == _SI_NONE else item_base.si_scale_code
    return f"{prefix}{item_base.item_units}" or None
