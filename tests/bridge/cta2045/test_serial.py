"""The port on real ptys and sockets. Times are short here and nothing depends on how short."""

import asyncio
import gc
import os
import pty
import ssl
import tty
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from bridge.cta2045 import commands, datalink
from bridge.cta2045.commands import AppNak, Op
from bridge.cta2045.datalink import DataLink
from bridge.cta2045.dialogue import Dialogue
from bridge.cta2045.frames import Message
from bridge.cta2045.ladder import Answer
from bridge.cta2045.link import Link, Result
from bridge.cta2045.measure import measure
from bridge.cta2045.probe import probe
from bridge.cta2045.serial import SerialPort, address, connector
from bridge.cta2045.timing import Timing
from bridge.simulators.cta_appliances import Evse
from bridge.simulators.cta_device import Faults
from bridge.simulators.cta_pty import PtyDevice, make
from certs.authority import Authority, Profile, Role
from openadr import tls
from runtime.clock import SystemClock, system_draw

QUICK = Timing(
    ack_delay_s=0.005,
    gap_s=0.005,
    quiet_s=0.005,
    reply_delay_s=0.02,
    backoff_s=(0.05, 0.2),
    latency_s=0.3,
    reply_wait_s=1.0,
)
PATIENCE_S = 20.0


class Events:
    def __init__(self) -> None:
        self.ups = 0
        self.downs: list[str] = []
        self.messages: list[Message] = []

    def up(self) -> None:
        self.ups += 1

    def down(self, reason: str) -> None:
        self.downs.append(reason)

    def heard(self, message: Message) -> None:
        self.messages.append(message)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


class Bench:
    """A port with its link and who listens."""

    def __init__(self, text: str, *, echo: bool = False, secure: ssl.SSLContext | None = None) -> None:
        self.events = Events()
        self.link = Link(draw=Random(1).random, timing=QUICK)
        connect = connector(address(text), secure)
        self.port = SerialPort(connect, self.link, self.events, name=text, echo=echo, retry_s=0.05)
        self.task = asyncio.create_task(self.port.run())

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def with_device(
    tmp_path: Path, main: Callable[[Bench, PtyDevice], Awaitable[None]], kind: str = "evse", **faults: object
) -> None:
    device = make(kind, Random(3).random, faults=Faults(**faults))  # type: ignore[arg-type]
    device.link.timing = QUICK
    port = PtyDevice(device, tmp_path / "port")
    device.appliance.now = port.now
    port.plug()
    bench = Bench(str(tmp_path / "port"))
    try:
        await main(bench, port)
    finally:
        await bench.stop()
        port.unplug()


async def test_cta_01_a_device_on_a_pty_is_found_and_commanded(tmp_path: Path) -> None:
    async def main(bench: Bench, port: PtyDevice) -> None:
        await until(lambda: bench.port.is_up)
        dialogue = Dialogue(bench.port)
        facts = await dialogue.discover()
        assert facts is not None
        assert facts.info is not None
        assert facts.info.model == "SIM-EVSE"
        assert await dialogue.command(commands.event(Op.SHED, 1800)) is Answer.TAKEN
        assert port.device.appliance.event is Op.SHED
        assert (await dialogue.state())[0]
        port.do(port.device.press_override(port.now))
        await until(lambda: commands.encode(commands.override(True)) in bench.events.messages)
        bench.port.reply(commands.encode(commands.app_ack(Op.CUSTOMER_OVERRIDE)))
        await until(lambda: bench.link.idle)

    await with_device(tmp_path, main, split=True)


async def test_a_cable_pulled_in_the_middle_and_plugged_in_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(bench: Bench, port: PtyDevice) -> None:
        await until(lambda: bench.port.is_up)
        pending = asyncio.create_task(bench.port.exchange(commands.encode(commands.event(Op.SHED, 60))))
        await asyncio.sleep(0)
        port.unplug()
        assert (await pending).result in (Result.DROPPED, Result.NO_ACK)
        await until(lambda: not bench.port.is_up)
        assert (await bench.port.exchange(commands.encode(commands.end()))).result is Result.DROPPED
        bench.port.reply(commands.encode(commands.end()))  # to nobody
        port.plug()
        await until(lambda: bench.events.ups == 2)
        assert (await Dialogue(bench.port).command(commands.end())) is Answer.TAKEN
        assert len(bench.events.downs) == 1

    await with_device(tmp_path, main)
    gc.collect()  # where the loop tells of exceptions that nobody fetched
    assert [each.getMessage() for each in caplog.records if each.name == "asyncio" and each.levelno > 20] == []


async def test_a_port_that_is_lost_while_the_bridge_stops_is_closed_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(bench: Bench, port: PtyDevice) -> None:
        await until(lambda: bench.port.is_up)
        port.unplug()
        for _ in range(3):  # the transport notices, and closes in a thread
            await asyncio.sleep(0)
        await bench.stop()
        await until(lambda: bench.events.downs != [])
        await asyncio.sleep(0.1)

    await with_device(tmp_path, main)
    gc.collect()
    assert [each.getMessage() for each in caplog.records if each.name == "asyncio" and each.levelno > 20] == []


async def test_a_port_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    bench = Bench(str(tmp_path / "none"))
    await asyncio.sleep(0.2)
    assert not bench.port.is_up
    assert not bench.task.done()
    await bench.stop()


async def test_an_adapter_that_echoes(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    bench = Bench(os.ttyname(slave), echo=True)
    loop = asyncio.get_running_loop()
    answer = bytes.fromhex("08 01 00 02 13 02 d1 63")
    heard: list[bytes] = []

    def echoing() -> None:
        data = os.read(master, 4096)
        heard.append(data)
        os.write(master, data)  # the echo
        if data[:1] == b"\x08":
            os.write(master, b"\x06\x00" + answer)

    loop.add_reader(master, echoing)
    try:
        await until(lambda: bench.port.is_up)
        answered, state = await Dialogue(bench.port).state()
        assert answered
        assert state is not None
        os.write(master, b"\x08")  # the beginning of something that is no echo, and ends
        await asyncio.sleep(0.2)
    finally:
        loop.remove_reader(master)
        await bench.stop()
        os.close(master)
        os.close(slave)


async def test_a_bit_rate_is_set_on_the_serial_line(tmp_path: Path) -> None:
    async def main(bench: Bench, port: PtyDevice) -> None:
        await until(lambda: bench.port.is_up)
        asked = await bench.port.exchange(datalink.message(DataLink.BIT_RATE, 1))
        assert asked.result is Result.DELIVERED
        assert bench.link.bit_rate == 38400
        transport = bench.port._transport
        assert transport is not None
        assert transport.get_extra_info("serial").baudrate == 38400

    await with_device(tmp_path, main)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be a serial server with a device that answers one question, then close."""
    await reader.readexactly(8)
    writer.write(b"\x06\x00")
    await asyncio.sleep(0.15)
    writer.write(bytes.fromhex("08 01 00 02 13 02 d1 63"))
    await reader.read(2)
    writer.close()


@pytest.mark.parametrize("secured", [False, True])
async def test_cta_17_over_tcp_on_this_host_or_inside_tls(tmp_path: Path, secured: bool) -> None:
    theirs = ours = None
    if secured:
        now = SystemClock().now()
        authority = Authority.create(tmp_path / "pki", now=now)
        issued = authority.issue(Profile.SERVER, "localhost", ["localhost", "127.0.0.1"], now=now)
        modern = tls.TlsProfile.MODERN
        theirs = tls.server_context(cert_chains=[issued.chain], client_ca=None, profile=modern)
        ours = tls.client_context(ca=authority.trust(Role.SERVER), cert_chain=None, profile=modern)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=theirs)
    number = server.sockets[0].getsockname()[1]
    bench = Bench(f"{'tls' if secured else 'tcp'}://localhost:{number}", secure=ours)
    try:
        await until(lambda: bench.port.is_up)
        assert (await Dialogue(bench.port).state())[0]
        await until(lambda: bool(bench.events.downs))
    finally:
        await bench.stop()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    "text",
    ["", "tcp://192.0.2.1:4001", "tcp://example.org:4001", "tcp://127.0.0.1", "http://127.0.0.1:1", "tls://h:1/x"],
)
def test_cta_17_an_open_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="port"):
        address(text)


def test_cta_17_addresses() -> None:
    assert str(address("/dev/ttyUSB0")) == "/dev/ttyUSB0"
    assert str(address("tcp://localhost:4001")) == "tcp://localhost:4001"
    assert str(address("tcp://[::1]:4001")) == "tcp://::1:4001"
    assert address("tls://serial.example:4001").tls
    with pytest.raises(ValueError, match="CA file"):
        connector(address("tls://serial.example:4001"))


async def test_cta_02_probe_says_what_a_device_is(tmp_path: Path) -> None:
    lines: list[str] = []

    async def main(bench: Bench, port: PtyDevice) -> None:
        await bench.stop()
        path = str(tmp_path / "port")
        assert await probe(path, lines.append, clock=SystemClock(), draw=system_draw, timing=QUICK)
        load = {each.op for _, each in port.device.heard if isinstance(each, commands.Basic)} & commands.LOAD_EVENTS
        assert not load

    await with_device(tmp_path, main, kind="water-heater")
    text = "\n".join(lines)
    for wanted in ("water heater, electric", "model: SIM-WH", "storage_total", "payload: 256 bytes", "openadr2: no"):
        assert wanted in text


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        ("evse", ["shed_pct = 50", "critical_peak_pct = 25"]),
        ("water-heater", ["shed_pct = 0", "critical_peak_pct = 0"]),
    ],
)
async def test_cta_10_what_shed_and_critical_peak_leave_is_measured_and_ended(
    tmp_path: Path, kind: str, left: list[str]
) -> None:
    lines: list[str] = []

    async def main(bench: Bench, port: PtyDevice) -> None:
        await bench.stop()
        path = str(tmp_path / "port")
        assert await measure(path, lines.append, clock=SystemClock(), draw=system_draw, settle_s=0.05, timing=QUICK)
        assert port.device.appliance.event is None

    await with_device(tmp_path, main, kind=kind)
    assert lines[1:] == [f'[cta.models."SIM-{"EVSE" if kind == "evse" else "WH"}"]', *left, "power_level = true"]


async def test_cta_10_nothing_is_measured_of_a_device_that_draws_nothing_or_refuses(tmp_path: Path) -> None:
    lines: list[str] = []

    async def look(path: str) -> bool:
        return await measure(path, lines.append, clock=SystemClock(), draw=system_draw, settle_s=0.05, timing=QUICK)

    async def main(bench: Bench, port: PtyDevice) -> None:
        await bench.stop()
        refused = dict.fromkeys((Op.SHED, Op.CRITICAL_PEAK, Op.POWER_LEVEL), AppNak.OPCODE1)
        port.device.faults.app_naks = refused
        assert await look(str(tmp_path / "port"))
        assert isinstance(port.device.appliance, Evse)
        port.device.appliance.connected = False
        assert not await look(str(tmp_path / "port"))

    await with_device(tmp_path, main)
    assert "# shed_pct: shed is refused or cannot be measured" in lines
    assert "power_level = false" in lines
    assert lines[-1] == "it draws 0 W: nothing can be measured; let it draw what it can, and try again"


async def test_cta_17_nothing_is_measured_over_an_open_network() -> None:
    with pytest.raises(ValueError, match="only with TLS"):
        await measure("tcp://192.0.2.1:1", print, clock=SystemClock(), draw=system_draw, settle_s=0.05)


async def test_probe_of_a_silent_port(tmp_path: Path) -> None:
    lines: list[str] = []

    async def main(bench: Bench, port: PtyDevice) -> None:
        await bench.stop()
        path = str(tmp_path / "port")
        hasty = replace(QUICK, ack_wait_s=0.02, latency_s=0.02, backoff_s=(0.01, 0.02))
        assert not await probe(path, lines.append, clock=SystemClock(), draw=system_draw, timing=hasty)

    await with_device(tmp_path, main, silent=True)
    assert lines == ["no device answers"]


def test_simulated_types() -> None:
    assert make("evse", system_draw, version="A").link.offer.payload == 5
    with pytest.raises(ValueError, match="evse and water-heater"):
        make("toaster", system_draw)


async def test_a_file_in_the_place_of_the_link_is_kept(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("mine")
    with pytest.raises(FileExistsError, match="no link"):
        PtyDevice(make("evse", system_draw), tmp_path / "port").plug()
    assert (tmp_path / "port").read_text() == "mine"
