"""What happens in the demonstration, step by step, and what a spectator reads meanwhile.

Rule: only the public APIs are used: events are published and watched as an operator would; every wait is bounded.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console

from examples.demo.fleet import FLEET
from examples.demo.programs import Api, DemoFailed, Programs
from examples.demo.site import MARKET_CONTEXT, VEN_ID, Site
from runtime.clock import Clock

FULL_KW = 1.0  # above it a car is charging
STATE_STYLE = {"verified": "green", "failed": "red", "unresponsive": "yellow", "opted_out": "yellow", "idle": "dim"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One event of the demonstration; times in seconds, compressed."""

    title: str
    signal_name: str
    signal_type: str
    value: float
    in_s: int
    duration_s: int
    startafter_s: int


SIMPLE = Act(
    title="SIMPLE level 2 (half of the installed maximum)",
    signal_name="SIMPLE",
    signal_type="level",
    value=2.0,
    in_s=8,
    duration_s=32,
    startafter_s=3,
)
CAPACITY = Act(
    title="LOAD_CONTROL x-loadControlCapacity 0.25 (a quarter of the installed maximum)",
    signal_name="LOAD_CONTROL",
    signal_type="x-loadControlCapacity",
    value=0.25,
    in_s=6,
    duration_s=26,
    startafter_s=3,
)


@dataclass(slots=True)
class Stage:
    """Programs, APIs and the spectator's screen."""

    site: Site
    programs: Programs
    vtn: Api
    bridge: Api
    clock: Clock
    console: Console
    began: datetime
    seen: dict[tuple[str, str], str] = field(default_factory=dict)

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


async def start(stage: Stage) -> None:
    """Start VTN, bridge and chargers, and wait until everybody who has a car is charging."""
    await stage.programs.vtn.start()
    await stage.until("the VTN starts", stage.vtn.healthy, 30)
    resources = [{"resourceID": charger.resource_id, "groupIDs": ["demo-fleet"]} for charger in FLEET]
    enrolment = {"venID": VEN_ID, "fingerprint": stage.site.fingerprint, "venName": "demo", "resources": resources}
    await stage.vtn.post("/vens", enrolment)
    stage.say(f"VTN is up; {VEN_ID} is enrolled by the fingerprint of its certificate")
    stage.say(f"operator console: {stage.console_address}")

    await stage.programs.bridge.start()

    async def registered() -> bool:
        vens = (await stage.vtn.get("/vens"))["vens"]
        return any(ven["venID"] == VEN_ID and ven["registered"] for ven in vens)

    await stage.until("the bridge registers", registered, 30)
    await stage.until("the bridge is up", stage.bridge.healthy, 30)
    stage.say("bridge is up and registered as a VEN; its central system waits for chargers")

    await stage.programs.fleet.start()
    await stage.until("all chargers charge", lambda: _charging(stage, plugged=0), 60)
    stage.say("20 chargers are connected, 18 cars charge")


async def _charging(stage: Stage, *, plugged: float) -> bool:
    """True once every charger is connected and every car plugged in by ``plugged`` s draws power."""
    chargers = {row["chargerID"]: row for row in await stage.bridge.get("/chargers")}
    for charger in FLEET:
        row = chargers[charger.identity]
        if not row["connected"]:
            return False
        delay = charger.script.get("plug_in_after_s", 0)
        expects_car = isinstance(delay, int) and delay <= plugged
        if expects_car and (_kw(row) < FULL_KW):
            return False
    return True


def _kw(row: dict[str, Any]) -> float:
    reading = row["reading"]
    return 0.0 if reading is None or reading["powerW"] is None else float(reading["powerW"]) / 1000


async def publish(stage: Stage, act: Act) -> str:
    """Publish the event of an act to the whole fleet and return its eventID."""
    start = stage.clock.now() + timedelta(seconds=act.in_s)
    event = await stage.vtn.post(
        "/events",
        {
            "marketContext": MARKET_CONTEXT,
            "priority": 1,
            "dtstart": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "duration": f"PT{act.duration_s}S",
            "startafter": f"PT{act.startafter_s}S",
            "signals": [
                {
                    "signalName": act.signal_name,
                    "signalType": act.signal_type,
                    "intervals": [{"duration": f"PT{act.duration_s}S", "value": act.value}],
                }
            ],
            "targets": {"groupID": ["demo-fleet"]},
            "responseRequired": "always",
            "vtnComment": act.title,
        },
    )
    stage.say(f"[bold]published[/bold] {act.title}: starts in {act.in_s} s, lasts {act.duration_s} s")
    return str(event["eventID"])


async def watch(stage: Stage, act: Act, event_id: str) -> None:
    """Show the event's progress until every outcome is final and the power afterwards is measured."""
    ends = act.in_s + act.startafter_s + act.duration_s
    began = stage.clock.now()
    next_line = began

    async def over() -> bool:
        nonlocal next_line
        outcomes = await _outcomes(stage, event_id)
        _tell_changes(stage, event_id, outcomes)
        now = stage.clock.now()
        if now >= next_line:
            next_line = now + timedelta(seconds=4)
            _tell_progress(stage, act, outcomes, await stage.bridge.get("/chargers"), (now - began).total_seconds())
        return len(outcomes) == len(FLEET) and all(row["phase"] == "closed" for row in outcomes)

    await stage.until(f"{act.signal_name} event ends", over, ends + 40)


async def _outcomes(stage: Stage, event_id: str) -> list[dict[str, Any]]:
    rows = await stage.bridge.get("/outcomes")
    return [row for row in rows if row["eventID"] == event_id]


def _tell_changes(stage: Stage, event_id: str, outcomes: list[dict[str, Any]]) -> None:
    for row in outcomes:
        key, state = (event_id, row["chargerID"]), str(row["state"])
        if stage.seen.get(key) == state:
            continue
        stage.seen[key] = state
        if state in ("failed", "opted_out", "unresponsive", "partial"):
            style = STATE_STYLE.get(state, "yellow")
            stage.say(f"  {row['chargerID']} [{style}]{state}[/{style}]: {row['reason']}")


def _tell_progress(
    stage: Stage, act: Act, outcomes: list[dict[str, Any]], chargers: list[dict[str, Any]], elapsed_s: float
) -> None:
    total = act.in_s + act.startafter_s + act.duration_s
    share = min(1.0, elapsed_s / total)
    bar = "#" * round(20 * share) + "." * (20 - round(20 * share))
    kw = sum(_kw(row) for row in chargers if row["connected"])
    counts = Counter(str(row["state"]) for row in outcomes)
    states = ", ".join(f"{counts[state]} {state}" for state in sorted(counts))
    stage.say(f"[{bar}] {kw:6.1f} kW  {states}".replace("[#", "\\[#").replace("[.", "\\[."))


async def wait_all_back(stage: Stage) -> None:
    """Wait until the charger that went away is back and every car charges again."""
    await stage.until("every charger is back", lambda: _charging(stage, plugged=3600), 90)
    stage.say("every charger is connected again, all 19 cars charge")
