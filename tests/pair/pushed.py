"""Our VTN that pushes and our VEN that listens, over TLS on loopback, both on one clock that the test steps."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from certs.authority import Issued
from openadr.tls import client_context
from runtime.clock import FakeClock
from runtime.database import create_engine
from tests.interop.processes import free_port
from tests.ven.support import opt_in, usage_capability
from tests.vtn.server import Operator, Pki, make_settings
from tests.vtn.world import START
from ven.client import VenClient
from ven.listener import PushListener
from ven.settings import PushSettings, VenSettings
from ven.state import VenStore
from vtn.app import Application, build
from vtn.settings import PushSection, VtnSettings

LOOPBACK = ("127.0.0.0/8",)


def push_settings(pki: Pki, url: str, **push: object) -> VtnSettings:
    """Return settings of a VTN that may push to this machine."""
    values = {"allow": LOOPBACK, "timeout_s": 5.0, **push}
    return make_settings(pki, url).model_copy(update={"push": PushSection.model_validate(values)})


@dataclass
class Pair:
    """The two ends; ``certificate`` is the VEN's, for client and listener."""

    pki: Pki
    certificate: Issued
    folder: Path
    clock: FakeClock = field(default_factory=lambda: FakeClock(START))
    ven_port: int = field(default_factory=free_port)
    changes: int = 0

    def heard(self) -> None:
        """Count a change of the VEN's events."""
        self.changes += 1

    @asynccontextmanager
    async def vtn(self, url: str | None = None) -> AsyncIterator["VtnEnd"]:
        """Run a VTN."""
        app = build(push_settings(self.pki, url or f"sqlite+aiosqlite:///{self.folder / 'vtn.sqlite3'}"), self.clock)
        await app.start()
        try:
            async with aiohttp.ClientSession() as session:
                yield VtnEnd(app, Operator(session, f"http://127.0.0.1:{app.operator_port}"))
        finally:
            await app.stop()

    @asynccontextmanager
    async def ven(
        self, vtn: "VtnEnd", *, listening: bool = True, xml_signature: bool = False
    ) -> AsyncIterator[VenClient]:
        """Run a VEN with its push listener."""
        cert, key = self.certificate.chain
        values = {"address": f"https://127.0.0.1:{self.ven_port}/ven/", "host": "127.0.0.1", "port": self.ven_port}
        settings = VenSettings(
            vtn_url=f"https://127.0.0.1:{vtn.app.port}",
            ca=self.pki.trust,
            cert=cert,
            key=key,
            ven_name="Bridge",
            poll_jitter=0,
            timeout_s=5,
            clock_degraded_s=1e9,  # the clocks here are stepped, the Date header of HTTP is not
            xml_signature=xml_signature,
            push=PushSettings.model_validate(values) if listening else None,
        )
        engine = create_engine(f"sqlite+aiosqlite:///{self.folder / 'ven.sqlite3'}")
        client = VenClient(
            settings=settings,
            store=await VenStore.open(engine),
            assess=opt_in,
            capabilities=lambda: (usage_capability(),),
            collect=_no_data,
            clock=self.clock,
            draw=lambda: 0.5,
            on_change=self.heard,
            ssl_context=client_context(ca=self.pki.trust, cert_chain=self.certificate.chain),
        )
        listener = PushListener(settings, client, client.seal) if listening else None
        if listener is not None:
            await listener.start()
        task = asyncio.create_task(client.run())
        try:
            yield client
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if listener is not None:
                await listener.stop()
            await engine.dispose()

    async def reached(self, condition: Callable[[], object], step_s: float = 0.5) -> None:
        """Let both run, moving the clock, until ``condition`` holds."""
        async with asyncio.timeout(30):
            while not condition():
                self.clock.advance(step_s)
                await asyncio.sleep(0.01)


@dataclass
class VtnEnd:
    """A VTN that runs, with its operator's client."""

    app: Application
    operator: Operator

    async def enrol(self, ven_id: str, certificate: Issued, *resources: str) -> None:
        """Enrol a VEN."""
        body = {
            "venID": ven_id,
            "fingerprint": certificate.fingerprint,
            "resources": [{"resourceID": each, "groupIDs": ["g1"]} for each in resources],
        }
        status, answer = await self.operator.call("POST", "/api/v1/vens", body)
        assert status == 201, answer

    async def state(self, event_id: str, ven: int = 0) -> dict[str, object]:
        """Return how an event stands at a VEN."""
        status, answer = await self.operator.call("GET", f"/api/v1/events/{event_id}")
        assert status == 200, answer
        found: dict[str, object] = answer["vens"][ven]
        return found


async def _no_data(*_of: object) -> tuple[()]:
    return ()
