"""Accepted, applied, verified: the judgement by evidence, one row of the table a test."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.target import CommandOutcome, MeterReading
from bridge.verify import (
    Observation,
    OutcomeState,
    Tally,
    Verdict,
    VerifyPolicy,
    allowed_a,
    conclude,
    judge,
    measured_a,
    power_w,
)
from tests.bridge.parts import at

POLICY = VerifyPolicy(settle_s=30, retries=1, offline_after_s=60)
BASE = Observation(
    limit_a=16.0,
    effective_a=16.0,
    limited_by=None,
    phases=3,
    voltage=230.0,
    since=at(0),
    accepted_at=at(-10),
    trouble=None,
    trouble_detail="",
    offline_since=None,
    connected_since=at(-1000),
    transaction=True,
    reading=None,
    before_w=22_080.0,
    override=None,
    retries=0,
)


def reading(second: float, *amperes: float, watts: float | None = None) -> MeterReading:
    return MeterReading(charger="CP1", at=at(second), current_a=amperes or None, power_w=watts)


def verdict(
    second: float,
    *,
    previous: OutcomeState = OutcomeState.RECEIVED,
    policy: VerifyPolicy = POLICY,
    **changes: object,
) -> Verdict:
    return judge(replace(BASE, **changes), previous, "as before", policy, at(second))  # type: ignore[arg-type]


def test_accepted_waits_for_the_start() -> None:
    assert verdict(-5).state is OutcomeState.ACCEPTED
    assert verdict(-5, since=None).state is OutcomeState.ACCEPTED


def test_not_yet_accepted_is_received() -> None:
    assert verdict(5, accepted_at=None).state is OutcomeState.RECEIVED
    assert verdict(-5, accepted_at=None, limit_a=None).state is OutcomeState.RECEIVED


def test_applied_until_a_reading_after_settling() -> None:
    assert verdict(10).state is OutcomeState.APPLIED
    assert verdict(40, reading=reading(29.9, 16.0)).state is OutcomeState.APPLIED
    assert verdict(40, reading=reading(30, 16.0, 16.0, 16.0)).state is OutcomeState.VERIFIED


def test_settling_counts_from_the_latest_of_start_acceptance_and_connection() -> None:
    late = reading(45, 16.0)
    assert verdict(50, reading=late, accepted_at=at(20)).state is OutcomeState.APPLIED
    assert verdict(50, reading=late, connected_since=at(20)).state is OutcomeState.APPLIED
    assert verdict(51, reading=reading(51, 16.0), accepted_at=at(20)).state is OutcomeState.VERIFIED


def test_a_judgement_stands_until_the_next_reading() -> None:
    assert verdict(40, previous=OutcomeState.VERIFIED) == Verdict(state=OutcomeState.VERIFIED, reason="as before")


def test_a_reading_at_the_tolerance_is_met_and_above_it_is_not() -> None:
    edge = allowed_a(16.0, 3, 230.0, POLICY)
    assert edge == pytest.approx(16.8)
    assert verdict(40, reading=reading(40, edge)).met
    over = verdict(40, reading=reading(40, edge + 0.1))
    assert (over.state, over.checked, over.met, over.retry) == (OutcomeState.APPLIED, True, False, True)


def test_accepted_and_ignored_fails_after_the_retries() -> None:
    found = verdict(40, reading=reading(40, 32.0), retries=1)
    assert (found.state, found.retry) == (OutcomeState.FAILED, False)
    assert found.reason == ("accepted and ignored: meter reads 32.0 A per phase against a limit of 16 A after 1 retry")


def test_a_paused_charger_may_draw_its_own_electronics() -> None:
    assert verdict(40, limit_a=0.0, effective_a=0.0, reading=reading(40, watts=180.0)).state is OutcomeState.VERIFIED
    assert not verdict(40, limit_a=0.0, effective_a=0.0, reading=reading(40, watts=900.0)).met


def test_a_one_phase_car_is_judged_by_its_phase_current_not_by_total_power() -> None:
    one_phase = reading(40, 32.0, 0.0, 0.0, watts=7360.0)
    assert not verdict(40, reading=one_phase).met
    assert measured_a(one_phase, 3, 230.0) == 32.0
    assert measured_a(reading(40, watts=6900.0), 3, 230.0) == pytest.approx(10.0)
    assert measured_a(reading(40), 3, 230.0) is None
    assert power_w(reading(40, 10.0, 10.0), 230.0) == 4600.0
    assert power_w(reading(40), 230.0) is None


def test_a_reading_without_values_proves_nothing() -> None:
    assert verdict(40, reading=reading(40)).state is OutcomeState.APPLIED


def test_constrained_by_somebody_else_is_said_so() -> None:
    found = verdict(40, limited_by="site (10 A)", reading=reading(40, 10.0))
    assert (found.state, found.met) == (OutcomeState.CONSTRAINED_BY, True)
    assert found.reason.endswith("limited by site (10 A)")


def test_idle_promises_nothing() -> None:
    assert verdict(40, transaction=False).state is OutcomeState.IDLE
    assert verdict(40, transaction=False, reading=reading(40, watts=3.0)).state is OutcomeState.IDLE
    assert verdict(40, transaction=False, reading=reading(40, watts=3.0)).reason == "no charging session"
    assert verdict(40, before_w=20.0, reading=reading(40, watts=3.0)).state is OutcomeState.IDLE
    assert verdict(40, before_w=None, reading=reading(40, watts=3.0)).state is OutcomeState.IDLE


def test_a_car_paused_by_us_is_not_idle() -> None:
    paused = reading(40, watts=3.0)
    assert verdict(40, limit_a=0.0, effective_a=0.0, reading=paused).state is OutcomeState.VERIFIED
    assert verdict(40, limit_a=0.0, effective_a=0.0, before_w=None, reading=paused).state is OutcomeState.VERIFIED


def test_a_meter_that_shows_load_without_a_known_session_is_judged() -> None:
    assert verdict(40, transaction=False, reading=reading(40, 32.0)).retry


def test_out_09_offline_is_unresponsive_after_the_grace_whatever_was_accepted() -> None:
    assert verdict(59, offline_since=at(-500)).state is OutcomeState.APPLIED
    found = verdict(60, offline_since=at(-500))
    assert found.state is OutcomeState.UNRESPONSIVE
    assert "its effect is not seen" in found.reason
    assert verdict(110, offline_since=at(50), previous=OutcomeState.VERIFIED).state is OutcomeState.UNRESPONSIVE
    assert "nothing was sent" in verdict(60, offline_since=at(-500), accepted_at=None).reason


@pytest.mark.parametrize("state", [OutcomeState.VERIFIED, OutcomeState.IDLE, OutcomeState.APPLIED])
def test_out_09_after_a_restart_a_charger_that_is_not_back_yet_is_not_taken_for_idle(state: OutcomeState) -> None:
    """The bridge knows of no session then; that says nothing about the charger."""
    away = verdict(45, offline_since=at(40), connected_since=None, transaction=False, previous=state)
    assert away.state is state
    here = verdict(80, transaction=False, previous=state)
    assert here.state is OutcomeState.IDLE


def test_offline_before_the_start_is_only_not_connected() -> None:
    assert verdict(-5, offline_since=at(-500), accepted_at=None).reason == "the charger is not connected"
    assert verdict(900, offline_since=at(-500), accepted_at=None, since=None).state is OutcomeState.RECEIVED


@pytest.mark.parametrize(
    ("trouble", "state", "words"),
    [
        (CommandOutcome.REJECTED, OutcomeState.FAILED, "refused by the charger: no"),
        (CommandOutcome.NOT_SUPPORTED, OutcomeState.FAILED, "refused by the charger: no"),
        (CommandOutcome.TIMEOUT, OutcomeState.UNRESPONSIVE, "no usable answer (timeout): no"),
    ],
)
def test_ven_11_refusals_fail_and_lost_answers_are_unresponsive(
    trouble: CommandOutcome, state: OutcomeState, words: str
) -> None:
    found = verdict(5, trouble=trouble, trouble_detail="no", accepted_at=None)
    assert (found.state, found.reason) == (state, words)


def test_override_is_opted_out_first_of_all() -> None:
    found = verdict(40, override="doctor", offline_since=at(-500))
    assert (found.state, found.reason) == (OutcomeState.OPTED_OUT, "driver override: doctor")


def test_normal_operation_asks_nothing_and_keeps_an_earlier_judgement() -> None:
    assert verdict(5, limit_a=None, accepted_at=None).reason == "normal operation: no limit asked"
    assert verdict(5, limit_a=None, previous=OutcomeState.VERIFIED).state is OutcomeState.VERIFIED


def test_decision_0005_switched_off_verification_verifies_nothing() -> None:
    off = replace(POLICY, enabled=False)
    assert verdict(40, policy=off, reading=reading(40, 10.0)).state is OutcomeState.APPLIED
    assert verdict(40, policy=off, reading=reading(40, 32.0)).state is OutcomeState.APPLIED


def test_the_tally_counts_met_and_finally_failed_readings_only() -> None:
    met = Verdict(state=OutcomeState.VERIFIED, reason="", checked=True, met=True)
    retry = Verdict(state=OutcomeState.APPLIED, reason="", checked=True, retry=True)
    failed = Verdict(state=OutcomeState.FAILED, reason="", checked=True)
    waiting = Verdict(state=OutcomeState.APPLIED, reason="")
    tally = Tally()
    for each in (met, met, retry, failed, waiting):
        tally = tally.add(each)
    assert tally == Tally(met=2, failed=1)


@pytest.mark.parametrize(
    ("state", "tally", "final", "words"),
    [
        (OutcomeState.VERIFIED, Tally(met=3), OutcomeState.VERIFIED, "why"),
        (OutcomeState.VERIFIED, Tally(met=3, failed=1), OutcomeState.PARTIAL, "met in 3 of 4 readings; last: why"),
        (OutcomeState.FAILED, Tally(failed=2), OutcomeState.FAILED, "why"),
        (OutcomeState.APPLIED, Tally(failed=2), OutcomeState.FAILED, "why"),
        (OutcomeState.IDLE, Tally(met=2), OutcomeState.VERIFIED, "met in 2 readings while there was a load; then: why"),
        (OutcomeState.IDLE, Tally(), OutcomeState.IDLE, "why"),
        (
            OutcomeState.IDLE,
            Tally(met=0, failed=3),
            OutcomeState.FAILED,
            "not met in 3 readings while there was a load; then: why",
        ),
        (OutcomeState.OPTED_OUT, Tally(met=2, failed=1), OutcomeState.OPTED_OUT, "why"),
        (OutcomeState.UNRESPONSIVE, Tally(met=2), OutcomeState.UNRESPONSIVE, "why; met in 2 readings before"),
        (OutcomeState.UNRESPONSIVE, Tally(), OutcomeState.UNRESPONSIVE, "why"),
        (OutcomeState.APPLIED, Tally(), OutcomeState.APPLIED, "why; no proof by meter until the end"),
        (OutcomeState.ACCEPTED, Tally(), OutcomeState.ACCEPTED, "why; no proof by meter until the end"),
        (OutcomeState.RECEIVED, Tally(met=2), OutcomeState.PARTIAL, "met in 2 readings; then: why"),
        (OutcomeState.RECEIVED, Tally(), OutcomeState.RECEIVED, "why"),
    ],
)
def test_evt_17_the_final_outcome_is_what_the_meter_said(
    state: OutcomeState, tally: Tally, final: OutcomeState, words: str
) -> None:
    assert conclude(state, "why", tally) == (final, words)


@given(
    limit_a=st.floats(0, 80),
    drawn=st.floats(0, 100),
    second=st.floats(-100, 200),
    read_s=st.floats(-100, 200),
    accepted=st.booleans(),
    session=st.booleans(),
    previous=st.sampled_from(OutcomeState),
)
def test_property_newly_verified_only_with_a_fresh_reading_under_the_limit(
    limit_a: float, drawn: float, second: float, read_s: float, accepted: bool, session: bool, previous: OutcomeState
) -> None:
    found = verdict(
        second,
        previous=previous,
        limit_a=limit_a,
        effective_a=limit_a,
        accepted_at=at(-10) if accepted else None,
        transaction=session,
        reading=reading(read_s, drawn),
    )
    if found.state is OutcomeState.VERIFIED and previous is not OutcomeState.VERIFIED:
        assert accepted
        assert read_s >= POLICY.settle_s
        assert drawn <= allowed_a(limit_a, 3, 230.0, POLICY)


def test_a_phase_that_the_meter_leaves_out_cannot_hide_a_load() -> None:
    """Only L1 is reported and obeys; the total says that the others do not."""
    partly = reading(40, 16.0, watts=48.0 * 460.0)
    assert measured_a(partly, 3, 230.0) == pytest.approx(32.0)
    assert not verdict(40, reading=partly).met
    assert measured_a(reading(40, 16.0), 3, 230.0) == 16.0
    assert measured_a(reading(40, 16.0, watts=3680.0), 3, 230.0) == 16.0


def test_tel_12_a_meter_that_falls_silent_verifies_no_longer() -> None:
    old = reading(40, 16.0, 16.0, 16.0)
    assert verdict(900, previous=OutcomeState.VERIFIED, reading=old).state is OutcomeState.VERIFIED
    silent = verdict(941, previous=OutcomeState.VERIFIED, reading=old)
    assert (silent.state, silent.reason) == (OutcomeState.APPLIED, "no meter reading for 900 s")
    assert verdict(941, previous=OutcomeState.FAILED, reading=replace(old, current_a=(32.0,)), retries=1).state is (
        OutcomeState.FAILED
    )
    assert conclude(silent.state, silent.reason, Tally(met=3)) == (
        OutcomeState.APPLIED,
        "no meter reading for 900 s; met in 3 readings before",
    )


def test_tel_12_a_meter_without_phase_currents_is_not_misled_by_a_line_above_its_nominal_voltage() -> None:
    true_16_a_at_252_v = reading(40, watts=16.0 * 3 * 252.0)
    assert verdict(40, reading=true_16_a_at_252_v).state is OutcomeState.VERIFIED
    assert not verdict(40, reading=reading(40, watts=20.0 * 3 * 252.0)).met
    assert not verdict(40, reading=reading(40, 17.5, 17.5, 17.5, watts=12_000.0)).met  # measured currents need no band


def test_tel_12_compliance_by_total_power_alone_says_that_the_phases_are_not_known() -> None:
    one_phase_car = verdict(40, limit_a=10.0, effective_a=10.0, reading=reading(40, watts=16.0 * 230.0))
    assert one_phase_car.met
    assert "the meter does not say how it is spread over the phases" in one_phase_car.reason
    assert "spread" not in verdict(40, limit_a=10.0, reading=reading(40, watts=2000.0)).reason


def test_map_08_a_charger_that_is_told_watts_is_judged_by_its_watts() -> None:
    """4.2 kW are 6 A on each of three phases, or 18 A on the only one that a car uses."""
    one_phase = reading(40, 18.0, 0.0, 0.0, watts=4140.0)
    in_w = verdict(40, limit_a=6.0, effective_a=6.0, reading=one_phase, in_w=True)
    assert (in_w.state, in_w.reason) == (
        OutcomeState.VERIFIED,
        "meter reads 4.14 kW (18.0 A), limit 4.14 kW in all",
    )
    assert not verdict(
        40, limit_a=6.0, effective_a=6.0, reading=one_phase
    ).met  # told amperes, it would have ignored them
    by_currents = verdict(40, limit_a=6.0, effective_a=6.0, reading=reading(40, 18.0, 0.0, 0.0), in_w=True)
    assert by_currents.met
    over = verdict(40, limit_a=6.0, effective_a=6.0, reading=reading(40, 20.0, 0.0, 0.0, watts=4600.0), in_w=True)
    assert over.reason == "meter reads 4.60 kW (20.0 A) against a limit of 4.14 kW in all; asserting again"
    three = verdict(40, limit_a=6.0, effective_a=6.0, reading=reading(40, 6.0, 6.0, 6.0), in_w=True)
    assert three.state is OutcomeState.VERIFIED
