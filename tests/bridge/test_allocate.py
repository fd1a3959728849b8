"""Group limits shared among members: never above the limit, never between 0 and 6 A, no needless change, fast."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.allocate import GroupLimit, Member, Strategy, allocate, fits, grant, round_share, steady

LINES = st.sampled_from([(1,), (2,), (3,), (1, 2), (1, 2, 3)])
ROWS = st.tuples(
    st.sampled_from([0.0, 6.0, 6.1, 13.0, 16.0, 22.5, 32.0, 80.0]),
    LINES,
    st.integers(0, 3),
    st.booleans(),
    st.one_of(st.none(), st.none(), st.floats(0, 40)),
)
MEMBERS = st.lists(ROWS, max_size=12).map(
    lambda rows: [
        Member(resource_id=f"r{i}", max_a=a, lines=lines, priority=priority, active=active, fixed_a=fixed)
        for i, (a, lines, priority, active, fixed) in enumerate(rows)
    ]
)
LIMITS = st.builds(
    GroupLimit,
    per_phase_a=st.one_of(st.none(), st.floats(0, 300)),
    total_kw=st.one_of(st.none(), st.floats(0, 200)),
)
STRATEGIES = st.sampled_from(list(Strategy))


def members(*names: str, **more: object) -> list[Member]:
    return [Member(resource_id=name, max_a=32.0, **more) for name in names]  # type: ignore[arg-type]


def amperes(limit: float) -> GroupLimit:
    return GroupLimit(per_phase_a=limit)


def reserved_fits(limit: GroupLimit, group: list[Member]) -> bool:
    return fits(limit, [m for m in group if m.fixed_a is not None], {})


@given(LIMITS, MEMBERS, STRATEGIES, st.integers(0, 50))
def test_arb_16_no_phase_and_no_total_carries_more_than_the_limit(
    limit: GroupLimit, group: list[Member], strategy: Strategy, turn: int
) -> None:
    shares = allocate(limit, group, strategy, turn)
    assert set(shares) == {member.resource_id for member in group if member.fixed_a is None}
    assert fits(limit, group, shares) or (not reserved_fits(limit, group) and _only_free_lines(limit, group, shares))


def _only_free_lines(limit: GroupLimit, group: list[Member], shares: dict[str, float]) -> bool:
    """Where chargers that cannot be told take more than all, nobody on their lines gets anything."""
    alone = [member for member in group if member.fixed_a is not None or shares[member.resource_id] > 0.0]
    taken = [0.0] * 4
    for member in alone:
        current = shares.get(member.resource_id, 0.0) if member.fixed_a is None else member.fixed_a
        for line in member.lines:
            taken[line] += current
    most = limit.per_phase_a if limit.per_phase_a is not None else float("inf")
    return all(taken[line] <= most + 1e-6 for member in alone if member.fixed_a is None for line in member.lines)


@given(LIMITS, MEMBERS, STRATEGIES, st.integers(0, 50))
def test_map_09_no_member_gets_between_0_and_6_a_nor_more_than_its_maximum(
    limit: GroupLimit, group: list[Member], strategy: Strategy, turn: int
) -> None:
    shares = allocate(limit, group, strategy, turn)
    for member in group:
        share = shares.get(member.resource_id, 0.0)
        assert share == 0.0 or 6.0 <= share <= member.max_a


@given(LIMITS, MEMBERS, STRATEGIES, st.dictionaries(st.sampled_from([f"r{i}" for i in range(12)]), st.floats(0, 40)))
def test_arb_16_a_share_grows_only_out_of_room_that_has_been_given_up(
    limit: GroupLimit, group: list[Member], strategy: Strategy, drawn: dict[str, float]
) -> None:
    held = {member.resource_id: drawn.get(member.resource_id, member.max_a) for member in group}
    shares = allocate(limit, group, strategy)
    told = grant(limit, group, shares, held)
    assert all(told[name] <= shares[name] for name in told)
    assert all(share == 0.0 or share >= 6.0 for share in told.values())
    if fits(limit, group, held):  # while nothing above the limit is held, nothing above it can flow at any moment
        worst = {name: max(told[name], held[name]) for name in told}
        assert fits(limit, group, worst)


@given(LIMITS, MEMBERS, STRATEGIES, st.integers(0, 5))
def test_arb_04_shares_that_fit_are_kept(limit: GroupLimit, group: list[Member], strategy: Strategy, turn: int) -> None:
    fresh = allocate(limit, group, strategy, turn)
    assert steady(limit, group, fresh, fresh, 0.0) == fresh


@given(LIMITS, MEMBERS, MEMBERS, STRATEGIES)
def test_arb_16_shares_kept_from_before_stay_within_the_limit(
    limit: GroupLimit, before: list[Member], group: list[Member], strategy: Strategy
) -> None:
    present = allocate(limit, before, strategy)
    fresh = allocate(limit, group, strategy)
    kept = steady(limit, group, present, fresh, 1.0)
    assert set(kept) == set(fresh)
    assert fits(limit, group, kept) or kept == fresh
    assert all(share == 0.0 or share >= 6.0 for share in kept.values())


def test_arb_16_shares_are_in_proportion_to_the_maxima_above_the_first_6_a() -> None:
    group = [Member(resource_id="big", max_a=32), Member(resource_id="small", max_a=16)]
    assert allocate(amperes(24), group, Strategy.PROPORTIONAL) == {"big": 14.0, "small": 10.0}
    assert allocate(amperes(24), group, Strategy.ROUND_ROBIN) == {"big": 12.0, "small": 12.0}


def test_arb_16_what_one_cannot_use_goes_to_the_others() -> None:
    group = [Member(resource_id="big", max_a=32), Member(resource_id="small", max_a=8)]
    assert allocate(amperes(32), group, Strategy.ROUND_ROBIN) == {"big": 24.0, "small": 8.0}


def test_arb_16_priority_serves_1_first_and_0_last() -> None:
    group = [
        Member(resource_id="last", max_a=32, priority=0),
        Member(resource_id="second", max_a=32, priority=2),
        Member(resource_id="first", max_a=32, priority=1),
    ]
    assert allocate(amperes(50), group, Strategy.PRIORITY) == {"first": 32.0, "second": 12.0, "last": 6.0}
    assert allocate(amperes(13), group, Strategy.PRIORITY) == {"first": 7.0, "second": 6.0, "last": 0.0}


def test_arb_16_who_waits_rotates_under_round_robin_only() -> None:
    group = members("a", "b", "c")
    waiting = [
        next(name for name, share in allocate(amperes(13), group, Strategy.ROUND_ROBIN, turn).items() if share == 0.0)
        for turn in range(4)
    ]
    assert waiting == ["c", "a", "b", "c"]
    assert allocate(amperes(13), group, Strategy.PROPORTIONAL, 1)["c"] == 0.0
    assert set(allocate(amperes(5), group, Strategy.ROUND_ROBIN).values()) == {0.0}
    assert allocate(amperes(5), [], Strategy.ROUND_ROBIN) == {}


def test_arb_16_one_phase_members_on_other_phases_do_not_take_from_each_other() -> None:
    group = [Member(resource_id=str(line), max_a=32, lines=(line,)) for line in (1, 2, 3)]
    assert allocate(amperes(32), group, Strategy.PROPORTIONAL) == {"1": 32.0, "2": 32.0, "3": 32.0}


def test_arb_16_a_limit_in_kw_counts_all_phases() -> None:
    group = [Member(resource_id="three", max_a=32), Member(resource_id="one", max_a=32, lines=(2,))]
    shares = allocate(GroupLimit(total_kw=11.04), group, Strategy.ROUND_ROBIN)
    assert shares == {"three": 12.0, "one": 12.0}  # 4 x 12 A x 230 V = 11.04 kW
    both = allocate(GroupLimit(per_phase_a=16, total_kw=11.04), group, Strategy.ROUND_ROBIN)
    assert both == {"three": 8.0, "one": 8.0}


def test_arb_16_idle_chargers_share_what_those_in_use_leave() -> None:
    group = [*members("idle", active=False), *members("busy")]
    assert allocate(amperes(20), group, Strategy.PROPORTIONAL) == {"busy": 20.0, "idle": 0.0}
    assert allocate(amperes(10), group, Strategy.PROPORTIONAL) == {"busy": 10.0, "idle": 0.0}
    assert allocate(amperes(50), group, Strategy.PROPORTIONAL) == {"busy": 32.0, "idle": 18.0}


def test_arb_16_chargers_that_cannot_be_told_are_reserved_for() -> None:
    group = [Member(resource_id="gone", max_a=32, fixed_a=20.0), *members("here")]
    assert allocate(amperes(32), group, Strategy.PROPORTIONAL) == {"here": 12.0}
    assert allocate(amperes(22), group, Strategy.PROPORTIONAL) == {"here": 0.0}


@pytest.mark.parametrize(
    ("present", "kept"),
    [
        ({"a": 15.5, "b": 16.0}, True),  # 0.5 A more is not worth a command
        ({"a": 14.0, "b": 16.0}, False),  # 2 A more is
        ({"a": 17.0, "b": 16.0}, False),  # above the limit
        ({"a": 32.0, "b": 0.0}, False),  # one waits while there is room for both
        ({"a": 16.0}, False),  # somebody new
        ({"a": 3.0, "b": 16.0}, False),  # nothing between 0 and 6 A
    ],
)
def test_arb_04_present_shares_are_kept_while_they_fit(present: dict[str, float], kept: bool) -> None:
    group, limit = members("a", "b"), amperes(32)
    fresh = allocate(limit, group, Strategy.PROPORTIONAL)
    found = steady(limit, group, present, fresh, 1.0)
    assert found == (present if kept else {"a": 16.0, "b": 16.0})


def test_arb_16_a_starting_charger_waits_until_the_others_have_given_up_its_share() -> None:
    group, limit = members("old", "new"), amperes(32)
    shares = allocate(limit, group, Strategy.PROPORTIONAL)
    assert grant(limit, group, shares, {"old": 32.0, "new": 0.0}) == {"old": 16.0, "new": 0.0}
    assert grant(limit, group, shares, {"old": 16.0, "new": 0.0}) == {"old": 16.0, "new": 16.0}
    assert grant(limit, group, shares, {"old": 24.0, "new": 8.0}) == {"old": 16.0, "new": 8.0}


def test_grants_pass_over_members_that_cannot_be_told() -> None:
    group = [Member(resource_id="gone", max_a=32, fixed_a=20.0), *members("here")]
    assert grant(amperes(32), group, {"here": 12.0}, {"gone": 32.0, "here": 6.0}) == {"here": 12.0}


def test_a_share_is_rounded_down_and_exact_tenths_stay() -> None:
    assert (round_share(8.1), round_share(8.19), round_share(0.1 + 0.2)) == (8.1, 8.1, 0.3)


def test_a_limit_is_said_in_words() -> None:
    assert amperes(100).words() == "100 A per phase"
    assert GroupLimit(total_kw=50).words() == "50 kW"
    assert GroupLimit(per_phase_a=80, total_kw=50).words() == "80 A per phase and 50 kW"


@pytest.mark.parametrize("strategy", list(Strategy))
def test_arb_16_ten_thousand_chargers_are_allocated_in_well_under_a_second(strategy: Strategy) -> None:
    group = [
        Member(resource_id=str(i), max_a=16.0 + i % 17, lines=(1, 2, 3) if i % 3 else (1 + i % 2,), active=i % 4 > 0)
        for i in range(10_000)
    ]
    limit = GroupLimit(per_phase_a=60_000, total_kw=30_000)
    begun = time.process_time()
    shares = allocate(limit, group, strategy)
    spent = time.process_time() - begun
    print(f"{strategy}: 10,000 chargers in {spent * 1000:.0f} ms")
    assert fits(limit, group, shares)
