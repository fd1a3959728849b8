"""openleadr as the VTN to compare with: mutual TLS, one known VEN, answers each poll with nothing or with one event."""

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from openleadr import OpenADRServer, objects


def one_event(ven_id: str) -> Any:
    """Return an event of one signal and one interval, as an openleadr user would make it."""
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    interval = objects.Interval(dtstart=start, duration=timedelta(minutes=30), uid=0, signal_payload=2.0)
    return objects.Event(
        event_descriptor=objects.EventDescriptor(
            event_id="event-1",
            modification_number=0,
            market_context="http://grid.example/curtailment",
            event_status="far",
            created_date_time=start,
            priority=0,
        ),
        active_period=objects.ActivePeriod(dtstart=start, duration=timedelta(minutes=30)),
        event_signals=[
            objects.EventSignal(signal_id="signal-1", signal_name="SIMPLE", signal_type="level", intervals=[interval])
        ],
        targets=[objects.Target(ven_id=ven_id)],
        response_required="always",
    )


async def main() -> None:
    """Serve until killed."""
    logging.disable(logging.CRITICAL)
    config = json.loads(sys.argv[1])
    event = one_event(config["ven_id"]) if config["with_event"] else None

    async def ven_lookup(ven_id: str) -> dict[str, Any]:
        return {
            "ven_id": ven_id,
            "ven_name": "bench",
            "fingerprint": config["fingerprint"],
            "registration_id": "reg-1",
        }

    async def on_poll(ven_id: str) -> Any:
        return ("oadrDistributeEvent", {"events": [event]}) if event is not None else None

    server = OpenADRServer(
        vtn_id="VTN-peer",
        http_host="127.0.0.1",
        http_port=config["port"],
        http_cert=config["cert"],
        http_key=config["key"],
        http_ca_file=config["ca"],
        ven_lookup=ven_lookup,
        verify_message_signatures=False,
    )
    if event is not None:
        server.add_handler("on_poll", on_poll)
    await server.run()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
