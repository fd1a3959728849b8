"""bridge.ocpp.central: commands and their outcomes, connections that come, go and double, sessions inside an event."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bridge.ocpp.settings import ChargerConfig
from bridge.target import CommandOutcome, LimitPeriod, LimitTarget
from tests.bridge.ocpp.harness import Bench, Raw, bench, charging, metered, raw, running, settled, simulated

CHARGER = ChargerConfig(identity="CP-1")
VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])
START_TX = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-03-01T12:00:00Z"}


async def answer_profiles(charger: Raw, *answers: Any) -> list[dict[str, Any]]:
    """Answer the next SetChargingProfile calls with ``answers`` (a status or a !CALLERROR); return what they held."""
    seen = []
    for answer in answers:
        frame = await charger.asked("SetChargingProfile")
        seen.append(frame[3])
        if answer in {"Accepted", "Rejected", "NotSupported"}:
            await charger.send(3, frame[1], {"status": answer})
        else:
            await charger.send(4, frame[1], answer.removeprefix("!"), "", {})
    return seen


def renewed(at: Bench) -> float:
    return at.value("ocpp_commands_total", command="renew", outcome="accepted")


async def begin(charger: Raw, at: Bench, **changes: Any) -> int:
    frame = await charger.ask("start", "StartTransaction", START_TX | changes)
    await at.fleet.heard("transaction", "CP-1", True)
    number: int = frame[2]["transactionId"]
    return number


async def test_the_central_system_is_a_limit_target() -> None:
    async with bench(CHARGER) as at:
        target: LimitTarget = at.central
        assert target.chargers() == ()
        assert target.status("CP-1") is None
        assert target.status("nobody") is None


@pytest.mark.parametrize(("identity", "detail"), [("CP-1", "not connected"), ("nobody", "unknown charger")])
async def test_a_charger_that_is_not_there_is_offline(identity: str, detail: str) -> None:
    async with bench(CHARGER) as at:
        for result in (
            await at.central.set_limit(identity, at.schedule(10.0)),
            await at.central.clear_limit(identity, 7),
        ):
            assert result.outcome is CommandOutcome.OFFLINE
            assert result.detail == detail
            assert result.at == at.clock.now()


async def test_no_limit_is_sent_before_the_boot() -> None:
    async with bench(CHARGER) as at, raw(at):
        await settled(lambda: at.central.status("CP-1") is not None)
        result = await at.central.set_limit("CP-1", at.schedule(10.0))
        assert result.outcome is CommandOutcome.OFFLINE
        assert result.detail == "connected, not yet booted"


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        (("Accepted",), CommandOutcome.ACCEPTED),
        (("Rejected", "Rejected"), CommandOutcome.REJECTED),
        (("Rejected", "Accepted"), CommandOutcome.ACCEPTED),
        (("NotSupported", "NotSupported"), CommandOutcome.NOT_SUPPORTED),
        (("!NotImplemented", "!NotImplemented"), CommandOutcome.NOT_SUPPORTED),
        (("!NotSupported", "!NotSupported"), CommandOutcome.NOT_SUPPORTED),
        (("!PropertyConstraintViolation", "Accepted"), CommandOutcome.ACCEPTED),
        (("!PropertyConstraintViolation", "Rejected"), CommandOutcome.REJECTED),
        (("!InternalError",), CommandOutcome.ERROR),
    ],
)
async def test_ocp_04_without_a_session_the_default_profile_goes_and_after_a_no_the_station_maximum(
    answers: tuple[str, ...], outcome: CommandOutcome
) -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        await at.fleet.heard("connected", "CP-1")
        command = asyncio.create_task(at.central.set_limit("CP-1", at.schedule(10.0)))
        sent = await answer_profiles(charger, *answers)
        purposes = [each["csChargingProfiles"]["chargingProfilePurpose"] for each in sent]
        assert purposes == ["TxDefaultProfile", "ChargePointMaxProfile"][: len(answers)]
        assert {each["connectorId"] for each in sent} == {0}
        assert {each["csChargingProfiles"]["stackLevel"] for each in sent} == {1}
        assert (await command).outcome is outcome
        assert at.value("ocpp_commands_total", command="set", outcome=outcome.value) == 1


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        (("Accepted", "Accepted"), CommandOutcome.ACCEPTED),
        (("Accepted", "Rejected"), CommandOutcome.ACCEPTED),
        (("Rejected", "Accepted"), CommandOutcome.ACCEPTED),
        (("Rejected", "NotSupported", "Rejected"), CommandOutcome.REJECTED),
        (("Rejected", "NotSupported", "Accepted"), CommandOutcome.ACCEPTED),
        (("!GenericError", "Rejected", "Rejected"), CommandOutcome.ERROR),
    ],
)
async def test_ocp_04_a_running_session_gets_its_own_profile_first_and_then_the_default(
    answers: tuple[str, ...], outcome: CommandOutcome
) -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        number = await begin(charger, at)
        command = asyncio.create_task(at.central.set_limit("CP-1", at.schedule(10.0)))
        session, default, *_ = await answer_profiles(charger, *answers)
        assert session["csChargingProfiles"]["chargingProfilePurpose"] == "TxProfile"
        assert session["csChargingProfiles"]["transactionId"] == number
        assert default["csChargingProfiles"]["chargingProfilePurpose"] == "TxDefaultProfile"
        result = await command
        assert result.outcome is outcome
        assert "TxProfile" in result.detail
        assert "TxDefaultProfile" in result.detail


async def test_ocp_09_no_answer_is_a_timeout_and_no_more_is_sent() -> None:
    async with bench(CHARGER, call_timeout_s=0.05) as at, raw(at) as charger:
        await charger.boot()
        await at.fleet.heard("connected", "CP-1")
        result = await at.central.set_limit("CP-1", at.schedule(10.0))
        assert result.outcome is CommandOutcome.TIMEOUT


async def test_a_link_lost_after_a_profile_was_sent_is_no_answer_for_the_charger_may_hold_it() -> None:
    async with bench(CHARGER) as at:
        async with raw(at) as charger:
            await charger.boot()
            await at.fleet.heard("connected", "CP-1")
            command = asyncio.create_task(at.central.set_limit("CP-1", at.schedule(10.0)))
            await charger.asked("SetChargingProfile")
        assert (await command).outcome is CommandOutcome.TIMEOUT
        await at.fleet.heard("disconnected", "CP-1")
        status = at.central.status("CP-1")
        assert status is not None
        assert not status.connected
        assert status.connected_since is None


async def test_a_schedule_that_is_over_or_impossible_is_an_error_and_nothing_is_sent() -> None:
    async with bench(CHARGER) as at, running(simulated(at)):
        await at.fleet.heard("connected", "CP-1")
        for wrong in (
            at.schedule(None),
            at.schedule(10.0, start_s=-7200),
            at.schedule(float("nan")),
            at.schedule(10.0, number=2**40),
        ):
            result = await at.central.set_limit("CP-1", wrong)
            assert result.outcome in {CommandOutcome.ERROR, CommandOutcome.NOT_SUPPORTED}, result
        assert (await at.central.clear_limit("CP-1", 2**40)).outcome is CommandOutcome.ERROR


@VERSIONS
async def test_ocp_05_more_periods_than_the_charger_takes_are_sent_in_parts_in_time(version: str) -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version=version)):
        await charging(at, point)
        periods = tuple(LimitPeriod(start_s=60 * i, limit_a=8.0 + i % 5) for i in range(55))
        result = await at.central.set_limit("CP-1", replace(at.schedule(10.0), periods=periods))
        assert result.outcome is CommandOutcome.ACCEPTED
        assert {len(p.periods) for p in point.hardware.charger.profiles.values()} == {24}
        for minute in range(55):
            limit = point.hardware.charger.limit_a(at.clock.now())
            assert limit == pytest.approx(8.0 + minute % 5, abs=0.01), minute
            at.clock.advance(60)
            if minute in {21, 43}:  # the last period of each part that is as planned has begun
                expected = 1 + minute // 40
                await settled(lambda expected=expected: renewed(at) == expected)  # type: ignore[misc]
        assert renewed(at) == 2


async def test_a_part_that_is_not_taken_is_sent_again_a_minute_later() -> None:
    charger = ChargerConfig(identity="CP-1", max_periods=2)
    async with bench(charger) as at, raw(at) as other:
        await other.boot()
        await at.fleet.heard("connected", "CP-1")
        periods = tuple(LimitPeriod(start_s=600 * i, limit_a=8.0 + i) for i in range(3))
        command = asyncio.create_task(at.central.set_limit("CP-1", replace(at.schedule(8.0), periods=periods)))
        (first,) = await answer_profiles(other, "Accepted")
        assert first["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"] == [
            {"startPeriod": 0, "limit": 8.0},
            {"startPeriod": 660, "limit": 9.0},
        ]
        await command
        await settled(lambda: at.clock.sleepers == 2)
        at.clock.advance(600)
        await answer_profiles(other, "Rejected", "Rejected")
        await settled(lambda: at.value("ocpp_commands_total", command="renew", outcome="rejected") == 1)
        await settled(lambda: at.clock.sleepers == 1)
        at.clock.advance(61)
        (second,) = await answer_profiles(other, "Accepted")
        assert second["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][-1]["limit"] == 10.0
        await settled(lambda: at.value("ocpp_commands_total", command="renew", outcome="accepted") == 1)


@VERSIONS
async def test_a_renewal_ends_with_the_limit(version: str) -> None:
    async with bench(CHARGER, max_periods=1) as at, running(point := simulated(at, version=version)):
        await charging(at, point)
        await settled(lambda: at.clock.sleepers == 2)  # the link's wait for a boot, and the next meter values
        before = at.clock.sleepers
        await at.central.set_limit("CP-1", at.schedule(8.0, length_s=30 * 86_400))
        await settled(lambda: at.clock.sleepers == before + 1)
        await at.central.clear_limit("CP-1", 7)
        await settled(lambda: at.clock.sleepers == before)


async def test_c_6_the_lasting_profile_is_put_off_while_the_sessions_own_rules() -> None:
    async with bench(CHARGER, default_writes_per_hour=2) as at, running(point := simulated(at)):
        await charging(at, point)
        for limit in (10.0, 11.0, 12.0):
            result = await at.central.set_limit("CP-1", at.schedule(limit))
            assert result.outcome is CommandOutcome.ACCEPTED
        profiles = point.hardware.charger.profiles
        assert {p.purpose: p.periods[0].limit for p in profiles.values()} == {
            "TxProfile": 12.0,
            "TxDefaultProfile": 11.0,
        }
        assert at.central._installed["CP-1"].due == at.clock.now() + timedelta(hours=1)
        assert await metered(at, point) == pytest.approx(12 * 690, rel=0.01)


@VERSIONS
async def test_out_05_a_session_that_begins_inside_the_event_is_limited_by_its_own_profile(version: str) -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version=version, plug_in_after_s=500.0)):
        await at.fleet.heard("connected", "CP-1")
        result = await at.central.set_limit("CP-1", at.schedule(8.0))
        assert result.outcome is CommandOutcome.ACCEPTED, result.detail
        await settled(lambda: at.clock.sleepers == 2)  # the link's wait for a boot, and the driver's for the plug
        at.clock.advance(501)
        await at.fleet.heard("transaction", "CP-1", True)
        await settled(lambda: any(p.purpose == "TxProfile" for p in point.hardware.charger.profiles.values()))
        assert await metered(at, point) == pytest.approx(8 * 690, rel=0.01)


@VERSIONS
async def test_out_02_the_limit_ends_by_itself_when_nobody_clears_it(version: str) -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version=version)):
        await charging(at, point)
        await at.central.set_limit("CP-1", at.schedule(10.0, length_s=600))
        assert await metered(at, point) == pytest.approx(10 * 690, rel=0.01)
        at.clock.advance(700)
        assert await metered(at, point) == pytest.approx(32 * 690, rel=0.01)


@VERSIONS
async def test_a_schedule_sent_ahead_bites_only_when_it_begins(version: str) -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version=version)):
        await charging(at, point)
        await at.central.set_limit("CP-1", at.schedule(10.0, start_s=1200))
        assert await metered(at, point) == pytest.approx(32 * 690, rel=0.01)
        at.clock.advance(1200)
        assert await metered(at, point) == pytest.approx(10 * 690, rel=0.01)


@VERSIONS
async def test_a_new_schedule_replaces_the_old_one(version: str) -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version=version)):
        await charging(at, point)
        await at.central.set_limit("CP-1", at.schedule(10.0, number=7))
        result = await at.central.set_limit("CP-1", at.schedule(7.0, number=8))
        assert result.outcome is CommandOutcome.ACCEPTED, result.detail
        assert {n // 4 for n in point.hardware.charger.profiles} == {8}
        assert await metered(at, point) == pytest.approx(7 * 690, rel=0.01)


async def test_k01_fr_06_profiles_left_from_before_a_restart_make_way() -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version="2.0.1")):
        await charging(at, point)
        await at.central.set_limit("CP-1", at.schedule(10.0, number=7))
        at.central._installed["CP-1"].ids.clear()  # as after a restart of the bridge
        result = await at.central.set_limit("CP-1", at.schedule(7.0, number=8))
        assert result.outcome is CommandOutcome.ACCEPTED, result.detail
        assert {n // 4 for n in point.hardware.charger.profiles} == {8}


@VERSIONS
async def test_clearing_what_is_not_there_is_accepted(version: str) -> None:
    async with bench(CHARGER) as at, running(simulated(at, version=version)):
        await at.fleet.heard("connected", "CP-1")
        assert (await at.central.clear_limit("CP-1", 99)).outcome is CommandOutcome.ACCEPTED


async def test_a_clear_that_fails_says_so() -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        await at.fleet.heard("connected", "CP-1")
        command = asyncio.create_task(at.central.clear_limit("CP-1", 7))
        await charger.decline("ClearChargingProfile")
        await charger.decline("ClearChargingProfile")
        assert (await command).outcome is CommandOutcome.NOT_SUPPORTED


async def test_a_schedule_cleared_while_the_charger_is_away_does_not_come_back_with_its_next_session() -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, plug_in_after_s=50.0)):
        await at.fleet.heard("connected", "CP-1")
        await at.central.set_limit("CP-1", at.schedule(8.0))
        await point.drop_link()
        await at.fleet.heard("disconnected", "CP-1")
        await at.central.clear_limit("CP-1", 7)
        assert at.central._installed["CP-1"].schedule is None


async def test_a_charger_of_watts_only_is_told_in_watts() -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, units=frozenset({"W"}))):
        await charging(at, point)
        result = await at.central.set_limit("CP-1", at.schedule(10.0))
        assert result.outcome is CommandOutcome.ACCEPTED, result.detail
        assert {p.unit for p in point.hardware.charger.profiles.values()} == {"W"}
        assert await metered(at, point) == pytest.approx(6900, rel=0.01)


async def test_the_newest_connection_wins_and_the_old_one_is_closed() -> None:
    async with bench(CHARGER) as at, raw(at) as old:
        await old.boot()
        await at.fleet.heard("connected", "CP-1")
        async with raw(at) as new:
            await old.socket.wait_closed()
            assert old.socket.close_code == 1008
            await at.fleet.heard("disconnected", "CP-1")
            await new.boot()
            await at.fleet.heard("connected", "CP-1", times=2)
            status = at.central.status("CP-1")
            assert status is not None
            assert status.connected
            assert at.value("ocpp_connected", version="ocpp1.6") == 1


async def test_a_charger_that_only_reconnects_is_ready_without_a_boot_and_is_asked_for_its_state() -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        assert (await charger.ask("h", "Heartbeat", {}))[0] == 3
        await charger.decline("GetConfiguration")
        await at.fleet.heard("connected", "CP-1")
        assert (await charger.asked("TriggerMessage"))[3]["requestedMessage"] == "StatusNotification"


async def test_a_silent_charger_is_asked_to_boot_and_taken_as_it_is_if_it_does_not() -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        await settled(lambda: at.clock.sleepers == 1)
        at.clock.advance(11)
        frame = await charger.asked("TriggerMessage")
        assert frame[3] == {"requestedMessage": "BootNotification"}
        await charger.send(3, frame[1], {"status": "Accepted"})
        await settled(lambda: at.clock.sleepers == 1)
        at.clock.advance(11)
        await charger.decline("GetConfiguration")
        await at.fleet.heard("connected", "CP-1")


async def test_out_04_a_session_from_before_our_restart_is_learnt_from_its_meter_values() -> None:
    value = {"timestamp": "2026-03-01T12:00:00Z", "sampledValue": [{"value": "5"}]}
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        await charger.ask("m", "MeterValues", {"connectorId": 1, "transactionId": 77, "meterValue": [value]})
        await at.fleet.heard("transaction", "CP-1", True)
        command = asyncio.create_task(at.central.set_limit("CP-1", at.schedule(10.0)))
        session, _ = await answer_profiles(charger, "Accepted", "Accepted")
        assert session["csChargingProfiles"]["transactionId"] == 77
        assert (await command).outcome is CommandOutcome.ACCEPTED


async def test_the_meter_interval_is_set_at_boot_and_power_is_asked_for() -> None:
    async with bench(CHARGER, meter_interval_s=10) as at, raw(at) as charger:
        await charger.boot()
        frame = await charger.asked("ChangeConfiguration")
        assert frame[3] == {"key": "MeterValueSampleInterval", "value": "10"}
        await charger.send(3, frame[1], {"status": "Accepted"})
        frame = await charger.asked("ChangeConfiguration")
        assert frame[3]["key"] == "MeterValuesSampledData"
        assert "Power.Active.Import" in frame[3]["value"]


async def test_the_status_tells_what_the_charger_said() -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version="2.0.1")):
        await charging(at, point)
        await metered(at, point)
        (status,) = at.central.chargers()
        assert (status.identity, status.protocol, status.connected, status.transaction) == (
            "CP-1",
            "ocpp2.0.1",
            True,
            True,
        )
        assert (status.vendor, status.model, status.firmware) == ("Simulated", "EV analogue", "1.0")
        assert status.status == "Charging"
        assert status.last_reading is not None
        assert status.last_reading.current_a == pytest.approx((32.0, 32.0, 32.0))


async def test_the_stop_of_the_bridge_closes_the_links_and_leaves_the_profiles() -> None:
    async with bench(CHARGER) as at, running(point := simulated(at)):
        await charging(at, point)
        await at.central.set_limit("CP-1", at.schedule(10.0))
        await at.central.stop()
        assert at.fleet.log[-1] == ("disconnected", "CP-1")
        assert point.hardware.charger.profiles
        assert at.central.port == 0


async def test_id_tags_are_masked_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        await charger.ask("a", "Authorize", {"idTag": "DEADBEEF42"})
        logged = capsys.readouterr().out
        assert "Authorize" in logged
        assert "DEADBEEF" not in logged


async def test_two_sessions_share_the_limit_of_one_charger() -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        await begin(charger, at)
        await charger.ask("second", "StartTransaction", START_TX | {"connectorId": 2})
        command = asyncio.create_task(at.central.set_limit("CP-1", at.schedule(16.0)))
        first, second, default = await answer_profiles(charger, "Accepted", "Accepted", "Accepted")
        limits = [
            sent["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
            for sent in (first, second, default)
        ]
        assert limits == [8.0, 8.0, 16.0]
        assert (await command).outcome is CommandOutcome.ACCEPTED


async def test_last_seen_follows_the_chargers_calls() -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        at.clock.advance(5)
        await charger.ask("h", "Heartbeat", {})
        status = at.central.status("CP-1")
        assert status is not None
        assert status.last_seen == at.clock.now()
        assert status.connected_since == at.clock.now() - timedelta(seconds=5)


async def test_a_session_profile_refused_too_early_is_sent_again() -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        await at.fleet.heard("connected", "CP-1")
        command = asyncio.create_task(at.central.set_limit("CP-1", at.schedule(8.0)))
        await answer_profiles(charger, "Accepted")
        assert (await command).outcome is CommandOutcome.ACCEPTED
        await begin(charger, at)
        await answer_profiles(charger, "Rejected")
        await settled(lambda: at.clock.sleepers == 2)
        at.clock.advance(3)
        (sent,) = await answer_profiles(charger, "Accepted")
        assert sent["csChargingProfiles"]["chargingProfilePurpose"] == "TxProfile"
        await settled(lambda: at.value("ocpp_commands_total", command="extend", outcome="accepted") == 1)


async def test_a_link_lost_between_two_profiles_is_no_answer_for_the_charger_holds_the_first() -> None:
    async with bench(CHARGER) as at:
        async with raw(at) as charger:
            await charger.boot()
            await begin(charger, at)
            command = asyncio.create_task(at.central.set_limit("CP-1", at.schedule(10.0)))
            await answer_profiles(charger, "Accepted")
        assert (await command).outcome is CommandOutcome.TIMEOUT


async def test_sec_only_the_settings_that_were_asked_for_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """Some chargers answer GetConfiguration with everything they have, their password included."""
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.ask("boot", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
        frame = await charger.asked("GetConfiguration")
        entries = [
            {"key": "AuthorizationKey", "readonly": False, "value": "s3cret-of-the-charger"},
            {"key": "ChargingScheduleMaxPeriods", "readonly": True, "value": "24"},
        ]
        await charger.send(3, frame[1], {"configurationKey": entries})
        await at.fleet.heard("connected", "CP-1")
    logged = capsys.readouterr().out
    assert "ChargingScheduleMaxPeriods" in logged
    assert "s3cret-of-the-charger" not in logged


async def test_connectors_that_no_charger_has_are_not_kept() -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        for number in (1, 2, 100_000, 100_001):
            payload = {"connectorId": number, "errorCode": "NoError", "status": "Charging"}
            assert (await charger.ask(f"s{number}", "StatusNotification", payload))[0] == 3
            await charger.ask(f"t{number}", "StartTransaction", START_TX | {"connectorId": number})
            sampled = [{"value": "7200", "measurand": "Power.Active.Import", "unit": "W"}]
            values = [{"timestamp": "2026-03-01T12:00:00Z", "sampledValue": sampled}]
            await charger.ask(f"m{number}", "MeterValues", {"connectorId": number, "meterValue": values})
        station = at.central._stations["CP-1"]
        assert set(station.connectors) == set(station.sessions) == set(station.samples) == {1, 2}


@VERSIONS
async def test_arb_17_a_charger_is_taken_out_of_service_its_session_stopped_and_it_comes_back(version: str) -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version=version)):
        await charging(at, point)
        out = await at.central.set_available("CP-1", False)
        assert (out.outcome, out.detail) == (CommandOutcome.ACCEPTED, "Scheduled")
        assert not point.hardware.charger.in_service
        stopped = await at.central.stop_session("CP-1")
        assert (stopped.outcome, stopped.detail) == (CommandOutcome.ACCEPTED, "Accepted")
        back = await at.central.set_available("CP-1", True)
        assert (back.outcome, point.hardware.charger.in_service) == (CommandOutcome.ACCEPTED, True)


async def test_arb_17_a_charger_that_is_not_there_is_offline_and_without_a_session_there_is_nothing_to_stop() -> None:
    async with bench(CHARGER) as at:
        assert (await at.central.set_available("CP-1", False)).outcome is CommandOutcome.OFFLINE
        assert (await at.central.stop_session("CP-1")).outcome is CommandOutcome.OFFLINE
        async with raw(at) as charger:
            await charger.boot()
            await at.fleet.heard("connected", "CP-1")
            result = await at.central.stop_session("CP-1")
            assert (result.outcome, result.detail) == (CommandOutcome.ACCEPTED, "no session")
            command = asyncio.create_task(at.central.set_available("CP-1", False))
            await charger.decline("ChangeAvailability")
            assert (await command).outcome is CommandOutcome.NOT_SUPPORTED


async def test_a_charger_that_boots_again_in_mid_event_is_told_of_as_connected_again() -> None:
    """So that what it held is asserted anew (field notes C.6)."""
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        await at.fleet.heard("connected", "CP-1")
        command = asyncio.create_task(at.central.set_limit("CP-1", at.schedule(10.0)))
        await answer_profiles(charger, "Accepted")
        assert (await command).outcome is CommandOutcome.ACCEPTED
        await charger.boot()
        await at.fleet.heard("connected", "CP-1", times=2)


async def test_a_part_that_is_never_taken_is_given_up_with_the_limit() -> None:
    charger = ChargerConfig(identity="CP-1", max_periods=1)
    async with bench(charger) as at, raw(at) as other:
        await other.boot()
        await at.fleet.heard("connected", "CP-1")
        periods = tuple(LimitPeriod(start_s=600 * i, limit_a=8.0 + i) for i in range(2))
        command = asyncio.create_task(
            at.central.set_limit("CP-1", replace(at.schedule(8.0, length_s=660), periods=periods))
        )
        await answer_profiles(other, "Accepted")
        await command
        for seconds in (600, 61):
            await settled(lambda: at.clock.sleepers >= 1)
            at.clock.advance(seconds)
            if seconds == 600:
                await answer_profiles(other, "Rejected", "Rejected")
            await settled(lambda: at.value("ocpp_commands_total", command="renew", outcome="rejected") == 1)
        await settled(lambda: at.central._installed["CP-1"].due is None)
        assert at.value("ocpp_commands_total", command="renew", outcome="error") == 1


async def test_a_schedule_that_is_refused_leaves_the_parts_of_the_one_before_to_come() -> None:
    charger = ChargerConfig(identity="CP-1", max_periods=2)
    async with bench(charger) as at, raw(at) as other:
        await other.boot()
        await at.fleet.heard("connected", "CP-1")
        periods = tuple(LimitPeriod(start_s=600 * i, limit_a=8.0 + i) for i in range(3))
        for limits, answers in ((periods, ("Accepted",)), (periods[:1], ("Rejected", "Rejected"))):
            command = asyncio.create_task(at.central.set_limit("CP-1", replace(at.schedule(8.0), periods=limits)))
            await answer_profiles(other, *answers)
            await command
        await settled(lambda: at.clock.sleepers >= 1)
        at.clock.advance(600)
        (sent,) = await answer_profiles(other, "Accepted")
        assert sent["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][-1]["limit"] == 10.0
