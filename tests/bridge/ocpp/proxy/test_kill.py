"""kill -9 of the bridge in mid-session, its CSMS coming and going: every message reaches the CPO, none twice."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from examples.demo.csms import Csms
from examples.demo.prepare import free_ports
from runtime.clock import SystemClock

ROOT = Path(__file__).resolve().parents[4]
PATIENCE_S = 60.0
VALUES = 24


class Charger:
    """A charger as the standard wants it: it repeats what belongs to a transaction until it is answered."""

    def __init__(self, url: str) -> None:
        self._url, self._ids = url, count(1)
        self._socket: ClientConnection | None = None

    async def say(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(OSError, InvalidHandshake, ConnectionClosed, TimeoutError):
                    answer = await self._once(action, payload)
                    if answer is not None:
                        return answer
                await self.close()
                await asyncio.sleep(0.1)

    async def _once(self, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        if self._socket is None:
            protocols = [Subprotocol("ocpp1.6")]
            self._socket = await connect(f"{self._url}/CP-1", subprotocols=protocols, compression=None)
        unique_id = str(next(self._ids))
        await self._socket.send(json.dumps([2, unique_id, action, payload]))
        async with asyncio.timeout(10):
            while True:
                frame = json.loads(await self._socket.recv())
                if frame[0] == 2:
                    await self._socket.send(json.dumps([4, frame[1], "NotSupported", "", {}]))
                elif frame[1] == unique_id:
                    return dict(frame[2]) if frame[0] == 3 else None

    async def close(self) -> None:
        if self._socket is not None:
            with suppress(OSError, ConnectionClosed):
                await self._socket.close()
            self._socket = None


@asynccontextmanager
async def bridge(database: Path, csms: int, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the process; it is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bridge.ocpp.proxy.process",
        f"sqlite+aiosqlite:///{database}",
        f"ws://127.0.0.1:{csms}/cpo",
        str(port),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def value(number: int) -> dict[str, Any]:
    at = f"2026-03-01T12:{number:02}:00Z"
    return {"timestamp": at, "sampledValue": [{"value": str(number * 10)}]}


@pytest.mark.process
@pytest.mark.timeout(120)
async def test_ocp_02_kill_9_loses_and_doubles_no_transaction_and_no_meter_value(tmp_path: Path) -> None:
    csms_port, port = free_ports(2)
    csms = Csms(SystemClock())
    await csms.start(csms_port)
    charger = Charger(f"ws://127.0.0.1:{port}/ocpp")
    numbers = iter(range(VALUES))

    async def meter(times: int) -> None:
        for number in [next(numbers) for _ in range(times)]:
            payload = {"connectorId": 1, "transactionId": transaction, "meterValue": [value(number)]}
            await charger.say("MeterValues", payload)

    try:
        async with bridge(tmp_path / "b.sqlite3", csms_port, port):
            await charger.say("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
            await csms.stop()  # the CSMS is away when the session begins
            start = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-03-01T12:00:00Z"}
            transaction = (await charger.say("StartTransaction", start))["transactionId"]
            assert transaction >= 2_000_000_000
            await meter(6)
        async with bridge(tmp_path / "b.sqlite3", csms_port, port) as process:  # killed, and the CSMS still away
            await meter(6)
            await csms.start(csms_port)
            telling = asyncio.create_task(meter(8))
            async with asyncio.timeout(PATIENCE_S):
                while csms.ledger.summary()["samples"] < 7:  # in the middle of telling it
                    await asyncio.sleep(0.002)
            process.kill()
        async with bridge(tmp_path / "b.sqlite3", csms_port, port):
            await telling
            await meter(VALUES - 20)
            stop = {"transactionId": transaction, "meterStop": 900, "timestamp": "2026-03-01T12:30:00Z"}
            await charger.say("StopTransaction", stop)
            async with asyncio.timeout(PATIENCE_S):
                while csms.ledger.summary()["open"] or csms.ledger.summary()["samples"] < VALUES:
                    await asyncio.sleep(0.05)
        seen = csms.ledger.summary()
        assert csms.ledger.meters["CP-1"] == [value(number)["timestamp"] for number in range(VALUES)]  # in order
        assert seen["sessions"] == 1
        assert seen["toldTwice"] == 0
        assert seen["messagesAgain"] <= 2  # what was on its way when the process was killed: under its own id
    finally:
        await charger.close()
        await csms.stop()
