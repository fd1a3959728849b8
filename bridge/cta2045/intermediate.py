"""Intermediate DR (type 08 02): requests and replies by opcode, from one table; pure.

Rule: a reply's second opcode is the request's with bit 7 set, and mostly a response code follows. Get and Set of one
opcode differ only by length. What no public source gives the layout of is refused by name, not guessed (05, 07-09, 0D).
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from bridge.cta2045 import bodies, energy
from bridge.cta2045.bodies import (
    Activation,
    Byte,
    Info,
    Offset,
    Pair,
    Price,
    SetPoint,
    Temperature,
    Tier,
    Utc,
)
from bridge.cta2045.energy import Commodities, Cycling, EndCycling, LoadUp, Subscription
from bridge.cta2045.frames import Message, MessageType

Body = (
    Info
    | Byte
    | Pair
    | Activation
    | Utc
    | Price
    | Tier
    | Offset
    | SetPoint
    | Temperature
    | Cycling
    | EndCycling
    | Commodities
    | Subscription
    | LoadUp
)
Unpack = Callable[[bytes], Any]

REPLY = 0x80  # bit 7 of opcode 2


class Do(IntEnum):
    """Opcodes 1 and 2 of a request as one number."""

    INFO = 0x0101
    EFFICIENCY = 0x0102
    UTC = 0x0200
    PRICE = 0x0300
    TIER = 0x0301
    OFFSET = 0x0302
    SET_POINT = 0x0303
    TEMPERATURE = 0x0304
    START_CYCLING = 0x0400
    END_CYCLING = 0x0401
    COMMODITY = 0x0600
    SUBSCRIPTION = 0x0601
    ACTIVATION = 0x0A00
    SET_ACTIVATION = 0x0A01
    PREFERENCE = 0x0B00
    SET_PREFERENCE = 0x0B01
    LOAD_UP = 0x0C00


_DO = {do.value: do for do in Do}


class ResponseCode(IntEnum):
    """The third byte of most replies."""

    SUCCESS = 0
    NOT_IMPLEMENTED = 1
    BAD_VALUE = 2
    COMMAND_LENGTH = 3
    RESPONSE_LENGTH = 4
    BUSY = 5
    OTHER = 6
    OVERRIDE = 7  # the customer's override is in effect
    NOT_ENABLED = 8  # -B


NAMES = {
    0x05: "demand response schedules",
    0x07: "thermostat (CTA-2045.3)",
    0x08: "display (CTA-2045.2)",
    0x09: "firmware (CTA-2045.1)",
    0x0D: "price stream",
}
"""First opcodes that are known by name only: their layout is in no public source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a request and its reply look: what Get carries, what Set carries, what the reply carries, and its code."""

    get: Unpack | None = None  # of what a Get carries beyond its opcodes
    put: Unpack | None = None  # of a Set's body
    reply: Unpack | None = None  # of a reply's body
    bare_get: bool = True  # a Get of the two opcodes alone exists
    coded: bool = True  # the reply has a response code


LAYOUTS: dict[Do, Layout] = {
    Do.INFO: Layout(reply=bodies.Info.unpack),
    Do.EFFICIENCY: Layout(reply=bodies.Byte.unpack),  # seen in no trace: one byte by its description
    Do.UTC: Layout(put=bodies.Utc.unpack, reply=bodies.Utc.unpack),
    Do.PRICE: Layout(put=bodies.Price.unpack, reply=bodies.Price.unpack),
    Do.TIER: Layout(put=bodies.Tier.unpack, reply=bodies.Tier.unpack),
    Do.OFFSET: Layout(put=bodies.Offset.unpack, reply=bodies.Offset.unpack),
    Do.SET_POINT: Layout(put=bodies.SetPoint.unpack, reply=bodies.SetPoint.unpack),
    Do.TEMPERATURE: Layout(reply=bodies.Temperature.unpack),
    Do.START_CYCLING: Layout(put=energy.Cycling.unpack, bare_get=False),
    Do.END_CYCLING: Layout(put=energy.EndCycling.unpack, bare_get=False),
    Do.COMMODITY: Layout(get=bodies.Byte.unpack, put=energy.Commodities.unpack, reply=energy.Commodities.unpack),
    Do.SUBSCRIPTION: Layout(put=energy.Subscription.unpack, reply=energy.Subscription.unpack),
    Do.ACTIVATION: Layout(get=bodies.Byte.unpack, reply=bodies.Pair.unpack, bare_get=False, coded=False),
    Do.SET_ACTIVATION: Layout(put=bodies.Activation.unpack, reply=bodies.Pair.unpack, bare_get=False, coded=False),
    Do.PREFERENCE: Layout(get=bodies.Byte.unpack, reply=bodies.Pair.unpack, bare_get=False, coded=False),
    Do.SET_PREFERENCE: Layout(put=bodies.Pair.unpack, reply=bodies.Pair.unpack, bare_get=False, coded=False),
    Do.LOAD_UP: Layout(put=energy.LoadUp.unpack, reply=energy.LoadUp.unpack),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request; ``sets`` tells Set from Get, ``body`` is what it carries."""

    do: Do
    body: Body | None = None
    sets: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply; ``code`` is as received (0 for those without), refusals and answers to Set have no ``body``."""

    do: Do
    code: int = ResponseCode.SUCCESS
    body: Body | None = None

    @property
    def ok(self) -> bool:
        """The request was carried out. One module in the field writes 0x80 here for success."""
        return self.code in (ResponseCode.SUCCESS, REPLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotIntermediate:
    """A message that cannot be read. ``known`` is the opcode if it is one of ours: then only the body is wrong."""

    why: str
    code: ResponseCode = ResponseCode.NOT_IMPLEMENTED
    known: Do | None = None


def get(do: Do, body: Body | None = None) -> Request:
    """Return a Get."""
    return Request(do=do, body=body)


def put(do: Do, body: Body) -> Request:
    """Return a Set."""
    return Request(do=do, body=body, sets=True)


def encode(request: Request) -> Message:
    """Write a request. Raises ``ValueError`` where a number does not fit."""
    return _message(request.do, b"" if request.body is None else _packed(request.body))


def decode(message: Message) -> Request | NotIntermediate:
    """Read a request."""
    found = _opcode(message, reply=False)
    if isinstance(found, NotIntermediate):
        return found
    do, raw = found
    layout = LAYOUTS[do]
    if not raw:
        return get(do) if layout.bare_get else _length(do, "nothing follows the opcodes")
    if layout.get is not None and len(raw) == 1:
        return get(do, layout.get(raw))
    if layout.put is None:
        return _length(do, f"{len(raw)} bytes too many")
    try:
        return put(do, layout.put(raw))
    except bodies.WrongLength as error:
        return _length(do, str(error))
    except ValueError as error:
        return NotIntermediate(why=f"{do.name}: {error}", code=ResponseCode.BAD_VALUE, known=do)


def encode_reply(reply: Reply) -> Message:
    """Write a reply. Raises ``ValueError`` where a number does not fit."""
    code = bytes((reply.code,)) if LAYOUTS[reply.do].coded else b""
    return _message(reply.do | REPLY, code + (b"" if reply.body is None else _packed(reply.body)))


def decode_reply(message: Message) -> Reply | NotIntermediate:
    """Read a reply."""
    found = _opcode(message, reply=True)
    if isinstance(found, NotIntermediate):
        return found
    do, raw = found
    layout, code = LAYOUTS[do], int(ResponseCode.SUCCESS)
    if layout.coded:
        if not raw:
            return _length(do, "the response code is missing")
        code, raw = raw[0], raw[1:]
    if layout.reply is None or (not raw and (do is not Do.COMMODITY)):
        return Reply(do=do, code=code)
    try:
        return Reply(do=do, code=code, body=layout.reply(raw))
    except ValueError as error:
        return NotIntermediate(why=f"{do.name}: {error}", code=ResponseCode.RESPONSE_LENGTH, known=do)


def answers(request: Request, message: Message) -> bool:
    """Tell whether ``message`` is the reply to ``request``, readable or not."""
    return message.type == MessageType.INTERMEDIATE and message.payload[:2] == (request.do | REPLY).to_bytes(2)


def _packed(body: Body) -> bytes:
    try:
        return body.pack()
    except (OverflowError, struct.error) as error:
        raise ValueError(f"{type(body).__name__}: {error}") from None


def _message(opcode: int, raw: bytes) -> Message:
    return Message(type=MessageType.INTERMEDIATE, payload=opcode.to_bytes(2) + raw)


def _opcode(message: Message, *, reply: bool) -> tuple[Do, bytes] | NotIntermediate:
    if len(message.payload) < 2:
        return NotIntermediate(why="an Intermediate DR payload begins with two opcodes")
    opcode = int.from_bytes(message.payload[:2])
    if message.payload[0] in NAMES:
        return NotIntermediate(why=f"{NAMES[message.payload[0]]}: no public layout, opcodes {opcode:04x}")
    wanted = opcode ^ REPLY if reply else opcode
    if (do := _DO.get(wanted)) is None:
        what = "reply" if reply else "request"
        return NotIntermediate(why=f"{opcode:04x} is not a known Intermediate DR {what}")
    return do, message.payload[2:]


def _length(do: Do, why: str) -> NotIntermediate:
    return NotIntermediate(why=f"{do.name}: {why}", code=ResponseCode.COMMAND_LENGTH, known=do)
