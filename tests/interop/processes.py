"""Peers and our own programs as child processes: started, heard line by line, stopped by pid, never left behind."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """Return a port that was free a moment ago on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Child:
    """One child process: lines of stdout that begin with ``@`` are its facts; all output is kept for failure texts."""

    def __init__(self, *argv: str, env: dict[str, str] | None = None) -> None:
        self.argv = argv
        self.env = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        self.output: list[str] = []
        self.facts: list[dict[str, Any]] = []
        self._heard = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._pump: asyncio.Task[None] | None = None

    @classmethod
    def module(cls, name: str, *argv: str, env: dict[str, str] | None = None) -> Self:
        """Run ``python -m name`` with this interpreter; warnings of libraries do not count here."""
        return cls(sys.executable, "-m", name, *argv, env=env)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.stop()
        if error is not None:
            error.add_note(f"--- {' '.join(self.argv[1:4])} said:\n" + "\n".join(self.output[-60:]))

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self.argv,
            cwd=ROOT,
            env=self.env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1 << 20,
        )
        self._pump = asyncio.create_task(self._read())

    @property
    def process(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("not started")
        return self._process

    async def _read(self) -> None:
        stdout = self.process.stdout
        if stdout is None:
            raise RuntimeError("no stdout")
        while line := await stdout.readline():
            text = line.decode(errors="replace").rstrip()
            async with self._heard:
                self.output.append(text)
                if text.startswith("@"):
                    self.facts.append(json.loads(text[1:]))
                self._heard.notify_all()
        async with self._heard:
            self._heard.notify_all()

    async def say(self, **command: Any) -> None:
        stdin = self.process.stdin
        if stdin is None:
            raise RuntimeError("no stdin")
        stdin.write(json.dumps(command).encode() + b"\n")
        await stdin.drain()

    async def fact(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 30.0) -> dict[str, Any]:
        """Return the first fact, past or future, that is wanted; ``AssertionError`` with the output when none comes."""
        try:
            async with asyncio.timeout(timeout_s), self._heard:
                while True:
                    for fact in self.facts:
                        if wanted(fact):
                            return fact
                    if self._pump is not None and self._pump.done():
                        break
                    await self._heard.wait()
        except TimeoutError:
            pass
        raise AssertionError("the peer did not say it; it said:\n" + "\n".join(self.output[-60:]))

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)

    async def stop(self) -> int:
        """Ask it to end; after 10 s kill it. Returns the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(10):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
        code = await self.process.wait()
        if self._pump is not None:
            await self._pump
        return code
