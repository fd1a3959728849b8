"""From the effective limit to the charger's schedule, and whether it is held already."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bridge.arbiter import Effective
from bridge.schedule import SCHEDULE_ID, Horizon, desired, holds, limit_at, over
from bridge.target import LimitPeriod, LimitSchedule
from tests.bridge.parts import at

H = Horizon(lead_s=1000, open_ended_s=600, expiry_grace_s=60)


def line(*rows: tuple[float, float | None, float | None]) -> tuple[Effective, ...]:
    return tuple(
        Effective(
            start=at(start),
            end=None if end is None else at(end),
            limit_a=limit_a,
            source="event",
            reason=f"to {limit_a}",
            event_id=f"event-{limit_a}",
        )
        for start, end, limit_a in rows
    )


def schedule(*rows: tuple[int, float | None], start: float = 0, end: float = 300) -> LimitSchedule:
    return LimitSchedule(
        schedule_id=SCHEDULE_ID,
        start=at(start),
        end=at(end),
        expires=at(end + 60),
        periods=tuple(LimitPeriod(start_s=second, limit_a=limit_a) for second, limit_a in rows),
        source="",
        reason="",
    )


def test_out_02_a_schedule_has_start_end_and_expiry_and_combines_what_is_ahead() -> None:
    found = desired(
        line((0, 100, None), (100, 200, 16.0), (200, 250, None), (250, 300, 10.0), (300, None, None)), at(0), H
    )
    assert found is not None
    assert (found.start, found.end, found.expires) == (at(100), at(300), at(360))
    assert [(period.start_s, period.limit_a) for period in found.periods] == [(0, 16.0), (100, None), (150, 10.0)]
    assert found.source == "event-16.0, event-10.0"
    assert found.reason == "to 16.0; to 10.0"
    same = desired(line((0, 100, 16.0), (100, 200, 16.0), (200, None, None)), at(0), H)
    assert same is not None
    assert len(same.periods) == 1


def test_nothing_to_limit_inside_the_lead_window_means_no_schedule() -> None:
    assert desired(line((0, None, None)), at(0), H) is None
    assert desired(line((0, 1000, None), (1000, 1100, 16.0), (1100, None, None)), at(0), H) is None
    assert desired(line((0, 999, None), (999, 1100, 16.0), (1100, None, None)), at(0), H) is not None


def test_out_02_an_open_ended_limit_gets_a_bounded_end() -> None:
    found = desired(line((0, None, 16.0)), at(50), H)
    assert found is not None
    assert found.end == at(650)
    ahead = desired(line((0, 100, None), (100, None, 16.0)), at(0), H)
    assert ahead is not None
    assert ahead.end == at(700)


def test_a_limit_shorter_than_a_second_is_no_schedule() -> None:
    assert desired(line((0.2, 0.8, 16.0), (0.8, None, None)), at(0), H) is None


def test_limit_at_follows_the_periods() -> None:
    held = schedule((0, 16.0), (100, None), (200, 10.0))
    assert [limit_at(held, at(second)) for second in (-1, 0, 99, 100, 200, 299, 300)] == [
        None,
        16.0,
        16.0,
        None,
        10.0,
        10.0,
        None,
    ]


def test_holds_compares_only_what_is_left() -> None:
    have = schedule((0, 24.0), (100, 16.0))
    want = schedule((0, 16.0), start=120)
    assert not holds(have, want, at(0), lasting_s=None)
    assert holds(have, want, at(120), lasting_s=None)
    assert not holds(have, schedule((0, 10.0), start=120), at(120), lasting_s=None)
    assert not holds(have, schedule((0, 16.0), start=120, end=400), at(120), lasting_s=None)
    assert holds(schedule((0, 16.0), (50, 16.0)), schedule((0, 16.0)), at(0), lasting_s=None)
    assert over(have, at(300))
    assert not over(have, at(299))


def test_an_open_ended_limit_is_renewed_at_half_of_its_length() -> None:
    have = schedule((0, 16.0), end=600)
    want = schedule((0, 16.0), start=299, end=899)
    assert holds(have, want, at(299), lasting_s=600)
    assert not holds(have, want, at(300), lasting_s=600)
    assert not holds(have, schedule((0, 10.0), start=10, end=610), at(10), lasting_s=600)
    assert not holds(have, schedule((0, 10.0), (50, 16.0), start=10, end=610), at(10), lasting_s=600)


@given(st.integers(0, 900), st.floats(0, 0.999))
def test_property_an_unchanged_plan_is_never_sent_again(second: int, fraction: float) -> None:
    whole = line((0, 100.5, 16.0), (100.5, 200, None), (200, 950, 10.0), (950, None, None))
    first = desired(whole, at(0), H)
    moment = at(second) + timedelta(seconds=fraction)
    left = tuple(piece for piece in whole if piece.end is None or piece.end > moment)
    later = desired(left, moment, H)
    assert first is not None
    assert later is not None
    assert holds(first, later, moment, lasting_s=None)
