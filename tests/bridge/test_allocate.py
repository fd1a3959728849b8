"""Group limits shared among members: never above the cap on any phase, never between 0 and 6 A, fast for many."""

import time

from hypothesis import given
from hypothesis import strategies as st

from bridge.allocate import Member, proportional

LINES = st.sampled_from([(1,), (2,), (3,), (1, 2), (1, 2, 3)])
MEMBERS = st.lists(st.tuples(st.floats(6, 80), LINES), max_size=12).map(
    lambda rows: [Member(resource_id=f"r{i}", max_a=a, lines=lines) for i, (a, lines) in enumerate(rows)]
)


@given(st.floats(0, 500), MEMBERS, st.integers(0, 50))
def test_arb_16_no_phase_carries_more_than_the_cap(cap_a: float, members: list[Member], first: int) -> None:
    shares = proportional(cap_a, members, first)
    assert set(shares) == {member.resource_id for member in members}
    for line in (1, 2, 3):
        assert sum(shares[member.resource_id] for member in members if line in member.lines) <= cap_a + 1e-6


@given(st.floats(0, 500), MEMBERS, st.integers(0, 50))
def test_map_09_no_member_gets_between_0_and_6_a_nor_more_than_its_maximum(
    cap_a: float, members: list[Member], first: int
) -> None:
    shares = proportional(cap_a, members, first)
    for member in members:  # 1e-9 A: what rounding to 0.1 A takes for a floating-point error
        assert shares[member.resource_id] == 0.0 or 6.0 <= shares[member.resource_id] <= member.max_a + 1e-9


def test_shares_are_in_proportion_to_the_maxima() -> None:
    members = [Member(resource_id="big", max_a=32), Member(resource_id="small", max_a=16)]
    assert proportional(24, members) == {"big": 16.0, "small": 8.0}


def test_who_waits_rotates() -> None:
    members = [Member(resource_id=name, max_a=16) for name in "abc"]
    assert proportional(13, members) == {"a": 6.5, "b": 6.5, "c": 0.0}
    assert proportional(13, members, first=1) == {"a": 0.0, "b": 6.5, "c": 6.5}
    assert proportional(5, members) == {"a": 0.0, "b": 0.0, "c": 0.0}
    assert proportional(5, []) == {}


def test_single_phase_members_on_other_phases_do_not_take_from_each_other() -> None:
    members = [Member(resource_id=str(line), max_a=32, lines=(line,)) for line in (1, 2, 3)]
    assert proportional(32, members) == {"1": 32.0, "2": 32.0, "3": 32.0}


def test_ten_thousand_chargers_are_allocated_in_well_under_a_second() -> None:
    members = [Member(resource_id=str(i), max_a=32) for i in range(10_000)]
    begun = time.perf_counter()
    shares = proportional(30_000, members)
    assert time.perf_counter() - begun < 1.0
    assert sum(share > 0 for share in shares.values()) == 5000
