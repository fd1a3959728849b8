"""``fanout_1000_profiles`` and ``fanout_1000_limits``: one event to 1,000 chargers at once, until the last answer.

In the first all get the same limits, in the second each its own.

Ours is the central system as the bridge runs it, from the limit schedule on; the peer is a plain loop on the ``ocpp``
library over ``websockets``, with validation as the library comes. Both serve the same chargers, which are one process
of their own. The run prints the time to the last answer and the memory of a connected charger, and beside it what the
peer costs with its validation in line instead of in threads.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.harness import Benchmark, cpu_seconds, pin
from benchmarks.idle import private_kib

CHARGERS = 1_000
PERIODS = 24  # what a common embedded stack holds: a quarter of an hour each, six hours
FIRST = 50  # chargers that connect before memory counts: they bring in what is made once


class Part:
    """A child process that answers each line of JSON that it is sent with one."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def line(self) -> Any:
        """Return the next line."""
        assert self._process.stdout is not None
        text = await self._process.stdout.readline()
        if not text:
            raise RuntimeError(f"a part of the benchmark ended with {await self._process.wait()}")
        return json.loads(text)

    async def ask(self, word: Any) -> Any:
        """Send a line and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(word).encode() + b"\n")
        return await self.line()


@asynccontextmanager
async def part(core: int, *argv: str) -> AsyncIterator[Part]:
    """Run ``benchmarks.fanout_parts`` as a child for the length of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.fanout_parts",
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        pin(process.pid, core)
        yield Part(process)
    finally:
        process.kill()
        await process.wait()


async def _cost(kind: str, chargers: int, *each: str) -> float:
    """Return the CPU of the server for each charger, in microseconds."""
    async with part(0, kind, str(chargers), *each) as server, part(1, "chargers") as fleet:
        port = (await server.line())["port"]
        await fleet.line()
        await fleet.ask({"port": port, "from": 0, "to": FIRST})
        await server.ask("ready?")
        before = private_kib(server.pid)
        await fleet.ask({"port": port, "from": FIRST, "to": chargers})
        await server.ask("ready?")
        memory = (private_kib(server.pid) - before) / (chargers - FIRST)
        begun = cpu_seconds(server.pid)
        told = await server.ask("go")
        cpu_us = (cpu_seconds(server.pid) - begun) / chargers * 1e6
        if told["accepted"] != chargers:
            raise RuntimeError(f"{kind}: {told['accepted']} of {chargers} profiles were accepted")
        print(
            f"  {kind}: last answer after {told['seconds']:.2f} s, {cpu_us:.0f} us CPU and {memory:.1f} KiB a charger",
            file=sys.stderr,
        )
        return cpu_us


async def _run(quick: bool) -> list[tuple[float, float]]:
    if not quick:
        await _cost("inline", CHARGERS)
    return [(await _cost("ours", CHARGERS), await _cost("peer", CHARGERS)) for _ in range(1 if quick else 5)]


async def _run_each(quick: bool) -> list[tuple[float, float]]:
    pairs = 1 if quick else 5
    return [(await _cost("ours", CHARGERS, "each"), await _cost("peer", CHARGERS, "each")) for _ in range(pairs)]


BENCHMARKS = (
    Benchmark(name="fanout_1000_profiles", unit="us CPU a charger", peer="ocpp 2.1.0 on websockets, loop", run=_run),
    Benchmark(name="fanout_1000_limits", unit="us CPU a charger", peer="ocpp 2.1.0 on websockets, loop", run=_run_each),
)
