"""``poll_empty``, ``poll_1_event`` and ``poll_10_events``: server CPU a request beside openleadr's, over mutual TLS.

Both serve the same VENs, each with its own certificate and a connection kept alive; ours keeps everything in SQLite
with full synchronisation, the peer keeps all in memory. The others publish so many events for all VENs and let every
VEN fetch them with one poll, after one that has warmed both up and is in no payload any more. What ours reads ahead
before the polls and writes after them (each hand-out is recorded) counts, publishing does not; with one process on a
SQLite file publishing also adds the event to what is remembered of each VEN, as the peer adds it to each VEN's list.
"""

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.harness import Benchmark, cpu_seconds, pin
from benchmarks.load import Pki, Ven, every, make_pki
from examples.demo.toml import table, toml

VENS = 1_000  # so many that what a VTN does each second, whether anybody asks or not, weighs little in one request
QUICK_VENS = 200  # makes ours look some 20 µs a request dearer
ROUNDS = 5
TOKEN = "token-of-the-benchmark-0123"
MARKET_CONTEXT = "http://gateway.example/programmes/dno-curtailment"
AT_ONCE = 20  # VENs that begin together
EMPTY_ROUNDS = 10  # polls a VEN in one measurement of the empty poll
WARM_UP_S = 3  # length of the event before the measured one; long enough for every VEN to fetch it
SETTLE_S = 0.7  # ours writes hand-outs within half a second after the answer


@dataclass(frozen=True, slots=True)
class Server:
    """A running VTN: its process, where it listens, how to publish one event to all."""

    pid: int
    base: str
    publish: Callable[[str], Awaitable[None]]  # with a duration; one event for every VEN
    forget: Callable[[], Awaitable[None]]  # let the warm-up be in no payload any more


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _spawn(*argv: str) -> asyncio.subprocess.Process:
    null = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(sys.executable, "-m", *argv, stdin=null, stdout=null, stderr=null)


async def _listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


@asynccontextmanager
async def ours(folder: Path, pki: Pki, *, watch: Path | None = None) -> AsyncIterator[Server]:
    """Our VTN as a user runs it: SQLite file, logs on, metrics on; ``watch``: see ``benchmarks.ours_vtn``."""
    port, api_port = free_port(), free_port()
    config = folder / "vtn.toml"
    (folder / "vtn.sqlite3").unlink(missing_ok=True)
    cert, key = pki.server.chain
    config.write_text(
        table("[server]", {"host": "127.0.0.1", "port": port, "client_ca": pki.trust, "tls_profile": "modern"})
        + f"certificates = [{{ cert = {toml(cert)}, key = {toml(key)} }}]\n"
        + table("[operator]", {"port": api_port, "token": TOKEN, "cert": cert, "key": key})
        + table("[database]", {"url": f"sqlite+aiosqlite:///{folder}/vtn.sqlite3"})
    )
    command = ("vtn", "serve", "--config") if watch is None else ("benchmarks.ours_vtn",)
    process = await _spawn(*command, str(config), *(() if watch is None else (str(watch),)))
    try:
        await _listening(api_port)
        context = ssl.create_default_context(cafile=str(pki.trust))
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession(
            f"https://127.0.0.1:{api_port}", headers=headers, connector=aiohttp.TCPConnector(ssl=context)
        ) as http:

            async def post(path: str, body: object) -> None:
                async with http.post(f"/api/v1{path}", json=body) as answer:
                    if answer.status not in (200, 201):
                        raise RuntimeError(await answer.text())

            for ven_id, issued in pki.vens.items():
                await post(
                    "/vens",
                    {
                        "venID": ven_id,
                        "fingerprint": issued.fingerprint,
                        "resources": [{"resourceID": f"evse-{ven_id}", "groupIDs": ["all"]}],
                    },
                )

            async def publish(duration: str) -> None:
                signal_body = {
                    "signalName": "SIMPLE",
                    "signalType": "level",
                    "intervals": [{"duration": duration, "value": 2}],
                }
                await post(
                    "/events",
                    {
                        "marketContext": MARKET_CONTEXT,
                        "duration": duration,
                        "signals": [signal_body],
                        "targets": {"groupID": ["all"]},
                    },
                )

            async def forget() -> None:
                await asyncio.sleep(WARM_UP_S)

            yield Server(process.pid, f"https://127.0.0.1:{port}", publish, forget)
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def peer(pki: Pki) -> AsyncIterator[Server]:
    """openleadr's VTN with the same VENs."""
    port = free_port()
    cert, key = pki.server.chain
    config = {
        "port": port,
        "cert": str(cert),
        "key": str(key),
        "ca": str(pki.trust),
        "fingerprints": {ven_id: issued.fingerprint for ven_id, issued in pki.vens.items()},
    }
    process = await _spawn("benchmarks.peers.openleadr_vtn", json.dumps(config))
    try:
        await _listening(port)

        async def publish(_duration: str) -> None:  # it hands out every event once, however long
            os.kill(process.pid, signal.SIGUSR1)
            await asyncio.sleep(0.5)  # its events are made in the signal handler

        async def forget() -> None:
            os.kill(process.pid, signal.SIGUSR2)
            await asyncio.sleep(0.2)

        yield Server(process.pid, f"https://127.0.0.1:{port}", publish, forget)
    finally:
        process.kill()
        await process.wait()


async def _cost(server: Server, pki: Pki, *, register: bool, events: int) -> float:
    """Return CPU µs a request of the server."""
    pin(server.pid, 0)
    pin(os.getpid(), 1)
    vens = [Ven(ven_id, pki, server.base) for ven_id in pki.vens]
    try:
        gate = asyncio.Semaphore(AT_ONCE)

        async def begin(ven: Ven) -> None:
            async with gate:
                await (ven.register() if register else ven.poll())

        await asyncio.gather(*map(begin, vens))
        if events:
            await server.publish(f"PT{WARM_UP_S}S")
            await every(vens)
            await server.forget()
            for _ in range(events):
                await server.publish("PT30M")
        before = cpu_seconds(server.pid)
        answers = await every(vens, 1 if events else EMPTY_ROUNDS)
        await asyncio.sleep(SETTLE_S)
        cost = (cpu_seconds(server.pid) - before) / len(answers) * 1e6
        expected = b"oadrDistributeEvent" if events else b"oadrResponse"
        wrong = [answer for answer in answers if expected not in answer or answer.count(b"<oadr:oadrEvent>") != events]
        if wrong:
            raise RuntimeError(
                f"{len(wrong)} of {len(answers)} answers are not {expected.decode()} with {events} events: "
                f"{wrong[0][:300]!r}"
            )
        return cost
    finally:
        for ven in vens:
            await ven.close()


async def _rounds(quick: bool, events: int) -> list[tuple[float, float]]:
    rounds = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pki = make_pki(folder / "pki", QUICK_VENS if quick else VENS)
        for _ in range(2 if quick else ROUNDS):
            async with ours(folder, pki) as server:
                mine = await _cost(server, pki, register=True, events=events)
            async with peer(pki) as server:
                theirs = await _cost(server, pki, register=False, events=events)
            rounds.append((mine, theirs))
    return rounds


def _benchmark(name: str, events: int) -> Benchmark:
    async def run(quick: bool) -> list[tuple[float, float]]:
        return await _rounds(quick, events)

    return Benchmark(name=name, unit="CPU µs a request", peer="openleadr 0.5.36 VTN", run=run)


BENCHMARKS = (_benchmark("poll_empty", 0), _benchmark("poll_1_event", 1), _benchmark("poll_10_events", 10))
