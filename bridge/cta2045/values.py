"""The scales and tables of CTA-2045: durations, prices, power levels, device types, commodities, states; pure.

Rule: each scale is a pair of functions beside each other; what is sent as a duration is rounded up: an event may
be longer than asked for and never shorter. Reading a byte never fails: what it cannot mean is ``None``.
"""

from datetime import UTC, datetime
from enum import IntEnum, IntFlag
from math import ceil, isqrt, sqrt

UNKNOWN = 0x00  # duration or price byte: not known
BEYOND = 0xFF  # duration or price byte: more than can be expressed
LONGEST_S = 2 * 0xFE**2  # 129,032 s = 35.84 h
LEVELS = 127  # steps of Request Power Level: bits 6..0
PRODUCED = 0x80  # bit 7 of Request Power Level: power to the grid
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # of Intermediate DR times
MEASURED = 0x80  # bit 7 of a commodity code: measured; clear: estimated


class OperationalState(IntEnum):
    """What a device says that it does (Basic DR opcode 13)."""

    IDLE_NORMAL = 0
    RUNNING_NORMAL = 1
    RUNNING_CURTAILED = 2
    RUNNING_HEIGHTENED = 3
    IDLE_CURTAILED = 4
    ERROR = 5
    IDLE_HEIGHTENED = 6
    CYCLING_ON = 7
    CYCLING_OFF = 8
    VARIABLE_FOLLOWING = 9
    VARIABLE_NOT_FOLLOWING = 10
    IDLE_OPTED_OUT = 11
    RUNNING_OPTED_OUT = 12
    RUNNING_PRICE_STREAM = 13
    IDLE_PRICE_STREAM = 14


STATES = {state.value: state for state in OperationalState}


class CommodityCode(IntEnum):
    """What a commodity reading is about; bit 7 (measured) is not part of it."""

    CONSUMED = 0  # W, Wh
    PRODUCED = 1  # W, Wh
    GAS_FT3 = 2
    WATER_GAL = 3
    GAS_M3 = 4
    WATER_L = 5
    STORAGE_TOTAL = 6  # Wh, no rate
    STORAGE_NOW = 7  # Wh, no rate
    RATED_CONSUMPTION = 8  # W
    RATED_PRODUCTION = 9  # W
    LOAD_UP_TOTAL = 10  # Wh (-B)
    LOAD_UP_NOW = 11  # Wh (-B)


COMMODITIES = {code.value: code for code in CommodityCode}


class Capability(IntFlag):
    """The capability bitmap of Get Information: a hint, for many devices say 0 (probe by command)."""

    CYCLING = 1
    TIER = 2
    PRICE = 4
    TEMPERATURE_OFFSET = 8
    CONTINUOUS_POWER = 16
    DISCRETE_POWER = 32
    ADVANCED_LOAD_UP = 64
    PRICE_STREAM = 128
    EFFICIENCY_LEVEL = 256


DEVICE_TYPES: dict[int, str] = {
    0x0000: "unspecified",
    0x0001: "water heater, gas",
    0x0002: "water heater, electric",
    0x0003: "water heater, heat pump",
    0x0004: "central air conditioner, heat pump",
    0x0005: "central air conditioner, fossil fuel heat",
    0x0006: "central air conditioner, resistance heat",
    0x0007: "central air conditioner, cooling only",
    0x0008: "evaporative cooler",
    0x0009: "baseboard heater",
    0x000A: "window air conditioner",
    0x000B: "portable heater",
    0x000C: "clothes washer",
    0x000D: "clothes dryer, gas",
    0x000E: "clothes dryer, electric",
    0x000F: "refrigerator",
    0x0010: "freezer",
    0x0011: "dishwasher",
    0x0012: "microwave oven",
    **{code: "oven, cooktop or stove" for code in range(0x0013, 0x0019)},
    0x0019: "dehumidifier",
    0x001A: "variable capacity heat pump",
    0x001B: "variable capacity heat pump water heater",
    0x001C: "phase change water heater",
    0x0020: "fan",
    0x0030: "pool pump, single speed",
    0x0031: "pool pump, variable speed",
    0x0032: "hot tub",
    0x0040: "irrigation",
    0x0041: "heat pump dryer",
    0x1000: "electric vehicle",
    0x1001: "hybrid vehicle",
    0x1100: "EVSE",
    0x1101: "EVSE, level 1",
    0x1102: "EVSE, level 2",
    0x1103: "EVSE, level 3",
    0x2000: "display",
    0x5000: "energy manager",
    0x6000: "gateway",
    0x7000: "distributed energy resource",
    0x7001: "photovoltaic inverter",
    0x7002: "battery",
    0x8000: "other",
}


def device_name(code: int) -> str:
    """Return the name of a device type code."""
    return DEVICE_TYPES.get(code, f"device type 0x{code:04x}")


def duration_byte(seconds: float | None) -> int:
    """Return the smallest duration byte that lasts at least ``seconds`` s; ``None`` is the unknown duration.

    A duration of 0 s or less has no code: it is sent as the shortest, 2 s. NaN is refused with ``ValueError``.
    """
    if seconds is None:
        return UNKNOWN
    if seconds > LONGEST_S:
        return BEYOND
    whole = ceil(max(seconds, 1))
    n = isqrt(whole // 2)
    return n if 2 * n * n >= whole else n + 1


def duration_s(byte: int) -> int | None:
    """Return the seconds of a duration byte; ``None``: unknown or too long to express."""
    return None if byte in (UNKNOWN, BEYOND) else 2 * byte * byte


def price_byte(ratio: float | None) -> int:
    """Return the byte of a price relative to the usual one (1.0); ``None`` is the unknown price.

    Inverse of ``price_ratio``. Prices below zero have no code and are sent as 0; NaN is refused with ``ValueError``.
    """
    if ratio is None:
        return UNKNOWN
    if ratio != ratio:  # NaN
        raise ValueError("ratio: not a number")
    if ratio > price_of(0xFE):
        return BEYOND
    return round(-31 + sqrt(1024 + 8192 * max(ratio, 0.0)))


def price_ratio(byte: int) -> float | None:
    """Return the relative price of a byte; ``None``: unknown or too high to express."""
    return None if byte in (UNKNOWN, BEYOND) else price_of(byte)


def price_of(byte: int) -> float:
    """Return (b-1)(b+63)/8192."""
    return (byte - 1) * (byte + 63) / 8192


def level_byte(share: float) -> int:
    """Return the operand of Request Power Level for ``share`` of the full rating: -1 (produced) to 1 (absorbed).

    To the nearest step, halves up: 50 % is 0x40. ``level_below`` keeps under a cap. Raises ``ValueError``.
    """
    if not -1 <= share <= 1:
        raise ValueError(f"share {share}: a power level lies between -1 and 1")
    steps = int(abs(share) * LEVELS + 0.5)
    return steps | (PRODUCED if share < 0 else 0)


def level_below(cap: float) -> float:
    """Return the largest share on the scale that is not above ``cap`` (0 to 1): 50 % becomes 63/127."""
    return int(min(max(cap, 0.0), 1.0) * LEVELS + 1e-9) / LEVELS


def level_kept(cap: float, floor: float) -> float:
    """Return the share to ask for under ``cap``: ``level_below``, but not less than a device's least share can be.

    The scale has no step for 6 A of most ratings. The one below would be raised to 6 A by the device, which then says
    that it does not follow; so the step next above is asked for where the cap allows the floor.
    """
    below = level_below(cap)
    if below <= 0 or below >= floor or cap < floor - 1e-9:
        return below
    return min(ceil(floor * LEVELS - 1e-9), LEVELS) / LEVELS


def level_share(byte: int) -> float:
    """Return the share of the full rating: negative for produced power."""
    share = (byte & ~PRODUCED) / LEVELS
    return -share if byte & PRODUCED else share


def time_sync_byte(local: datetime) -> int:
    """Return weekday (bits 7..5, Sunday 0) and hour (bits 4..0) of a local time; DST is in it (CTA-15)."""
    return local.isoweekday() % 7 << 5 | local.hour


def time_sync(byte: int) -> tuple[int, int] | None:
    """Return (weekday with Sunday 0, hour); ``None`` where there is no such hour or day."""
    weekday, hour = byte >> 5, byte & 0x1F
    return (weekday, hour) if weekday < 7 and hour < 24 else None


def seconds_2000(at: datetime) -> int:
    """Return whole seconds since 2000-01-01 UTC. Raises ``ValueError`` where 32 bits do not hold them."""
    seconds = int((at - EPOCH).total_seconds())
    if not 0 <= seconds <= 0xFFFFFFFF:
        raise ValueError(f"{at.isoformat()}: outside the 32 bit seconds since 2000")
    return seconds


def instant(seconds: int) -> datetime:
    """Return the UTC instant so many seconds after 2000-01-01."""
    return datetime.fromtimestamp(seconds + EPOCH.timestamp(), UTC)
