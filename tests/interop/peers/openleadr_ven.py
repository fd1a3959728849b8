"""openleadr as VEN, in a process of its own; says what it receives as JSON lines."""

import asyncio
import json
import sys
from datetime import datetime, timedelta
from typing import Any

from openleadr import OpenADRClient, objects

from tests.interop.peers.lines import commands, say


async def on_event(event: dict[str, Any]) -> str:
    descriptor = event["event_descriptor"]
    say(
        event=descriptor["event_id"],
        modification_number=descriptor["modification_number"],
        event_status=descriptor["event_status"],
        market_context=descriptor["market_context"],
        signals=[
            {
                "signal_name": signal["signal_name"],
                "signal_type": signal["signal_type"],
                "values": [interval["signal_payload"] for interval in signal["intervals"]],
            }
            for signal in event["event_signals"]
        ],
        targets=event.get("targets_by_type"),
    )
    return "optIn"


async def measure() -> float:
    return 7200.0


async def obey(client: OpenADRClient, command: dict[str, Any]) -> None:
    """Do what the test says: opts, and the end of the registration."""
    kind = command["command"]
    if kind == "create_opt":
        window = command.get("window")
        given = (
            objects.VavailabilityComponent(
                dtstart=datetime.fromisoformat(window[0]), duration=timedelta(seconds=window[1])
            )
            if window
            else None
        )
        opt_id = await client.create_opt(
            opt_type=command["opt_type"],
            opt_reason="economic",
            targets=[objects.Target(ven_id=client.ven_id, resource_id=command.get("resource_id"))],
            vavailability=None if given is None else objects.Vavailability(components=[given]),
            event_id=command.get("event_id"),
            modification_number=command.get("modification_number"),
            opt_id=command["opt_id"],
        )
        say(created_opt=opt_id)
    elif kind == "cancel_opt":
        say(cancelled_opt=await client.cancel_opt(command["opt_id"]))
    elif kind == "cancel_registration":
        await client.cancel_party_registration()
        say(registration_id=client.registration_id)


async def main() -> None:
    config = json.loads(sys.argv[1])
    client = OpenADRClient(
        ven_name=config["ven_name"],
        vtn_url=config["vtn_url"],
        cert=config["cert"],
        key=config["key"],
        ca_file=config["ca"],
        disable_signature="vtn_fingerprint" not in config,
        vtn_fingerprint=config.get("vtn_fingerprint"),
        show_fingerprint=False,  # it cannot read a PEM file with a chain in it
        allow_jitter=False,
        ven_id=config.get("ven_id"),
    )
    client.add_handler("on_event", on_event)
    client.add_handler("on_update_event", on_event)
    client.add_report(
        callback=measure,
        resource_id="meter-1",
        measurement="power_real",
        r_id="P-meter-1",
        report_specifier_id="usage",
        sampling_rate=timedelta(seconds=1),
        report_duration=timedelta(seconds=60),
    )
    queue = await commands()
    await client.run()
    say(registered=client.registration_id, ven_id=client.ven_id)
    while (command := await queue.get())["command"] != "stop":
        await obey(client, command)
    await client.stop()


if __name__ == "__main__":
    asyncio.run(main())
