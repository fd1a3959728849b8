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
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

import ocpp.messages
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from examples.demo.csms_chargers import Charger, Charger16, Charger201, Cpo
from examples.demo.csms_ledger import Ledger
from runtime.clock import Clock, SystemClock


class Csms:
    """All chargers of the CPO. ``passwords``: by identity; empty lets all in. ``limits_a``: own limits, by identity."""

    def __init__(
        self,
        clock: Clock,
        *,
        passwords: Mapping[str, str] | None = None,
        meter_interval_s: int | None = None,
        limits_a: Mapping[str, float] | None = None,
    ) -> None:
        ocpp.messages.ASYNC_VALIDATION = False  # in line is quicker than in a thread
        self._passwords = dict(passwords or {})
        self._cpo = Cpo(clock=clock, ledger=Ledger(), meter_interval_s=meter_interval_s, limits_a=dict(limits_a or {}))
        self.chargers: dict[str, Charger] = {}
        self._server: Server | None = None

    @property
    def ledger(self) -> Ledger:
        """What it has been told."""
        return self._cpo.ledger

    async def start(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listen."""
        self._server = await serve(
            self._connected,
            "127.0.0.1",
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
        charger = self.chargers[identity] = kind(self._cpo, identity, socket)
        try:
            with suppress(ConnectionClosed):
                await charger.start()
        finally:
            if self.chargers.get(identity) is charger:
                del self.chargers[identity]


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
