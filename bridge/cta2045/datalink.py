"""Data-link messages (type 08 03): payload size, bit rate, power mode, slots; pure.

Rule: two bytes each. ``answer`` is all that a party does when asked: a reply, or the link NAK to refuse with.
"""

from dataclasses import dataclass
from enum import IntEnum

from bridge.cta2045.frames import Message, MessageType, NakReason

PAYLOADS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1280, 1500, 2048, 4096)  # bytes, by code
BIT_RATES = (19200, 38400, 57600, 115200, 230400, 460800, 921600, 1843200, 3686400)  # bit/s, by code
BASE_RATE = 0  # code of 19200 bit/s, which both sides fall back to
DEFAULT_PAYLOAD = 2  # bytes before negotiation: Basic DR only
_POWER_MODES = 6
_SLOT = 1  # a module in a single socket


class DataLink(IntEnum):
    """Opcode 1 of data-link messages."""

    POWER_MODE = 0x16
    BIT_RATE = 0x17
    QUERY_PAYLOAD = 0x18
    PAYLOAD = 0x19
    QUERY_SLOT = 0x1A
    SLOT = 0x1B
    QUERY_SLOTS = 0x1C
    SLOTS = 0x1D
    NEXT_TO_SLOT = 0x1E


REPLIES = {
    DataLink.QUERY_PAYLOAD: DataLink.PAYLOAD,
    DataLink.QUERY_SLOT: DataLink.SLOT,
    DataLink.QUERY_SLOTS: DataLink.SLOTS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What this side can do: the payload code it has room for, and the bit rate codes it can be switched to."""

    payload: int = 7  # 256 bytes, the least that level 2 asks of a module (-B 22.4.1.1.4)
    bit_rates: frozenset[int] = frozenset({BASE_RATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What to do about a data-link message: refuse it, or take it and then reply or change the bit rate."""

    nak: NakReason | None = None
    reply: Message | None = None
    bit_rate: int | None = None
    peer_payload: int | None = None  # bytes the peer has room for


def message(op: DataLink, operand: int = 0) -> Message:
    """Write a data-link message."""
    return Message(type=MessageType.DATA_LINK, payload=bytes((op, operand)))


def answer(asked: Message, offer: Offer) -> Response:
    """Return what to do about a data-link message with a payload."""
    if len(asked.payload) != 2:
        return Response(nak=NakReason.INVALID_LENGTH)
    opcode, operand = asked.payload
    match opcode:
        case DataLink.QUERY_PAYLOAD:
            return Response(reply=message(DataLink.PAYLOAD, offer.payload))
        case DataLink.PAYLOAD if operand < len(PAYLOADS):
            return Response(peer_payload=PAYLOADS[operand])
        case DataLink.BIT_RATE if operand in offer.bit_rates:
            return Response(bit_rate=operand)
        case DataLink.QUERY_SLOT:
            return Response(reply=message(DataLink.SLOT, _SLOT))
        case DataLink.QUERY_SLOTS:
            return Response(reply=message(DataLink.SLOTS, _SLOT))
        case DataLink.SLOT | DataLink.SLOTS:
            return Response()
        case DataLink.POWER_MODE if operand >= _POWER_MODES:
            return Response(nak=NakReason.INVALID_BYTE)
        case DataLink.PAYLOAD:
            return Response(nak=NakReason.INVALID_BYTE)
        case _:  # another power mode than the one there is, a slot, an unknown request
            return Response(nak=NakReason.NOT_SUPPORTED)
