"""kill -9 of the bridge in the middle of overlapping events, with ``--kill``: the same limits are in force afterwards.

Rule: nothing here goes by time. The bridge dies once every event is in force and judged by meter; the events last until
every charger is back and has metered again; then the operator changes them to end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from examples.demo import behind
from examples.demo.acts import Act, Published
from examples.demo.fleet import FAILED
from examples.demo.stage import Stage
from examples.demo.story import end_at
from examples.demo.watch import Look, Watch

SEEN_S = 60.0  # the longest wait for each: every event judged, the bridge back, every charger back and metered
LASTS_S = 4 * 60  # how much longer the events last than without a kill: longer than all of these waits
LEAD_S = 8.0  # then the first event ends: time for the VEN's poll, other schedules, settling and one more meter value


def lasting(acts: Sequence[Act]) -> tuple[Act, ...]:
    """Return events that are in force for as long as it may take."""
    return tuple(replace(act, duration_s=act.duration_s + LASTS_S) for act in acts)


async def crash(watch: Watch) -> list[str]:
    """Kill the bridge and start it again; return what is not as it was. The events end soon after."""
    stage = watch.stage
    await watch.until("every event is judged by meter", lambda look: judged(watch, look), SEEN_S)
    before = await _limits(stage)
    await stage.programs.bridge.kill()
    killed = stage.clock.now()
    stage.say("[red]kill -9[/red] of the bridge; the chargers go on by what they hold")
    await stage.programs.bridge.start()
    await stage.until("the bridge is back", stage.bridge.healthy, SEEN_S)
    faults = _compare(stage, before, await _limits(stage), "the bridge is back")
    await watch.until(
        "every charger is back and has metered again",
        lambda look: _heard(watch, look, killed) and judged(watch, look),
        SEEN_S,
    )
    faults += _compare(stage, before, await _limits(stage), "every charger is back and has metered again")
    watch.events = await _end(stage, watch.events)
    return faults


def judged(watch: Watch, look: Look) -> bool:
    """True once every event is in force and has come to what it must at each of its chargers."""
    return all(
        look.at >= each.start + timedelta(seconds=each.act.startafter_s) and _as_expected(watch.stage, each, look)
        for each in watch.events
    )


def _as_expected(stage: Stage, event: Published, look: Look) -> bool:
    states = {row["chargerID"]: row["state"] for row in look.outcomes[event.event_id]}
    for each in event.act.among(stage.fleet):
        expected, state = behind.expected(each, event.act.key, stage.site.csms), states.get(each.identity)
        cut = expected == FAILED and state == "idle"  # its supply, as the last resort: what it did is told at the end
        if state != expected.state and not cut:
            return False
    return True


def _heard(watch: Watch, look: Look, since: datetime) -> bool:
    """True once every charger is connected, and every one with a meter reading has a newer one."""
    return all(
        row["connected"] and (row["reading"] is None or datetime.fromisoformat(row["reading"]["at"]) > since)
        for row in look.chargers
    )


async def _limits(stage: Stage) -> dict[str, tuple[Any, Any]]:
    """Return what limits each charger, in A, and by which event."""
    return {row["chargerID"]: (row["limitA"], row["eventID"]) for row in await stage.bridge.get("/limits")}


def _compare(
    stage: Stage, before: Mapping[str, tuple[Any, Any]], after: Mapping[str, tuple[Any, Any]], when: str
) -> list[str]:
    faults = [
        f"{name}: limit {after.get(name)} when {when}, {was} before the kill"
        for name, was in before.items()
        if after.get(name) != was
    ]
    limited = sum(limit_a is not None for limit_a, _ in before.values())
    if limited < len(stage.fleet):
        faults.append(f"only {limited} chargers were limited before the kill")
    stage.say(f"{when}: {len(before) - len(faults)} of the {len(before)} limits are the same as before")
    return faults


async def _end(stage: Stage, events: Sequence[Published]) -> list[Published]:
    """Let the events end soon, in the order in which they would have ended."""
    first_s = min(each.act.ends_s for each in events)
    soon = stage.clock.now() + timedelta(seconds=LEAD_S)
    stage.say("everything has been seen: the operator lets the events end")
    return [await end_at(stage, each, soon + timedelta(seconds=each.act.ends_s - first_s)) for each in events]
