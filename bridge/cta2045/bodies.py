"""What Intermediate DR messages carry, each body with its ``pack`` and ``unpack`` beside each other; pure.

Rule: all numbers are big-endian; ``unpack`` raises ``WrongLength`` or ``ValueError``, nothing else. Where devices are
known to send a layout of another edition, both are read by their length, and what is sent is the first named here.
"""

import struct
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Self

from bridge.cta2045.values import Capability, instant, seconds_2000

NO_CAPABILITY = Capability(0)
KEEP = -0x8000  # a set point of 0x8000: do not change
_TEXT = 16  # bytes of model and serial number


class WrongLength(ValueError):
    """The body has not one of the lengths that its layout allows."""


def need(raw: bytes, *sizes: int) -> None:
    """Raise ``WrongLength`` unless ``raw`` has one of these lengths."""
    if len(raw) not in sizes:
        raise WrongLength(f"{len(raw)} bytes, wanted {' or '.join(map(str, sizes))}")


class Unit(IntEnum):
    """Unit of a temperature."""

    FAHRENHEIT = 0
    CELSIUS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """Get Information: who the device says it is. ``capability`` is a hint; many devices say 0."""

    version: str
    vendor: int = 0
    device_type: int = 0
    revision: int = 0
    capability: Capability = NO_CAPABILITY
    model: str = ""
    serial: str = ""
    firmware: str = ""  # date and version, as 2021-01-31 4.2; empty if not told

    def pack(self) -> bytes:
        """Write all fields; the firmware is left out where its date is not known."""
        version = self.version.encode("ascii")[:2].ljust(2, b"\0")
        head = struct.pack(">2sHHHIx", version, self.vendor, self.device_type, self.revision, self.capability)
        texts = b"".join(text.encode("ascii")[:_TEXT].ljust(_TEXT, b"\0") for text in (self.model, self.serial))
        return head + texts + _pack_firmware(self.firmware)

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Read what is there: devices leave out firmware, serial number and model from the end."""
        if len(raw) < 13:
            raise WrongLength(f"{len(raw)} bytes, wanted at least 13")
        version, vendor, kind, revision, capability = struct.unpack_from(">2sHHHI", raw)
        return cls(
            version=_text(version),
            vendor=vendor,
            device_type=kind,
            revision=revision,
            capability=Capability(capability & sum(Capability)),
            model=_text(raw[13:29]) if len(raw) >= 29 else "",
            serial=_text(raw[29:45]) if len(raw) >= 45 else "",
            firmware=_firmware(raw[45:50]) if len(raw) >= 50 else "",
        )


def _text(raw: bytes) -> str:
    """Read text that one device pads on the right, another on the left, a third with spaces."""
    return "".join(c for c in raw.strip(b"\0 ").decode("ascii", "replace") if c.isprintable())


def _firmware(raw: bytes) -> str:
    year, month, day, major, minor = raw  # the month counts from 0
    return f"{2000 + year}-{month + 1:02}-{day:02} {major}.{minor}"


def _pack_firmware(text: str) -> bytes:
    if not text:
        return b""
    date, number = text.split(" ")
    year, month, day = map(int, date.split("-"))
    major, minor = map(int, number.split("."))
    return bytes((year - 2000, month - 1, day, major, minor))


@dataclass(frozen=True, slots=True, kw_only=True)
class Byte:
    """One byte: an efficiency level, a commodity code asked for, an index, a type."""

    value: int

    def pack(self) -> bytes:
        """Write it."""
        return bytes((self.value,))

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Read it."""
        need(raw, 1)
        return cls(value=raw[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two bytes: index and status, type and level."""

    first: int
    second: int

    def pack(self) -> bytes:
        """Write them."""
        return bytes((self.first, self.second))

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Read them."""
        need(raw, 2)
        return cls(first=raw[0], second=raw[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """Set activation: an index, a status, and the key as ASCII text where one is needed."""

    index: int
    status: int
    key: str = ""

    def pack(self) -> bytes:
        """Write it."""
        return bytes((self.index, self.status)) + self.key.encode("ascii")

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Read it."""
        if len(raw) < 2:
            raise WrongLength(f"{len(raw)} bytes, wanted at least 2")
        return cls(index=raw[0], status=raw[1], key=raw[2:].decode("ascii", "replace"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Utc:
    """The time: UTC, and how far local time lies from it in quarters of an hour, without and for DST."""

    at: datetime
    zone_quarters: int = 0
    dst_quarters: int = 0

    def pack(self) -> bytes:
        """Write it."""
        return struct.pack(">Ibb", seconds_2000(self.at), self.zone_quarters, self.dst_quarters)

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Read it."""
        need(raw, 6)
        seconds, zone, dst = struct.unpack(">Ibb", raw)
        return cls(at=instant(seconds), zone_quarters=zone, dst_quarters=dst)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """An energy price in units of 10**-``digits`` of the ISO 4217 currency, until ``expiry``, then ``following``.

    The width of the price field differs by edition (2 bytes in CEA-2045, 4 in -A): read by length, sent as ``width``.
    """

    price: int
    currency: int
    digits: int
    expiry: datetime | None = None
    following: int | None = None
    width: int = 4

    def pack(self) -> bytes:
        """Write it; the next price cannot go without an expiry."""
        raw = self.price.to_bytes(self.width) + struct.pack(">HB", self.currency, self.digits)
        if self.expiry is not None:
            raw += seconds_2000(self.expiry).to_bytes(4)
            if self.following is not None:
                raw += self.following.to_bytes(4)
        return raw

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Read it."""
        need(raw, 5, 9, 13, 7, 11, 15)
        width = 2 if len(raw) % 4 == 1 else 4
        rest = raw[width + 3 :]
        return cls(
            price=int.from_bytes(raw[:width]),
            currency=int.from_bytes(raw[width : width + 2]),
            digits=raw[width + 2],
            expiry=instant(int.from_bytes(rest[:4])) if rest else None,
            following=int.from_bytes(rest[4:]) if len(rest) == 8 else None,
            width=width,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A price tier, until ``expiry``, then ``following``."""

    tier: int
    expiry: datetime | None = None
    following: int | None = None

    def pack(self) -> bytes:
        """Write it; the next tier cannot go without an expiry."""
        raw = bytes((self.tier,))
        if self.expiry is not None:
            raw += seconds_2000(self.expiry).to_bytes(4)
            if self.following is not None:
                raw += bytes((self.following,))
        return raw

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Read it."""
        need(raw, 1, 5, 6)
        expiry = instant(int.from_bytes(raw[1:5])) if len(raw) > 1 else None
        return cls(tier=raw[0], expiry=expiry, following=raw[5] if len(raw) == 6 else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """A temperature offset in whole degrees."""

    offset: int
    unit: Unit

    def pack(self) -> bytes:
        """Write it."""
        return struct.pack(">bB", self.offset, self.unit)

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Read it."""
        need(raw, 2)
        offset, unit = struct.unpack(">bB", raw)
        return cls(offset=offset, unit=Unit(unit))


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPoint:
    """One or two set points of a device type; ``KEEP`` leaves one as it is."""

    device_type: int
    unit: Unit
    first: int
    second: int | None = None

    def pack(self) -> bytes:
        """Write it."""
        raw = struct.pack(">HBh", self.device_type, self.unit, self.first)
        return raw if self.second is None else raw + struct.pack(">h", self.second)

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Read it."""
        need(raw, 5, 7)
        kind, unit, first = struct.unpack_from(">HBh", raw)
        second = struct.unpack_from(">h", raw, 5)[0] if len(raw) == 7 else None
        return cls(device_type=kind, unit=Unit(unit), first=first, second=second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """A present temperature as the device sends it. Sources disagree on whole or hundredth degrees: ``raw`` is kept."""

    device_type: int
    unit: Unit
    raw: int

    def pack(self) -> bytes:
        """Write it."""
        return struct.pack(">HBh", self.device_type, self.unit, self.raw)

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Read it."""
        need(raw, 5)
        kind, unit, value = struct.unpack(">HBh", raw)
        return cls(device_type=kind, unit=Unit(unit), raw=value)
