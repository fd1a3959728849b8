"""Registration of chargers: Accepted, Pending, Rejected; queues of chargers that were offline; messages asked for."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from bridge.ocpp import handlers16, handlers201
from bridge.ocpp.settings import ChargerConfig
from bridge.ocpp.station import DriverActed, Station
from bridge.target import CommandOutcome
from tests.bridge.ocpp.harness import START, bench, raw, running, settled, simulated

CHARGER = ChargerConfig(identity="CP-1")
BOOT: dict[str, dict[str, Any]] = {
    "ocpp1.6": {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": "1"},
    "ocpp2.0.1": {"chargingStation": {"vendorName": "V", "model": "M", "firmwareVersion": "1"}, "reason": "PowerUp"},
}
VERSIONS = pytest.mark.parametrize("version", list(BOOT))


@VERSIONS
async def test_ocp_08_a_held_charger_is_read_while_pending_and_then_accepted(version: str) -> None:
    async with bench(CHARGER, hold_pending=True) as at, raw(at, "CP-1", version) as charger:
        answer = (await charger.ask("b1", "BootNotification", BOOT[version]))[2]
        assert (answer["status"], answer["interval"]) == ("Pending", 10)
        await charger.decline("GetConfiguration" if version == "ocpp1.6" else "GetVariables")
        assert (await charger.ask("h", "Heartbeat", {}))[2] == "SecurityError"  # B02.FR.09
        assert ("connected", "CP-1") not in at.fleet.log
        frame = await charger.asked("TriggerMessage")
        assert frame[3] == {"requestedMessage": "BootNotification"}
        await charger.send(3, frame[1], {"status": "Accepted"})
        answer = (await charger.ask("b2", "BootNotification", BOOT[version]))[2]
        assert (answer["status"], answer["interval"]) == ("Accepted", 300)
        await at.fleet.heard("connected", "CP-1")
        assert (await charger.ask("b3", "BootNotification", BOOT[version]))[2]["status"] == "Accepted"


@VERSIONS
async def test_a_held_charger_with_new_firmware_is_read_again(version: str) -> None:
    station = Station(config=CHARGER, held=True, read_as=("V", "M", "1"))
    handlers = handlers16.HANDLERS if version == "ocpp1.6" else handlers201.HANDLERS
    assert handlers["BootNotification"](station, BOOT[version], START)[0]["status"] == "Accepted"
    station.read_as = ("V", "M", "0")
    assert handlers["BootNotification"](station, BOOT[version], START)[0]["status"] == "Pending"


@VERSIONS
async def test_a_rejected_charger_does_nothing_until_it_is_let_in(version: str) -> None:
    charger = ChargerConfig(identity="CP-1", registration="rejected")
    async with bench(charger) as at, raw(at, "CP-1", version) as other:
        assert (await other.ask("b1", "BootNotification", BOOT[version]))[2]["status"] == "Rejected"
        assert (await other.ask("h", "Heartbeat", {}))[2] == "SecurityError"  # B03.FR.07
        assert (await at.central.set_limit("CP-1", at.schedule(10.0))).outcome is CommandOutcome.OFFLINE
        letting_in = asyncio.create_task(at.central.set_registration("CP-1", "accepted"))
        frame = await other.asked("TriggerMessage")
        await other.send(3, frame[1], {"status": "Accepted"})
        assert await letting_in
        assert (await other.ask("b2", "BootNotification", BOOT[version]))[2]["status"] == "Accepted"
        await other.decline("GetConfiguration" if version == "ocpp1.6" else "GetVariables")
        await at.fleet.heard("connected", "CP-1")
        assert not await at.central.set_registration("nobody", "accepted")


async def test_a_pending_charger_that_does_not_boot_is_asked_to_and_never_ready() -> None:
    charger = ChargerConfig(identity="CP-1", registration="pending")
    async with bench(charger) as at, raw(at) as other:
        assert (await other.ask("h", "Heartbeat", {}))[2] == "SecurityError"
        await settled(lambda: at.clock.sleepers == 1)
        at.clock.advance(11)
        frame = await other.asked("TriggerMessage")
        await other.send(3, frame[1], {"status": "Accepted"})
        await settled(lambda: at.clock.sleepers == 1)
        at.clock.advance(11)
        answer = (await other.ask("b", "BootNotification", BOOT["ocpp1.6"]))[2]
        assert answer["status"] == "Pending"
        assert ("connected", "CP-1") not in at.fleet.log


async def test_ocp_11_a_queue_of_an_offline_charger_is_taken_in_and_its_stops_are_no_news() -> None:
    station = Station(config=CHARGER)
    ids = []
    for hour in (9, 10):
        start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": f"2026-03-01T{hour:02}:00:00Z"}
        for _ in range(2):  # the answer was lost: the same start again, also after another
            ids.append(handlers16.HANDLERS["StartTransaction"](station, start, START)[0]["transactionId"])
        stop = {
            "transactionId": ids[-1],
            "meterStop": 100,
            "timestamp": f"2026-03-01T{hour:02}:30:00Z",
            "reason": "Local",
        }
        _, effects = handlers16.HANDLERS["StopTransaction"](station, stop, START)
        assert not any(isinstance(effect, DriverActed) for effect in effects)
    first = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-03-01T09:00:00Z"}
    again, effects = handlers16.HANDLERS["StartTransaction"](station, first, START)
    assert (again["transactionId"], effects) == (ids[0], ())
    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert station.sessions == {}


@pytest.mark.parametrize(("minutes", "told"), [(1, True), (60, False)])
async def test_ocp_11_a_queued_end_of_a_2_0_1_session_is_no_news(minutes: int, told: bool) -> None:
    station = Station(config=CHARGER)
    at = START - timedelta(minutes=minutes)

    def event(kind: str, **more: Any) -> tuple[Any, ...]:
        payload = {
            "eventType": kind,
            "timestamp": at.isoformat(),
            "triggerReason": "EVCommunicationLost",
            "seqNo": 1,
            "offline": True,
            "transactionInfo": {"transactionId": "tx", **more},
        }
        return handlers201.HANDLERS["TransactionEvent"](station, payload, START)[1]

    event("Started")
    effects = event("Ended", stoppedReason="EVDisconnected")
    assert any(isinstance(effect, DriverActed) for effect in effects) is told


def test_only_so_many_starts_are_remembered() -> None:
    station = Station(config=CHARGER)
    first = station.start_16((0,), START)
    for number in range(1, 10):
        station.start_16((number,), START)
    assert station.start_16((0,), START) > first


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_ocp_12_a_message_is_asked_for(version: str) -> None:
    async with bench(CHARGER) as at:
        assert (await at.central.trigger("CP-1", "MeterValues")).outcome is CommandOutcome.OFFLINE
        async with running(simulated(at, version=version)):
            await at.fleet.heard("connected", "CP-1")
            result = await at.central.trigger("CP-1", "StatusNotification", 1)
            assert result.outcome is CommandOutcome.ACCEPTED
            wrong = await at.central.trigger("CP-1", "FirmwareStatusNotification")
            assert wrong.outcome in {CommandOutcome.NOT_SUPPORTED, CommandOutcome.REJECTED}
            assert (await at.central.trigger("CP-1", "Nonsense")).outcome is CommandOutcome.ERROR
