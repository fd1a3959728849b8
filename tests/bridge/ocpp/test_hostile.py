"""Chargers and networks at their worst: dead sockets, wrong clocks, floods, and one that speaks for another."""

import asyncio
import json
from datetime import timedelta

import pytest

from bridge.ocpp.settings import ChargerConfig
from bridge.target import CommandOutcome
from tests.bridge.ocpp.harness import START, bench, charging, metered, raw, running, settled, simulated

CHARGER = ChargerConfig(identity="CP-1")


async def test_out_01_a_half_open_socket_is_found_by_the_ping_and_the_charger_is_offline() -> None:
    async with bench(CHARGER, ping_s=0.5) as at, raw(at) as charger:
        await charger.boot()
        await at.fleet.heard("connected", "CP-1")
        charger.socket.transport.pause_reading()  # the other end is gone without a word: no pong, no close
        await at.fleet.heard("disconnected", "CP-1")
        assert (await at.central.set_limit("CP-1", at.schedule(10.0))).outcome is CommandOutcome.OFFLINE
        charger.socket.transport.abort()


@pytest.mark.parametrize("jump_s", [-7200.0, 7200.0])
async def test_a_charger_is_limited_and_released_over_a_jump_of_our_clock(jump_s: float) -> None:
    async with bench(CHARGER) as at, running(point := simulated(at)):
        await charging(at, point)
        assert (
            await at.central.set_limit("CP-1", at.schedule(10.0, length_s=20_000))
        ).outcome is CommandOutcome.ACCEPTED
        assert await metered(at, point) == pytest.approx(6900.0, abs=1.0)
        at.clock.set(at.clock.now() + timedelta(seconds=jump_s))
        assert (await at.central.set_limit("CP-1", at.schedule(12.0))).outcome is CommandOutcome.ACCEPTED
        sent = max(point.hardware.charger.profiles.values(), key=lambda each: each.number)
        assert sent.start is not None
        assert sent.start <= at.clock.now()
        assert (await at.central.clear_limit("CP-1", 7)).outcome is CommandOutcome.ACCEPTED
        assert point.hardware.charger.profiles == {}


@pytest.mark.parametrize("off_s", [-86_400, 86_400])
async def test_readings_of_a_charger_with_a_wrong_clock_are_taken(off_s: int) -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        stamp = (START + timedelta(seconds=off_s)).isoformat()
        sampled = [{"value": "7000", "measurand": "Power.Active.Import", "unit": "W"}]
        values = {"connectorId": 1, "meterValue": [{"timestamp": stamp, "sampledValue": sampled}]}
        assert (await charger.ask("m", "MeterValues", values))[0] == 3
        await at.fleet.heard("reading", "CP-1", 7000.0)


async def test_sec_a_flood_of_one_charger_costs_no_other_its_limit() -> None:
    chargers = (CHARGER, ChargerConfig(identity="CP-2"))
    async with bench(*chargers) as at, raw(at) as hostile, running(point := simulated(at, "CP-2")):
        await charging(at, point)
        flood = json.dumps([2, "x", "MeterValues", {"connectorId": 1, "meterValue": []}])
        for index in range(600):
            await hostile.socket.send(flood.replace('"x"', f'"{index}"'))
        assert (await at.central.set_limit("CP-2", at.schedule(10.0))).outcome is CommandOutcome.ACCEPTED
        assert await metered(at, point) == pytest.approx(6900.0, abs=1.0)
        hostile.socket.transport.abort()  # it reads nothing, so it would not see a close


async def test_sec_an_oversized_message_ends_the_hostile_connection_and_no_other() -> None:
    chargers = (CHARGER, ChargerConfig(identity="CP-2"))
    async with bench(*chargers, max_frame_bytes=4096) as at, raw(at) as hostile, raw(at, "CP-2") as other:
        await other.boot()
        await at.fleet.heard("connected", "CP-2")
        await hostile.socket.send("x" * 5000)
        await asyncio.wait_for(hostile.socket.wait_closed(), 30)
        assert (await other.ask("beat", "Heartbeat", {}))[0] == 3
        assert at.value("ocpp_connected", version="ocpp1.6") == 1


async def test_sec_a_charger_cannot_speak_for_another() -> None:
    """The identity is that of the connection: transactions and readings of one never count for another."""
    async with bench(CHARGER, ChargerConfig(identity="CP-2")) as at, raw(at) as hostile, raw(at, "CP-2") as other:
        await hostile.boot()
        await other.boot()
        start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-03-01T12:00:00Z"}
        number = (await other.ask("s", "StartTransaction", start))[2]["transactionId"]
        await at.fleet.heard("transaction", "CP-2", True)
        stop = {"transactionId": number, "meterStop": 5, "timestamp": "2026-03-01T12:01:00Z"}
        assert (await hostile.ask("e", "StopTransaction", stop))[0] == 3
        await settled(lambda: ("connected", "CP-1") in at.fleet.log)
        status = at.central.status("CP-2")
        assert status is not None
        assert status.transaction
