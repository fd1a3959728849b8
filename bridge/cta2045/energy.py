"""The bodies of Intermediate DR messages about load: cycling, commodity readings, advanced load up; pure.

Rule: as for the other ``bodies``. Of a cumulative reading only deltas count, for devices begin anew as they like; bit 7
of a commodity code tells a measurement from an estimate and is no part of the code.
"""

import struct
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Self

from bridge.cta2045.bodies import WrongLength, need
from bridge.cta2045.values import COMMODITIES, MEASURED, CommodityCode, instant, seconds_2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycling:
    """Start Cycling (CTA-14): ``duty`` is the per cent of reduction; ``start`` ``None`` is now.

    The device's own random delays are 0 where the bridge has drawn one already (requirement RND: one layer only).
    """

    event_id: int
    minutes: int
    duty: int
    start: datetime | None = None
    start_random_min: int = 0
    end_random_min: int = 0
    criticality: int = 0
    duty_period_min: int = 0

    def pack(self) -> bytes:
        """Write it; the optional bytes go together, and only if one of them says something."""
        start = 0 if self.start is None else seconds_2000(self.start)
        raw = struct.pack(">IIHB", self.event_id, start, self.minutes, self.duty)
        tail = bytes((self.start_random_min, self.end_random_min, self.criticality, self.duty_period_min))
        return raw + tail if any(tail) else raw

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Read it."""
        need(raw, *range(11, 16))
        event_id, start, minutes, duty = struct.unpack_from(">IIHB", raw)
        tail = raw[11:].ljust(4, b"\0")
        return cls(
            event_id=event_id,
            minutes=minutes,
            duty=duty,
            start=instant(start) if start else None,
            start_random_min=tail[0],
            end_random_min=tail[1],
            criticality=tail[2],
            duty_period_min=tail[3],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCycling:
    """Terminate Cycling, with a random delay of up to so many minutes."""

    event_id: int
    end_random_min: int | None = None

    def pack(self) -> bytes:
        """Write it."""
        raw = self.event_id.to_bytes(4)
        return raw if self.end_random_min is None else raw + bytes((self.end_random_min,))

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Read it."""
        need(raw, 4, 5)
        return cls(event_id=int.from_bytes(raw[:4]), end_random_min=raw[4] if len(raw) == 5 else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commodity:
    """One reading: ``rate`` now and ``cumulative`` so far in the units of its code; of the latter only deltas count.

    ``code`` is a ``CommodityCode`` where it is one of the known; ``measured`` is bit 7, clear for an estimate.
    """

    code: int
    measured: bool
    rate: int
    cumulative: int

    @property
    def kind(self) -> CommodityCode | None:
        """The known meaning of the code."""
        return COMMODITIES.get(self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commodities:
    """The readings of Get and Set Commodity."""

    readings: tuple[Commodity, ...]

    def pack(self) -> bytes:
        """Write 13 bytes for each."""
        return b"".join(
            bytes((each.code | (MEASURED if each.measured else 0),))
            + each.rate.to_bytes(6)
            + each.cumulative.to_bytes(6)
            for each in self.readings
        )

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Read 13 bytes for each."""
        return cls(
            readings=tuple(
                Commodity(
                    code=part[0] & ~MEASURED,
                    measured=bool(part[0] & MEASURED),
                    rate=int.from_bytes(part[1:7]),
                    cumulative=int.from_bytes(part[7:]),
                )
                for part in _parts(raw, 13)
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Which commodities a device shall tell by itself, and how often: (code, seconds)."""

    entries: tuple[tuple[int, int], ...]

    def pack(self) -> bytes:
        """Write 3 bytes for each."""
        return b"".join(struct.pack(">BH", code, seconds) for code, seconds in self.entries)

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Read 3 bytes for each."""
        return cls(entries=tuple((part[0], int.from_bytes(part[1:])) for part in _parts(raw, 3)))


def _parts(raw: bytes, size: int) -> list[bytes]:
    if len(raw) % size:
        raise WrongLength(f"{len(raw)} bytes are no whole number of records of {size}")
    return [raw[at : at + size] for at in range(0, len(raw), size)]


class EnergyUnit(IntEnum):
    """Unit of an advanced load up: powers of ten of 1 Wh, or not active."""

    WH_1 = 0
    WH_10 = 1
    WH_100 = 2
    WH_1000 = 3
    OFF = 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadUp:
    """Advanced Load Up (-B): store ``value`` times ``unit`` in ``minutes``; ``tail`` is the optional rest as it came.

    The rest is efficiency[1], or that and eventID[4] start[4] startRandom[1] endRandom[1].
    """

    minutes: int
    value: int
    unit: EnergyUnit
    tail: bytes = b""

    @property
    def energy_wh(self) -> int | None:
        """The energy asked for; ``None`` if not active."""
        return None if self.unit is EnergyUnit.OFF else self.value * int(10**self.unit)

    def pack(self) -> bytes:
        """Write it."""
        return struct.pack(">HHB", self.minutes, self.value, self.unit) + self.tail

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Read it."""
        need(raw, 5, 6, 16)
        minutes, value, unit = struct.unpack_from(">HHB", raw)
        return cls(minutes=minutes, value=value, unit=EnergyUnit(unit), tail=raw[5:])


def load_up(minutes: int, energy_wh: float) -> LoadUp:
    """Return an advanced load up with the finest unit that holds ``energy_wh``, rounded down. Raises ``ValueError``."""
    if not 0 <= minutes <= 0xFFFF or energy_wh < 0:
        raise ValueError("an advanced load up has 0 to 65,535 minutes and no negative energy")
    for unit in (EnergyUnit.WH_1, EnergyUnit.WH_10, EnergyUnit.WH_100, EnergyUnit.WH_1000):
        value = int(energy_wh // 10**unit)
        if value <= 0xFFFF:
            return LoadUp(minutes=minutes, value=value, unit=unit)
    raise ValueError(f"{energy_wh} Wh: more than an advanced load up can carry")
