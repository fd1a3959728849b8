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

from benchmarks import fanout, idle, plan, polls, reports, signed
from benchmarks.harness import Benchmark, Result, summarise, write

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark for part in (polls, reports, idle, signed, fanout, plan) for benchmark in part.BENCHMARKS
}
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
        "All over mutual TLS with kept-alive connections, one certificate a VEN. Ours runs as a user runs it: SQLite",
        "file with full synchronisation, structured logs, metrics. The peer keeps everything in memory.",
        "",
        "- `signed_poll_rsa`, `signed_poll_ec`: a signed oadrPoll, answered signed; ours writes the nonce first.",
        "- `poll_empty`: oadrPoll answered with oadrResponse.",
        "- `poll_1_event`, `poll_10_events`: polls of 1,000 VENs answered with so many events that they have not had.",
        "  What ours reads before the polls and writes after them (each hand-out is recorded) counts, publishing does",
        "  not: ours then adds the event to what it remembers of each VEN, the peer puts it into each VEN's list.",
        "  All VENs have the same events, so that ours renders and compresses them once and joins each VEN's target",
        "  in; the peer sends no compressed answers. What ours does every second anyway is in the figures too.",
        "- `report_1000`: oadrUpdateReport of 1,000 intervals. Ours answers when the rows are on disk, the peer gives",
        "  them to a callback that does nothing. The run prints how late the event loop came at worst meanwhile.",
        "- `fanout_1000_profiles`: one event to 1,000 OCPP 1.6 chargers of one kind, 24 periods each, without TLS; the",
        "  peer as it comes, with validation. The run prints the time to the last answer and the memory of a charger.",
        "- `fanout_1000_limits`: the same, each charger with its own limits, so that nothing can be worked out once.",
        "- `plan_10000`: one event for 10,000 chargers; how long others wait for the bridge's loop at most; the",
        "  peer is the same plan in one piece (our own pure functions; no other product is compared).",
        "- `idle_connection`: memory for a VEN that has polled once and keeps its connection open.",
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
