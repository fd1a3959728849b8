"""``poll_empty`` and ``poll_1_event``: server CPU a request of our VTN beside openleadr's, over mutual TLS, kept alive.

Both serve the same VENs, each with its own certificate; ours keeps everything in SQLite with full synchronisation, the
peer keeps all in memory. poll_1_event publishes one event and lets every VEN fetch it once, after a short event before
that has warmed both up; what is read ahead and written of the second one counts, publishing it does not.
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
from examples.demo.site import table, toml

VENS = 200
TOKEN = "token-of-the-benchmark-0123"
MARKET_CONTEXT = "http://gateway.example/programmes/dno-curtailment"
EMPTY_ROUNDS = 10  # polls a VEN in one measurement of the empty poll
WARM_UP_S = 3  # length of the event before the measured one; long enough for every VEN to fetch it
SETTLE_S = 0.7  # ours writes hand-outs within half a second after the answer


@dataclass(frozen=True, slots=True)
class Server:
    """A running VTN: its process, where it listens, how to publish one event to all."""

    pid: int
    base: str
    publish: Callable[[str], Awaitable[None]]  # with a duration
    ends_s: float  # how long after publishing the warm-up it is in no payload any more


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
async def ours(folder: Path, pki: Pki) -> AsyncIterator[Server]:
    """Our VTN as a user runs it: SQLite file, logs on, metrics on."""
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
    process = await _spawn("vtn", "serve", "--config", str(config))
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

            yield Server(process.pid, f"https://127.0.0.1:{port}", publish, WARM_UP_S)
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

        yield Server(process.pid, f"https://127.0.0.1:{port}", publish, 0)
    finally:
        process.kill()
        await process.wait()


async def _cost(server: Server, pki: Pki, *, register: bool, with_event: bool) -> float:
    """Return CPU µs a request of the server."""
    pin(server.pid, 0)
    pin(os.getpid(), 1)
    vens = [Ven(ven_id, pki, server.base) for ven_id in pki.vens]
    try:
        for ven in vens:
            if register:
                await ven.register()
            else:
                await ven.poll()
        if with_event:
            await server.publish(f"PT{WARM_UP_S}S")
            await every(vens)
            await asyncio.sleep(server.ends_s)
            await server.publish("PT30M")
        before = cpu_seconds(server.pid)
        answers = await every(vens, 1 if with_event else EMPTY_ROUNDS)
        await asyncio.sleep(SETTLE_S)
        cost = (cpu_seconds(server.pid) - before) / len(answers) * 1e6
        expected = b"oadrDistributeEvent" if with_event else b"oadrResponse"
        wrong = [answer for answer in answers if expected not in answer]
        if wrong:
            raise RuntimeError(
                f"{len(wrong)} of {len(answers)} answers are not {expected.decode()}: {wrong[0][:300]!r}"
            )
        return cost
    finally:
        for ven in vens:
            await ven.close()


async def _rounds(quick: bool, with_event: bool) -> list[tuple[float, float]]:
    rounds = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pki = make_pki(folder / "pki", VENS)
        for _ in range(3 if quick else 7):
            async with ours(folder, pki) as server:
                mine = await _cost(server, pki, register=True, with_event=with_event)
            async with peer(pki) as server:
                theirs = await _cost(server, pki, register=False, with_event=with_event)
            rounds.append((mine, theirs))
    return rounds


async def _empty(quick: bool) -> list[tuple[float, float]]:
    return await _rounds(quick, with_event=False)


async def _one_event(quick: bool) -> list[tuple[float, float]]:
    return await _rounds(quick, with_event=True)


BENCHMARKS = (
    Benchmark(name="poll_empty", unit="CPU µs a request", peer="openleadr 0.5.36 VTN", run=_empty),
    Benchmark(name="poll_1_event", unit="CPU µs a request", peer="openleadr 0.5.36 VTN", run=_one_event),
)
