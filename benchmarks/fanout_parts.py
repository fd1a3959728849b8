"""The processes of the fan-outs: ``python -m benchmarks.fanout_parts ours|peer|inline N [each]`` or ``chargers``.

``each``: every charger gets limits of its own; without it all get the same.

Each prints a line of JSON when it is up and one for each line that it reads on standard input.
"""

import asyncio
import json
import resource
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import ocpp.messages
import websockets.asyncio.client as ws_client
import websockets.asyncio.server as ws_server
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action
from prometheus_client import CollectorRegistry
from websockets.typing import Subprotocol

from benchmarks.fanout import PERIODS
from bridge.ocpp.central import CentralSystem
from bridge.ocpp.settings import ChargerConfig, OcppSettings
from bridge.target import CarNeeds, CommandOutcome, LimitPeriod, LimitSchedule, MeterReading
from runtime import lifecycle, logs
from runtime.clock import SystemClock

STEP_S = 900
PATIENCE_S = 180.0
AT_ONCE = 50
OCPP16 = Subprotocol("ocpp1.6")
ANSWERS: dict[str, Any] = {
    "GetConfiguration": {"configurationKey": [], "unknownKey": []},
    "ChangeConfiguration": {"status": "Accepted"},
    "SetChargingProfile": {"status": "Accepted"},
}
METER = {"connectorId": 1}
SAMPLES = [
    {"value": "12345.6", "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
    {"value": "11040", "measurand": "Power.Active.Import", "unit": "W"},
    *({"value": "16.0", "measurand": "Current.Import", "phase": f"L{i}", "unit": "A"} for i in (1, 2, 3)),
]
BOOT = {"chargePointVendor": "Bench", "chargePointModel": "One"}


def say(what: Any) -> None:
    """Print a line."""
    print(json.dumps(what), flush=True)


async def lines(answer: Callable[[Any], Awaitable[Any]]) -> None:
    """Answer each line of standard input."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while text := await reader.readline():
        say(await answer(json.loads(text)))


class Listener:
    """A fleet that hears everything and needs nothing."""

    def __init__(self) -> None:
        self.there = 0

    def connected(self, identity: str, now: datetime) -> None:
        self.there += 1

    def disconnected(self, identity: str, now: datetime) -> None:
        self.there -= 1

    def reading(self, reading: MeterReading) -> None: ...

    def transaction(self, identity: str, started: bool, now: datetime) -> None: ...

    def driver_action(self, identity: str, kind: str, now: datetime) -> None: ...
    def needs(self, identity: str, needs: CarNeeds, now: datetime) -> None: ...


def limits_a(number: int, each: bool) -> list[float]:
    """Return the limits (A) of one charger's periods, with one decimal."""
    return [6.0 + i + (number % 10 / 10 if each else 0.0) + (number // 10 % 8 if each else 0) for i in range(PERIODS)]


async def ours(count: int, each: bool) -> int:
    """Our central system, in a process as the bridge's is."""
    logs.configure("INFO", True)
    listener = Listener()
    settings = OcppSettings(port=0, security_profile=0, allow_insecure=True, probe=False)
    names = [f"CP-{number}" for number in range(count)]
    central = CentralSystem(
        settings=settings,
        chargers=[ChargerConfig(identity=name) for name in names],
        events=listener,
        clock=SystemClock(),
        registry=CollectorRegistry(),
    )
    await central.start()
    say({"port": central.port})

    async def answer(word: Any) -> Any:
        if word != "go":
            await asyncio.sleep(1.0)
            return {"there": listener.there}
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=60)
        end = start + timedelta(seconds=STEP_S * PERIODS)
        schedules = [
            LimitSchedule(
                schedule_id=1,
                start=start,
                end=end,
                expires=end + timedelta(seconds=60),
                periods=tuple(
                    LimitPeriod(start_s=STEP_S * i, limit_a=limit_a) for i, limit_a in enumerate(limits_a(number, each))
                ),
                source="bench",
                reason="bench",
            )
            for number in range(count if each else 1)
        ]
        loop = asyncio.get_running_loop()
        begun = loop.time()
        results = await asyncio.gather(
            *(central.set_limit(name, schedules[number if each else 0]) for number, name in enumerate(names))
        )
        accepted = sum(result.outcome is CommandOutcome.ACCEPTED for result in results)
        return {"seconds": loop.time() - begun, "accepted": accepted}

    await lines(answer)
    return 0


class Point(ChargePoint):  # type: ignore[misc]
    """A charger as a user of the ``ocpp`` library sees it."""

    @on(Action.boot_notification)  # type: ignore[untyped-decorator]
    def on_boot(self, **_: Any) -> Any:
        return call_result.BootNotification(current_time=datetime.now(UTC).isoformat(), interval=300, status="Accepted")


async def peer(count: int, each: bool) -> None:
    """A plain central system on the ``ocpp`` library."""
    points: list[Point] = []

    async def serve(socket: ws_server.ServerConnection) -> None:
        point = Point(socket.request.path.rsplit("/", 1)[-1] if socket.request else "?", socket)
        points.append(point)
        await point.start()

    server = await ws_server.serve(serve, "127.0.0.1", 0, subprotocols=[OCPP16], compression=None)
    say({"port": server.sockets[0].getsockname()[1]})

    async def one(point: Point, profile: dict[str, Any]) -> bool:
        request = call.SetChargingProfile(connector_id=0, cs_charging_profiles=profile)
        return str((await point.call(request, suppress=False)).status) == "Accepted"

    async def answer(word: Any) -> Any:
        if word != "go":
            await asyncio.sleep(1.0)
            return {"there": len(points)}
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=60)
        end = start + timedelta(seconds=STEP_S * PERIODS)
        profiles = [
            {
                "charging_profile_id": 1,
                "charging_profile_purpose": "TxDefaultProfile",
                "charging_profile_kind": "Absolute",
                "valid_from": start.isoformat(),
                "valid_to": end.isoformat(),
                "stack_level": 1,
                "charging_schedule": {
                    "start_schedule": start.isoformat(),
                    "duration": STEP_S * PERIODS,
                    "charging_rate_unit": "A",
                    "charging_schedule_period": [
                        {"start_period": STEP_S * i, "limit": round(limit_a, 1)}
                        for i, limit_a in enumerate(limits_a(number, each))
                    ],
                },
            }
            for number in range(count if each else 1)
        ]
        loop = asyncio.get_running_loop()
        begun = loop.time()
        results = await asyncio.gather(
            *(one(point, profiles[number if each else 0]) for number, point in enumerate(points))
        )
        return {"seconds": loop.time() - begun, "accepted": sum(results)}

    await lines(answer)


async def chargers() -> None:
    """All chargers: they boot and say yes to everything."""
    held: list[asyncio.Task[None]] = []
    sockets: list[ws_client.ClientConnection] = []

    async def one(port: int, number: int) -> None:
        url = f"ws://127.0.0.1:{port}/ocpp/CP-{number}"
        socket = await ws_client.connect(url, subprotocols=[OCPP16], compression=None, ping_interval=None)
        await socket.send(json.dumps([2, "boot", "BootNotification", BOOT]))
        await socket.recv()

        async def live() -> None:
            async for text in socket:
                frame = json.loads(text)
                if frame[0] == 2:
                    await socket.send(json.dumps([3, frame[1], ANSWERS[frame[2]]]))

        held.append(asyncio.create_task(live()))
        sockets.append(socket)

    async def meter(seconds: float, per_s: int) -> int:
        """Send meter values, so many a second over all chargers in turn."""
        loop = asyncio.get_running_loop()
        begun, sent = loop.time(), 0
        while (since := loop.time() - begun) < seconds:
            while sent < since * per_s:
                values = METER | {"meterValue": [{"timestamp": datetime.now(UTC).isoformat(), "sampledValue": SAMPLES}]}
                await sockets[sent % len(sockets)].send(json.dumps([2, f"m{sent}", "MeterValues", values]))
                sent += 1
            await asyncio.sleep(0.01)
        return sent

    async def answer(word: Any) -> Any:
        if "meter" in word:
            return {"sent": await meter(word["meter"], word["per_s"])}
        numbers = range(word["from"], word["to"])
        async with asyncio.timeout(PATIENCE_S):
            for first in range(0, len(numbers), AT_ONCE):
                await asyncio.gather(*(one(word["port"], number) for number in numbers[first : first + AT_ONCE]))
        return {"connected": len(held)}

    say({})
    await lines(answer)


def main() -> None:
    """Be the part that the command line names."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 16384), hard), hard))
    match sys.argv[1:]:
        case ["ours", count, *each]:
            lifecycle.run_process(lambda: ours(int(count), bool(each)))
        case ["peer", count, *each]:
            asyncio.run(peer(int(count), bool(each)))
        case ["inline", count, *each]:
            ocpp.messages.ASYNC_VALIDATION = False
            asyncio.run(peer(int(count), bool(each)))
        case _:
            asyncio.run(chargers())


if __name__ == "__main__":
    main()
