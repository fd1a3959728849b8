"""What happens in the demonstration, step by step, and what a spectator reads meanwhile.

Rule: only the public APIs are used: events are published and watched as an operator would; every wait is bounded.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console

from examples.demo.fleet import AGGREGATOR, AGGREGATOR_KW, FEEDER, FLEET, SITE, SITE_A, DemoCharger
from examples.demo.programs import Api, DemoFailed, Programs
from examples.demo.site import DISPATCH, EMERGENCY, MARKET_CONTEXT, TARIFF, VEN_ID, Site
from runtime.clock import Clock

FULL_KW = 1.0  # above it a car is charging
VOLTAGE = 230.0  # of the simulated chargers
ROOM = 1.03  # meter and control error of the simulated chargers when a sum is compared with a limit
CHANGE_S = 8.0  # after a dispatch begins or is divided anew: commands, the cars' ramp, one more meter value
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One event of the demonstration; times in seconds, compressed. ``group`` is whom it is for."""

    key: str
    title: str
    signal_name: str
    signal_type: str
    value: float
    in_s: int
    duration_s: int
    startafter_s: int
    context: str = MARKET_CONTEXT
    group: str = "demo-fleet"
    unit: tuple[tuple[str, str], ...] = ()  # itemBase, where the signal needs one
    together_kw: float | None = None  # what all chargers of the event may draw together

    @property
    def chargers(self) -> tuple[DemoCharger, ...]:
        """The chargers that it is for."""
        return tuple(each for each in FLEET if self.group == "demo-fleet" or self.group in each.groups)

    @property
    def ends_s(self) -> int:
        """Seconds from its publication to its latest end."""
        return self.in_s + self.startafter_s + self.duration_s


SIMPLE = Act(
    key="simple",
    title="SIMPLE level 2 (half of the installed maximum)",
    signal_name="SIMPLE",
    signal_type="level",
    value=2.0,
    in_s=8,
    duration_s=32,
    startafter_s=3,
)
CAPACITY = Act(
    key="capacity",
    title="LOAD_CONTROL x-loadControlCapacity 0.25 (a quarter of the installed maximum)",
    signal_name="LOAD_CONTROL",
    signal_type="x-loadControlCapacity",
    value=0.25,
    in_s=6,
    duration_s=26,
    startafter_s=3,
)
CURTAILMENT = replace(CAPACITY, key="curtailment", title=f"curtailment: {CAPACITY.title}")
SOLD = Act(
    key="dispatch",
    title=f"aggregator: LOAD_DISPATCH setpoint {AGGREGATOR_KW:g} kW for all of its chargers together",
    signal_name="LOAD_DISPATCH",
    signal_type="setpoint",
    value=AGGREGATOR_KW,
    in_s=6,
    duration_s=34,
    startafter_s=2,
    context=DISPATCH,
    group=AGGREGATOR,
    unit=(("kind", "powerReal"), ("siScaleCode", "k")),
    together_kw=AGGREGATOR_KW,
)
CUT = Act(
    key="emergency",
    title=f"emergency: no supply for {FEEDER}, at once and in the middle of the curtailment",
    signal_name="LOAD_CONTROL",
    signal_type="x-loadControlCapacity",
    value=0.0,
    in_s=18,
    duration_s=20,
    startafter_s=0,
    context=EMERGENCY,
    group=FEEDER,
)
PRICE = Act(
    key="price",
    title="price: ENERGY_PRICE 0.55 EUR/kWh, for which the programme has no rule",
    signal_name="ENERGY_PRICE",
    signal_type="price",
    value=0.55,
    in_s=6,
    duration_s=30,
    startafter_s=0,
    context=TARIFF,
    unit=(("kind", "currencyPerKWh"), ("itemUnits", "EUR")),
)
OVERLAP = (CURTAILMENT, SOLD, CUT, PRICE)


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
    sums: list[str] = field(default_factory=list)  # limits of several chargers together that did not hold
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


async def start(stage: Stage) -> None:
    """Start VTN, bridge and chargers, and wait until everybody who has a car is charging."""
    await stage.programs.vtn.start()
    await stage.until("the VTN starts", stage.vtn.healthy, 30)
    resources = [{"resourceID": charger.resource_id, "groupIDs": ["demo-fleet", *charger.groups]} for charger in FLEET]
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
    """Publish the event of an act and return its eventID."""
    start = stage.clock.now() + timedelta(seconds=act.in_s)
    event = await stage.vtn.post(
        "/events",
        {
            "marketContext": act.context,
            "priority": 1,
            "dtstart": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "duration": f"PT{act.duration_s}S",
            "startafter": f"PT{act.startafter_s}S",
            "signals": [
                {
                    "signalName": act.signal_name,
                    "signalType": act.signal_type,
                    "intervals": [{"duration": f"PT{act.duration_s}S", "value": act.value}],
                    **({"itemBase": dict(act.unit)} if act.unit else {}),
                }
            ],
            "targets": {"groupID": [act.group]},
            "responseRequired": "always",
            "vtnComment": act.title,
        },
    )
    stage.say(f"[bold]published[/bold] {act.title}: starts in {act.in_s} s, lasts {act.duration_s} s")
    return str(event["eventID"])


async def watch(stage: Stage, acts: Sequence[tuple[Act, str]]) -> None:
    """Show the progress of events until every outcome is final and the power afterwards is measured."""
    ends = max(act.ends_s for act, _ in acts)
    began = stage.clock.now()
    next_line = began

    async def over() -> bool:
        nonlocal next_line
        found = {event_id: await _outcomes(stage, event_id) for _, event_id in acts}
        for act, event_id in acts:
            _tell_changes(stage, act, event_id, found[event_id])
        now, chargers = stage.clock.now(), await stage.bridge.get("/chargers")
        elapsed_s = (now - began).total_seconds()
        _check_sums(stage, [act for act, _ in acts], chargers, elapsed_s)
        if now >= next_line:
            next_line = now + timedelta(seconds=4)
            _tell_progress(stage, ends, found[acts[0][1]], chargers, elapsed_s)
        return all(
            len(found[event_id]) == len(act.chargers) and all(row["phase"] == "closed" for row in found[event_id])
            for act, event_id in acts
        )

    await stage.until(" and ".join(f"{act.key} ends" for act, _ in acts), over, ends + 40)


def _check_sums(stage: Stage, acts: Sequence[Act], chargers: list[dict[str, Any]], elapsed_s: float) -> None:
    """Compare the site's and the aggregator's sums by meter with their limits, as far as they are in force."""
    kw = {row["chargerID"]: _kw(row) for row in chargers}
    for line in (1, 2, 3):
        drawn = sum(
            kw[each.identity] * 1000 / each.phases / VOLTAGE
            for each in FLEET
            if each.site == SITE and line in (each.lines or (1, 2, 3)[: each.phases])
        )
        if _stays_above(stage, f"{SITE} phase {line}", drawn > SITE_A * ROOM):
            stage.sums.append(f"{SITE}: {drawn:.1f} A on phase {line}, at most {SITE_A} A are allowed")
    for act in acts:
        within = act.in_s + act.startafter_s + CHANGE_S < elapsed_s < act.in_s + act.duration_s
        if act.together_kw is not None and within:
            together = sum(kw[each.identity] for each in act.chargers)
            if _stays_above(stage, act.key, together > act.together_kw * ROOM):
                stage.sums.append(f"{act.key}: {together:.2f} kW together, at most {act.together_kw:g} kW are allowed")


def _stays_above(stage: Stage, what: str, above: bool) -> bool:
    """True if a sum is above its limit for longer than meters, which are not read at one instant, can mislead."""
    now = stage.clock.now()
    since = stage.above.setdefault(what, now) if above else stage.above.pop(what, now)
    return above and (now - since).total_seconds() > CHANGE_S


async def _outcomes(stage: Stage, event_id: str) -> list[dict[str, Any]]:
    rows = await stage.bridge.get("/outcomes")
    return [row for row in rows if row["eventID"] == event_id]


def _tell_changes(stage: Stage, act: Act, event_id: str, outcomes: list[dict[str, Any]]) -> None:
    for row in outcomes:
        key, state = (event_id, row["chargerID"]), str(row["state"])
        if stage.seen.get(key) == state:
            continue
        stage.seen[key] = state
        if state in ("failed", "opted_out", "unresponsive", "partial", "constrained_by"):
            style = STATE_STYLE.get(state, "yellow")
            stage.say(f"  {row['chargerID']} {act.key} [{style}]{state}[/{style}]: {row['reason']}")


def _tell_progress(
    stage: Stage, total: int, outcomes: list[dict[str, Any]], chargers: list[dict[str, Any]], elapsed_s: float
) -> None:
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
