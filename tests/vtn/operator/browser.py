"""A headless Chromium for tests, spoken to in WebDriver (W3C) through chromedriver; nothing is downloaded.

Rule: waits poll with a deadline and say what they waited for; the browser and its profile are gone afterwards.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--ignore-certificate-errors",
    "--window-size=1400,900",
)
DEADLINE_S = 20.0
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element reference, fixed by the standard


def programs() -> tuple[str, str]:
    """Return chromium and chromedriver; without them skip, but fail where CI promises them."""
    found = (shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver"))
    if not (found[0] and found[1]):
        reason = "chromium and chromedriver are needed (Debian: chromium, chromium-driver)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found[0], found[1]


@dataclass(frozen=True)
class Browser:
    """One window. Elements are named by CSS selectors."""

    http: aiohttp.ClientSession
    session: str

    async def command(self, method: str, path: str, body: object = None) -> Any:
        """Send one WebDriver command; raises ``AssertionError`` with the driver's message."""
        async with self.http.request(method, f"{self.session}{path}", json=body) as answer:
            value = (await answer.json())["value"]
        assert answer.status == 200, value.get("message", value) if isinstance(value, dict) else value
        return value

    async def open(self, url: str) -> None:
        """Load a page."""
        await self.command("POST", "/url", {"url": url})

    async def js(self, script: str, *arguments: object) -> Any:
        """Run the body of a function; ``arguments`` are its."""
        return await self.command("POST", "/execute/sync", {"script": script, "args": arguments})

    async def until(self, what: str, script: str, *arguments: object) -> Any:
        """Wait until the function returns something true, and return it."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            if value := await self.js(script, *arguments):
                return value
            await asyncio.sleep(0.05)
        raise AssertionError(f"{what}: not within {DEADLINE_S} s; the page shows:\n{await self.text('body')}")

    async def shows(self, selector: str, text: str) -> None:
        """Wait until an element shows a text."""
        script = "return [...document.querySelectorAll(arguments[0])].some((n) => n.innerText.includes(arguments[1]))"
        await self.until(f"{selector} shows {text!r}", script, selector, text)

    async def text(self, selector: str) -> str:
        """Return what an element shows now."""
        return str(await self.js("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    async def find(self, selector: str) -> str:
        """Wait for an element that is there and enabled; return its reference."""
        script = "const n = document.querySelector(arguments[0]); return n && !n.disabled ? n : null"
        return str((await self.until(f"{selector} can be used", script, selector))[_ELEMENT])

    async def click(self, selector: str) -> None:
        """Click as a user does: scrolled to, and refused if something lies over it."""
        await self.command("POST", f"/element/{await self.find(selector)}/click", {})

    async def type(self, selector: str, text: str) -> None:
        """Replace what a field holds."""
        element = await self.find(selector)
        await self.command("POST", f"/element/{element}/clear", {})
        await self.command("POST", f"/element/{element}/value", {"text": text})

    async def console_errors(self) -> list[str]:
        """Return what the browser complained of since the last call: scripts, policy, failed loads."""
        entries = await self.command("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Browser]:
    """Start chromedriver and a browser with a fresh profile; end both."""
    chromium, chromedriver = programs()
    driver = await asyncio.create_subprocess_exec(chromedriver, "--port=0", stdout=asyncio.subprocess.PIPE)
    assert driver.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE_S):
            while b"started successfully on port" not in (line := await driver.stdout.readline()):
                assert line, "chromedriver ended before it listened"
        address = f"http://127.0.0.1:{int(line.split()[-1].rstrip(b'.'))}/session"
        options = {"binary": chromium, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}, "acceptInsecureCerts": True}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
            async with http.post(address, json={"capabilities": {"alwaysMatch": wanted}}) as answer:
                opened = (await answer.json())["value"]
            assert "sessionId" in opened, opened
            window = Browser(http, f"{address}/{opened['sessionId']}")
            try:
                yield window
            finally:
                await window.command("DELETE", "")
    finally:
        driver.terminate()
        await driver.communicate()
