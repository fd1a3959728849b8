"""What happens in the demonstration, step by step.

Rule: only the public APIs are used: events are published as an operator would; every wait is bounded.
"""

import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from examples.demo.acts import WHOLE_FLEET, Act, Published
from examples.demo.fleet import HEATER, NEVER_S
from examples.demo.site import VEN_ID
from examples.demo.stage import Stage, drawn_kw

FULL_KW = 1.0  # above it a car is charging


async def start(stage: Stage) -> None:
    """Start VTN, bridge and chargers, and wait until everybody who has a car is charging."""
    for program in stage.programs.csms:
        await program.start()
        stage.say("the CPO's own CSMS is up; its chargers dial the bridge, which stands in between")
    await stage.programs.vtn.start()
    await stage.until("the VTN starts", stage.vtn.healthy, 30)
    resources = [{"resourceID": each.resource_id, "groupIDs": [WHOLE_FLEET, *each.groups]} for each in stage.fleet]
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

    for device in stage.programs.devices.values():
        await device.start()
    await stage.programs.fleet.start()
    await stage.until("all chargers charge", lambda: _charging(stage, before_s=1), 60)
    cars = sum(each.car_after_s == 0 and each.cta != HEATER for each in stage.fleet)
    stage.say(f"20 chargers and 2 CTA-2045 devices are connected, {cars} cars charge, a water heater heats")


async def _charging(stage: Stage, *, before_s: int) -> bool:
    """True once every charger is connected and every car that is plugged in before ``before_s`` draws power."""
    chargers = {row["chargerID"]: row for row in await stage.bridge.get("/chargers")}
    rows = [(each, chargers[each.identity]) for each in stage.fleet]
    return all(row["connected"] and (each.car_after_s >= before_s or drawn_kw(row) >= FULL_KW) for each, row in rows)


async def publish(stage: Stage, act: Act) -> Published:
    """Publish the event of an act."""
    start = (stage.clock.now() + timedelta(seconds=act.in_s)).replace(microsecond=0)
    event = await stage.vtn.post("/events", {**_event(act), "dtstart": start.strftime("%Y-%m-%dT%H:%M:%SZ")})
    stage.say(f"[bold]published[/bold] {act.title}: starts in {act.in_s} s, lasts {act.duration_s} s")
    return Published(act=act, event_id=str(event["eventID"]), start=start)


async def end_at(stage: Stage, event: Published, end: datetime) -> Published:
    """Change an event that has begun, so that it ends earlier."""
    act = replace(event.act, duration_s=math.ceil((end - event.start).total_seconds()))
    change = {"modificationNumber": 0, "modificationReason": "everything has been seen"}
    await stage.vtn.put(f"/events/{event.event_id}", {**_event(act), **change})
    return replace(event, act=act, changed=True)


def _event(act: Act) -> dict[str, Any]:
    """Return the event as the operator API takes it; what is left out at a change stays."""
    return {
        "marketContext": act.context,
        "priority": 1,
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
    }


async def wait_all_back(stage: Stage) -> None:
    """Wait until the charger that went away is back and every car charges again; overrides are released."""
    for name in sorted(stage.pressed):
        stage.programs.devices[name].press()
        stage.say(f"  the customer of {name} takes the override back")
    stage.pressed.clear()
    await stage.until("overrides are over", lambda: _released(stage), 30)
    await stage.until("every charger is back", lambda: _charging(stage, before_s=NEVER_S), 90)
    stage.say("every charger is connected again, all 20 cars charge")


async def _released(stage: Stage) -> bool:
    return not any(each["override"] for each in await stage.bridge.get("/cta-devices"))
