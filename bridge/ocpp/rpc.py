"""One OCPP-J connection: calls matched to answers, one outstanding CALL each way, every fault answered and survived.

Rule: ``feed`` never blocks and never raises, so an answer is always read, even while a handler waits for one. A bad
frame costs that frame only. Calls of ours take turns by priority; each has its own deadline, counted from when it is
sent.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bridge.ocpp import frames, schemas
from bridge.ocpp.deadline import Deadline
from bridge.ocpp.frames import BadFrame, Call, CallError, CallResult, ErrorCode, Version
from bridge.ocpp.masking import masked
from bridge.ocpp.metrics import OcppMetrics
from bridge.ocpp.repeats import Repeats, State
from bridge.ocpp.sending import Send, hand_over
from bridge.ocpp.turns import NORMAL, URGENT, Turns
from runtime.clock import Clock
from runtime.logs import get_logger

_MAX_WAITING = 256  # inbound calls kept for one charger; more at once is a flood, and each is answered with an error
_REMEMBERED = 16  # ids of calls that timed out, to name their late answers
YIELD_S = 5.0  # housekeeping that a charger is slow to answer is given up so long after a limit asks for its turn

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A handler's reply, and what to do once it is sent or cannot be; not before, lest a CALL overtake it."""

    payload: Mapping[str, Any]
    after: Callable[[], None] | None = None


class Refused(Exception):
    """A handler's no: answered as CALLERROR."""

    def __init__(self, code: ErrorCode, description: str) -> None:
        super().__init__(description)
        self.code = code


class CallFailed(Exception):
    """The charger answered CALLERROR, or something that is no answer. ``code`` is its own word."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code


class CallTimeout(Exception):
    """No answer within the deadline. The charger may have done it all the same."""


class ConnectionGone(Exception):
    """The connection ended before the answer. ``sent`` False: the charger cannot have got the call."""

    def __init__(self, description: str, *, sent: bool) -> None:
        super().__init__(description)
        self.sent = sent


Handler = Callable[[str, Mapping[str, Any], datetime], Awaitable[Answer]]
Relay = Callable[[Call], Awaitable[tuple[CallResult | CallError, Callable[[], None] | None]]]
"""Answers a call in another system's words, unread and unchecked, and says what to do once that is sent."""


@dataclass(slots=True, kw_only=True)
class _Pending:
    unique_id: str
    action: str
    priority: int
    answer: "asyncio.Future[Any]"
    timeout: asyncio.Timeout
    as_it_is: bool = False  # another system's call: its answer, well or badly, is for that system to read


class RpcConnection:
    """The message layer of one charger's connection. ``start`` before the first ``feed``; ``close`` at the end."""

    def __init__(
        self,
        *,
        identity: str,
        version: Version,
        send: Send,
        handle: Handler,
        clock: Clock,
        metrics: OcppMetrics,
        new_id: Callable[[], str],
        deadline: Deadline | None = None,
        yield_s: float = YIELD_S,
        relay: Relay | None = None,
    ) -> None:
        self.identity = identity
        self._relay = relay
        self._yield_s = yield_s
        self.version = version
        self._send = send
        self._handle = handle
        self._clock = clock
        self._metrics = metrics
        self._new_id = new_id
        self._deadline = deadline if deadline is not None else Deadline(30.0)
        self._turns = Turns()
        self._pending: _Pending | None = None
        self._timed_out: OrderedDict[str, tuple[str, float]] = OrderedDict()  # action, and when it was sent
        self._repeats = Repeats()
        self._inbox: asyncio.Queue[Call | CallResult | CallError] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._closed = False
        self._log = _log.bind(charger=identity, ocpp=version.value)

    def start(self) -> None:
        """Begin to answer the charger's calls."""
        self._worker = asyncio.create_task(self._work(), name=f"ocpp-{self.identity}")

    async def close(self) -> None:
        """End the connection's work; calls that wait fail with ``ConnectionGone``."""
        self._closed = True
        if self._pending is not None and not self._pending.answer.done():
            self._pending.answer.set_exception(ConnectionGone("the connection closed before the answer", sent=True))
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    async def call(
        self, action: str, payload: Mapping[str, Any], *, deadline_s: float | None = None, priority: int = NORMAL
    ) -> Mapping[str, Any]:
        """Send a CALL and return its answer's payload.

        Raises ``OutboundInvalid`` (nothing sent), ``CallFailed``, ``CallTimeout`` or ``ConnectionGone``.
        """
        schemas.check_outbound(self.version, action, payload)
        call = Call(unique_id="", action=action, payload=payload)
        answer: Mapping[str, Any] = await self._in_turn(call, deadline_s, priority, as_it_is=False)
        return answer

    async def forward(self, call: Call, *, deadline_s: float | None = None) -> CallResult | CallError:
        """Send another system's CALL and return the answer, both as they are. ``CallTimeout``, ``ConnectionGone``."""
        answer: CallResult | CallError = await self._in_turn(call, deadline_s, NORMAL, as_it_is=True)
        return answer

    async def _in_turn(self, call: Call, deadline_s: float | None, priority: int, *, as_it_is: bool) -> Any:
        pending = self._pending
        if priority == URGENT and pending is not None and pending.priority != URGENT:
            self.hurry()
        await self._turns.acquire(priority)
        try:
            return await self._call_now(call, deadline_s, priority, as_it_is=as_it_is)
        finally:
            self._turns.release()

    def hurry(self) -> None:
        """A limit does not wait out the whole deadline of what the charger is slow to answer: it has seconds left."""
        pending = self._pending
        if pending is None or pending.answer.done():
            return
        soon, until = asyncio.get_running_loop().time() + self._yield_s, pending.timeout.when()
        if not pending.timeout.expired() and until is not None and until > soon:
            pending.timeout.reschedule(soon)

    async def _call_now(self, call: Call, deadline_s: float | None, priority: int, *, as_it_is: bool) -> Any:
        if self._closed:
            raise ConnectionGone("not connected", sent=False)
        loop = asyncio.get_running_loop()
        action, unique_id, begun, ended = call.action, call.unique_id or self._new_id(), loop.time(), "answered"
        try:
            async with asyncio.timeout(self._deadline.seconds if deadline_s is None else deadline_s) as timeout:
                self._pending = pending = _Pending(
                    unique_id=unique_id, action=action, priority=priority, answer=loop.create_future(), timeout=timeout
                )
                pending.as_it_is = as_it_is
                try:
                    await self._transmit(replace(call, unique_id=unique_id))
                    return await pending.answer
                finally:
                    self._pending = None
                    if pending.answer.done() and not pending.answer.cancelled():
                        pending.answer.exception()  # read, so that asyncio does not report it as lost
        except TimeoutError:
            ended = "timeout"
            self._remember(unique_id, action, begun)
            self._deadline.missed()
            raise CallTimeout(f"{action}: no answer within {loop.time() - begun:.3g} s") from None
        except CallFailed:
            ended = "refused"
            raise
        except ConnectionGone:
            ended = "gone"
            raise
        finally:
            took_s = loop.time() - begun
            self._metrics.call_ended(action if not as_it_is else "relayed", ended, took_s)
            if ended in {"answered", "refused"}:
                self._deadline.answered(took_s)

    def feed(self, text: str) -> None:
        """Take one frame from the wire."""
        self._metrics.frames_in.inc()
        frame = frames.parse(text, self.version)
        match frame:
            case Call():
                self._log_frame("frame in", frame)
                self._take(frame if self._relay is None else replace(frame, tail=frames.tail_of(text)))
            case CallResult() | CallError() if self._relayed(frame.unique_id):
                self._log_frame("frame in", frame)
                found = replace(frame, tail=frames.tail_of(text))
                self._settle(frame.unique_id, lambda pending: pending.answer.set_result(found))
            case CallResult():
                self._log_frame("frame in", frame)
                self._settle(frame.unique_id, lambda pending: self._accept(pending, frame.payload))
            case CallError():
                self._log_frame("frame in", frame)
                failure = CallFailed(frame.code, frame.description)
                self._settle(frame.unique_id, lambda pending: pending.answer.set_exception(failure))
            case BadFrame():
                self._bad(frame)

    def _relayed(self, unique_id: str) -> bool:
        """Tell whether the open call is another system's."""
        pending = self._pending
        return pending is not None and pending.as_it_is and pending.unique_id == unique_id

    def feed_binary(self, size: int) -> None:
        """Take note of a binary frame: OCPP-J knows only text."""
        self._metrics.frames_in.inc()
        reason = f"binary frame of {size} bytes"
        self._bad(
            BadFrame(
                reason=reason,
                reply=frames.call_error(frames.UNKNOWN_ID, ErrorCode.FRAMEWORK, reason, self.version),
            )
        )

    def _bad(self, frame: BadFrame) -> None:
        self._metrics.bad_frames.inc()
        self._log.warning("bad frame", reason=frame.reason, answered=frame.reply is not None)
        if frame.reply is not None:
            self._enqueue(frame.reply)
        elif frame.answers is not None:
            failure = CallFailed(ErrorCode.FORMAT.value, frame.reason)
            self._settle(frame.answers, lambda pending: pending.answer.set_exception(failure))  # also a relayed one

    def _log_frame(self, event: str, frame: frames.Frame) -> None:
        """Log a frame with id tags masked; masking costs, so only where it will be seen."""
        if self._log.is_enabled_for(logging.DEBUG):
            self._log.debug(
                event,
                kind=type(frame).__name__,
                unique_id=frame.unique_id[:36],
                action=getattr(frame, "action", None),
                payload=masked(getattr(frame, "payload", {})),
            )

    def _take(self, call: Call) -> None:
        """Let a new call wait for its answer; a repeated one gets the answer that it had, and nothing is done twice."""
        known = self._repeats.look(call)
        if known is State.NEW:
            self._enqueue(call)
            return
        self._metrics.repeated.inc()
        self._log.info("repeated call", action=call.action, unique_id=call.unique_id[:36])
        if not isinstance(known, State):
            self._enqueue(known)

    def _enqueue(self, item: Call | CallResult | CallError) -> None:
        if self._inbox.qsize() < _MAX_WAITING:
            self._inbox.put_nowait(item)
            return
        if isinstance(item, Call):
            self._repeats.forget(item)
        if isinstance(item, Call) and self._inbox.qsize() < 2 * _MAX_WAITING:
            busy = frames.call_error(item.unique_id, ErrorCode.GENERIC, "too many calls at once", self.version)
            self._inbox.put_nowait(busy)
        else:
            self._log.warning("flood: frame dropped")

    def _settle(self, unique_id: str, resolve: Callable[[_Pending], None]) -> None:
        """Give an answer to the call that waits for it; an answer that nobody waits for is logged and dropped."""
        pending = self._pending
        if pending is not None and pending.unique_id == unique_id and not pending.answer.done():
            resolve(pending)
            return
        action, begun = self._timed_out.pop(unique_id, (None, 0.0))
        if action is not None:  # the charger may have done it: the caller asserts again, now with more patience
            self._metrics.late.inc()
            self._deadline.answered(asyncio.get_running_loop().time() - begun)
        self._log.warning("answer to no open call", unique_id=unique_id[:36], late_for=action)

    def _accept(self, pending: _Pending, payload: Mapping[str, Any]) -> None:
        checked = schemas.check_inbound(self.version, pending.action, payload, response=True)
        self._note_quirks(pending.action, checked)
        if checked.violation is None:
            pending.answer.set_result(checked.payload)
        else:
            violation = checked.violation
            failure = CallFailed(violation.code.value, f"answer to {pending.action}: {violation.message}")
            pending.answer.set_exception(failure)

    def _remember(self, unique_id: str, action: str, begun: float) -> None:
        self._timed_out[unique_id] = (action, begun)
        while len(self._timed_out) > _REMEMBERED:
            self._timed_out.popitem(last=False)

    def _note_quirks(self, action: str, checked: schemas.Checked) -> None:
        if checked.quirks:
            self._metrics.quirks.labels(action).inc()
            self._log.info("quirk", action=action, quirks=checked.quirks[:8], extras=masked(checked.extras))

    async def _transmit(self, frame: frames.Frame) -> None:
        self._metrics.frames_out.inc()
        self._log_frame("frame out", frame)
        try:
            await hand_over(self._send, frames.serialise(frame))
        except OSError as error:  # aiohttp reports a closed transport as a ConnectionResetError
            raise ConnectionGone("the connection closed while sending", sent=True) from error  # perhaps a part

    async def _work(self) -> None:
        """Answer the charger's calls one after the other, in order."""
        while True:
            item = await self._inbox.get()
            try:
                match item:
                    case Call():
                        await self._answer(item)
                    case CallResult():
                        await self._transmit(item)
                    case CallError():
                        await self._refuse(item)
            except ConnectionGone:
                self._log.info("answer not sent: the connection is gone")
            except Exception:
                self._log.exception("follow-up failed")

    async def _answer(self, call: Call) -> None:
        if self._relay is not None:
            await self._answer_for(self._relay, call)
            return
        try:
            answer = await self._reply(call)
            schemas.check_outbound(self.version, call.action, answer.payload, response=True)
        except Refused as refusal:
            error = frames.call_error(call.unique_id, refusal.code, str(refusal), self.version)
            self._repeats.answered(call, error)
            await self._refuse(error)
            return
        except Exception:
            self._log.exception("handler failed", action=call.action)
            self._repeats.forget(call)  # a fault of ours may pass
            await self._refuse(frames.call_error(call.unique_id, ErrorCode.INTERNAL, "internal error", self.version))
            return
        result = CallResult(unique_id=call.unique_id, payload=answer.payload)
        self._repeats.answered(call, result)
        try:
            await self._transmit(result)
        finally:  # what was said is so, even if the answer could not be sent any more
            if answer.after is not None:
                answer.after()

    async def _answer_for(self, relay: Relay, call: Call) -> None:
        """Answer in another system's words."""
        try:
            reply, after = await relay(call)
        except Exception:
            self._log.exception("relay failed", action=call.action)
            self._repeats.forget(call)  # a fault of ours may pass
            await self._refuse(frames.call_error(call.unique_id, ErrorCode.INTERNAL, "internal error", self.version))
            return
        self._repeats.answered(call, reply)
        try:
            await self._transmit(reply)
        finally:
            if after is not None:
                after()

    async def _reply(self, call: Call) -> Answer:
        try:
            checked = schemas.check_inbound(self.version, call.action, call.payload)
        except schemas.UnknownAction:
            raise Refused(ErrorCode.NOT_IMPLEMENTED, "unknown action") from None
        self._note_quirks(call.action, checked)
        if checked.violation is not None:
            violation = checked.violation
            self._log.warning("invalid payload", action=call.action, path=violation.path, fault=violation.message)
            raise Refused(violation.code, f"{violation.path}: {violation.message}")
        return await self._handle(call.action, checked.payload, self._clock.now())

    async def _refuse(self, error: CallError) -> None:
        self._metrics.refusals.labels(error.code).inc()
        await self._transmit(error)
