"""Our own programs as a test runs them: real processes, real certificates, SQLite files, settings files."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from certs.demo import DemoPki, demo_pki
from examples.demo.site import MARKET_CONTEXT
from examples.demo.toml import table, toml
from tests.interop.processes import ROOT, Child, free_port

__all__ = ["MARKET_CONTEXT", "TOKEN", "Api", "Place", "eventually"]

TOKEN = "token-of-the-tests-0123456789"
T = TypeVar("T")
STATIONS = ("CP1", "CP2", "CP3")


async def eventually(what: str, probe: Callable[[], Awaitable[T | None]], timeout_s: float = 30.0) -> T:
    """Return the first result that is not None and not False; fails naming what was awaited."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                found = await probe()
                if found is not None and found is not False:
                    return found
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {timeout_s:.0f} s") from None


@dataclass(frozen=True, slots=True)
class Api:
    """One operator API."""

    http: aiohttp.ClientSession
    base: str
    tls: ssl.SSLContext

    async def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self.http.request(method, self.base + path, json=body, headers=headers, ssl=self.tls) as answer:
            return answer.status, await answer.json(content_type=None) if answer.status != 204 else None

    async def get(self, path: str) -> Any:
        status, body = await self.call("GET", f"/api/v1{path}")
        assert status == 200, body
        return body

    async def post(self, path: str, body: object) -> Any:
        status, answer = await self.call("POST", f"/api/v1{path}", body)
        assert status in (200, 201), answer
        return answer

    async def up(self) -> bool:
        try:
            return (await self.call("GET", "/health"))[0] == 200
        except (aiohttp.ClientError, OSError):
            return False


class Place:
    """A folder with a PKI and the settings of a VTN, a bridge and a fleet on free ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pki: DemoPki = demo_pki(folder / "pki", now=datetime.now(UTC), stations=STATIONS)
        self.vtn_port, self.vtn_api, self.ocpp_port, self.bridge_api = (free_port() for _ in range(4))

    @property
    def vtn_url(self) -> str:
        return f"https://127.0.0.1:{self.vtn_port}"

    def _operator(self, port: int) -> dict[str, object]:
        cert, key = self.pki.operator.chain
        return {"port": port, "token": TOKEN, "cert": cert, "key": key}

    def vtn(self, **vtn: object) -> Child:
        """The VTN as a process."""
        chains = ", ".join(f"{{ cert = {toml(p.chain[0])}, key = {toml(p.chain[1])} }}" for p in self.pki.vtn)
        path = self.folder / "vtn.toml"
        path.write_text(
            table("[server]", {"host": "127.0.0.1", "port": self.vtn_port, "client_ca": self.pki.trust_openadr})
            + f"certificates = [{chains}]\n"
            + table("[vtn]", {"vtn_id": "VTN-test", "poll_freq_s": 1, "event_retry_s": 2, "queue_retry_s": 2, **vtn})
            + table("[operator]", self._operator(self.vtn_api))
            + table("[database]", {"url": f"sqlite+aiosqlite:///{self.folder}/vtn.sqlite3"})
            + table("[reports]", {"granularity_s": 1, "back_s": 2})
        )
        return Child.module("vtn", "serve", "--config", str(path))

    def bridge(self, chargers: Mapping[str, Mapping[str, object]], *, ven: Mapping[str, object] | None = None) -> Child:
        """The bridge as a process; ``chargers`` maps identity to settings."""
        ven_cert, ven_key = self.pki.ven.chain
        central_cert, central_key = self.pki.central.chain
        path = self.folder / "bridge.toml"
        shipped = (ROOT / "bridge/programmes/dno-curtailment.toml").read_text()
        narrow = re.sub(r"random_window_s = \d+", "random_window_s = 2", shipped)  # openleadr sends no startafter
        (self.folder / "programme.toml").write_text(narrow)
        path.write_text(
            table(
                "[ven]",
                {
                    "vtn_url": self.vtn_url,
                    "ca": self.pki.trust_openadr,
                    "cert": ven_cert,
                    "key": ven_key,
                    "ven_name": "bridge",
                    "backoff_max_s": 1,
                    "reregister_s": 1,
                    **(ven or {}),
                },
            )
            + table(
                "[ocpp]",
                {
                    "port": self.ocpp_port,
                    "cert": central_cert,
                    "key": central_key,
                    "client_ca": self.pki.trust_ocpp,
                    "meter_interval_s": 1,
                    "call_timeout_s": 5,
                },
            )
            + table("[api]", self._operator(self.bridge_api))
            + table("[database]", {"url": f"sqlite+aiosqlite:///{self.folder}/bridge.sqlite3"})
            + table("[programme]", {"files": ["programme.toml"]})
            + table("[verify]", {"settle_s": 3, "retries": 1, "offline_after_s": 6, "after_s": 2})
            + table("[dispatch]", {"tick_s": 0.3, "backoff_s": 1, "backoff_max_s": 2, "expiry_grace_s": 5})
            + table("[telemetry]", {"fastest_s": 1, "flush_s": 1})
            + "".join(
                table("[[chargers]]", {"identity": name, "resource_id": f"evse-{name.lower()}", **more})
                for name, more in chargers.items()
            )
        )
        return Child.module("bridge", "serve", "--config", str(path))

    def fleet(self, chargers: Mapping[str, Mapping[str, object]]) -> Child:
        """The simulated chargers as one process."""
        path = self.folder / "fleet.toml"
        path.write_text(
            table("", {"url": f"wss://127.0.0.1:{self.ocpp_port}/ocpp", "ca": self.pki.trust_server})
            + table(
                "[api]",
                {"url": f"https://127.0.0.1:{self.bridge_api}", "token": TOKEN, "ca": self.pki.trust_server},
            )
            + "".join(
                table(
                    "[[chargers]]",
                    {
                        "identity": name,
                        "cert": self.pki.stations[name].chain[0],
                        "key": self.pki.stations[name].chain[1],
                        **more,
                    },
                )
                for name, more in chargers.items()
            )
        )
        return Child.module("bridge", "simulate", "--fleet", str(path))

    @asynccontextmanager
    async def apis(self) -> AsyncIterator[tuple[Api, Api]]:
        """The operator APIs of VTN and bridge."""
        tls = ssl.create_default_context(cafile=str(self.pki.trust_server))
        async with aiohttp.ClientSession() as http:
            yield (
                Api(http, f"https://127.0.0.1:{self.vtn_api}", tls),
                Api(http, f"https://127.0.0.1:{self.bridge_api}", tls),
            )
