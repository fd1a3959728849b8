"""bridge.ocpp.deadline: from 30 s, learnt from what the charger shows (OCP-09)."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.ocpp.deadline import Deadline


def test_ocp_09_the_deadline_begins_at_its_start_value_and_follows_the_charger() -> None:
    quick = Deadline(30.0)
    assert quick.seconds == 30.0
    for _ in range(4):
        quick.answered(0.1)
    assert quick.seconds == 10.0
    slow = Deadline(30.0)
    for _ in range(20):
        slow.answered(25.0)
    assert 25.0 < slow.seconds <= 80.0


def test_ocp_09_it_doubles_without_an_answer_and_comes_back_with_one() -> None:
    deadline = Deadline(30.0)
    seen = []
    for _ in range(3):
        deadline.missed()
        seen.append(deadline.seconds)
    assert seen == [60.0, 120.0, 120.0]
    assert deadline.misses == 3
    deadline.answered(45.0)  # a late answer teaches as well
    assert (deadline.seconds, deadline.misses) == (30.0, 0)


@given(st.lists(st.none() | st.floats(0, 1000)))
def test_ocp_09_it_stays_within_its_bounds_whatever_comes(times: list[float | None]) -> None:
    deadline = Deadline(30.0)
    for seconds in times:
        deadline.missed() if seconds is None else deadline.answered(seconds)
        assert 10.0 <= deadline.seconds <= 120.0
