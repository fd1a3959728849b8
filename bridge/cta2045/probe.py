"""Looks at a device on a port and says what it is and supports; changes nothing on it.

Rule: only questions are sent, never a load command, so that it can be run on a device in use. What a device does not
answer is said to be so; nobody there is an answer too.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence

from bridge.cta2045.bodies import Byte, Utc
from bridge.cta2045.datalink import PAYLOADS, Offer
from bridge.cta2045.dialogue import Dialogue, Facts
from bridge.cta2045.energy import Commodity
from bridge.cta2045.frames import Message, MessageType, type_name
from bridge.cta2045.inbox import refuses, take
from bridge.cta2045.intermediate import Do, get
from bridge.cta2045.link import Link
from bridge.cta2045.serial import SerialPort, address, connector
from bridge.cta2045.timing import Timing
from bridge.cta2045.values import Capability, device_name
from runtime.clock import Clock, Draw

_ASKED = (MessageType.COMMISSIONING, MessageType.OPENADR2)
_READS = (Do.UTC, Do.PRICE, Do.TIER, Do.OFFSET, Do.SET_POINT, Do.TEMPERATURE, Do.SUBSCRIPTION, Do.LOAD_UP)
_PREFERENCES = (0, 1)  # demand, energy
_UNITS = {0: "W", 1: "W", 6: "Wh", 7: "Wh", 8: "W", 9: "W", 10: "Wh", 11: "Wh"}
OPEN_S = 5.0  # a port that is there opens at once
_TRIES = 3


class _Quiet:
    """What a port tells while probing: what the device says by itself is answered, and noted."""

    def __init__(self, clock: Clock) -> None:
        self.opened = asyncio.Event()
        self.said: list[str] = []
        self.port: SerialPort
        self._clock = clock

    def up(self) -> None:
        self.opened.set()

    def down(self, reason: str) -> None:
        self.opened.clear()

    def heard(self, message: Message) -> None:
        self.said.append(f"{type_name(message.type)} {message.payload.hex(' ')}")
        heard = take(message, Utc(at=self._clock.now()))
        if heard.reply is not None:
            self.port.reply(heard.reply)


Say = Callable[[str], None]


async def probe(
    text: str,
    say: Say,
    *,
    clock: Clock,
    draw: Draw,
    tls: ssl.SSLContext | None = None,
    timing: Timing | None = None,
) -> bool:
    """Probe the port ``text``; say a line for each finding. True if a device answered. Raises ``ValueError``."""

    async def ask(dialogue: Dialogue, said: Sequence[str]) -> bool:
        return await _ask(dialogue, say, said)

    return await visit(text, say, ask, clock=clock, draw=draw, tls=tls, timing=timing)


async def visit(
    text: str,
    say: Say,
    ask: Callable[[Dialogue, Sequence[str]], Awaitable[bool]],
    *,
    clock: Clock,
    draw: Draw,
    tls: ssl.SSLContext | None = None,
    timing: Timing | None = None,
) -> bool:
    """Open the port ``text`` and ``ask`` its device, who also gets what the device said by itself.

    False if the port cannot be opened. Raises ``ValueError``.
    """
    where = address(text)
    events = _Quiet(clock)
    link = Link(draw=draw, timing=timing, offer=Offer(), refuses=refuses)
    port = events.port = SerialPort(connector(where, tls), link, events, name=text)
    running = asyncio.create_task(port.run())
    try:
        async with asyncio.timeout(OPEN_S):
            await events.opened.wait()
    except TimeoutError:
        say(f"{text}: the port cannot be opened")
        return False
    else:
        return await ask(Dialogue(port), events.said)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def find(dialogue: Dialogue, say: Say) -> Facts | None:
    """Return what the device says of itself, ``None`` if nobody answers."""
    facts = None
    for _ in range(_TRIES):
        facts = facts or await dialogue.discover()
    if facts is None:
        say("no device answers")
    return facts


async def _ask(dialogue: Dialogue, say: Say, said: Sequence[str]) -> bool:
    facts = await find(dialogue, say)
    if facts is None:
        return False
    say(f"basic DR: {_yes(facts.basic)}")
    say(f"intermediate DR: {_yes(facts.intermediate)}")
    for kind in _ASKED:
        say(f"{type_name(kind)}: {_yes(await dialogue.supports(kind))}")
    say(f"payload: {facts.payload} bytes{' (not negotiated)' if facts.payload == PAYLOADS[0] else ''}")
    for line in _info(facts):
        say(line)
    answered, state = await dialogue.state()
    say(f"operational state: {'no answer' if not answered else 'unknown' if state is None else state.name.lower()}")
    if facts.intermediate:
        await _read(dialogue, say)
    for line in said:
        say(f"said by itself: {line}")
    return True


def _info(facts: Facts) -> list[str]:
    info = facts.info
    if info is None:
        return ["device information: none"]
    names = [flag.name.lower() for flag in Capability if flag in info.capability and flag.name]
    return [
        f"device: {device_name(info.device_type)}, vendor {info.vendor:04x}, revision {info.revision}",
        f"edition: {info.version or 'not told'}",
        f"model: {info.model or 'not told'}, serial number: {info.serial or 'not told'}",
        f"firmware: {info.firmware or 'not told'}",
        f"capabilities it claims: {', '.join(names) or 'none (many devices claim none)'}",
    ]


async def _read(dialogue: Dialogue, say: Say) -> None:
    readings = await dialogue.commodities()
    if readings is None:
        say("commodities: refused or no answer")
    for each in readings or ():
        say(f"commodity {_commodity(each)}")
    for do in _READS:
        reply = await dialogue.request(get(do))
        say(f"read {do.name.lower()}: {'no' if reply is None else reply.body or 'yes'}")
    for kind in _PREFERENCES:
        reply = await dialogue.request(get(Do.PREFERENCE, Byte(value=kind)))
        say(f"read preference {kind}: {'no' if reply is None else reply.body or 'yes'}")


def _commodity(each: Commodity) -> str:
    name = each.code if each.kind is None else each.kind.name.lower()
    quality = "measured" if each.measured else "estimated"
    unit = _UNITS.get(each.code, "")
    return f"{name}: rate {each.rate} {unit}, cumulative {each.cumulative}, {quality}"


def _yes(known: bool | None) -> str:
    return {True: "yes", False: "no", None: "no answer"}[known]
