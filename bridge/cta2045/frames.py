"""CTA-2045 frames: bytes to ``Ack``, ``Nak``, ``Message`` and back; pure, no I/O and no clock.

Rule: a frame is found by its length and proved by its checksum, never by searching for the bytes of an ACK: payloads
contain ``06 00`` and ``15 xx`` as data. ``parse`` never raises; what cannot be a frame is ``Damaged`` and says which
link NAK the standard has for it, or none where nothing may be answered.
"""

from dataclasses import dataclass
from enum import IntEnum

ACK_BYTE = 0x06
NAK_BYTE = 0x15
HEADER = 4  # bytes: type MSB, type LSB, length MSB, length LSB
CHECKSUM = 2  # bytes
OVERHEAD = HEADER + CHECKSUM
SHORT = 2  # bytes of a link ACK or NAK: no length, no checksum
MAX_LENGTH = 0x1FFF  # the low 13 bits of the length field
_SEED = 0xAA  # of the checksum, CTA-2045-B appendix C


class MessageType(IntEnum):
    """The two type bytes of a message (CTA-2045-B table 14)."""

    BASIC = 0x0801
    INTERMEDIATE = 0x0802
    DATA_LINK = 0x0803
    COMMISSIONING = 0x0804
    USNAP1 = 0x0901
    CLIMATE_TALK = 0x0902
    SEP1 = 0x0903
    SEP2 = 0x0904
    OPENADR1 = 0x0905
    OPENADR2 = 0x0906
    GENERIC_IP = 0x0907
    ECHONET_LITE = 0x0908
    KNX = 0x0909
    LONTALK = 0x090A
    SUNSPEC_MODBUS = 0x090B
    BACNET = 0x090C


class NakReason(IntEnum):
    """Why a message was refused by the link layer."""

    NONE = 0
    INVALID_BYTE = 1
    INVALID_LENGTH = 2
    CHECKSUM = 3
    RESERVED = 4
    TIMEOUT = 5  # the message took longer than tML
    UNSUPPORTED_TYPE = 6
    NOT_SUPPORTED = 7  # a known type with an unknown request


_REASONS = {reason.value: reason for reason in NakReason}
_TYPES = {kind.value: kind for kind in MessageType}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """The link ACK, ``06 00``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nak:
    """The link NAK, ``15 rr``; ``code`` is as received, ``reason`` is what it means."""

    code: int

    @property
    def reason(self) -> NakReason:
        """The meaning; codes above 7 count as reserved."""
        return _REASONS.get(self.code, NakReason.RESERVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message with its type (two bytes as one number, see ``MessageType``) and payload."""

    type: int
    payload: bytes = b""

    @property
    def is_support_query(self) -> bool:
        """An empty payload of any type asks whether that type is supported."""
        return not self.payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """Bytes that begin no frame: ``nak`` is the answer the standard has for it, ``None`` where none may be given.

    ``claimed`` is how long the frame says to be, header and checksum included, 0 if it does not say.
    """

    why: str
    nak: NakReason | None
    claimed: int = 0


Frame = Ack | Nak | Message


def type_name(message_type: int) -> str:
    """Return a name for any of the 65,536 types."""
    if (known := _TYPES.get(message_type)) is not None:
        return known.name.lower()
    msb = message_type >> 8
    if msb <= 0x05 or msb >= 0xF0:
        return f"vendor 0x{message_type:04x}"
    return f"reserved 0x{message_type:04x}"


def checksum(data: bytes | bytearray | memoryview) -> bytes:
    """Return the two bytes that make ``residue`` of data and checksum (0, 0); 0xFF stands where 0x00 would do."""
    c1, c2 = residue(data)
    msb = 255 - (c1 + c2) % 255
    return bytes((msb, 255 - (c1 + msb) % 255))


def residue(data: bytes | bytearray | memoryview) -> tuple[int, int]:
    """Return the two running sums over ``data``: (0, 0) for a whole frame whose checksum is right.

    0x00 and 0xFF are the same here, so a checksum byte that another implementation sent as 0x00 is accepted.
    """
    c1, c2 = _SEED, 0
    for byte in data:
        c1 = (c1 + byte) % 255
        c2 = (c2 + c1) % 255
    return c1, c2


def serialise(frame: Frame) -> bytes:
    """Write one frame. Raises ``ValueError`` for what the format cannot carry."""
    match frame:
        case Ack():
            return bytes((ACK_BYTE, 0))
        case Nak():
            return bytes((NAK_BYTE, frame.code))
        case _:
            if frame.type >> 8 in (ACK_BYTE, NAK_BYTE) or not 0 <= frame.type <= 0xFFFF:
                raise ValueError(f"message type 0x{frame.type:04x}: not a type that a message can have")
            if len(frame.payload) > MAX_LENGTH:
                raise ValueError(f"payload: {len(frame.payload)} bytes, the length field ends at {MAX_LENGTH}")
            head = frame.type.to_bytes(2) + len(frame.payload).to_bytes(2) + frame.payload
            return head + checksum(head)


def parse(data: bytes | bytearray | memoryview, max_payload: int = MAX_LENGTH) -> tuple[Frame, int] | Damaged | None:
    """Read the frame at the beginning of ``data``: (frame, its bytes), ``None`` while it is incomplete, or ``Damaged``.

    ``max_payload`` is what the receiver has room for, so that a wrong length never makes it wait for 8 KiB.
    """
    if not data:
        return None
    if data[0] in (ACK_BYTE, NAK_BYTE):
        return _parse_short(data)
    if len(data) < HEADER:
        return None
    length = int.from_bytes(data[2:HEADER])
    size = OVERHEAD + (length & MAX_LENGTH)
    if length > MAX_LENGTH:
        return Damaged(why="reserved bits of the length are set", nak=NakReason.INVALID_LENGTH, claimed=size)
    if length > max_payload:
        why = f"payload of {length} bytes, {max_payload} were offered"
        return Damaged(why=why, nak=NakReason.INVALID_LENGTH, claimed=size)
    if len(data) < size:
        return None
    if residue(data[:size]) != (0, 0):
        return Damaged(why="checksum", nak=NakReason.CHECKSUM, claimed=size)
    return Message(type=int.from_bytes(data[:2]), payload=bytes(data[HEADER : HEADER + length])), size


def _parse_short(data: bytes | bytearray | memoryview) -> tuple[Frame, int] | Damaged | None:
    """An ACK or NAK is never answered, so neither is one with a byte that cannot be."""
    if len(data) < SHORT:
        return None
    if data[0] == NAK_BYTE:
        return Nak(code=data[1]), SHORT
    if data[1]:
        return Damaged(why=f"ACK followed by 0x{data[1]:02x}", nak=None)
    return Ack(), SHORT
