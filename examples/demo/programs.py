"""The programs as child processes with a log file each, and their APIs as a person with curl would use them.

Rule: a program is ended by its pid; none is left behind, however the demonstration ends.
"""

import asyncio
import signal
import ssl
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from examples.demo.devices import argv
from examples.demo.fleet import DemoCharger
from examples.demo.site import METER_S, Site

STOP_S = 10.0  # time to end in good order before a program is killed


class DemoFailed(Exception):
    """The demonstration cannot go on; the text says why and where to look."""


@dataclass(slots=True)
class Program:
    """One child process; ``log`` takes everything that it says."""

    name: str
    argv: tuple[str, ...]
    log: Path
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)

    async def start(self) -> None:
        """Start it with this interpreter."""
        with self.log.open("ab") as sink:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *self.argv, stdout=sink, stderr=sink, stdin=asyncio.subprocess.DEVNULL
            )

    def check(self) -> None:
        """Raise ``DemoFailed`` if it has ended by itself."""
        if self._process is not None and self._process.returncode is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            raise DemoFailed(f"{self.name} ended with {self._process.returncode}; the end of {self.log}:\n{tail}")

    def press(self) -> None:
        """Press the override button of a simulated device."""
        self._send(signal.SIGUSR1)

    async def kill(self) -> None:
        """kill -9, as a power cut would."""
        self._send(signal.SIGKILL)
        await self.stop()

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def stop(self) -> None:
        """End it: SIGTERM, then SIGKILL."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
        await process.wait()


class Programs:
    """VTN, bridge and fleet of one site."""

    def __init__(self, site: Site, fleet: Iterable[DemoCharger]) -> None:
        logs = site.folder / "logs"
        logs.mkdir(exist_ok=True)
        self.vtn = Program("vtn", ("vtn", "serve", "--config", str(site.vtn_config)), logs / "vtn.log")
        self.bridge = Program("bridge", ("bridge", "serve", "--config", str(site.bridge_config)), logs / "bridge.log")
        behind = () if site.csms is None else ("examples.demo.csms", *site.csms.arguments(METER_S))
        self.csms = (Program("csms", behind, logs / "csms.log"),) if behind else ()  # with --proxy
        self.fleet = Program("fleet", ("bridge", "simulate", "--fleet", str(site.fleet_config)), logs / "fleet.log")
        self.devices = {
            each.identity: Program(each.identity, argv(site.folder, each), logs / f"{each.identity}.log")
            for each in fleet
            if each.cta
        }

    def check(self) -> None:
        """Raise ``DemoFailed`` if one of them has ended by itself."""
        for program in (*self.csms, self.vtn, self.bridge, self.fleet, *self.devices.values()):
            program.check()

    async def stop(self) -> None:
        """End all, the chargers first."""
        for program in (self.fleet, *self.devices.values(), self.bridge, self.vtn, *self.csms):
            await program.stop()


class Api:
    """One program's operator API: JSON over HTTPS with the bearer token."""

    def __init__(self, http: aiohttp.ClientSession, site: Site, base: str) -> None:
        self._http, self._base, self._token = http, base, site.token
        self._tls = ssl.create_default_context(cafile=str(site.ca))

    async def _call(self, method: str, path: str, body: object | None) -> Any:
        async with self._http.request(
            method,
            f"{self._base}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self._token}"},
            ssl=self._tls,
            timeout=aiohttp.ClientTimeout(total=10),
        ) as answer:
            data = await answer.json(content_type=None) if answer.status != 204 else None
            if answer.status >= 400:
                raise DemoFailed(f"{method} {path} was answered {answer.status}: {data}")
            return data

    async def get(self, path: str) -> Any:
        """GET ``/api/v1`` + path."""
        return await self._call("GET", f"/api/v1{path}", None)

    async def post(self, path: str, body: object) -> Any:
        """POST ``/api/v1`` + path."""
        return await self._call("POST", f"/api/v1{path}", body)

    async def put(self, path: str, body: object) -> Any:
        """PUT ``/api/v1`` + path."""
        return await self._call("PUT", f"/api/v1{path}", body)

    async def healthy(self) -> bool:
        """True if the program answers and says that it is well."""
        try:
            await self._call("GET", "/health", None)
        except (aiohttp.ClientError, TimeoutError, OSError, DemoFailed):
            return False
        return True
