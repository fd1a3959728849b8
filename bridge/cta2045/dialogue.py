"""Questions and commands to one device over its port, each with an answer that can be acted on.

Rule: nothing is raised for what a device does; silence is an answer. Intermediate DR is asked only after the device
said that it takes it, and never beyond the payload that was negotiated.
"""

from dataclasses import dataclass
from typing import Protocol

from bridge.cta2045 import commands, datalink
from bridge.cta2045.bodies import Info
from bridge.cta2045.commands import Basic
from bridge.cta2045.datalink import DataLink
from bridge.cta2045.energy import Commodities, Commodity
from bridge.cta2045.frames import Message, MessageType, NakReason
from bridge.cta2045.intermediate import Do, NotIntermediate, Reply, Request, answers, decode_reply, encode, get
from bridge.cta2045.ladder import Answer, answer
from bridge.cta2045.link import Finished, Link, Matches, Result
from bridge.cta2045.values import OperationalState


class Exchanges(Protocol):
    """What is needed of a port."""

    link: Link

    async def exchange(self, message: Message, expects: Matches | None = None) -> Finished:
        """Send ``message``; return how it ended."""
        ...

    def reply(self, message: Message) -> None:
        """Answer something heard."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a device said of itself at start-up. ``payload`` is what both have room for, in bytes."""

    basic: bool = True
    intermediate: bool = False
    payload: int = datalink.DEFAULT_PAYLOAD
    info: Info | None = None


class Dialogue:
    """One device, spoken to by one caller at a time."""

    def __init__(self, port: Exchanges) -> None:
        self._port = port

    async def supports(self, kind: MessageType) -> bool | None:
        """Ask whether the device takes this type of message; ``None``: nobody answered."""
        finished = await self._port.exchange(Message(type=kind))
        if finished.result is Result.DELIVERED:
            return True
        return False if finished.result is Result.REFUSED and finished.nak is not NakReason.CHECKSUM else None

    async def discover(self) -> Facts | None:
        """Run the start-up sequence up to the device's information; ``None``: nobody there (CTA-02)."""
        if await self.supports(MessageType.DATA_LINK) is None:
            return None
        await self._port.exchange(datalink.message(DataLink.QUERY_PAYLOAD), is_payload)
        basic = await self.supports(MessageType.BASIC)
        intermediate = bool(await self.supports(MessageType.INTERMEDIATE))
        reply = await self.request(get(Do.INFO)) if intermediate else None
        if intermediate and reply is None:  # it may have had to negotiate its own payload first
            reply = await self.request(get(Do.INFO))
        return Facts(
            basic=basic is not False,  # mandatory for everyone
            intermediate=intermediate,
            payload=self._port.link.peer_payload,
            info=reply.body if reply is not None and isinstance(reply.body, Info) else None,
        )

    async def command(self, basic: Basic) -> Answer:
        """Send a command of Basic DR."""
        finished = await self._port.exchange(
            commands.encode(basic), lambda message: commands.answers(basic, message) is not None
        )
        return answer(basic, finished)

    async def state(self) -> tuple[bool, OperationalState | None]:
        """Ask for the operational state: (answered, the state if it is a known one)."""
        query = commands.query_state()
        finished = await self._port.exchange(
            commands.encode(query), lambda message: commands.answers(query, message) is not None
        )
        reply = None if finished.reply is None else commands.answers(query, finished.reply)
        return reply is not None, None if reply is None or reply.op is not commands.Op.STATE else reply.state

    async def request(self, request: Request) -> Reply | None:
        """Ask or set something of Intermediate DR; ``None``: refused, unreadable or no answer."""
        finished = await self._port.exchange(encode(request), lambda message: answers(request, message))
        if finished.reply is None:
            return None
        reply = decode_reply(finished.reply)
        return None if isinstance(reply, NotIntermediate) or not reply.ok else reply

    async def commodities(self) -> tuple[Commodity, ...] | None:
        """Read all commodities; ``None``: refused or no answer."""
        reply = await self.request(get(Do.COMMODITY))
        return reply.body.readings if reply is not None and isinstance(reply.body, Commodities) else None


def is_payload(message: Message) -> bool:
    """Tell whether ``message`` answers the query for the payload."""
    return message.type == MessageType.DATA_LINK and message.payload[:1] == bytes((DataLink.PAYLOAD,))
