"""``signed_poll_rsa`` and ``signed_poll_ec``: server CPU a signed poll, verified, let in once and answered signed.

Both serve the same VENs over mutual TLS with kept-alive connections and sign with RSA-2048 or EC P-256 on both sides.
Ours writes every nonce into SQLite with full synchronisation before it answers; the peer keeps its nonces in memory.
Every answer of the first round is verified by the client, outside the measurement.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.harness import Benchmark, cpu_seconds, pin
from benchmarks.load import Pki, Ven
from benchmarks.polls import _listening, _spawn, free_port, ours
from certs.authority import Authority, KeyType, Profile, Role
from openadr import wire
from openadr.messages import Poll, Response
from openadr.wire.signature import verify
from openadr.wire.signing import Signer, sign
from runtime.clock import SystemClock

VENS = 64
AT_ONCE = 32  # polls on the way at one time: what a commit of nonces costs is shared by so many
PEER_AT_ONCE = 8  # it refuses what was signed 5 s ago, and each takes it 60 ms with RSA
OUR_POLLS = {True: 3200, False: 6400}  # in one measurement; by ``quick``
PEER_POLLS = {KeyType.RSA: 64, KeyType.EC: 640}  # the peer takes 60 ms for one with RSA


def make_pki(folder: Path, kind: KeyType) -> Pki:
    """Make an authority, a server and VENs with keys of one kind."""
    now = SystemClock().now()
    authority = Authority.create(folder, now=now, rsa=kind is KeyType.RSA)
    names = [f"VEN-{index}" for index in range(VENS)]
    return Pki(
        server=authority.issue(Profile.OPENADR_VTN, "vtn", ("localhost", "127.0.0.1"), now=now, key_type=kind),
        trust=authority.trust(Role.OPENADR),
        vens={name: authority.issue(Profile.OPENADR_VEN, name, now=now, key_type=kind) for name in names},
    )


@asynccontextmanager
async def peer(pki: Pki) -> AsyncIterator[tuple[int, str]]:
    """openleadr's VTN with signatures, by process and base address."""
    port = free_port()
    cert, key = pki.server.chain
    config = {
        "port": port,
        "cert": str(cert),
        "key": str(key),
        "ca": str(pki.trust),
        "fingerprints": {ven_id: issued.fingerprint for ven_id, issued in pki.vens.items()},
        "sign": str(pki.server.cert_path),  # it wants the certificate alone, without its chain
    }
    process = await _spawn("benchmarks.peers.openleadr_vtn", json.dumps(config))
    try:
        await _listening(port)
        yield process.pid, f"https://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


class SigningVen:
    """A VEN whose key is loaded once."""

    def __init__(self, ven_id: str, pki: Pki, base: str) -> None:
        self.plain = Ven(ven_id, pki, base)
        cert, key = pki.vens[ven_id].chain
        self._signer = Signer.from_pem(key.read_bytes(), cert.read_bytes())
        self._poll = wire.encode(Poll(ven_id=ven_id))

    async def poll(self) -> bytes:
        """Poll once, signed."""
        now = SystemClock().now()
        return await self.plain.post("OadrPoll", sign(self._poll, self._signer, timestamp=now, nonce=os.urandom(16)))


async def _cost(pid: int, base: str, pki: Pki, polls: int, *, register: bool, warm_up: int, at_once: int) -> float:
    """Return CPU µs a signed poll of the server."""
    pin(pid, 0)
    pin(os.getpid(), 1)
    vens = [SigningVen(ven_id, pki, base) for ven_id in pki.vens]
    server = Signer.from_pem(pki.server.key_path.read_bytes(), pki.server.chain_path.read_bytes()).certificate_der
    gate = asyncio.Semaphore(at_once)

    async def one(ven: SigningVen, times: int) -> bytes:
        answer = b""
        for _ in range(times):
            async with gate:
                answer = await ven.poll()
        return answer

    try:
        if register:
            for ven in vens:
                await ven.plain.register()
        for answer in await asyncio.gather(*(one(ven, warm_up) for ven in vens)):
            message = verify(answer, trusted=server).message
            if not isinstance(message, Response) or message.response.response_code != 200:
                raise RuntimeError(f"not the answer to an empty poll: {answer[:300]!r}")
        before = cpu_seconds(pid)
        await asyncio.gather(*(one(ven, polls // VENS) for ven in vens))
        return (cpu_seconds(pid) - before) / polls * 1e6
    finally:
        for ven in vens:
            await ven.plain.close()


async def _rounds(quick: bool, kind: KeyType) -> list[tuple[float, float]]:
    rounds = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pki = make_pki(folder / "pki", kind)
        for _ in range(3 if quick else 7):
            async with ours(folder, pki) as server:
                mine = await _cost(
                    server.pid, server.base, pki, OUR_POLLS[quick], register=True, warm_up=10, at_once=AT_ONCE
                )
            async with peer(pki) as (pid, base):
                theirs = await _cost(pid, base, pki, PEER_POLLS[kind], register=False, warm_up=1, at_once=PEER_AT_ONCE)
            rounds.append((mine, theirs))
    return rounds


async def _rsa(quick: bool) -> list[tuple[float, float]]:
    return await _rounds(quick, KeyType.RSA)


async def _ec(quick: bool) -> list[tuple[float, float]]:
    return await _rounds(quick, KeyType.EC)


BENCHMARKS = (
    Benchmark(name="signed_poll_rsa", unit="CPU µs a request", peer="openleadr 0.5.36 VTN", run=_rsa),
    Benchmark(name="signed_poll_ec", unit="CPU µs a request", peer="openleadr 0.5.36 VTN", run=_ec),
)
