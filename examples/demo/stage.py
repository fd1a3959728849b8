"""What the demonstration is played on: programs, APIs, the spectator's screen, and waiting with a bound.

Rule: every wait ends; what it waited for is named when it does not come.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Console

from examples.demo.fleet import DemoCharger
from examples.demo.programs import Api, DemoFailed, Programs
from examples.demo.site import Site
from runtime.clock import Clock

VOLTAGE = 230.0  # of the simulated chargers
STATE_STYLE = {
    "verified": "green",
    "constrained_by": "cyan",
    "failed": "red",
    "unresponsive": "yellow",
    "opted_out": "yellow",
    "partial": "yellow",
    "idle": "dim",
    "received": "dim",
}


@dataclass(slots=True)
class Stage:
    """Programs, APIs and the spectator's screen."""

    site: Site
    fleet: tuple[DemoCharger, ...]  # as it behaves in the acts that are shown
    programs: Programs
    vtn: Api
    bridge: Api
    clock: Clock
    console: Console
    began: datetime
    seen: dict[tuple[str, str], str] = field(default_factory=dict)
    sums: list[str] = field(default_factory=list)  # limits of several chargers together that did not hold
    pressed: set[str] = field(default_factory=set)  # devices whose customer overrides
    above: dict[str, datetime] = field(default_factory=dict)  # sums above their limit, and since when

    @property
    def console_address(self) -> str:
        """Where the operator console is; the token behind ``#`` stays in the browser."""
        return f"{self.site.vtn_api}/console/#token={self.site.token}"

    def say(self, text: str) -> None:
        """Print one line of the timeline."""
        elapsed = (self.clock.now() - self.began).total_seconds()
        self.console.print(f"[dim]{elapsed:6.1f} s[/dim]  {text}", highlight=False)

    async def until(self, what: str, done: Callable[[], Awaitable[bool]], timeout_s: float) -> None:
        """Wait for something with a bound; raises ``DemoFailed`` naming it."""
        try:
            async with asyncio.timeout(timeout_s):
                while not await done():
                    self.programs.check()
                    await asyncio.sleep(0.3)
        except TimeoutError:
            raise DemoFailed(f"{what}: not within {timeout_s:.0f} s; see {self.site.folder}/logs") from None


def drawn_kw(row: dict[str, Any]) -> float:
    """Return the power of a row of /chargers by its latest reading, kW."""
    reading = row["reading"]
    return 0.0 if reading is None or reading["powerW"] is None else float(reading["powerW"]) / 1000
