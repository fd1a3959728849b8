"""Availability from opt schedules: windows, supersession, programmes and precedence, against a plain model."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr.messages import CreateOpt
from openadr.model import Availability, EiTarget, OptType
from openadr.times import ZERO, Duration
from tests.vtn.world import START
from vtn.services.availability import Source, Subject, Verdict, at, ends_at, opted_out, timeline
from vtn.store.eventrows import OptKind, StoredOpt
from vtn.store.programmes import OptRules

ALL = EiTarget(ven_ids=("ven-a",))
R1 = Subject(resource_id="r1", group_ids=("g1",), device_classes=frozenset({"EVSE"}))
OUT, IN = OptType.OPT_OUT, OptType.OPT_IN


def hour(number: float) -> datetime:
    return START + timedelta(hours=number)


def stored(
    row_id: int,
    *windows: tuple[float, float],
    opt_type: OptType = OUT,
    target: EiTarget = ALL,
    context: str | None = None,
    classes: tuple[str, ...] = (),
    superseded_for: tuple[str, ...] = (),
) -> StoredOpt:
    """Return a schedule; windows are (start, length) in hours from START, length 0 is without end."""
    message = CreateOpt(
        opt_id=f"opt-{row_id}",
        opt_type=opt_type,
        opt_reason="economic",
        ven_id="ven-a",
        created_date_time=START,
        request_id="",
        market_context=context,
        vavailability=tuple(
            Availability(dtstart=hour(start), duration=Duration(seconds=int(length * 3600)))
            for start, length in windows
        ),
        target=target,
        device_class=EiTarget(end_device_assets=classes) if classes else None,
    )
    return StoredOpt(
        row_id=row_id,
        ven_id="ven-a",
        kind=OptKind.SCHEDULE,
        message=message,
        received_at=START,
        superseded_for=superseded_for,
    )


def types(rows: Sequence[StoredOpt], *, rules: OptRules | None = None, context: str | None = None) -> list[object]:
    return [(each.since, each.opt_type, each.until) for each in timeline(rows, R1, context, rules, START, hour(100))]


def test_a_window_includes_its_start_and_excludes_its_end() -> None:
    rows = [stored(1, (1, 2))]
    assert types(rows) == [(START, None, hour(1)), (hour(1), OUT, hour(3)), (hour(3), None, None)]
    assert at(rows, R1, None, None, hour(1)).opt_type is OUT
    assert at(rows, R1, None, None, hour(3)).opt_type is None


def test_rule_210_a_window_of_duration_0_has_no_end() -> None:
    assert types([stored(1, (1, 0))]) == [(START, None, hour(1)), (hour(1), OUT, None)]
    assert ends_at((Availability(dtstart=START, duration=ZERO),)) is None
    assert ends_at(stored(1, (1, 2), (0, 1)).message.vavailability or ()) == hour(3)


def test_rule_201_where_types_overlap_the_programme_says_which_wins() -> None:
    rows = [stored(1, (1, 2)), stored(2, (2, 2), opt_type=IN)]
    outs = [(hour(1), OUT, hour(3)), (hour(3), IN, hour(4))]
    assert types(rows)[1:3] == outs
    assert types(rows, rules=OptRules(precedence=OUT))[1:3] == outs
    ins = [(hour(1), OUT, hour(2)), (hour(2), IN, hour(4))]
    assert types(rows, rules=OptRules(precedence=IN))[1:3] == ins


def test_rule_201_where_no_schedule_speaks_the_default_state_holds() -> None:
    verdict = at([], R1, "http://m.example/", OptRules(default_state=OUT), START)
    assert verdict == Verdict(since=START, until=None, opt_type=OUT, source=Source.DEFAULT)
    assert at([], R1, None, None, START) == Verdict(since=START, until=None)
    assert opted_out([], R1, None, OptRules(default_state=OUT), START, None) is None, "nobody has opted out"


def test_rule_201_schedules_of_a_type_that_a_programme_does_not_know_say_nothing_there() -> None:
    rows = [stored(1, (0, 1))]
    assert at(rows, R1, None, OptRules(schedule_types=(IN,)), START).source is Source.DEFAULT


def test_rule_205_512_a_schedule_of_a_programme_holds_there_only_however_its_uri_is_written() -> None:
    rows = [stored(1, (0, 1), context="http://m.example/%7Ea")]
    assert at(rows, R1, "HTTP://M.example:80/~a", None, START).opt_type is OUT
    assert at(rows, R1, "http://m.example/b", None, START).opt_type is None
    assert at(rows, R1, None, None, START).opt_type is None, "it does not hold in all programmes"
    assert at([stored(1, (0, 1))], R1, "http://m.example/b", None, START).opt_type is OUT


@pytest.mark.parametrize(
    ("row", "covered"),
    [
        (stored(1, (0, 1)), True),
        (stored(1, (0, 1), target=EiTarget()), True),
        (stored(1, (0, 1), target=EiTarget(resource_ids=("r1", "r2"))), True),
        (stored(1, (0, 1), target=EiTarget(resource_ids=("r2",))), False),
        (stored(1, (0, 1), target=EiTarget(resource_ids=("r2",), group_ids=("g1",))), True),
        (stored(1, (0, 1), superseded_for=("r1",)), False),
        (stored(1, (0, 1), classes=("EVSE",)), True),
        (stored(1, (0, 1), classes=("Pool_Pump",)), False),
        (stored(1, (0, 1), classes=("EVSE",), target=EiTarget(resource_ids=("r2",))), False),
    ],
)
def test_rule_202_209_who_is_meant(row: StoredOpt, covered: bool) -> None:
    assert (at([row], R1, None, None, START).opt_type is OUT) is covered


def test_of_a_resource_without_known_classes_a_schedule_for_some_is_taken_as_meant() -> None:
    row = stored(1, (0, 1), classes=("Pool_Pump",))
    assert at([row], Subject(resource_id="r9"), None, None, START).opt_type is OUT


def test_a_ven_as_a_whole_is_not_meant_by_schedules_of_resources() -> None:
    whole = Subject()
    assert at([stored(1, (0, 1), target=EiTarget(resource_ids=("r1",)))], whole, None, None, START).opt_type is None
    assert at([stored(1, (0, 1))], whole, None, None, START).opt_type is OUT


def test_the_first_time_out_within_an_event_is_told_with_its_end() -> None:
    rows = [stored(1, (0, 1), (3, 2)), stored(2, (10, 0))]
    found = opted_out(rows, R1, None, None, hour(2), hour(8))
    assert found is not None
    assert (found.since, found.until, found.opt_id, found.reason) == (hour(3), hour(5), "opt-1", "economic")
    assert opted_out(rows, R1, None, None, hour(5), hour(10)) is None
    found = opted_out(rows, R1, None, None, hour(5), None)
    assert found is not None
    assert (found.since, found.until) == (hour(10), None)


def test_many_overlapping_schedules_do_not_take_long() -> None:
    rows = [
        stored(number, *((step + number / 1000, 500) for step in range(100)), classes=(f"x-{number}",))
        for number in range(200)
    ]
    subject = Subject(resource_id="r1")
    assert len(timeline(rows, subject, None, None, START)) > 1


WINDOWS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6)), min_size=1, max_size=3)
ROWS = st.lists(st.tuples(WINDOWS, st.sampled_from(OptType)), max_size=6)


def said_plainly(
    rows: Sequence[StoredOpt], precedence: OptType, default: OptType | None, instant: datetime
) -> tuple[OptType | None, str | None]:
    """The rule written down for one instant."""
    speaking: list[StoredOpt] = []
    for row in rows:
        for window in row.message.vavailability or ():
            end = None if window.duration.is_zero else window.dtstart + timedelta(seconds=window.duration.seconds)
            if window.dtstart <= instant and (end is None or instant < end):
                speaking.append(row)
    winners = [row for row in speaking if row.message.opt_type is precedence] or speaking
    if not winners:
        return default, None
    winner = max(winners, key=lambda row: row.row_id)
    return winner.message.opt_type, winner.message.opt_id


@given(given_rows=ROWS, precedence=st.sampled_from(OptType), default=st.sampled_from(OptType), start=st.integers(0, 14))
def test_property_rule_201_the_timeline_says_at_every_instant_what_the_rule_says(
    given_rows: list[tuple[list[tuple[int, int]], OptType]], precedence: OptType, default: OptType, start: int
) -> None:
    rows = [stored(number, *windows, opt_type=kind) for number, (windows, kind) in enumerate(given_rows)]
    rules = OptRules(precedence=precedence, default_state=default)
    parts = timeline(rows, R1, None, rules, hour(start))
    assert parts[0].since == hour(start)
    assert parts[-1].until is None
    assert all(a.until == b.since for a, b in pairwise(parts)), "no gaps"
    for step in range(start * 2, 44):
        instant = hour(step / 2)
        (part,) = (each for each in parts if each.since <= instant and (each.until is None or instant < each.until))
        assert (part.opt_type, part.opt_id) == said_plainly(rows, precedence, default, instant)
