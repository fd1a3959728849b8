"""Whether a VEN is there, by its silence and the interval it was told."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.vtn.world import START, fingerprint
from vtn.services.presence import Presence, presence
from vtn.store.rows import Ven

VEN = Ven(
    ven_id="ven-a",
    fingerprint=fingerprint(1),
    enrolled_at=START,
    registration_id="reg-1",
    registered_at=START,
    last_seen=START,
    told_poll_s=60,
)


@pytest.mark.parametrize(
    ("silent_s", "expected"),
    [
        (0, Presence.ONLINE),
        (190, Presence.ONLINE),
        (191, Presence.LATE),
        (610, Presence.LATE),
        (611, Presence.OFFLINE),
    ],
)
def test_silence_is_measured_in_poll_intervals(silent_s: int, expected: Presence) -> None:
    assert presence(VEN, START + timedelta(seconds=silent_s), 10) is expected


def test_a_ven_that_was_never_told_an_interval_is_judged_by_the_vtn_s_own() -> None:
    assert presence(replace(VEN, told_poll_s=None), START + timedelta(seconds=100), 10) is Presence.LATE


def test_what_comes_before_silence() -> None:
    assert presence(replace(VEN, suspended_at=START), START, 10) is Presence.SUSPENDED
    assert presence(replace(VEN, registration_id=None), START, 10) is Presence.UNREGISTERED
    assert presence(replace(VEN, http_pull_model=False), START + timedelta(days=1), 10) is Presence.PUSH
    assert presence(replace(VEN, last_seen=None), START, 10) is Presence.ONLINE
    assert presence(replace(VEN, last_seen=None, registered_at=None), START, 10) is Presence.OFFLINE
