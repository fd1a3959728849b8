"""``python -m benchmarks.fleet [CHARGERS]``: a whole fleet on one bridge process, run by hand.

A connect storm with boots, steady metering of one reading a charger and minute, ten times that, and one event to all,
each charger with limits of its own. Chargers are one process on another core, without TLS. Figures go to standard
output; they are this machine's, and whatever else runs on it is in them.
"""

import asyncio
import sys
import time

from benchmarks.fanout import FIRST, part
from benchmarks.harness import cpu_seconds
from benchmarks.idle import private_kib

CHARGERS = 5_000
METER_S = 20.0


async def run(chargers: int) -> None:
    """Run it and print the figures."""
    async with part(0, "ours", str(chargers), "each") as server, part(1, "chargers") as fleet:
        port = (await server.line())["port"]
        await fleet.line()
        await fleet.ask({"port": port, "from": 0, "to": FIRST})
        await server.ask("ready?")
        memory, cpu, begun = private_kib(server.pid), cpu_seconds(server.pid), time.monotonic()
        await fleet.ask({"port": port, "from": FIRST, "to": chargers})
        took_s = time.monotonic() - begun
        there = (await server.ask("ready?"))["there"]
        each_us = (cpu_seconds(server.pid) - cpu) / (chargers - FIRST) * 1e6
        each_kib = (private_kib(server.pid) - memory) / (chargers - FIRST)
        print(f"connect: {there} chargers ready after {took_s:.1f} s, {each_us:.0f} us CPU and {each_kib:.1f} KiB each")
        for per_s in (chargers // 60, chargers // 6):
            cpu = cpu_seconds(server.pid)
            sent = (await fleet.ask({"meter": METER_S, "per_s": per_s}))["sent"]
            used = cpu_seconds(server.pid) - cpu
            print(
                f"meter: {sent / METER_S:.0f} a second, {used / METER_S:.1%} of a core, {used / sent * 1e6:.0f} us each"
            )
        cpu = cpu_seconds(server.pid)
        told = await server.ask("go")
        each_us = (cpu_seconds(server.pid) - cpu) / chargers * 1e6
        print(f"event: {told['accepted']} accepted after {told['seconds']:.2f} s, {each_us:.0f} us CPU each")


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else CHARGERS))
