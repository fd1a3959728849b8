"""VENs as a load: each with a certificate and a kept-alive mutual-TLS connection of its own, sending prepared bytes."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from certs.authority import Authority, Issued, Profile, Role
from openadr import tls, wire
from openadr.messages import CreatePartyRegistration, Message, Poll, RegisterReport
from runtime.clock import SystemClock

HEADERS = {"Content-Type": "application/xml"}
TIMEOUT = aiohttp.ClientTimeout(total=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pki:
    """What a run needs: the server's pair, the trust file, and one certificate a VEN."""

    server: Issued
    trust: Path
    vens: dict[str, Issued]


def make_pki(folder: Path, count: int) -> Pki:
    """Make an authority with ``count`` VENs."""
    now = SystemClock().now()
    authority = Authority.create(folder, now=now)
    names = ("localhost", "127.0.0.1")
    return Pki(
        server=authority.issue(Profile.OPENADR_VTN, "vtn", names, now=now),
        trust=authority.trust(Role.OPENADR),
        vens={f"VEN-{index}": authority.issue(Profile.OPENADR_VEN, f"VEN-{index}", now=now) for index in range(count)},
    )


class Ven:
    """One VEN with one connection."""

    def __init__(self, ven_id: str, pki: Pki, base: str) -> None:
        context = tls.client_context(ca=pki.trust, cert_chain=pki.vens[ven_id].chain, profile=tls.TlsProfile.MODERN)
        self.ven_id = ven_id
        self._base = base
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, ssl=context), headers=HEADERS, timeout=TIMEOUT
        )
        self._poll = wire.encode(Poll(ven_id=ven_id))

    async def send(self, service: str, message: Message) -> bytes:
        """Send one message and return the answer's bytes."""
        return await self.post(service, wire.encode(message))

    async def poll(self) -> bytes:
        """Poll once."""
        return await self.post("OadrPoll", self._poll)

    async def post(self, service: str, data: bytes) -> bytes:
        """Send prepared bytes and return the answer's."""
        async with self._http.post(f"{self._base}/OpenADR2/Simple/2.0b/{service}", data=data) as answer:
            body = await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{service}: HTTP {answer.status}: {body[:300]!r}")
            return body

    async def register(self) -> None:
        """Register, offer no reports, and drain what the VTN has for a new VEN."""
        await self.send("EiRegisterParty", CreatePartyRegistration(request_id="r1", ven_name=self.ven_id))
        await self.send("EiReport", RegisterReport(request_id="r2", ven_id=self.ven_id))
        for _ in range(3):
            await self.poll()

    async def close(self) -> None:
        """Close the connection."""
        await self._http.close()


async def every(vens: list[Ven], rounds: int = 1) -> list[bytes]:
    """Let every VEN poll ``rounds`` times, eight at a time, as a server with many VENs sees it."""
    gate = asyncio.Semaphore(8)
    answers: list[bytes] = []

    async def one(ven: Ven) -> None:
        for _ in range(rounds):
            async with gate:
                answers.append(await ven.poll())

    await asyncio.gather(*(one(ven) for ven in vens))
    return answers
