"""The CTA-2045 link layer: turns on a half-duplex line, ACK, NAK, tries, collisions, discovery, negotiation; sans-I/O.

Rule: bytes and instants go in, ``Action`` values come out; no clock, no I/O, and what is random is drawn from the
function given. One message is in the air at a time, sent again only for want of an ACK or after NAK 03. A reply is
known by its content, so an ACK that comes late, twice, never or together with the reply changes nothing.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from bridge.cta2045 import datalink
from bridge.cta2045.datalink import BASE_RATE, BIT_RATES, DEFAULT_PAYLOAD, PAYLOADS, DataLink, Offer
from bridge.cta2045.frames import OVERHEAD, Ack, Frame, Message, MessageType, Nak, NakReason, serialise
from bridge.cta2045.receiver import Receiver
from bridge.cta2045.timing import Timing

_BITS_A_BYTE = 10  # 8N1
_WAITING = 64  # messages that may wait for their turn: far more than a start-up sends

_ANSWERS = 4  # ACKs and NAKs owed at a time: whoever sends more at once does not keep to the turns

Matches = Callable[[Message], bool]
Refuses = Callable[[Message], NakReason | None]


class Result(StrEnum):
    """How the sending of one message ended."""

    DELIVERED = "delivered"  # link ACK; no reply was wanted
    REPLIED = "replied"
    NO_REPLY = "no_reply"  # link ACK, but no reply within tAR
    REFUSED = "refused"  # link NAK
    NO_ACK = "no_ack"  # nobody answered
    TOO_LONG = "too_long"  # more than was negotiated, or than fits into tML: not sent
    DROPPED = "dropped"  # the port was lost, or too much was waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Write these bytes to the port, in one go."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """The other side sent this by itself; its link ACK is on its way."""

    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The message with this ticket is done."""

    ticket: int
    result: Result
    reply: Message | None = None
    nak: NakReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBitRate:
    """Switch the port to so many bit/s, once what was written is out."""

    bit_rate: int


Action = Write | Received | Finished | SetBitRate


@dataclass(slots=True, kw_only=True)
class _Out:
    """A message of ours on its way."""

    ticket: int
    message: Message
    expects: Matches | None = None
    is_reply: bool = False
    not_before: float = 0.0
    asked_at: float = 0.0
    tries: int = 0
    retry_at: float | None = None  # set: the try failed, the next one comes then
    deadline: float = 0.0  # of the ACK, later of the reply
    soon: bool = False  # the try came soon after our own ACK


class Link:
    """One end of the line. Give it ``receive``, ``send``, ``reply`` and ``tick``; do what the actions say."""

    def __init__(
        self,
        *,
        draw: Callable[[], float],
        timing: Timing | None = None,
        offer: Offer | None = None,
        types: frozenset[int] = frozenset({MessageType.BASIC, MessageType.INTERMEDIATE}),
        refuses: Refuses = lambda _: None,
        asks_back: bool = False,
    ) -> None:
        self.timing = timing or Timing()
        self.offer = offer or Offer()
        self.peer_payload = DEFAULT_PAYLOAD  # bytes that the other side has room for
        self.bit_rate = BIT_RATES[BASE_RATE]
        self.deaf_s = 0.0  # learned: so long after our ACK the other side hears nothing
        self._draw = draw
        self._types = types | {MessageType.DATA_LINK}
        self._refuses = refuses
        self._asks_back = asks_back  # asked for the payload, ask for theirs
        self._receiver = Receiver(self.timing, PAYLOADS[self.offer.payload])
        self._actions: list[Action] = []
        self._tickets = 0
        self._requests: deque[_Out] = deque()
        self._replies: deque[_Out] = deque()
        self._air: _Out | None = None  # in the air, or between two tries
        self._open: _Out | None = None  # has its ACK, waits for its reply
        self._answers: deque[tuple[float, Ack | Nak, int | None]] = deque()  # when, what, bit rate to switch to after
        self._free_at = float("-inf")  # nothing of ours before
        self._acked_at = float("-inf")  # when we last sent an ACK
        self._heard_at: float | None = None  # valid traffic, while the bit rate is not the base rate
        self._last_reply: tuple[Message, float] | None = None

    # -- what the shell calls

    def send(self, message: Message, now: float, expects: Matches | None = None) -> int:
        """Queue a message; ``expects`` knows its reply. Returns a ticket that a ``Finished`` will carry."""
        return self._queue(self._requests, _Out(ticket=0, message=message, expects=expects, asked_at=now))

    def reply(self, message: Message, now: float) -> int:
        """Queue the reply to something received: sent before requests, tAR after our ACK."""
        for waiting in self._replies:
            if waiting.message == message:  # asked twice, because our ACK was lost
                return waiting.ticket
        ready = now + max(self.timing.reply_delay_s, self.deaf_s)
        out = _Out(ticket=0, message=message, is_reply=True, not_before=ready, asked_at=now)
        return self._queue(self._replies, out)

    def receive(self, data: bytes, now: float) -> list[Action]:
        """Take bytes that arrived."""
        if data:
            for frame in self._receiver.feed(data, now):
                self._take(frame, now)
        return self.tick(now)

    def tick(self, now: float) -> list[Action]:
        """Do what is due; return what there is to do for the shell."""
        for reason in self._receiver.rejected(now):
            if reason is not None:
                self._answer(Nak(code=reason), now)
        self._send_answers(now)
        self._check_air(now)
        if self._open is not None and now >= self._open.deadline:
            self._finish(self._open, Result.NO_REPLY)
            self._open = None
        self._revert(now)
        self._start(now)
        actions, self._actions = self._actions, []
        return actions

    def due(self) -> float | None:
        """Return when to call ``tick`` next if nothing happens before; instants in the past mean at once."""
        candidates = [self._receiver.due()]
        if self._air is not None and self._air.retry_at is None:
            candidates.append(self._air.deadline)
        elif not self._answers and (waiting := self._air or self._next()) is not None:
            candidates.append(self._start_at(waiting))
        if self._answers:
            candidates.append(self._answers[0][0])
        if self._open is not None:
            candidates.append(self._open.deadline)
        if self._heard_at is not None:
            candidates.append(self._heard_at + self.timing.revert_s)
        return min((at for at in candidates if at is not None), default=None)

    def reset(self) -> list[Action]:
        """Forget all that was under way and negotiated: the port is gone, or the other side starts anew."""
        under_way = [self._air, self._open, *self._replies, *self._requests]
        self._air = self._open = self._last_reply = self._heard_at = None
        self._replies.clear()
        self._requests.clear()
        self._answers.clear()
        self._receiver.drop()
        for out in under_way:
            if out is not None:
                self._finish(out, Result.DROPPED)
        self.peer_payload = DEFAULT_PAYLOAD
        self._set_rate(BIT_RATES[BASE_RATE])
        actions, self._actions = self._actions, []
        return actions

    @property
    def idle(self) -> bool:
        """Nothing of ours waits or is under way."""
        return self._air is None and self._open is None and not (self._requests or self._replies or self._answers)

    # -- receiving

    def _take(self, frame: Frame, now: float) -> None:
        if self._heard_at is not None:
            self._heard_at = now
        match frame:
            case Ack():
                self._on_ack(now)
            case Nak():
                self._on_nak(frame, now)
            case _:
                self._on_message(frame, now)

    def _on_ack(self, now: float) -> None:
        """An ACK is of the message in the air, also between two tries; any other is late or stray, and nothing."""
        if (out := self._air) is None:
            return
        self._land(out, now)
        if out.message.type == MessageType.DATA_LINK and out.message.payload[:1] == bytes((DataLink.BIT_RATE,)):
            self._set_rate(BIT_RATES[out.message.payload[1]], now)
        if out.expects is None:
            self._finish(out, Result.DELIVERED)
        else:
            out.deadline = now + self.timing.reply_wait_s + self.timing.latency_s
            self._open = out

    def _on_nak(self, nak: Nak, now: float) -> None:
        out = self._air
        if out is None or out.retry_at is not None:
            return
        if nak.reason is NakReason.CHECKSUM:
            self._fail(out, now, nak.reason)
            return
        self._land(out, now)
        if out.soon and nak.reason is NakReason.NOT_SUPPORTED and out.is_reply:
            self._deaf()  # it had stopped to wait for what we replied
        self._finish(out, Result.REFUSED, nak=nak.reason)

    def _on_message(self, message: Message, now: float) -> None:
        refused, bit_rate = self._judge(message, now)
        if refused is not None:
            self._answer(Nak(code=refused), now)
            return
        self._answer(Ack(), now, bit_rate)
        if message.is_support_query or self._is_reply(message, now) or message.type == MessageType.DATA_LINK:
            return
        self._actions.append(Received(message=message))

    def _judge(self, message: Message, now: float) -> tuple[NakReason | None, int | None]:
        """Return the NAK for a message, if any, and the bit rate that it asks for; data-link messages are answered."""
        if message.type not in self._types:
            return NakReason.UNSUPPORTED_TYPE, None
        if message.is_support_query:
            return None, None
        if message.type != MessageType.DATA_LINK:
            return self._refuses(message), None
        response = datalink.answer(message, self.offer)
        if response.reply is not None:
            self.reply(response.reply, now)
            if self._asks_back and self.peer_payload == DEFAULT_PAYLOAD:
                self._asks_back = False
                self.send(datalink.message(DataLink.QUERY_PAYLOAD), now)
        if response.peer_payload is not None:
            self.peer_payload = response.peer_payload
        return response.nak, None if response.bit_rate is None else BIT_RATES[response.bit_rate]

    def _is_reply(self, message: Message, now: float) -> bool:
        """Tell whether ``message`` is a reply of ours to have, or its repetition; finish what waited for it."""
        repeated = self._last_reply is not None and self._last_reply[0] == message
        recent = self._last_reply is not None and now - self._last_reply[1] < self.timing.repeat_s
        out = self._open
        if out is None and not (repeated and recent):
            out = self._air  # its ACK was lost, and here is the reply
        if out is None or out.expects is None or not out.expects(message):
            return repeated and recent
        if out is self._air:
            self._land(out, now)
        else:
            self._open = None
        self._last_reply = (message, now)
        self._finish(out, Result.REPLIED, reply=message)
        return True

    # -- sending

    def _queue(self, queue: deque[_Out], out: _Out) -> int:
        self._tickets += 1
        out.ticket = self._tickets
        size = OVERHEAD + len(out.message.payload)
        if len(out.message.payload) > self.peer_payload or self._air_s(size) > self.timing.message_s:
            self._finish(out, Result.TOO_LONG)
        elif len(queue) >= _WAITING:
            self._finish(out, Result.DROPPED)
        else:
            queue.append(out)
        return out.ticket

    def _next(self) -> _Out | None:
        """Return who is next: replies go first, requests one after the other."""
        if self._replies:
            return self._replies[0]
        return self._requests[0] if self._requests and self._open is None else None

    def _start_at(self, out: _Out) -> float:
        """Return when ``out`` may go: after its pauses, on a silent line, or when the line has babbled too long."""
        receiving = self._receiver.due()
        if receiving is None:
            return self._pauses_end(out)
        return max(self._pauses_end(out), min(receiving, out.asked_at + self.timing.hold_s))

    def _pauses_end(self, out: _Out) -> float:
        """Return when the pauses are over that the standard and the device want before ``out``."""
        wanted = out.not_before if out.retry_at is None else out.retry_at
        return max(wanted, self._free_at, self._acked_at + max(self.timing.gap_s, self.deaf_s))

    def _start(self, now: float) -> None:
        if self._answers:
            return
        out = self._air or self._next()
        if out is None or (out is self._air and out.retry_at is None):
            return
        if now < (self._start_at(out) if self._receiver.busy(now) else self._pauses_end(out)):
            return
        if self._air is None:
            (self._replies if out.is_reply else self._requests).popleft()
        self._transmit(out, now)

    def _transmit(self, out: _Out, now: float) -> None:
        self._receiver.drop()
        self._air, out.retry_at = out, None
        out.tries += 1
        out.soon = now - self._acked_at < self.timing.deaf_most_s
        end = self._write(serialise(out.message), now)
        out.deadline = end + self.timing.ack_wait_s + self.timing.latency_s

    def _check_air(self, now: float) -> None:
        out = self._air
        if out is not None and out.retry_at is None and now >= out.deadline:
            if out.soon:
                self._deaf()
            self._fail(out, now, None)

    def _fail(self, out: _Out, now: float, nak: NakReason | None) -> None:
        """A try failed: draw when to try again, or give up."""
        if out.tries < self.timing.tries:
            least, most = self.timing.backoff_s
            out.retry_at, out.asked_at = now + least + (most - least) * self._draw(), now
            return
        self._land(out, now)
        self._finish(out, Result.NO_ACK if nak is None else Result.REFUSED, nak=nak)

    def _land(self, out: _Out, now: float) -> None:
        """``out`` is no longer in the air; after several tries, leave time for the ACKs of all of them."""
        self._air = None
        self._free_at = now + (self.timing.gap_s if out.tries == 1 else self.timing.ack_wait_s + self.timing.latency_s)

    def _deaf(self) -> None:
        """The device missed what followed our ACK: wait longer from now on."""
        longer = max(self.timing.reply_delay_s, self.deaf_s * 2)
        self.deaf_s = min(self.timing.deaf_most_s, longer)

    def _finish(self, out: _Out, result: Result, reply: Message | None = None, nak: NakReason | None = None) -> None:
        self._actions.append(Finished(ticket=out.ticket, result=result, reply=reply, nak=nak))

    # -- ACK, NAK, bit rate

    def _answer(self, frame: Ack | Nak, now: float, bit_rate: int | None = None) -> None:
        if len(self._answers) < _ANSWERS:
            self._answers.append((now + self.timing.ack_delay_s, frame, bit_rate))

    def _send_answers(self, now: float) -> None:
        while self._answers and self._answers[0][0] <= now:
            _, frame, bit_rate = self._answers.popleft()
            end = self._write(serialise(frame), now)
            self._acked_at = end
            for reply in self._replies:
                reply.not_before = max(reply.not_before, end + max(self.timing.reply_delay_s, self.deaf_s))
            if bit_rate is not None:
                self._set_rate(bit_rate, now)

    def _write(self, data: bytes, now: float) -> float:
        """Write, and return when the last bit is out."""
        self._actions.append(Write(data=data))
        return now + self._air_s(len(data))

    def _air_s(self, size: int) -> float:
        return size * _BITS_A_BYTE / self.bit_rate

    def _set_rate(self, bit_rate: int, now: float | None = None) -> None:
        """Switch, and fall back to 19200 bit/s when nothing valid is heard for a quarter of an hour."""
        self._heard_at = None if bit_rate == BIT_RATES[BASE_RATE] else now
        if bit_rate != self.bit_rate:
            self.bit_rate = bit_rate
            self._actions.append(SetBitRate(bit_rate=bit_rate))

    def _revert(self, now: float) -> None:
        if self._heard_at is not None and now >= self._heard_at + self.timing.revert_s:
            self._set_rate(BIT_RATES[BASE_RATE])
