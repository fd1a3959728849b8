"""``idle_connection``: memory a server holds for a VEN that has polled once and keeps its mutual-TLS connection open.

The first connections do not count: they bring in what is made once. Ours keeps some 2 kB a VEN besides, whether it is
connected or not.
"""

import asyncio
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.harness import Benchmark
from benchmarks.load import Pki, Ven, make_pki
from benchmarks.polls import Server, ours, peer
from openadr import tls, wire
from openadr.messages import Poll

VENS = 20  # certificates; each opens many connections
FIRST = 200  # connections before the measurement
COUNTED = 1_000
AT_ONCE = 20
SETTLE_S = 1.0
END = b"</oadr:oadrPayload>"


def private_kib(pid: int) -> int:
    """Return the memory that is a process's own, in KiB (Linux)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1])
    raise RuntimeError("no Private_Dirty")


async def _cost(server: Server, pki: Pki, *, register: bool, counted: int) -> float:
    """Return KiB a connection."""
    parts = urlsplit(server.base)
    contexts = {
        ven_id: tls.client_context(ca=pki.trust, cert_chain=issued.chain, profile=tls.TlsProfile.MODERN)
        for ven_id, issued in pki.vens.items()
    }
    names = list(pki.vens)
    open_ones: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def one(number: int) -> None:
        ven_id = names[number % len(names)]
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=contexts[ven_id])
        body = wire.encode(Poll(ven_id=ven_id))
        head = "POST /OpenADR2/Simple/2.0b/OadrPoll HTTP/1.1\r\nHost: vtn\r\nContent-Type: application/xml\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await reader.readuntil(END)
        open_ones.append((reader, writer))

    async def some(count: int) -> None:
        for start in range(0, count, AT_ONCE):
            await asyncio.gather(*(one(start + index) for index in range(AT_ONCE)))
        await asyncio.sleep(SETTLE_S)

    try:
        if register:
            for ven_id in names:
                ven = Ven(ven_id, pki, server.base)
                await ven.register()
                await ven.close()
        await some(FIRST)
        before = private_kib(server.pid)
        await some(counted)
        return (private_kib(server.pid) - before) / counted
    finally:
        for _, writer in open_ones:
            writer.transport.abort()


async def _run(quick: bool) -> list[tuple[float, float]]:
    rounds = []
    counted = COUNTED // 2 if quick else COUNTED
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pki = make_pki(folder / "pki", VENS)
        for _ in range(2 if quick else 3):
            async with ours(folder, pki) as server:
                mine = await _cost(server, pki, register=True, counted=counted)
            async with peer(pki) as server:
                theirs = await _cost(server, pki, register=False, counted=counted)
            rounds.append((mine, theirs))
    return rounds


BENCHMARKS = (Benchmark(name="idle_connection", unit="KiB a connection", peer="openleadr 0.5.36 VTN", run=_run),)
