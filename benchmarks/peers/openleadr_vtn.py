"""openleadr as the VTN to compare with: mutual TLS, many VENs, its own queue.

SIGUSR1 publishes one event for each VEN, SIGUSR2 forgets all events. It takes every report it is offered and gives the
data to a callback that does nothing.
"""

import asyncio
import json
import logging
import signal
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from openleadr import OpenADRServer

SIGNAL = {"signal_name": "SIMPLE", "signal_type": "level"}


async def main() -> None:
    """Serve until killed."""
    logging.disable(logging.CRITICAL)
    config = json.loads(sys.argv[1])
    fingerprints: dict[str, str] = config["fingerprints"]

    async def ven_lookup(ven_id: str) -> dict[str, Any]:
        return {
            "ven_id": ven_id,
            "ven_name": ven_id,
            "fingerprint": fingerprints[ven_id],
            "registration_id": "reg-1",
        }

    async def answered(ven_id: str, event_id: str, opt_type: str) -> None:
        """Take a VEN's answer; none comes here."""

    server = OpenADRServer(
        vtn_id="VTN-peer",
        http_host="127.0.0.1",
        http_port=config["port"],
        http_cert=config["cert"],
        http_key=config["key"],
        http_ca_file=config["ca"],
        ven_lookup=ven_lookup,
        verify_message_signatures="sign" in config,
        cert=config.get("sign"),
        key=config["key"] if "sign" in config else None,
    )

    async def register_report(
        ven_id: str,
        resource_id: Any,
        measurement: str,
        unit: Any,
        scale: Any,
        min_sampling_interval: timedelta,
        max_sampling_interval: timedelta,
    ) -> Any:
        """Ask for every data point."""
        return data, min_sampling_interval

    async def data(values: list[tuple[datetime, float]]) -> None:
        """Take data."""

    server.add_handler("on_register_report", register_report)

    def publish() -> None:
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
        for ven_id in fingerprints:
            interval = {"dtstart": start, "duration": timedelta(minutes=30), "signal_payload": 2.0}
            server.add_event(
                ven_id=ven_id,
                intervals=[interval],
                callback=answered,
                market_context="http://gateway.example/programmes/dno-curtailment",
                **SIGNAL,
            )

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, publish)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, server.events.clear)
    await server.run()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
