"""bridge.ocpp.proxy on lines that are silently gone: packets are lost one way or both, and nobody is told.

Rule: noticed by websocket pings within one and a half intervals; no message is lost, none is told as another one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.bridge.ocpp.harness import Raw, raw
from tests.bridge.ocpp.proxy.harness import (
    START_TX,
    Socket,
    T,
    booted,
    connected,
    hand_csms,
    passing,
    proxied,
    section,
    told,
)

PING_S = 0.4
NOTICED_S = 1.5 * PING_S + 3.0  # a ping, half an interval for its answer; the rest is a busy machine
ACCEPTED = {"status": "Accepted"}
BIG, MANY = {"vendorId": "V", "data": "x" * 900_000}, 12  # together more than the buffers of a loopback line
OUT, BACK = "out", "back"  # from who dialled, and to it
WAYS = pytest.mark.parametrize("ways", [(OUT, BACK), (OUT,), (BACK,)], ids=["both", "out", "back"])


@dataclass(eq=False)
class Line:
    """A TCP line through this test. ``cut`` loses what goes these ways on the connections of now, their ends too."""

    target: int
    connections: list[tuple[set[str], list[asyncio.StreamWriter]]] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    port: int = 0

    def cut(self, *ways: str) -> None:
        for lost, _ in self.connections:
            lost.update(ways)

    async def dialled(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        lost: set[str] = set()
        self.connections.append((lost, [writer, far_writer]))
        for way, source, sink in ((OUT, reader, far_writer), (BACK, far_reader, writer)):
            self.tasks.add(asyncio.create_task(self._carry(way, lost, source, sink)))

    async def _carry(self, way: str, lost: set[str], source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                if way in lost:
                    return  # nothing is read any more: the sender's buffers fill
                sink.write(data)
                await sink.drain()
            if way not in lost:
                sink.close()
        except OSError:
            if way not in lost:
                sink.transport.abort()

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for _, writers in self.connections:
            for writer in writers:
                writer.transport.abort()


@asynccontextmanager
async def line(target: int) -> AsyncIterator[Line]:
    """Run a line to a port."""
    found = Line(target)
    server = await asyncio.start_server(found.dialled, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await found.end()


@asynccontextmanager
async def far(by: Line) -> AsyncIterator[Raw]:
    """Dial as a charger by a line; one that is silently gone is not closed in good order."""
    charger = await connect(
        f"ws://127.0.0.1:{by.port}/ocpp/CP-1",
        subprotocols=[Subprotocol("ocpp1.6")],
        compression=None,
        close_timeout=0.1,
    )
    try:
        yield Raw(charger)
    finally:
        await charger.close()


def now() -> float:
    return asyncio.get_running_loop().time()


def behind(by: Line, **changes: Any) -> Any:
    """Settings towards a CSMS at the end of a line."""
    return section(f"ws://127.0.0.1:{by.port}/cpo", ping_s=PING_S, **changes)


async def known_tag(charger: Raw, csms: Socket) -> None:
    """Have the CSMS accept a tag, so that it is known when it is away."""
    await charger.send(2, "a", "Authorize", {"idTag": START_TX["idTag"]})
    await csms.reply("Authorize", {"idTagInfo": ACCEPTED})
    assert (await charger.receive())[2] == {"idTagInfo": ACCEPTED}


async def nothing_else(charger: Raw, csms: Socket) -> None:
    """The next that the CSMS hears is what the charger says next."""
    await charger.send(2, "last", "Heartbeat", {})
    await csms.reply("Heartbeat", {"currentTime": T})
    assert (await charger.answer("last"))[2] == {"currentTime": T}


async def ended(charger: Raw, csms: Socket, number: int, actual: int) -> None:
    """Stop a transaction: the CSMS hears it under its own id."""
    await charger.send(2, "e", "StopTransaction", {"transactionId": number, "meterStop": 900, "timestamp": T})
    assert (await csms.reply("StopTransaction", {}))[3]["transactionId"] == actual
    assert (await charger.answer("e"))[2] == {}


@WAYS
async def test_a_csms_that_is_silently_gone_is_dialled_anew_and_hears_a_start_once(
    bridge_db: AsyncEngine, ways: tuple[str, ...]
) -> None:
    async with hand_csms() as cpo, line(cpo.port) as by, proxied(bridge_db, behind(by)) as at, raw(at) as charger:
        csms = await cpo.charger()
        await booted(charger, csms)
        await known_tag(charger, csms)
        by.cut(*ways)
        began = now()
        await charger.send(2, "s", "StartTransaction", START_TX)
        first = None
        if OUT not in ways:  # it hears the start, and its answer is lost
            first = await csms.reply("StartTransaction", {"transactionId": 7, "idTagInfo": ACCEPTED})
        started = (await charger.answer("s"))[2]
        assert now() - began < NOTICED_S
        assert started["idTagInfo"] == ACCEPTED
        await connected(at)
        csms = await cpo.charger()
        again = await csms.reply("StartTransaction", {"transactionId": 7, "idTagInfo": ACCEPTED})
        if first is not None:
            assert again == first  # the same message under the same id: the CSMS can tell
        await told(at)
        await ended(charger, csms, started["transactionId"], 7)
        await nothing_else(charger, csms)


async def test_a_csms_that_hears_nothing_and_goes_on_speaking_is_dialled_anew(bridge_db: AsyncEngine) -> None:
    """Its words hold off the pings: then it is the calls without an answer that tell."""
    async with (
        hand_csms() as cpo,
        line(cpo.port) as by,
        proxied(bridge_db, behind(by, answer_timeout_s=0.3)) as at,
        raw(at) as charger,
    ):
        csms = await cpo.charger()
        await booted(charger, csms)
        await known_tag(charger, csms)
        by.cut(OUT)

        async def speaks() -> None:
            with suppress(ConnectionClosed):
                while True:
                    await csms.socket.ping()
                    await asyncio.sleep(PING_S / 4)

        speaking = asyncio.create_task(speaks())
        started = (await charger.ask("s", "StartTransaction", START_TX))[2]
        await passing(at, lambda: not cpo.connections.empty())
        speaking.cancel()
        csms = await cpo.charger()
        await csms.reply("StartTransaction", {"transactionId": 7, "idTagInfo": ACCEPTED})
        await told(at)
        await ended(charger, csms, started["transactionId"], 7)
        await nothing_else(charger, csms)


async def test_a_line_that_stays_dead_holds_up_no_charger(bridge_db: AsyncEngine) -> None:
    """More is said than the buffers of the line take: the ping ends it all the same."""
    async with hand_csms() as cpo, line(cpo.port) as by, proxied(bridge_db, behind(by)) as at, raw(at) as charger:
        csms = await cpo.charger()
        await booted(charger, csms)
        by.cut(OUT, BACK)
        began = now()
        for number in range(MANY):
            await charger.send(2, f"d{number}", "DataTransfer", BIG)
        for number in range(MANY):
            assert (await charger.answer(f"d{number}"))[:3] == [4, f"d{number}", "GenericError"]
        assert now() - began < NOTICED_S


async def test_calls_on_a_full_line_end_by_their_deadlines_each_by_its_own(bridge_db: AsyncEngine) -> None:
    """One that gives up while the line takes nothing more ends no other: every call of the CSMS is answered."""
    async with (
        hand_csms() as cpo,
        proxied(bridge_db, section(cpo.url), ping_s=60, call_timeout_s=0.05) as at,
        line(at.central.port) as by,
        far(by) as charger,
    ):
        csms = await cpo.charger()
        await booted(charger, csms)
        by.cut(OUT, BACK)
        for number in range(MANY):
            await csms.send(2, f"d{number}", "DataTransfer", BIG)
            assert (await csms.receive())[:3] == [4, f"d{number}", "GenericError"]


@WAYS
async def test_a_charger_that_is_silently_gone_is_offline_and_its_csms_hears_so(
    bridge_db: AsyncEngine, ways: tuple[str, ...]
) -> None:
    async with (
        hand_csms() as cpo,
        proxied(bridge_db, section(cpo.url), ping_s=PING_S) as at,
        line(at.central.port) as by,
        far(by) as charger,
    ):
        csms = await cpo.charger()
        await booted(charger, csms)
        await at.fleet.heard("connected", "CP-1")
        by.cut(*ways)
        began = now()
        await csms.send(2, "x", "ClearCache", {})
        assert (await csms.receive())[:3] == [4, "x", "GenericError"]
        await at.fleet.heard("disconnected", "CP-1")
        async with asyncio.timeout(NOTICED_S):
            await csms.socket.wait_closed()  # as if the charger itself had gone
        assert now() - began < NOTICED_S


@WAYS
async def test_a_charger_that_dials_anew_before_its_dead_line_is_noticed_loses_nothing(
    bridge_db: AsyncEngine, ways: tuple[str, ...]
) -> None:
    """The start is said again, as a charger does that has not heard the answer: to the CSMS it is one."""
    async with (
        hand_csms() as cpo,
        proxied(bridge_db, section(cpo.url), ping_s=30) as at,
        line(at.central.port) as by,
        far(by) as charger,
    ):
        csms = await cpo.charger()
        await booted(charger, csms)
        by.cut(*(way for way in ways if way == BACK))
        await charger.send(2, "s", "StartTransaction", START_TX)
        await csms.reply("StartTransaction", {"transactionId": 7, "idTagInfo": ACCEPTED})
        await told(at)
        by.cut(*ways)
        async with far(by) as again:
            csms = await cpo.charger()
            assert (await again.ask("s2", "StartTransaction", START_TX))[2]["transactionId"] == 7
            await ended(again, csms, 7, 7)
            await nothing_else(again, csms)
            assert at.fleet.log.count(("transaction", "CP-1", True)) == 1
