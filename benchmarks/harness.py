"""Measured comparisons: ours and a peer in the same run, alternating, as a ratio; never a bare wall-clock claim.

Rule: a benchmark yields pairs of costs (ours, peer) for the same work, one pair a round; the result is the median of
each, the ratio peer/ours (> 1 means that ours is better) and the spread of the ratios over the rounds.
"""

import json
import os
import statistics
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "latest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line of the results: medians in ``unit``, ratio > 1 means that ours is better, spread of the ratio."""

    name: str
    unit: str
    ours: float
    peer: float
    ratio: float
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A named comparison; ``run(quick)`` returns rounds of (ours, peer) costs in ``unit``."""

    name: str
    unit: str
    peer: str
    run: Callable[[bool], Coroutine[Any, Any, list[tuple[float, float]]]]


def summarise(benchmark: Benchmark, rounds: list[tuple[float, float]]) -> Result:
    """Medians over the rounds; spread is (max - min) / median of the per-round ratios."""
    ratios = [peer / ours for ours, peer in rounds]
    middle = statistics.median(ratios)
    return Result(
        name=benchmark.name,
        unit=benchmark.unit,
        ours=round(statistics.median(ours for ours, _ in rounds), 3),
        peer=round(statistics.median(peer for _, peer in rounds), 3),
        ratio=round(middle, 2),
        spread=round((max(ratios) - min(ratios)) / middle, 2),
    )


def cpu_seconds(pid: int) -> float:
    """Return the CPU time a process has used so far in seconds, all living threads, to the nanosecond (Linux)."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def pin(pid: int, core: int) -> None:
    """Keep a process on one core where the system allows it, so that client and server do not share one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(pid, {cores[core % len(cores)]})


def write(results: list[Result]) -> None:
    """Write ``benchmarks/results/latest.json``."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")
