"""Tells a CSMS what was kept for it: one message after the other, again until it has answered.

Rule: order is kept within a charger. A message that the CSMS answers with an error is the charger's if it still waits
for the answer; else it is sent again a few times, as a charger would, and then set aside on disk.
"""

import asyncio
from collections.abc import Awaitable, Callable

from bridge.ocpp import proxy_ids, proxy_words
from bridge.ocpp.frames import Call, CallError, CallResult
from bridge.ocpp.metrics import ProxyMetrics
from bridge.ocpp.proxy_outbox import Outbox
from bridge.ocpp.proxy_settings import ProxySection
from bridge.ocpp.rpc import CallFailed, CallTimeout, ConnectionGone, RpcConnection
from bridge.store import ProxyMessage
from runtime.clock import Clock
from runtime.logs import get_logger

_log = get_logger(__name__)
UNREACHABLE = (CallFailed, CallTimeout, ConnectionGone)

Reply = CallResult | CallError


class Teller:
    """Sends one charger's outbox. ``rpc`` gives the present connection, ``judge`` hears late answers."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        settings: ProxySection,
        clock: Clock,
        metrics: ProxyMetrics,
        rpc: Callable[[], RpcConnection | None],
        judge: Callable[[ProxyMessage, CallResult], Awaitable[None]],
        idle: Callable[[], Awaitable[None]],
    ) -> None:
        self._outbox, self._settings, self._clock, self._metrics = outbox, settings, clock, metrics
        self._rpc, self._judge, self._idle = rpc, judge, idle
        self._awake = asyncio.Event()
        self._waiting: dict[int, asyncio.Future[Reply]] = {}

    def wake(self) -> None:
        """Look again for something to send, and whether it can be sent."""
        self._awake.set()

    def note_kept(self) -> None:
        """A message was written down."""
        self._metrics.kept.inc()
        self._awake.set()

    async def told_now(self, message: ProxyMessage) -> Reply | None:
        """Wait for the CSMS's answer to a message; ``None`` if it does not come in time."""
        waiter: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[message.seq] = waiter
        self._awake.set()
        try:
            async with asyncio.timeout(self._settings.answer_timeout_s):
                return await waiter
        except (TimeoutError, ConnectionGone):
            return None
        finally:
            self._waiting.pop(message.seq, None)

    async def run(self) -> None:
        """Send what is kept, one after the other, whenever the CSMS is there."""
        while True:
            self._awake.clear()
            message, rpc = self._outbox.first(), self._rpc()
            if message is None:
                await self._idle()
            elif rpc is not None:
                await self._clock.sleep(await self._tell_safely(message, rpc))
                continue
            await self._awake.wait()

    async def _tell_safely(self, message: ProxyMessage, rpc: RpcConnection) -> float:
        """As ``_tell``; a fault of ours, a database that is away, costs a pause and nothing else."""
        try:
            return await self._tell(message, rpc)
        except Exception as error:  # a database that is away, mostly: no trace at every try
            why = proxy_words.fault(error)
            _log.error("kept message not told", charger=message.charger, action=message.action, why=why)
            return self._settings.retry_s

    async def _tell(self, message: ProxyMessage, rpc: RpcConnection) -> float:
        """Send one message; returns how long to wait before the next."""
        if rpc.version.value != message.version:  # the charger speaks another version now: nobody can be told
            await self._set_aside(message, b"", 1)
            return 0.0
        tail = proxy_ids.to_csms(message.tail.encode(), self._outbox.actual)
        try:
            out = Call(unique_id=message.message_id, action=message.action, payload={}, tail=tail)
            reply = await rpc.forward(out, deadline_s=self._settings.answer_timeout_s)
        except UNREACHABLE as error:
            _log.info("the CSMS did not answer", charger=message.charger, action=message.action, why=str(error))
            self._fail(message.seq, error)
            return self._settings.backoff_s
        present = self._outbox.queue.get(message.seq, message)
        if isinstance(reply, CallError):
            return await self._refused(present, reply)
        if message.action == "BootNotification" and reply.payload.get("status") != "Accepted":
            interval = reply.payload.get("interval")
            return float(interval) if isinstance(interval, int) and interval > 0 else self._settings.retry_s
        await self._settled(present, reply)
        return 0.0

    async def _refused(self, message: ProxyMessage, reply: CallError) -> float:
        waiter = self._waiting.get(message.seq)
        if waiter is not None and not waiter.done():
            await self._outbox.forget(message.seq)
            self._metrics.kept.dec()
            waiter.set_result(reply)
            return 0.0
        over = await self._set_aside(message, reply.tail, self._settings.attempts)
        return 0.0 if over else self._settings.retry_s * (message.attempts + 1)

    async def _settled(self, message: ProxyMessage, reply: CallResult) -> None:
        number = reply.payload.get("transactionId") if message.action == "StartTransaction" else None
        told = await self._outbox.settle(message.seq, reply.tail, number if isinstance(number, int) else None)
        self._metrics.kept.dec()
        self._metrics.told.inc()
        waiter = self._waiting.get(message.seq)
        if waiter is not None and not waiter.done():
            waiter.set_result(reply)
        elif told.answer:
            await self._judge(told, reply)

    async def _set_aside(self, message: ProxyMessage, answer: bytes, attempts: int) -> bool:
        over = await self._outbox.refused(message.seq, answer, attempts)
        if over:
            self._metrics.kept.dec()
            self._metrics.refused.inc()
            _log.error(
                "the CSMS does not take a message: kept, not sent again",
                charger=message.charger,
                action=message.action,
                message=message.message_id,
            )
        return over

    def _fail(self, seq: int, error: Exception) -> None:
        waiter = self._waiting.get(seq)
        if waiter is not None and not waiter.done():
            waiter.set_exception(ConnectionGone(str(error), sent=True))
