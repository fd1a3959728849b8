"""openleadr as VTN, in a process of its own (its state is partly on class level); driven by JSON lines."""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from openleadr import OpenADRServer

from tests.interop.peers.lines import commands, say


class Vtn:
    """One openleadr VTN that knows one VEN and says what it hears."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.registration_id: str | None = None
        self.server = OpenADRServer(
            vtn_id=config["vtn_id"],
            http_host="127.0.0.1",
            http_port=config["port"],
            http_cert=config["cert"],
            http_key=config["key"],
            http_ca_file=config["ca"],
            ven_lookup=self.ven_lookup,
            requested_poll_freq=timedelta(seconds=config.get("poll_s", 1)),
            verify_message_signatures="sign" in config,
            cert=config.get("sign"),
            key=config["key"] if "sign" in config else None,
            show_fingerprint=False,
        )
        self.server.add_handler("on_create_party_registration", self.on_registration)
        self.server.add_handler("on_register_report", self.on_register_report)

    async def ven_lookup(self, ven_id: str) -> dict[str, Any] | None:
        if ven_id != self.config["ven_id"]:
            return None
        return {
            "ven_id": ven_id,
            "ven_name": "bridge",
            "fingerprint": self.config["fingerprint"],
            "registration_id": self.registration_id,
        }

    async def on_registration(self, info: dict[str, Any]) -> tuple[str, str]:
        self.registration_id = "reg-1"
        say(registered=info["ven_name"], fingerprint=info.get("fingerprint"))
        return self.config["ven_id"], self.registration_id

    async def on_register_report(
        self,
        ven_id: str,
        resource_id: Any,
        measurement: str,
        unit: Any,
        scale: Any,
        min_sampling_interval: timedelta,
        max_sampling_interval: timedelta,
    ) -> Any:
        say(report_offered=measurement, resource_id=resource_id, unit=unit)
        if measurement == "Status":
            return None
        return self.on_report, min_sampling_interval, min_sampling_interval

    async def on_report(self, data: list[tuple[datetime, float]]) -> None:
        say(report=[(at, value) for at, value in data])

    async def on_answer(self, ven_id: str, event_id: str, opt_type: str) -> None:
        say(created_event=event_id, ven_id=ven_id, opt_type=opt_type)

    def add_event(self, command: dict[str, Any]) -> None:
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=command["in_s"])
        event_id = self.server.add_event(
            ven_id=self.config["ven_id"],
            signal_name=command["signal_name"],
            signal_type=command["signal_type"],
            intervals=[
                {
                    "dtstart": start,
                    "duration": timedelta(seconds=command["duration_s"]),
                    "signal_payload": command["value"],
                }
            ],
            callback=self.on_answer,
            market_context=command["market_context"],
            targets_by_type=command.get("targets"),
        )
        say(event_added=event_id)


async def main() -> None:
    vtn = Vtn(json.loads(sys.argv[1]))
    queue = await commands()
    await vtn.server.run()
    say(ready=True)
    while (command := await queue.get())["command"] != "stop":
        if command["command"] == "add_event":
            vtn.add_event(command)
        elif command["command"] == "cancel_event":
            vtn.server.cancel_event(vtn.config["ven_id"], command["event_id"])
    await vtn.server.stop()


if __name__ == "__main__":
    asyncio.run(main())
