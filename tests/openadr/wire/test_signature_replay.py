"""Replay protection: the window in both directions, and what is to be remembered of a message let in (R514)."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr.errors import Replayed
from openadr.identity import fingerprint
from openadr.wire.replay import WINDOW, UsedNonce, admit, fresh
from openadr.wire.signature import verify
from tests.openadr.wire.signed import NONCE, NOW, party, signed

SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)


def test_rule_514_the_time_of_sending_may_differ_by_the_window_in_both_directions() -> None:
    for sign in (1, -1):
        assert fresh(NOW + sign * WINDOW, NOW, WINDOW)
        assert not fresh(NOW + sign * (WINDOW + TICK), NOW, WINDOW)
    assert fresh(NOW, NOW, timedelta(0))


@pytest.mark.parametrize(
    ("late", "words"), [(61 * SECOND, "61 s behind the clock"), (-61 * SECOND, "61 s ahead of the clock")]
)
def test_rule_514_outside_the_window_a_right_signature_is_of_no_use(late: timedelta, words: str) -> None:
    verified = verify(signed(), trusted=party("ec").der)
    with pytest.raises(Replayed, match=words) as caught:
        admit(verified, NOW + late)
    assert "limit is 60 s" in caught.value.description
    assert caught.value.http_status == 403
    assert admit(verified, NOW + late, timedelta(seconds=90)).nonce == NONCE.hex()


def test_rule_514_a_nonce_belongs_to_the_certificate_that_signed() -> None:
    ec = admit(verify(signed("ec"), trusted=party("ec").der), NOW)
    rsa = admit(verify(signed("rsa"), trusted=party("rsa").der), NOW)
    assert ec == UsedNonce(fingerprint=fingerprint(party("ec").der), nonce=NONCE.hex(), forget_after=NOW + 2 * WINDOW)
    assert (rsa.nonce, rsa.forget_after) == (ec.nonce, ec.forget_after)
    assert rsa.fingerprint != ec.fingerprint


@given(
    arrives=st.timedeltas(min_value=-WINDOW, max_value=WINDOW),
    again=st.timedeltas(min_value=timedelta(0), max_value=10 * WINDOW),
    step_back=st.timedeltas(min_value=timedelta(0), max_value=WINDOW),
)
def test_rule_514_a_nonce_may_be_forgotten_only_when_its_message_is_stale_for_good(
    arrives: timedelta, again: timedelta, step_back: timedelta
) -> None:
    verified = verify(signed(), trusted=party("ec").der)
    used = admit(verified, NOW + arrives)
    later = NOW + arrives + again
    if later > used.forget_after:  # a clock that steps back by a window afterwards does not open a gap either
        assert not fresh(verified.timestamp, later - step_back, WINDOW)
    assert used.forget_after - (NOW + arrives) <= 3 * WINDOW
