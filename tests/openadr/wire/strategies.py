"""Hypothesis strategies for every message: whatever our dataclasses can hold and the standard can carry."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from openadr import messages as m
from openadr.model import (
    ActivePeriod,
    Availability,
    Baseline,
    EiTarget,
    Event,
    EventDescriptor,
    EventStatus,
    Interval,
    ItemBase,
    KeyValue,
    LoadControlState,
    LoadControlValue,
    NamedInfo,
    OptReason,
    OptType,
    Profile,
    QualifiedEventId,
    Report,
    ReportDescription,
    ReportInterval,
    ReportPayload,
    ReportRequest,
    ReportSpecifier,
    ResourceStatus,
    ResponseRequired,
    SamplingRate,
    Signal,
    SignalName,
    SignalType,
    SpecifierPayload,
)
from openadr.times import Duration
from openadr.wire.units import CURRENCY, POWER, SCALES, UNITS

CENTURY_S = 100 * 366 * 86_400
UNSIGNED = st.integers(0, 2**32 - 1)

_legal = st.characters(
    exclude_categories=("Cs",),
    exclude_characters=[*(chr(n) for n in range(32) if n not in (9, 10, 13)), "\ufffe", "\uffff"],
)
text = st.text(_legal, max_size=12)
filled = st.text(_legal, min_size=1, max_size=12)  # an optional element that is empty is absent
maybe_text = st.none() | filled
extension = st.from_regex(r"x-[A-Za-z0-9_.]{1,8}", fullmatch=True)
context = st.from_regex(r"http://[a-z]{1,8}\.example/[a-z0-9/]{0,8}", fullmatch=True)
instants = st.datetimes(
    min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31, 23, 59, 59), timezones=st.just(UTC)
).map(lambda value: value.replace(microsecond=0))
durations = st.builds(Duration, months=st.integers(0, 1200), seconds=st.integers(0, CENTURY_S))
signed_durations = durations | durations.map(lambda one: Duration(months=-one.months, seconds=-one.seconds))
numbers = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.integers(-10_000_000, 10_000_000).map(lambda value: value / 1000)


def several[T](one: st.SearchStrategy[T], least: int = 0, most: int = 3) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(one, min_size=least, max_size=most).map(tuple)


areas = several(
    st.lists(st.integers(-90, 90).map(str), min_size=1, max_size=6).map(" ".join),
    most=2,
)
