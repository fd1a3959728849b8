"""Which command a charger gets next."""

from dataclasses import replace

import pytest

from bridge.fleet import Charger
from bridge.steps import Kind, Need, next_step
from bridge.store import Installed
from bridge.store.records import InstallState
from bridge.target import LimitPeriod, LimitSchedule
from tests.bridge.parts import T0, at

WANTED = LimitSchedule(
    schedule_id=1,
    start=at(0),
    end=at(600),
    expires=at(660),
    periods=(LimitPeriod(start_s=0, limit_a=16.0),),
    source="event-1",
    reason="half",
)
HELD = Installed(
    charger="CP1",
    schedule=WANTED,
    state=InstallState.ACCEPTED,
    detail="",
    attempts=1,
    sent_at=at(0),
    accepted_at=at(0),
)
OVER = replace(HELD, schedule=replace(WANTED, start=at(-900), end=at(-300), expires=at(-240)))


def charger(*, connected: bool = True, since: float = -100, session_since: float | None = None) -> Charger:
    found = Charger("CP1", T0)
    found.connected, found.connected_since = connected, at(since) if connected else None
    found.session_since = None if session_since is None else at(session_since)
    return found


@pytest.mark.parametrize(
    ("need", "installed", "given", "expected"),
    [
        (Need(wanted=WANTED), None, charger(), (Kind.SET, "new limit", 1)),
        (Need(wanted=WANTED), None, charger(connected=False), None),
        (Need(wanted=WANTED), HELD, charger(), None),
        (Need(wanted=WANTED, again=True), HELD, charger(), (Kind.SET, "meter disagrees", 1)),
        (Need(wanted=replace(WANTED, end=at(900))), HELD, charger(), (Kind.SET, "changed limit", 1)),
        (Need(wanted=WANTED), HELD, charger(since=5), (Kind.SET, "charger connected or began a session", 1)),
        (Need(wanted=WANTED), HELD, charger(session_since=5), (Kind.SET, "charger connected or began a session", 1)),
        (Need(wanted=WANTED), replace(HELD, state=InstallState.SENT), charger(), (Kind.SET, "no answer", 2)),
        (
            Need(wanted=WANTED),
            replace(HELD, state=InstallState.SENT, attempts=4),
            charger(),
            (Kind.SET, "no answer", 5),
        ),
        (Need(wanted=WANTED, again=True), replace(HELD, state=InstallState.REFUSED), charger(), None),
        (Need(wanted=WANTED), replace(HELD, state=InstallState.UNANSWERED), charger(), (Kind.SET, "no answer", 2)),
        (Need(wanted=WANTED), replace(HELD, state=InstallState.CLEARING), charger(), (Kind.SET, "new limit", 1)),
        (Need(wanted=None), None, charger(), None),
        (Need(wanted=None), HELD, charger(), (Kind.CLEAR, "nothing to limit", 1)),
        (Need(wanted=None), HELD, charger(connected=False), None),
        (Need(wanted=None), replace(HELD, state=InstallState.CLEARING), charger(), (Kind.CLEAR, "nothing to limit", 2)),
        (
            Need(wanted=None),
            replace(HELD, state=InstallState.CLEARING, attempts=4),
            charger(),
            (Kind.CLEAR, "nothing to limit", 5),
        ),
        (Need(wanted=None), replace(OVER, state=InstallState.CLEARING, attempts=4), charger(), None),
        (Need(wanted=None), replace(OVER, state=InstallState.CLEARING), charger(), (Kind.CLEAR, "nothing to limit", 2)),
        (
            Need(wanted=None),
            replace(HELD, state=InstallState.CLEARING, attempts=4),
            charger(since=5),
            (Kind.CLEAR, "nothing to limit", 1),
        ),
    ],
)
def test_the_next_command_follows_from_need_and_state(
    need: Need, installed: Installed | None, given: Charger, expected: tuple[Kind, str, int] | None
) -> None:
    step = next_step(need, installed, given, 4, at(10))
    assert (None if step is None else (step.kind, step.cause, step.attempt)) == expected
