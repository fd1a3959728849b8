"""What happens in the demonstration, step by step.

Rule: only the public APIs are used: events are published as an operator would; every wait is bounded.
"""

from datetime import timedelta

from examples.demo.acts import Act
from examples.demo.fleet import FLEET
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

    for device in stage.programs.devices.values():
        await device.start()
    await stage.programs.fleet.start()
    await stage.until("all chargers charge", lambda: _charging(stage, plugged=0), 60)
    stage.say("20 chargers and 2 CTA-2045 devices are connected, 19 cars charge, a water heater heats")


async def _charging(stage: Stage, *, plugged: float) -> bool:
    """True once every charger is connected and every car plugged in by ``plugged`` s draws power."""
    chargers = {row["chargerID"]: row for row in await stage.bridge.get("/chargers")}
    for charger in FLEET:
        row = chargers[charger.identity]
        if not row["connected"]:
            return False
        delay = charger.script.get("plug_in_after_s", 0)
        expects_car = isinstance(delay, int) and delay <= plugged
        if expects_car and (drawn_kw(row) < FULL_KW):
            return False
    return True


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


async def wait_all_back(stage: Stage) -> None:
    """Wait until the charger that went away is back and every car charges again; overrides are released."""
    for name in sorted(stage.pressed):
        stage.programs.devices[name].press()
        stage.say(f"  the customer of {name} takes the override back")
    stage.pressed.clear()
    await stage.until("overrides are over", lambda: _released(stage), 30)
    await stage.until("every charger is back", lambda: _charging(stage, plugged=3600), 90)
    stage.say("every charger is connected again, all 20 cars charge")


async def _released(stage: Stage) -> bool:
    return not any(each["override"] for each in await stage.bridge.get("/cta-devices"))
