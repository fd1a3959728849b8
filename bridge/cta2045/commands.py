"""Basic DR, the application that every CTA-2045 device has: 22 commands of two bytes to ``Basic`` and back; pure.

Rule: one table says for each opcode what its operand means; ``decode`` never raises and gives the App NAK that the
standard has for what it cannot take. An App ACK says "received and supported", never "done" (CTA-04).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from bridge.cta2045.frames import Message, MessageType
from bridge.cta2045.values import (
    STATES,
    OperationalState,
    duration_byte,
    duration_s,
    level_byte,
    level_share,
    price_byte,
    price_ratio,
    time_sync,
    time_sync_byte,
)


class Op(IntEnum):
    """Opcode 1 of Basic DR; 05, 0D, 0F, 10 and everything from 1B on are not assigned."""

    SHED = 0x01
    END_SHED = 0x02
    APP_ACK = 0x03
    APP_NAK = 0x04
    POWER_LEVEL = 0x06
    PRESENT_PRICE = 0x07
    NEXT_PRICE = 0x08
    PRICE_TIME_LEFT = 0x09
    CRITICAL_PEAK = 0x0A
    GRID_EMERGENCY = 0x0B
    GRID_GUIDANCE = 0x0C
    COMM_STATUS = 0x0E
    CUSTOMER_OVERRIDE = 0x11
    QUERY_STATE = 0x12
    STATE = 0x13
    SLEEP = 0x14
    WAKE = 0x15
    TIME_SYNC = 0x16
    LOAD_UP = 0x17
    PENDING_TIME = 0x18
    PENDING_TYPE = 0x19
    REBOOT = 0x1A


_OPS = {op.value: op for op in Op}


class AppNak(IntEnum):
    """Why an application refused a command (operand of opcode 04)."""

    NONE = 0
    OPCODE1 = 1
    OPCODE2 = 2
    BUSY = 3
    LENGTH = 4
    OVERRIDE = 5  # the customer's override is in effect


_APP_NAKS = {reason.value: reason for reason in AppNak}


class Comm(IntEnum):
    """Operand of Outside Comm Status (CTA-07)."""

    LOST = 0
    GOOD = 1
    POOR = 2


class Guidance(IntEnum):
    """Operand of Grid Guidance."""

    BAD = 0
    NEUTRAL = 1
    GOOD = 2


class Reset(IntEnum):
    """Operand of Reboot (CTA-16)."""

    SOFT = 0
    FACTORY = 1


class Operand(StrEnum):
    """What the second byte of a command means."""

    ZERO = "zero"
    DURATION = "duration"
    OPCODE = "opcode"
    LEVEL = "level"
    PRICE = "price"
    CODE = "code"
    TIME = "time"


OPERANDS: dict[Op, Operand] = {
    Op.SHED: Operand.DURATION,
    Op.END_SHED: Operand.ZERO,
    Op.APP_ACK: Operand.OPCODE,
    Op.APP_NAK: Operand.CODE,
    Op.POWER_LEVEL: Operand.LEVEL,
    Op.PRESENT_PRICE: Operand.PRICE,
    Op.NEXT_PRICE: Operand.PRICE,
    Op.PRICE_TIME_LEFT: Operand.DURATION,
    Op.CRITICAL_PEAK: Operand.DURATION,
    Op.GRID_EMERGENCY: Operand.DURATION,
    Op.GRID_GUIDANCE: Operand.CODE,
    Op.COMM_STATUS: Operand.CODE,
    Op.CUSTOMER_OVERRIDE: Operand.CODE,
    Op.QUERY_STATE: Operand.ZERO,
    Op.STATE: Operand.CODE,
    Op.SLEEP: Operand.ZERO,
    Op.WAKE: Operand.ZERO,
    Op.TIME_SYNC: Operand.TIME,
    Op.LOAD_UP: Operand.DURATION,
    Op.PENDING_TIME: Operand.DURATION,
    Op.PENDING_TYPE: Operand.OPCODE,
    Op.REBOOT: Operand.CODE,
}

# Operands that may occur, where not all 256 may. A state or reason beyond the table is taken as it comes, because later
# editions add to both.
_ALLOWED: dict[Op, frozenset[int]] = {
    Op.GRID_GUIDANCE: frozenset(Guidance),
    Op.COMM_STATUS: frozenset(Comm),
    Op.CUSTOMER_OVERRIDE: frozenset({0, 1}),
    Op.PENDING_TYPE: frozenset({Op.SHED, Op.END_SHED, Op.CRITICAL_PEAK, Op.GRID_EMERGENCY, Op.LOAD_UP}),
    Op.REBOOT: frozenset(Reset),
}

LOAD_EVENTS = frozenset({Op.SHED, Op.CRITICAL_PEAK, Op.GRID_EMERGENCY, Op.POWER_LEVEL, Op.LOAD_UP})
"""Commands that begin an event, which End Shed ends."""

REDUCTIONS = LOAD_EVENTS - {Op.LOAD_UP}

FROM_DEVICE = frozenset({Op.APP_ACK, Op.APP_NAK, Op.CUSTOMER_OVERRIDE, Op.STATE, Op.SLEEP, Op.WAKE, Op.REBOOT})
"""What a device may send; the rest is for the module to send."""

FROM_MODULE = frozenset(Op) - {Op.STATE, Op.SLEEP, Op.WAKE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Basic:
    """One Basic DR command."""

    op: Op
    operand: int = 0

    @property
    def duration_s(self) -> int | None:
        """Seconds of a duration operand; ``None``: unknown or too long to express."""
        return duration_s(self.operand)

    @property
    def share(self) -> float:
        """The share of the full rating of a power level, negative for produced power."""
        return level_share(self.operand)

    @property
    def price(self) -> float | None:
        """The relative price; ``None``: unknown or too high to express."""
        return price_ratio(self.operand)

    @property
    def state(self) -> OperationalState | None:
        """The operational state; ``None``: a code that no edition known here has."""
        return STATES.get(self.operand)

    @property
    def why(self) -> AppNak:
        """The reason of an App NAK; unknown ones count as none."""
        return _APP_NAKS.get(self.operand, AppNak.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotBasic:
    """A Basic DR message that cannot be taken: the App NAK to answer with, and why."""

    nak: AppNak
    why: str


def encode(command: Basic) -> Message:
    """Write a command as a message."""
    return Message(type=MessageType.BASIC, payload=bytes((command.op, command.operand)))


def decode(message: Message) -> Basic | NotBasic:
    """Read a Basic DR message."""
    if len(message.payload) != 2:
        return NotBasic(nak=AppNak.LENGTH, why=f"a Basic DR payload has 2 bytes, not {len(message.payload)}")
    opcode, operand = message.payload
    if (op := _OPS.get(opcode)) is None:
        return NotBasic(nak=AppNak.OPCODE1, why=f"Basic DR opcode {opcode:02x} is not assigned")
    if op in _ALLOWED and operand not in _ALLOWED[op]:
        return NotBasic(nak=AppNak.OPCODE2, why=f"{op.name}: operand {operand:02x} has no meaning")
    if OPERANDS[op] is Operand.TIME and time_sync(operand) is None:
        return NotBasic(nak=AppNak.OPCODE2, why=f"{op.name}: {operand:02x} is no weekday and hour")
    return Basic(op=op, operand=operand)


def event(op: Op, seconds: float | None) -> Basic:
    """Return Shed, Critical Peak, Grid Emergency, Load Up or a pending time, lasting ``seconds`` s rounded up."""
    if OPERANDS[op] is not Operand.DURATION:
        raise ValueError(f"{op.name} has no duration")
    return Basic(op=op, operand=duration_byte(seconds))


def end() -> Basic:
    """Return End Shed / Run Normal."""
    return Basic(op=Op.END_SHED)


def power_level(share: float) -> Basic:
    """Return Request Power Level for ``share`` of the full rating, -1 (produced) to 1 (absorbed)."""
    return Basic(op=Op.POWER_LEVEL, operand=level_byte(share))


def prices(present: float | None, following: float | None, left_s: float | None) -> tuple[Basic, Basic, Basic]:
    """Return present and next relative price and the time left in the period, in the order to send them (CTA-13)."""
    return (
        Basic(op=Op.PRESENT_PRICE, operand=price_byte(present)),
        Basic(op=Op.NEXT_PRICE, operand=price_byte(following)),
        Basic(op=Op.PRICE_TIME_LEFT, operand=duration_byte(left_s)),
    )


def pending(op: Op, seconds: float) -> tuple[Basic, Basic]:
    """Return Pending Event Time and Type for an event that comes in ``seconds`` s. Raises ``ValueError``."""
    if op not in _ALLOWED[Op.PENDING_TYPE]:
        raise ValueError(f"{op.name} cannot be announced")
    return event(Op.PENDING_TIME, seconds), Basic(op=Op.PENDING_TYPE, operand=op)


def guidance(value: Guidance) -> Basic:
    """Return Grid Guidance."""
    return Basic(op=Op.GRID_GUIDANCE, operand=value)


def comm_status(value: Comm) -> Basic:
    """Return Outside Comm Status."""
    return Basic(op=Op.COMM_STATUS, operand=value)


def override(on: bool) -> Basic:
    """Return Customer Override."""
    return Basic(op=Op.CUSTOMER_OVERRIDE, operand=int(on))


def query_state() -> Basic:
    """Return the question for the operational state."""
    return Basic(op=Op.QUERY_STATE)


def state(value: OperationalState) -> Basic:
    """Return a device's operational state."""
    return Basic(op=Op.STATE, operand=value)


def sync(local: datetime) -> Basic:
    """Return Simple Time Sync for a local time (CTA-15)."""
    return Basic(op=Op.TIME_SYNC, operand=time_sync_byte(local))


def reboot(kind: Reset) -> Basic:
    """Return Reboot."""
    return Basic(op=Op.REBOOT, operand=kind)


def app_ack(op: int) -> Basic:
    """Return the App ACK of a command."""
    return Basic(op=Op.APP_ACK, operand=op)


def app_nak(why: AppNak) -> Basic:
    """Return an App NAK."""
    return Basic(op=Op.APP_NAK, operand=why)


def answers(request: Basic, message: Message) -> Basic | None:
    """Return what ``message`` answers to ``request``: its App ACK, an App NAK, or the state asked for."""
    if message.type != MessageType.BASIC:
        return None
    reply = decode(message)
    if isinstance(reply, NotBasic):
        return None
    wanted = reply.op is Op.STATE if request.op is Op.QUERY_STATE else False
    acked = reply.op is Op.APP_ACK and reply.operand == request.op
    return reply if wanted or acked or reply.op is Op.APP_NAK else None
