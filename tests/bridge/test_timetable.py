"""Limits by the calendar: from the settings and from programmes, over clock changes and restarts, never in step."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.modes import Mode
from bridge.program import Programmes
from bridge.settings import supervision
from bridge.timetable import TimetableRule, stretches
from runtime.settings import SettingsError
from tests.bridge.parts import QUICK, T0, SimCharger, World, at, event, programme, resource, simple
from tests.bridge.test_settings import GOOD, read

EVENING = TimetableRule(id="evening", begin=time(17), end=time(19), limit_a=10.0, spread_s=0, timezone="Europe/London")


def rule(**changes: object) -> TimetableRule:
    return TimetableRule.model_validate({**EVENING.model_dump(), **changes})


def times(of: TimetableRule, now: datetime, place: float = 0.0) -> list[tuple[str, str]]:
    found = stretches(of, resource(), place, now)
    return [(f"{each.start:%m-%d %H:%M}", f"{each.end:%m-%d %H:%M}") for each in found]


def test_arb_05_a_calendar_limit_follows_the_clock_of_its_zone() -> None:
    before_summer = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)  # clocks go forward on the 29th
    assert times(EVENING, before_summer) == [
        ("03-28 17:00", "03-28 19:00"),
        ("03-29 16:00", "03-29 18:00"),
        ("03-30 16:00", "03-30 18:00"),
    ]
    night = rule(begin=time(23), end=time(5), days=("sat",))
    assert times(night, before_summer) == [("03-28 23:00", "03-29 04:00")]
    assert times(night, datetime(2026, 3, 29, 2, 0, tzinfo=UTC)) == [("03-28 23:00", "03-29 04:00")], "it still runs"


def test_map_09_a_calendar_limit_in_kw_is_rounded_down_and_below_6_a_a_pause() -> None:
    def amperes(**changes: object) -> float:
        return next(iter(stretches(rule(**changes), resource(), 0.0, T0))).limit_a

    assert amperes(limit_a=None, limit_kw=11.0) == 15.9
    assert amperes(limit_a=12.0, limit_kw=11.0) == 12.0
    assert amperes(limit_a=5.0) == 0.0


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 1800))
def test_rnd_06_every_charger_begins_and_ends_at_a_place_of_its_own(place: float, spread_s: int) -> None:
    of = rule(spread_s=spread_s)
    for mine, exact in zip(stretches(of, resource(), place, T0), stretches(EVENING, resource(), 0.0, T0), strict=True):
        assert timedelta() <= mine.start - exact.start <= timedelta(seconds=spread_s)
        assert mine.end - mine.start == exact.end - exact.start


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"limit_a": None}, "limit_a or limit_kw"),
        ({"timezone": "Europe/Nowhere"}, "no time zone"),
        ({"begin": time(17, tzinfo=UTC)}, "without an offset"),
        ({"days": ()}, "days"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_its_key(changes: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        rule(**changes)


def test_a_rule_is_for_its_members() -> None:
    assert rule(members=("feeder-7",)).is_for(resource())
    assert rule(members=("evse-1",)).is_for(resource())
    assert not rule(members=("evse-2",)).is_for(resource())


async def test_rnd_06_an_unenrolled_fleet_s_calendar_does_not_step(bridge_db: AsyncEngine) -> None:
    names = [f"CP{number}" for number in range(20)]
    settings = replace(QUICK, calendar=(rule(begin=time(14, 1), end=time(14, 20), timezone="UTC", spread_s=300),))
    world = World(bridge_db, [SimCharger(name) for name in names], settings=settings)
    await world.start()

    def limited() -> int:
        return sum(world.park[name].draw_a(world.clock.now()) == 10.0 for name in names)

    seen = []
    for _ in range(40):
        await world.step(10, every=10)
        seen.append(limited())
    steps = [after - before for before, after in pairwise(seen)]
    assert (seen[0], seen[-1], max(steps)) == (0, 20, 1), "one after the other, never together"
    await world.restart()
    assert limited() == 20, "a calendar is in the settings and outlives a restart"
    await world.step(1100, every=20)
    assert limited() == 0


async def test_arb_05_a_calendar_limit_gives_way_to_a_boost_and_never_loosens_an_event(bridge_db: AsyncEngine) -> None:
    settings = replace(QUICK, calendar=(rule(begin=time(14), end=time(15), timezone="UTC"),))
    world = World(bridge_db, [SimCharger("CP1")], settings=settings)
    await world.start()
    effective = world.supervisor.effective("evse-1", world.clock.now())
    assert (effective.limit_a, effective.source, effective.category) == (10.0, "calendar", "CSO")
    await world.publish(event(simple((300, 2))))
    assert world.park["CP1"].draw_a(world.clock.now()) == 10.0
    await world.supervisor.choose("evse-1", Mode.BOOST)
    await world.round()
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0


CONSENT = """
[consent]
required = true
[frequency_guard]
enabled = true
[override]
two_step = ["reliability"]
[[sites]]
id = "depot"
max_a = 63
owner = "Depot Ltd"
"""
CALENDAR = """
[[calendar]]
id = "evening"
days = ["mon", "tue"]
begin = "16:00"
end = "19:00"
timezone = "Europe/London"
limit_a = 10
members = ["depot"]
"""


async def test_a_programme_s_calendar_is_for_who_has_agreed(bridge_db: AsyncEngine) -> None:
    own = programme(calendar=(rule(begin=time(14), end=time(15), timezone="UTC"),))
    world = World(bridge_db, [SimCharger("CP1")], programmes=Programmes.of([own]))
    await world.start()
    found = world.supervisor.effective("evse-1", world.clock.now())
    assert (found.limit_a, found.owner) == (10.0, "dso")
    await world.close()
    world.settings = replace(QUICK, consent_required=True)
    await world.restart()
    assert world.supervisor.effective("evse-1", world.clock.now()).limit_a is None
    assert world.park["CP1"].draw_a(at(1)) == 32.0


SETTINGS = (
    GOOD.replace("[verify]", CONSENT + "[verify]", 1).replace(
        'groups = ["feeder-7"]', 'site = "depot"\nrandom_window_s = 900', 1
    )
    + CALENDAR
)


def test_the_settings_say_calendar_consent_guard_and_owners(tmp_path: Path) -> None:
    settings = read(tmp_path, SETTINGS)
    found = supervision(settings)
    assert [each.id for each in found.calendar] == ["evening"]
    assert (found.consent_required, found.guard.enabled, found.groups[0].owner) == (True, True, "Depot Ltd")
    assert [each.value for each in found.budget.two_step] == ["reliability"]
    assert settings.loads[0].resource.random_window_s == 900
    for text, word in (
        (SETTINGS.replace('members = ["depot"]', 'members = ["nowhere"]'), "for nobody here"),
        (SETTINGS.replace("enabled = true", "enabled = true\nlow_hz = 51"), "low_hz"),
        (SETTINGS + CALENDAR, "twice"),
    ):
        with pytest.raises(SettingsError, match=word):
            read(tmp_path, text)
