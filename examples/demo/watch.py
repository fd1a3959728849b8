"""What a spectator reads while events run, what customers do meanwhile, and the sums that must hold.

Rule: only what the bridge's API tells is looked at; a sum is compared with its limit by meter.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from examples.demo.acts import Act, Published
from examples.demo.fleet import SITE, SITE_A
from examples.demo.stage import STATE_STYLE, VOLTAGE, Stage, drawn_kw

PRESSED_AFTER_S = 12.0  # into an event: its limit has been seen by meter
ROOM = 1.03  # meter and control error of the simulated chargers when a sum is compared with a limit
CHANGE_S = 8.0  # after a dispatch begins or is divided anew: commands, the cars' ramp, one more meter value


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the bridge's API tells at one instant: outcomes by eventID, and its chargers."""

    at: datetime
    outcomes: Mapping[str, list[dict[str, Any]]]
    chargers: list[dict[str, Any]]


@dataclass(slots=True, kw_only=True)
class Watch:
    """One scene as a spectator sees it; ``began``: when its events were published."""

    stage: Stage
    events: list[Published]
    began: datetime
    next_line: datetime

    async def until(self, what: str, done: Callable[[Look], bool], timeout_s: float) -> None:
        """Show the progress of the events until something is seen; raises ``DemoFailed`` if it does not come."""

        async def seen() -> bool:
            return done(await self._look())

        await self.stage.until(what, seen, timeout_s)

    async def to_the_end(self) -> None:
        """Show it until every outcome is final and the power afterwards is measured."""
        what = " and ".join(f"{each.act.key} ends" for each in self.events)
        elapsed_s = (self.stage.clock.now() - self.began).total_seconds()
        await self.until(what, self._over, self._ends_s - elapsed_s + 40)

    @property
    def _ends_s(self) -> int:
        return max(each.act.ends_s for each in self.events)

    def _over(self, look: Look) -> bool:
        return all(
            len(look.outcomes[each.event_id]) == len(each.act.among(self.stage.fleet))
            and all(row["phase"] == "closed" for row in look.outcomes[each.event_id])
            for each in self.events
        )

    async def _look(self) -> Look:
        stage, acts = self.stage, [each.act for each in self.events]
        found = {each.event_id: await _outcomes(stage, each.event_id) for each in self.events}
        for each in self.events:
            _tell_changes(stage, each, found[each.event_id])
        look = Look(at=stage.clock.now(), outcomes=found, chargers=await stage.bridge.get("/chargers"))
        elapsed_s = (look.at - self.began).total_seconds()
        _press(stage, acts, elapsed_s)
        _check_sums(stage, acts, look.chargers, elapsed_s)
        if look.at >= self.next_line:
            self.next_line = look.at + timedelta(seconds=4)
            _tell_progress(stage, self._ends_s, found[self.events[0].event_id], look.chargers, elapsed_s)
        return look


def watching(stage: Stage, events: Sequence[Published]) -> Watch:
    """Return the watch over a scene that has just been published."""
    now = stage.clock.now()
    return Watch(stage=stage, events=list(events), began=now, next_line=now)


def _check_sums(stage: Stage, acts: Sequence[Act], chargers: list[dict[str, Any]], elapsed_s: float) -> None:
    """Compare the site's and the aggregator's sums by meter with their limits, as far as they are in force."""
    kw = {row["chargerID"]: drawn_kw(row) for row in chargers}
    for line in (1, 2, 3):
        drawn = sum(
            kw[each.identity] * 1000 / each.phases / VOLTAGE
            for each in stage.fleet
            if each.site == SITE and line in (each.lines or (1, 2, 3)[: each.phases])
        )
        if _stays_above(stage, f"{SITE} phase {line}", drawn > SITE_A * ROOM):
            stage.sums.append(f"{SITE}: {drawn:.1f} A on phase {line}, at most {SITE_A} A are allowed")
    for act in acts:
        within = act.in_s + act.startafter_s + CHANGE_S < elapsed_s < act.in_s + act.duration_s
        if act.together_kw is not None and within:
            together = sum(kw[each.identity] for each in act.among(stage.fleet))
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


def _tell_changes(stage: Stage, event: Published, outcomes: list[dict[str, Any]]) -> None:
    for row in outcomes:
        key, state = (event.event_id, row["chargerID"]), str(row["state"])
        if stage.seen.get(key) == state:
            continue
        stage.seen[key] = state
        if state in ("failed", "opted_out", "unresponsive", "partial", "constrained_by"):
            style = STATE_STYLE.get(state, "yellow")
            stage.say(f"  {row['chargerID']} {event.act.key} [{style}]{state}[/{style}]: {row['reason']}")


def _tell_progress(
    stage: Stage, total: int, outcomes: list[dict[str, Any]], chargers: list[dict[str, Any]], elapsed_s: float
) -> None:
    share = min(1.0, elapsed_s / total)
    bar = "#" * round(20 * share) + "." * (20 - round(20 * share))
    kw = sum(drawn_kw(row) for row in chargers if row["connected"])
    counts = Counter(str(row["state"]) for row in outcomes)
    states = ", ".join(f"{counts[state]} {state}" for state in sorted(counts))
    stage.say(f"[{bar}] {kw:6.1f} kW  {states}".replace("[#", "\\[#").replace("[.", "\\[."))


def _press(stage: Stage, acts: Sequence[Act], elapsed_s: float) -> None:
    """Have customers press the override button of their devices, once in their act, in the middle of it."""
    for act in acts:
        for device in act.among(stage.fleet):
            due = act.in_s + act.startafter_s + PRESSED_AFTER_S
            if device.pressed_in == act.key and device.identity not in stage.pressed and elapsed_s >= due:
                stage.pressed.add(device.identity)
                stage.programs.devices[device.identity].press()
                stage.say(f"  the customer of {device.identity} presses override at the device")
