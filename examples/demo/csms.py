"""A small CSMS as a charge point operator would have one: ``python -m examples.demo.csms --port N ...``.

Rule: it is made from the ``ocpp`` and ``websockets`` libraries alone and knows nothing of the bridge: to it there are
chargers that dial in, each with its own password. It counts what it is told, so that anybody can ask it (``/summary``)
whether something was lost or came twice.
"""

import argparse
import asyncio
import base64
import json
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast

import ocpp.messages
from ocpp import routing
from ocpp.v16 import ChargePoint as V16ChargePoint
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v201 import ChargePoint as V201ChargePoint
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from runtime.clock import Clock, SystemClock

HEARTBEAT_S = 300
ONCE = frozenset({"StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent"})  # each is one event

Method = TypeVar("Method", bound=Callable[..., Any])


def on(action: str) -> Callable[[Method], Method]:
    """Mark what answers ``action``."""
    return cast("Callable[[Method], Method]", routing.on(action))


def after(action: str) -> Callable[[Method], Method]:
    """Mark what is done once ``action`` is answered."""
    return cast("Callable[[Method], Method]", routing.after(action))


@dataclass(slots=True)
class Session:
    """A transaction as the CPO will bill it."""

    charger: str
    token: str
    start: object
    stop: object = None


@dataclass(slots=True)
class Ledger:
    """What all chargers have said: sessions by transaction id, and every message by its id."""

    sessions: dict[str, Session] = field(default_factory=dict)
    starts: dict[tuple[object, ...], int] = field(default_factory=dict)
    boots: dict[str, int] = field(default_factory=dict)
    meters: dict[str, list[str]] = field(default_factory=dict)  # by charger: the samples' own times
    statuses: dict[str, list[str]] = field(default_factory=dict)
    notices: list[tuple[str, str]] = field(default_factory=list)  # 2.0.1: limits of others, as chargers tell
    seen: dict[str, set[str]] = field(default_factory=dict)  # by charger: message ids
    again: int = 0  # messages that came once more under the same id: told apart, not counted
    said: set[tuple[str, str, str]] = field(default_factory=set)  # by charger: what may be told once only
    twice: list[tuple[str, str]] = field(default_factory=list)  # what was told once more, as if it were another message
    refused_tokens: set[str] = field(default_factory=set)

    def start(self, charger: str, token: str, connector: object, at: object, meter: object) -> int:
        """Return the id of a 1.6 transaction; the same start sent again is the same transaction."""
        key = (charger, connector, token, at, meter)
        if key not in self.starts:
            self.starts[key] = len(self.starts) + 1
            self.sessions[f"{charger}/{self.starts[key]}"] = Session(charger, token, meter)
        return self.starts[key]

    def new(self, charger: str, message_id: str, action: str, payload: Any) -> bool:
        """Take note of a message; False for one that has been seen under its id."""
        ids = self.seen.setdefault(charger, set())
        if message_id in ids:
            self.again += 1
            return False
        ids.add(message_id)
        words = (charger, action, json.dumps(payload, sort_keys=True))
        if action in ONCE and words in self.said:
            self.twice.append((charger, action))
        self.said.add(words)
        return True

    def metered(self, charger: str, values: Any) -> None:
        """Take note of samples by their times."""
        self.meters.setdefault(charger, []).extend(str(each.get("timestamp")) for each in values or ())

    def summary(self) -> dict[str, Any]:
        """Return the figures."""
        return {
            "chargers": len(self.seen),
            "sessions": len(self.sessions),
            "open": sum(each.stop is None for each in self.sessions.values()),
            "samples": sum(map(len, self.meters.values())),
            "toldTwice": len(self.twice),
            "messagesAgain": self.again,
            "limitNotices": len(self.notices),
        }


class _Counted:
    """Notes each call's message id before the library routes it."""

    ledger: Ledger
    fresh = True

    async def route_message(self, raw: str) -> None:
        """Route one message."""
        try:
            message = json.loads(raw)
            if message[0] == 2:
                charger: str = self.id  # type: ignore[attr-defined]
                self.fresh = self.ledger.new(charger, str(message[1]), str(message[2]), message[3])
        except (ValueError, IndexError, KeyError, TypeError):
            pass
        await super().route_message(raw)  # type: ignore[misc]


class Charger16(_Counted, V16ChargePoint):  # type: ignore[misc]
    """One 1.6 charger at this CSMS."""

    def __init__(self, csms: "Csms", identity: str, socket: ServerConnection) -> None:
        super().__init__(identity, socket)
        self.csms, self.ledger = csms, csms.ledger

    @on("BootNotification")
    def on_boot(self, **_: Any) -> Any:
        """Accept."""
        self.ledger.boots[self.id] = self.ledger.boots.get(self.id, 0) + 1
        return result16.BootNotification(current_time=self.csms.now(), interval=HEARTBEAT_S, status="Accepted")

    @after("BootNotification")
    async def after_boot(self, **_: Any) -> None:
        """Set the charger up as this CPO wants it."""
        await self.csms.set_up_16(self)

    @on("Heartbeat")
    def on_heartbeat(self, **_: Any) -> Any:
        """Give the time."""
        return result16.Heartbeat(current_time=self.csms.now())

    @on("StatusNotification")
    def on_status(self, status: str, **_: Any) -> Any:
        """Note it."""
        self.ledger.statuses.setdefault(self.id, []).append(status)
        return result16.StatusNotification()

    @on("Authorize")
    def on_authorize(self, id_tag: str) -> Any:
        """Allow all but the refused ones."""
        return result16.Authorize(id_tag_info={"status": self.csms.allows(id_tag)})

    @on("StartTransaction")
    def on_start(self, connector_id: int, id_tag: str, meter_start: int, timestamp: str, **_: Any) -> Any:
        """Number the transaction."""
        number = self.ledger.start(self.id, id_tag, connector_id, timestamp, meter_start)
        return result16.StartTransaction(transaction_id=number, id_tag_info={"status": self.csms.allows(id_tag)})

    @on("StopTransaction")
    def on_stop(self, transaction_id: int, meter_stop: int, **_: Any) -> Any:
        """Close the transaction."""
        session = self.ledger.sessions.get(f"{self.id}/{transaction_id}")
        if session is not None:
            session.stop = meter_stop
        return result16.StopTransaction()

    @on("MeterValues")
    def on_meter(self, meter_value: Any, **_: Any) -> Any:
        """Note the samples once."""
        if self.fresh:
            self.ledger.metered(self.id, meter_value)
        return result16.MeterValues()


class Charger201(_Counted, V201ChargePoint):  # type: ignore[misc]
    """One 2.0.1 charger at this CSMS."""

    def __init__(self, csms: "Csms", identity: str, socket: ServerConnection) -> None:
        super().__init__(identity, socket)
        self.csms, self.ledger = csms, csms.ledger

    @on("BootNotification")
    def on_boot(self, **_: Any) -> Any:
        """Accept."""
        self.ledger.boots[self.id] = self.ledger.boots.get(self.id, 0) + 1
        return result201.BootNotification(current_time=self.csms.now(), interval=HEARTBEAT_S, status="Accepted")

    @after("BootNotification")
    async def after_boot(self, **_: Any) -> None:
        """Set the charger up as this CPO wants it."""
        await self.csms.set_up_201(self)

    @on("Heartbeat")
    def on_heartbeat(self, **_: Any) -> Any:
        """Give the time."""
        return result201.Heartbeat(current_time=self.csms.now())

    @on("StatusNotification")
    def on_status(self, connector_status: str, **_: Any) -> Any:
        """Note it."""
        self.ledger.statuses.setdefault(self.id, []).append(connector_status)
        return result201.StatusNotification()

    @on("Authorize")
    def on_authorize(self, id_token: Mapping[str, Any], **_: Any) -> Any:
        """Allow all but the refused ones."""
        return result201.Authorize(id_token_info={"status": self.csms.allows(str(id_token.get("id_token")))})

    @on("TransactionEvent")
    def on_transaction(self, event_type: str, transaction_info: Mapping[str, Any], **rest: Any) -> Any:
        """Follow the transaction."""
        token = rest.get("id_token")
        key = f"{self.id}/{transaction_info['transaction_id']}"
        name = str(token.get("id_token")) if isinstance(token, Mapping) else ""
        session = self.ledger.sessions.setdefault(key, Session(self.id, name, rest.get("seq_no")))
        if event_type == "Ended":
            session.stop = rest.get("seq_no")
        if self.fresh:
            self.ledger.metered(self.id, rest.get("meter_value"))
        return result201.TransactionEvent(id_token_info={"status": self.csms.allows(name)} if name else None)

    @on("MeterValues")
    def on_meter(self, meter_value: Any, **_: Any) -> Any:
        """Note the samples once."""
        if self.fresh:
            self.ledger.metered(self.id, meter_value)
        return result201.MeterValues()

    @on("NotifyChargingLimit")
    def on_limit(self, **_: Any) -> Any:
        """Note that somebody else limits the charger."""
        self.ledger.notices.append((self.id, "limited"))
        return result201.NotifyChargingLimit()

    @on("ClearedChargingLimit")
    def on_no_limit(self, **_: Any) -> Any:
        """Note that nobody else does any more."""
        self.ledger.notices.append((self.id, "cleared"))
        return result201.ClearedChargingLimit()


class Csms:
    """All chargers of the CPO. ``passwords``: by identity; empty lets all in. ``limits_a``: own limits, by identity."""

    def __init__(
        self,
        clock: Clock,
        *,
        passwords: Mapping[str, str] | None = None,
        meter_interval_s: int | None = None,
        limits_a: Mapping[str, float] | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        ocpp.messages.ASYNC_VALIDATION = False  # in line is quicker than in a thread
        self._clock, self._passwords = clock, dict(passwords or {})
        self._meter_interval_s, self._limits_a = meter_interval_s, dict(limits_a or {})
        self.ledger = ledger or Ledger()
        self.chargers: dict[str, Any] = {}
        self._server: Server | None = None
        self._ids = count(1)

    def now(self) -> str:
        """Return the time as the standard writes it."""
        return self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def allows(self, token: str) -> str:
        """Return what a token's holder is told."""
        return "Invalid" if token in self.ledger.refused_tokens else "Accepted"

    async def start(self, port: int = 0, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        """Listen."""
        self._server = await serve(
            self._connected,
            host,
            port,
            ssl=tls,
            subprotocols=["ocpp2.0.1", "ocpp1.6"],  # type: ignore[list-item]
            process_request=self._enter,
            compression=None,
        )

    @property
    def port(self) -> int:
        """The port in use."""
        return int(next(iter(self._server.sockets)).getsockname()[1]) if self._server is not None else 0

    async def stop(self) -> None:
        """Close all connections."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def _enter(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path == "/summary":
            return connection.respond(HTTPStatus.OK, json.dumps(self.ledger.summary()))
        identity = request.path.rpartition("/")[2]
        secret = self._passwords.get(identity)
        if self._passwords and secret is None:
            return connection.respond(HTTPStatus.NOT_FOUND, "")
        if secret is not None:
            wanted = "Basic " + base64.b64encode(f"{identity}:{secret}".encode()).decode()
            if request.headers.get("Authorization") != wanted:
                return connection.respond(HTTPStatus.UNAUTHORIZED, "")
        return None

    async def _connected(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        identity = socket.request.path.rpartition("/")[2]
        kind = Charger16 if socket.subprotocol == "ocpp1.6" else Charger201
        charger = self.chargers[identity] = kind(self, identity, socket)
        try:
            with suppress(ConnectionClosed):
                await charger.start()
        finally:
            if self.chargers.get(identity) is charger:
                del self.chargers[identity]

    async def set_up_16(self, charger: Any) -> None:
        """Set the meter interval and the CPO's own limit."""
        if self._meter_interval_s is not None:
            value = str(self._meter_interval_s)
            await charger.call(call16.ChangeConfiguration(key="MeterValueSampleInterval", value=value))
        limit = self._limits_a.get(charger.id)
        if limit is not None:
            await self.limit(charger.id, limit)

    async def set_up_201(self, charger: Any) -> None:
        """Set the meter interval and the CPO's own limit."""
        if self._meter_interval_s is not None:
            data = {
                "component": {"name": "SampledDataCtrlr"},
                "variable": {"name": "TxUpdatedInterval"},
                "attribute_value": str(self._meter_interval_s),
            }
            await charger.call(call201.SetVariables(set_variable_data=[data]))
        limit = self._limits_a.get(charger.id)
        if limit is not None:
            await self.limit(charger.id, limit)

    async def clear(self, identity: str, number: int | None = None) -> str:
        """Clear one profile of a charger, or all; returns the status."""
        charger = self.chargers[identity]
        if isinstance(charger, Charger16):
            answer = await charger.call(call16.ClearChargingProfile(id=number))
        else:
            answer = await charger.call(call201.ClearChargingProfile(charging_profile_id=number))
        return str(answer.status)

    async def limit(
        self,
        identity: str,
        limit_a: float,
        *,
        number: int = 1,
        level: int = 0,
        purpose: str = "TxDefaultProfile",
        transaction: str | None = None,
    ) -> str:
        """Give a charger a limit of this CPO's; returns the status."""
        charger, place = self.chargers[identity], 0 if transaction is None else 1
        schedule = {
            "charging_rate_unit": "A",
            "start_schedule": "2026-01-01T00:00:00Z",
            "charging_schedule_period": [{"start_period": 0, "limit": limit_a}],
        }
        profile: dict[str, Any] = {
            "stack_level": level,
            "charging_profile_purpose": purpose,
            "charging_profile_kind": "Absolute",
        }
        if isinstance(charger, Charger16):
            profile |= {"charging_profile_id": number, "charging_schedule": schedule}
            profile |= {} if transaction is None else {"transaction_id": int(transaction)}
            answer = await charger.call(call16.SetChargingProfile(connector_id=place, cs_charging_profiles=profile))
        else:
            profile |= {"id": number, "charging_schedule": [{"id": number, **schedule}]}
            profile |= {} if transaction is None else {"transaction_id": transaction}
            answer = await charger.call(call201.SetChargingProfile(evse_id=place, charging_profile=profile))
        return str(answer.status)


async def _serve(arguments: argparse.Namespace) -> None:
    folder: Path | None = arguments.passwords
    passwords = {each.name: each.read_text().strip() for each in folder.iterdir()} if folder is not None else {}
    limits = {name: float(amperes) for name, _, amperes in (each.partition("=") for each in arguments.limit)}
    tls = None
    if arguments.cert is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(arguments.cert, arguments.key)
    csms = Csms(SystemClock(), passwords=passwords, meter_interval_s=arguments.meter_interval, limits_a=limits)
    await csms.start(arguments.port, tls)
    try:
        await asyncio.Event().wait()
    finally:
        await csms.stop()


def main() -> None:
    """Read the command line and run until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cert", type=Path, help="server certificate chain; none: plain ws://")
    parser.add_argument("--key", type=Path)
    parser.add_argument("--passwords", type=Path, help="folder with one file a charger, its password in it")
    parser.add_argument("--meter-interval", type=int, help="seconds; set at every boot")
    parser.add_argument("--limit", action="append", default=[], metavar="CHARGER=A", help="a limit of the CPO's own")
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
