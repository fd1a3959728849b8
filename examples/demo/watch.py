"""What a spectator reads while events run, what customers do meanwhile, and the sums that must hold.

Rule: only what the bridge's API tells is looked at; a sum is compared with its limit by meter.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from examples.demo.acts import Act
from examples.demo.crash import KILL_AT_S, crash
from examples.demo.fleet import FLEET, SITE, SITE_A
from examples.demo.stage import STATE_STYLE, VOLTAGE, Stage, drawn_kw

PRESSED_AFTER_S = 12.0  # into an event: its limit has been seen by meter
ROOM = 1.03  # meter and control error of the simulated chargers when a sum is compared with a limit
CHANGE_S = 8.0  # after a dispatch begins or is divided anew: commands, the cars' ramp, one more meter value


async def watch(stage: Stage, acts: Sequence[tuple[Act, str]], *, kill: bool = False) -> None:
    """Show the progress of events until every outcome is final and the power afterwards is measured.

    ``kill``: the bridge dies once in the middle of them.
    """
    ends = max(act.ends_s for act, _ in acts)
    began = stage.clock.now()
    next_line = began

    async def over() -> bool:
        nonlocal next_line, kill
        if kill and (stage.clock.now() - began).total_seconds() >= KILL_AT_S:
            kill = False
            await crash(stage)
        found = {event_id: await _outcomes(stage, event_id) for _, event_id in acts}
        for act, event_id in acts:
            _tell_changes(stage, act, event_id, found[event_id])
        now, chargers = stage.clock.now(), await stage.bridge.get("/chargers")
        elapsed_s = (now - began).total_seconds()
        _press(stage, [act for act, _ in acts], elapsed_s)
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
    kw = {row["chargerID"]: drawn_kw(row) for row in chargers}
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
    kw = sum(drawn_kw(row) for row in chargers if row["connected"])
    counts = Counter(str(row["state"]) for row in outcomes)
    states = ", ".join(f"{counts[state]} {state}" for state in sorted(counts))
    stage.say(f"[{bar}] {kw:6.1f} kW  {states}".replace("[#", "\\[#").replace("[.", "\\[."))


def _press(stage: Stage, acts: Sequence[Act], elapsed_s: float) -> None:
    """Have customers press the override button of their devices, once in their act, in the middle of it."""
    for act in acts:
        for device in act.chargers:
            due = act.in_s + act.startafter_s + PRESSED_AFTER_S
            if device.pressed_in == act.key and device.identity not in stage.pressed and elapsed_s >= due:
                stage.pressed.add(device.identity)
                stage.programs.devices[device.identity].press()
                stage.say(f"  the customer of {device.identity} presses override at the device")
