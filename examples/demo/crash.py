"""kill -9 of the bridge in the middle of overlapping events, with ``--kill``: the same limits are in force afterwards.

Rule: it dies while every event is in force. What held before holds afterwards, if its time is not over meanwhile.
"""

from datetime import datetime
from typing import Any

from examples.demo.stage import Stage

KILL_AT_S = 28.0  # into the overlap: the emergency has been seen by meter, the curtailment goes on


async def crash(stage: Stage) -> None:
    """Kill the bridge, start it again, and compare the limits."""
    before = await _limits(stage)
    stage.programs.bridge.kill()
    await stage.programs.bridge.stop()
    stage.killed = True
    stage.say("[red]kill -9[/red] of the bridge; the chargers go on by what they hold")
    await stage.programs.bridge.start()
    await stage.until("the bridge is back", stage.bridge.healthy, 60)
    after, now = await _limits(stage), stage.clock.now()
    holding = {name: row for name, row in before.items() if _until(row) is None or (_until(row) or now) > now}
    for name, row in holding.items():
        if after[name]["limitA"] != row["limitA"]:
            stage.sums.append(f"{name}: limit {after[name]['limitA']} A after the kill, {row['limitA']} A before")
    same = sum(after[name]["limitA"] == row["limitA"] for name, row in holding.items())
    stage.say(f"the bridge is back: {same} of the {len(holding)} limits that are not over are the same as before")


def _until(row: dict[str, Any]) -> datetime | None:
    return None if row["until"] is None else datetime.fromisoformat(row["until"])


async def _limits(stage: Stage) -> dict[str, dict[str, Any]]:
    return {row["chargerID"]: row for row in await stage.bridge.get("/limits")}
