"""What the module answers to what a device says by itself, and what it learns from it; pure.

Rule: every Basic DR message gets an App ACK or the App NAK that fits, except answers, which are never answered. What
only a module may say is refused when a device says it. What is refused on the link layer is in ``refuses``.
"""

from dataclasses import dataclass

from bridge.cta2045 import commands
from bridge.cta2045.bodies import Utc
from bridge.cta2045.commands import AppNak, NotBasic, Op
from bridge.cta2045.energy import Commodities, Commodity
from bridge.cta2045.frames import Message, MessageType, NakReason
from bridge.cta2045.intermediate import (
    REPLY,
    Do,
    NotIntermediate,
    Reply,
    decode,
    encode_reply,
)
from bridge.cta2045.values import OperationalState

_ANSWERED = frozenset({Do.UTC, Do.COMMODITY})  # what a device may ask of a module, or tell it
_SAID = {Op.CUSTOMER_OVERRIDE, Op.STATE, Op.SLEEP, Op.WAKE, Op.REBOOT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one message means: the reply to give, and what it tells. ``None`` and empty where it tells nothing."""

    reply: Message | None = None
    override: bool | None = None
    state: OperationalState | None = None
    commodities: tuple[Commodity, ...] = ()
    wants_all: bool = False  # Wake: everything again within 10 s (CTA-08)
    asleep: bool = False
    restarts: bool = False  # Reboot: both sides go back to start-up (CTA-16)


def refuses(message: Message) -> NakReason | None:
    """Return the link NAK for Intermediate DR that a module does not take; replies are always taken."""
    if message.type != MessageType.INTERMEDIATE or (len(message.payload) > 1 and message.payload[1] & REPLY):
        return None
    request = decode(message)
    known = request.known if isinstance(request, NotIntermediate) else request.do
    return None if known in _ANSWERED else NakReason.NOT_SUPPORTED


def take(message: Message, utc: Utc) -> Heard:
    """Read a message that nobody waited for."""
    if message.type == MessageType.BASIC:
        return _basic(message)
    if len(message.payload) > 1 and message.payload[1] & REPLY:
        return Heard()  # a late reply: what asked for it has given up
    request = decode(message)
    if isinstance(request, NotIntermediate):
        if request.known is None:
            return Heard()
        return Heard(reply=encode_reply(Reply(do=request.known, code=request.code)))
    if request.do is Do.UTC and not request.sets:
        return Heard(reply=encode_reply(Reply(do=Do.UTC, body=utc)))
    readings = request.body.readings if isinstance(request.body, Commodities) else ()
    return Heard(reply=encode_reply(Reply(do=request.do)), commodities=readings)


def _basic(message: Message) -> Heard:
    basic = commands.decode(message)
    if isinstance(basic, NotBasic):
        return Heard(reply=commands.encode(commands.app_nak(basic.nak)))
    if basic.op in (Op.APP_ACK, Op.APP_NAK):
        return Heard()
    if basic.op not in _SAID:
        return Heard(reply=commands.encode(commands.app_nak(AppNak.OPCODE1)))
    return Heard(
        reply=commands.encode(commands.app_ack(basic.op)),
        override=bool(basic.operand) if basic.op is Op.CUSTOMER_OVERRIDE else None,
        state=basic.state if basic.op is Op.STATE else None,
        wants_all=basic.op is Op.WAKE,
        asleep=basic.op is Op.SLEEP,
        restarts=basic.op is Op.REBOOT,
    )
