"""The effective limit: most restrictive wins, overrides leave only what may be left, source and reason are kept."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.arbiter import (
    EVERY_EVENT,
    SUSPENSION,
    Override,
    Source,
    StandingCap,
    effective,
    limit_now,
    overridden_by,
    timeline,
)
from bridge.plan import Cap
from tests.bridge.parts import at


def cap(
    limit_a: float | None,
    *,
    event_id: str = "event-1",
    start: float = 0,
    end: float | None = 100,
    priority: int = 1,
    emergency: bool = False,
) -> Cap:
    return Cap(
        resource_id="evse-1",
        event_id=event_id,
        modification_number=0,
        start=at(start),
        end=None if end is None else at(end),
        limit_a=limit_a,
        value=2.0,
        reason=f"{event_id} asks",
        priority=priority,
        emergency=emergency,
        overridable=not emergency,
        programme="p 1",
    )


def override(*event_ids: str, start: float = 0, end: float | None = None, resource_id: str = "evse-1") -> Override:
    return Override(
        override_id="override-1",
        resource_id=resource_id,
        event_ids=event_ids,
        reason="doctor",
        start=at(start),
        end=None if end is None else at(end),
    )


SITE = StandingCap(source=Source.SITE, limit_a=20.0, reason="house fuse")


def test_arb_02_the_most_restrictive_of_all_caps_wins_and_the_losers_are_kept() -> None:
    found = effective([cap(16.0), cap(10.0, event_id="event-2"), cap(None, event_id="event-3")], [], [SITE], at(0))
    assert (found.limit_a, found.source, found.event_id, found.reason) == (10.0, "event", "event-2", "event-2 asks")
    assert found.losers == ("event event-1 (16 A)", "site (20 A)")


def test_arb_02_a_site_cap_below_the_event_wins() -> None:
    found = effective([cap(24.0)], [], [SITE, StandingCap(source=Source.DEFAULT, limit_a=32.0, reason="d")], at(0))
    assert (found.limit_a, found.source, found.reason, found.event_id) == (20.0, "site", "house fuse", None)
    assert found.losers == ("event event-1 (24 A)", "default (32 A)")


def test_without_caps_there_is_no_limit() -> None:
    found = effective([], [], [], at(0))
    assert (found.limit_a, found.source, found.end) == (None, "none", None)


def test_arb_03_equal_caps_go_to_the_emergency_then_to_the_higher_priority_then_to_the_earlier_start() -> None:
    plain, urgent = cap(10.0), cap(10.0, event_id="event-2", emergency=True, priority=0)
    assert effective([plain, urgent], [], [], at(0)).event_id == "event-2"
    low, none = cap(10.0, priority=5), cap(10.0, event_id="event-0", priority=0)
    assert effective([none, low], [], [], at(0)).event_id == "event-1"
    late = cap(10.0, event_id="event-0", start=5)
    assert effective([late, plain], [], [], at(6)).event_id == "event-1"


def test_ends_are_exclusive_and_the_line_has_no_gap() -> None:
    line = timeline([cap(16.0), cap(10.0, event_id="event-2", start=100, end=None)], [], [], at(-10))
    assert [(piece.start, piece.end, piece.limit_a) for piece in line] == [
        (at(-10), at(0), None),
        (at(0), at(100), 16.0),
        (at(100), None, 10.0),
    ]


def test_arb_05_an_override_takes_out_overridable_events_only() -> None:
    caps = [cap(16.0), cap(20.0, event_id="event-2", emergency=True)]
    found = effective(caps, [override("event-1", "event-2")], [], at(0))
    assert (found.limit_a, found.event_id) == (20.0, "event-2")
    assert overridden_by(caps[0], [override("event-1")], at(0)) is not None
    assert overridden_by(caps[0], [override("event-1", resource_id="evse-2")], at(0)) is None


def test_arb_07_a_bounded_override_returns_to_the_event_for_the_rest() -> None:
    line = timeline([cap(16.0)], [override("event-1", start=20, end=50)], [], at(0))
    assert [(piece.start, piece.end, piece.limit_a) for piece in line] == [
        (at(0), at(20), 16.0),
        (at(20), at(50), None),
        (at(50), at(100), 16.0),
        (at(100), None, None),
    ]


def test_equal_neighbours_are_merged() -> None:
    line = timeline([cap(16.0, end=50), cap(16.0, start=50)], [], [], at(0))
    assert [(piece.start, piece.end) for piece in line] == [(at(0), at(100)), (at(100), None)]


CAPS = st.builds(
    lambda a, start, length, number, emergency: cap(
        a, start=start, end=None if length is None else start + length, event_id=f"event-{number}", emergency=emergency
    ),
    st.one_of(st.none(), st.floats(0, 63)),
    st.integers(0, 500),
    st.one_of(st.none(), st.integers(1, 500)),
    st.integers(1, 6),
    st.booleans(),
)
OVERRIDES = st.lists(
    st.builds(
        lambda number, start, length: override(f"event-{number}", start=start, end=start + length),
        st.integers(1, 6),
        st.integers(0, 500),
        st.integers(1, 300),
    ),
    max_size=3,
)


@given(st.lists(CAPS, max_size=6), OVERRIDES, st.integers(0, 1000))
def test_property_the_line_is_gapless_and_equals_the_minimum_at_every_moment(
    caps: list[Cap], overrides: list[Override], second: int
) -> None:
    line = timeline(caps, overrides, [], at(0))
    assert line[0].start == at(0)
    assert line[-1].end is None
    assert all(one.end == two.start for one, two in pairwise(line))
    moment = at(0) + timedelta(seconds=second)
    inside = [piece for piece in line if piece.start <= moment and (piece.end is None or moment < piece.end)]
    asking = [
        c.limit_a
        for c in caps
        if c.contains(moment) and c.limit_a is not None and not overridden_by(c, overrides, moment)
    ]
    assert [piece.limit_a for piece in inside] == [min(asking, default=None)]


@given(st.lists(CAPS, max_size=5), CAPS, st.integers(0, 1000))
def test_property_one_more_cap_never_raises_the_limit(caps: list[Cap], more: Cap, second: int) -> None:
    moment = at(second)
    before = effective(caps, [], [], moment).limit_a
    after = effective([*caps, more], [], [], moment).limit_a
    assert before is None or (after is not None and after <= before)


CALENDAR = StandingCap(source=Source.CALENDAR, limit_a=8.0, reason="17:00 to 19:00", cap_id="limit-1", end=at(50))


def test_arb_05_a_calendar_cap_may_be_overridden_by_its_id_and_protection_may_not() -> None:
    assert effective([], [override("limit-1")], [CALENDAR], at(0)).limit_a is None
    assert effective([], [override("event-1")], [CALENDAR], at(0)).limit_a == 8.0
    site = replace(CALENDAR, source=Source.SITE)
    assert effective([], [override("limit-1")], [site], at(0)).limit_a == 8.0
    assert effective([cap(16.0)], [override(EVERY_EVENT)], [CALENDAR], at(0)).source == "calendar"


def test_arb_05_a_calendar_cap_ends_by_itself() -> None:
    line = timeline([], [], [CALENDAR], at(0))
    assert [(piece.start, piece.limit_a, piece.standing) for piece in line] == [
        (at(0), 8.0, True),
        (at(50), None, False),
    ]


def test_ven_09_a_suspension_takes_out_emergencies_and_standing_caps_too() -> None:
    out = replace(override(EVERY_EVENT), source=SUSPENSION)
    assert out.everything
    found = effective([cap(0.0, emergency=True)], [out], [SITE, CALENDAR], at(0))
    assert (found.limit_a, found.source) == (None, "none")


def test_arb_03_equal_standing_caps_are_named_by_the_hierarchy() -> None:
    order = [Source.SAFETY, Source.SITE, Source.GROUP, Source.DSO, Source.USER, Source.CALENDAR, Source.DEFAULT]
    caps = [StandingCap(source=source, limit_a=10.0, reason="r") for source in reversed(order)]
    found = effective([cap(10.0), cap(10.0, event_id="event-2", emergency=True)], [], caps, at(0))
    assert (found.source, found.category, found.urgent) == ("safety", "EMS", True)
    assert found.losers == (
        "site (10 A)",
        "group (10 A)",
        "dso (10 A)",
        "event event-2 (10 A)",
        "user (10 A)",
        "event event-1 (10 A)",
        "calendar (10 A)",
        "default (10 A)",
    )


@given(st.lists(CAPS, max_size=5), st.sampled_from(list(Source)), st.floats(0, 63), st.integers(0, 1000))
def test_arb_02_property_a_standing_cap_never_raises_the_limit(
    caps: list[Cap], source: Source, amperes: float, second: int
) -> None:
    moment = at(second)
    before = limit_now(caps, [], [], moment)
    after = limit_now(caps, [], [StandingCap(source=source, limit_a=amperes, reason="r")], moment)
    assert after is not None
    assert after <= amperes
    assert before is None or after <= before
