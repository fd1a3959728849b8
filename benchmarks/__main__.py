"""``python -m benchmarks [--quick] [--only NAME,NAME]``: run the comparisons and write the results.

Writes ``benchmarks/results/latest.json`` always, and ``docs/reference/performance.md`` when run whole.
"""

import argparse
import asyncio
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import polls
from benchmarks.harness import Benchmark, Result, summarise, write

BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in polls.BENCHMARKS}
QUICK_LIMIT_S = 60.0
WHOLE_LIMIT_S = 600.0
PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "performance.md"


def page(results: list[Result]) -> str:
    """Return the reference page."""
    lines = [
        "# Measured performance",
        "",
        "Written by `make bench` (whole run). Each line compares ours with a peer in the same run, alternating, server",
        "and client on different cores; ratio > 1: ours is better; spread is (max - min) / median of the ratios.",
        "",
        f"Machine: {os.cpu_count()} cores, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}.",
        "",
        "| benchmark | peer | unit | ours | peer's | ratio | spread |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        peer = BENCHMARKS[result.name].peer
        lines.append(
            f"| {result.name} | {peer} | {result.unit} | {result.ours:.0f} | {result.peer:.0f} "
            f"| {result.ratio:.2f} | {result.spread:.2f} |"
        )
    notes = (
        "",
        "`poll_empty`: oadrPoll answered with oadrResponse. `poll_1_event`: oadrPoll answered with a new event. Both",
        "over mutual TLS with kept-alive connections, one certificate a VEN. Ours runs as a user runs it: SQLite file",
        "with full synchronisation, structured logs, metrics. The peer keeps everything in memory.",
        "",
    )
    return "\n".join((*lines, *notes))


async def run(names: list[str], quick: bool) -> list[Result]:
    """Run the named benchmarks, each bounded in time."""
    results = []
    for name in names:
        benchmark = BENCHMARKS[name]
        print(f"{name}: running against {benchmark.peer} ...", file=sys.stderr, flush=True)
        async with asyncio.timeout(QUICK_LIMIT_S if quick else WHOLE_LIMIT_S):
            result = summarise(benchmark, await benchmark.run(quick))
        print(f"{name}: ours {result.ours} {result.unit}, peer {result.peer}, ratio {result.ratio} ± {result.spread}")
        results.append(result)
    return results


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=...")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, at most a minute each")
    parser.add_argument("--only", default="", help="names, separated by commas")
    arguments = parser.parse_args()
    names = [name for name in arguments.only.split(",") if name] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    results = asyncio.run(run(names, arguments.quick))
    write(results)
    if names == list(BENCHMARKS) and not arguments.quick:
        PAGE.write_text(page(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
