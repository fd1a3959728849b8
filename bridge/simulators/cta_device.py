"""A simulated smart grid device (SGD): an appliance behind the CTA-2045 link, with the faults of real ones; sans-I/O.

Rule: bytes and seconds go in, (delay, bytes) come out. What is faulty is in ``Faults`` and nowhere else, so that the
same device is a strict peer without them. It speaks as a device does: it answers, finds its module by itself, and says
when the customer overrides.
"""

from dataclasses import dataclass, field

from bridge.cta2045 import commands, datalink
from bridge.cta2045.bodies import Byte, Info, Pair, Price, Utc
from bridge.cta2045.commands import AppNak, Basic, NotBasic, Op
from bridge.cta2045.datalink import DataLink, Offer
from bridge.cta2045.energy import Commodities, LoadUp
from bridge.cta2045.frames import Ack, Message, MessageType, NakReason, parse, serialise
from bridge.cta2045.intermediate import (
    REPLY,
    Body,
    Do,
    NotIntermediate,
    Reply,
    Request,
    ResponseCode,
    decode,
    encode_reply,
)
from bridge.cta2045.link import Action, Finished, Link, Received, Result, Write
from bridge.cta2045.timing import Timing
from bridge.cta2045.values import instant
from bridge.simulators.cta_appliances import Appliance
from runtime.clock import Draw

Out = tuple[float, bytes]
"""Bytes to write after so many seconds."""

_FIND_S = 22.0  # between two searches for a module
_FOUND = 3  # a device gives up searching after so many in vain, until it is spoken to
SUPPORTED = frozenset({Do.INFO, Do.UTC, Do.PRICE, Do.COMMODITY, Do.PREFERENCE, Do.SET_PREFERENCE, Do.LOAD_UP})


@dataclass(slots=True, kw_only=True)
class Faults:
    """What this device does wrong. Shares are 0 to 1, of what it writes."""

    drop: float = 0.0
    corrupt: float = 0.0
    duplicate: float = 0.0
    ack_late_s: float = 0.0
    deaf_s: float = 0.0  # hears nothing for so long after an ACK from the module
    silent: bool = False  # answers nothing at all
    split: bool = False  # writes byte by byte
    link_naks: list[NakReason] = field(default_factory=list)  # the next messages get these
    app_naks: dict[Op, AppNak] = field(default_factory=dict)  # commands that it refuses
    pretends: bool = False  # acknowledges load commands and does nothing


class SimulatedDevice:
    """One device on one port."""

    def __init__(
        self,
        appliance: Appliance,
        *,
        info: Info,
        draw: Draw,
        faults: Faults | None = None,
        supports: frozenset[Do] = SUPPORTED,
        payload: int = 7,
        finds: bool = False,
        intermediate: bool = True,
        timing: Timing | None = None,
    ) -> None:
        self.appliance = appliance
        self.faults = faults or Faults()
        self.heard: list[tuple[float, Basic | Request]] = []
        self.reboots = 0
        self._info = info
        self._draw = draw
        self._supports = supports
        self._find_at: float | None = float("-inf") if finds else None
        self._searches = 0
        self._deaf_until = float("-inf")
        self._override_told = False
        self._utc: Utc | None = None
        self._price: Price | None = None
        self._preferences: dict[int, int] = {}
        types = {MessageType.BASIC, MessageType.INTERMEDIATE} if intermediate else {MessageType.BASIC}
        self.link = Link(
            draw=draw,
            timing=timing or Timing(reply_delay_s=0.15),
            offer=Offer(payload=payload, bit_rates=frozenset({0, 1, 2, 3})),
            types=frozenset(types),
            refuses=self._refuses,
            asks_back=True,
        )

    # -- what the shell calls

    def receive(self, data: bytes, now: float) -> list[Out]:
        """Take bytes from the port."""
        if now < self._deaf_until:
            return []
        if self.faults.deaf_s:
            found = parse(data)
            if isinstance(found, tuple) and isinstance(found[0], Ack):
                self._deaf_until = now + self.faults.deaf_s
        return self._outs(self.link.receive(data, now), now)

    def tick(self, now: float) -> list[Out]:
        """Let time pass."""
        self.appliance.advance(now)
        if self._find_at is not None and now >= self._find_at:
            self._search(now)
        if not self.appliance.overridden and self._override_told:
            self._tell_override(now)
        return self._outs(self.link.tick(now), now)

    def due(self, now: float) -> float:
        """Return when ``tick`` has something to do."""
        dues = (self.link.due(), self._find_at, self.appliance.overridden_until, now + 1.0)
        return min(at for at in dues if at is not None)

    # -- what people do

    def press_override(self, now: float, on: bool = True) -> list[Out]:
        """The button; the module is told at once (CTA-09)."""
        self.appliance.press_override(now, on)
        self._tell_override(now)
        return self._outs(self.link.tick(now), now)

    def wake(self, now: float) -> list[Out]:
        """Ask the module for all it knows (CTA-08)."""
        return self._say(Basic(op=Op.WAKE), now)

    def sleep(self, now: float) -> list[Out]:
        """Say good night."""
        return self._say(Basic(op=Op.SLEEP), now)

    def tell_state(self, now: float) -> list[Out]:
        """Tell the state unasked."""
        return self._say(commands.state(self.appliance.state), now)

    def power_cycle(self, now: float) -> None:
        """Lose all that is in memory."""
        self.link.reset()
        self.appliance.end()
        self.reboots += 1
        self._searches, self._find_at = 0, None if self._find_at is None else now

    # -- inside

    def _say(self, basic: Basic, now: float) -> list[Out]:
        self.link.send(commands.encode(basic), now, lambda message: commands.answers(basic, message) is not None)
        return self._outs(self.link.tick(now), now)

    def _tell_override(self, now: float) -> None:
        self._override_told = self.appliance.overridden
        basic = commands.override(self.appliance.overridden)
        self.link.send(commands.encode(basic), now, lambda message: commands.answers(basic, message) is not None)

    def _search(self, now: float) -> None:
        """Ask for the message types and the payload, as devices do that look for a module."""
        self._searches += 1
        for kind in (MessageType.DATA_LINK, MessageType.BASIC, MessageType.INTERMEDIATE):
            self.link.send(Message(type=kind), now)
        self.link.send(datalink.message(DataLink.QUERY_PAYLOAD), now, _is_payload)
        self._find_at = None if self._searches >= _FOUND else now + _FIND_S

    def _refuses(self, message: Message) -> NakReason | None:
        """Refuse what is not supported on the link layer, as shipping devices do."""
        if self.faults.link_naks:
            return self.faults.link_naks.pop(0)
        if message.type == MessageType.INTERMEDIATE and not (len(message.payload) > 1 and message.payload[1] & REPLY):
            request = decode(message)
            known = request.known if isinstance(request, NotIntermediate) else request.do
            return None if known in self._supports else NakReason.NOT_SUPPORTED
        return None

    def _outs(self, actions: list[Action], now: float) -> list[Out]:
        outs: list[Out] = []
        while actions:
            for action in actions:
                match action:
                    case Write():
                        outs += self._spoil(action.data)
                    case Received():
                        self._on_message(action.message, now)
                    case Finished(result=Result.REPLIED | Result.DELIVERED):
                        self._searches = 0  # there is a module
            actions = self.link.tick(now)
        return outs

    def _on_message(self, message: Message, now: float) -> None:
        if message.type == MessageType.BASIC:
            self._on_basic(message, now)
        else:
            self._on_intermediate(message, now)

    def _on_basic(self, message: Message, now: float) -> None:
        basic = commands.decode(message)
        if isinstance(basic, NotBasic):
            self._reply(commands.encode(commands.app_nak(basic.nak)), now)
            return
        self.heard.append((now, basic))
        if basic.op in (Op.APP_ACK, Op.APP_NAK):
            return
        if basic.op is Op.QUERY_STATE:
            self.appliance.advance(now)
            self._reply(commands.encode(commands.state(self.appliance.state)), now)
            return
        if basic.op not in commands.FROM_MODULE:
            refused: AppNak | None = AppNak.OPCODE1
        elif (refused := self.faults.app_naks.get(basic.op)) is None and not self._ignores(basic):
            refused = self.appliance.command(basic, now)
        answer = commands.app_ack(basic.op) if refused is None else commands.app_nak(refused)
        self._reply(commands.encode(answer), now)
        if refused is None and basic.op in commands.REDUCTIONS and self.appliance.overridden:
            self._tell_override(now)  # right after the App ACK
        if basic.op is Op.REBOOT:
            self.reboots += 1
            self.appliance.end()

    def _ignores(self, basic: Basic) -> bool:
        return self.faults.pretends and basic.op in commands.LOAD_EVENTS

    def _on_intermediate(self, message: Message, now: float) -> None:
        request = decode(message)
        if isinstance(request, NotIntermediate):
            if request.known is not None:
                self._reply(encode_reply(Reply(do=request.known, code=request.code)), now)
            return
        self.heard.append((now, request))
        if request.sets:
            self._set(request, now)
            self._reply(encode_reply(Reply(do=request.do, body=self._answer_to_set(request))), now)
            return
        body = self._get(request, now)
        code = ResponseCode.SUCCESS if body is not None else ResponseCode.OTHER
        self._reply(encode_reply(Reply(do=request.do, code=code, body=body)), now)

    def _set(self, request: Request, now: float) -> None:
        match request.body:
            case LoadUp() as order:
                self.appliance.load_up(order, now)
            case Price() as price:
                self._price = price
            case Utc() as utc:
                self._utc = utc
            case Pair() as pair:
                self._preferences[pair.first] = pair.second

    def _answer_to_set(self, request: Request) -> Body | None:
        return request.body if request.do is Do.SET_PREFERENCE else None

    def _get(self, request: Request, now: float) -> Body | None:
        self.appliance.advance(now)
        match request.do:
            case Do.INFO:
                return self._info
            case Do.UTC:
                return self._utc or Utc(at=instant(0))
            case Do.PRICE:
                return self._price
            case Do.PREFERENCE if isinstance(request.body, Byte):
                return Pair(first=request.body.value, second=self._preferences.get(request.body.value, 0))
            case Do.COMMODITY:
                code = request.body.value if isinstance(request.body, Byte) else None
                readings = self.appliance.commodities()
                return Commodities(readings=tuple(each for each in readings if code in (None, each.code)))
            case _:
                return None

    def _reply(self, message: Message, now: float) -> None:
        self.link.reply(message, now)

    def _spoil(self, data: bytes) -> list[Out]:
        """Do to ``data`` what the faults say."""
        faults = self.faults
        if faults.silent or self._happens(faults.drop):
            return []
        delay = faults.ack_late_s if data == serialise(Ack()) else 0.0
        if self._happens(faults.corrupt):
            changed = bytearray(data)
            changed[int(self._draw() * len(data))] ^= 0x10
            data = bytes(changed)
        if faults.split:
            return [(delay + index * 0.005, data[index : index + 1]) for index in range(len(data))]
        again = [(delay + 0.02, data)] if self._happens(faults.duplicate) else []
        return [(delay, data), *again]

    def _happens(self, share: float) -> bool:
        return share > 0 and self._draw() < share


def _is_payload(message: Message) -> bool:
    return message.type == MessageType.DATA_LINK and message.payload[:1] == bytes((DataLink.PAYLOAD,))
