"""What a charger said that its CSMS must hear: on disk before it is sent, in order, until the CSMS has answered.

Rule: a message is written once, however often the charger repeats it: it is known by its words. It goes out under one
message id as often as needed, so that a CSMS can tell a repetition; what the charger was told is on disk before it is
told.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from bridge.ocpp.frames import Version
from bridge.ocpp.proxy_table import mark_of, provisional_id
from bridge.store import BridgeStore, Changes, MessageState, ProxyMessage, ProxyTransaction
from runtime.clock import Clock

_ANSWERED_KEPT = 16  # answers that a charger may ask for again: it repeats what is recent
_IDS_KEPT = timedelta(days=30)  # no session is longer; then a transaction id given here is forgotten


class OutboxFull(Exception):
    """No more is kept for this charger: it must keep the message itself."""


class Outbox:
    """The messages of one charger. ``added`` is called when there is something to send."""

    def __init__(
        self,
        *,
        charger: str,
        store: BridgeStore,
        clock: Clock,
        new_id: Callable[[], str],
        most: int,
        messages: Iterable[ProxyMessage] = (),
        transactions: Mapping[int, ProxyTransaction] | None = None,
    ) -> None:
        self._charger, self._store, self._clock, self._new_id, self._most = charger, store, clock, new_id, most
        self.queue: OrderedDict[int, ProxyMessage] = OrderedDict()
        self._answered: OrderedDict[str, ProxyMessage] = OrderedDict()
        self._seq = 0
        for each in messages:
            self._seq = max(self._seq, each.seq)
            if each.state is MessageState.QUEUED:
                self.queue[each.seq] = each
            elif each.state is MessageState.ANSWERED:
                self._answered[each.mark] = each
        forget_before = clock.now() - _IDS_KEPT
        self.actual = {number: each.actual for number, each in (transactions or {}).items() if each.at >= forget_before}
        self._last_id = max(self.actual, default=0)
        self._writing = asyncio.Lock()  # disk and memory change together, one message after the other

    def find(self, tail: bytes) -> ProxyMessage | None:
        """Return a message that the charger has sent before, in the same words."""
        mark = mark_of(tail)
        return self._answered.get(mark) or next((each for each in self.queue.values() if each.mark == mark), None)

    def first(self) -> ProxyMessage | None:
        """Return the message that is to be sent next."""
        return next(iter(self.queue.values()), None)

    def new_message_id(self) -> str:
        """Return an id under which the CSMS has heard nothing yet."""
        return self._new_id()

    def next_provisional(self) -> int:
        """Return the transaction id for a start that the CSMS cannot number now."""
        return provisional_id(self._last_id, self._clock.now())

    async def add(
        self, version: Version, action: str, tail: bytes, *, message_id: str | None = None, answer: bytes = b""
    ) -> ProxyMessage:
        """Write a message down; ``answer`` is what the charger is told for the CSMS. Raises ``OutboxFull``."""
        async with self._writing:
            if len(self.queue) >= self._most:
                raise OutboxFull(f"{len(self.queue)} messages wait for the CSMS")
            self._seq += 1
            message = ProxyMessage(
                charger=self._charger,
                seq=self._seq,
                version=version.value,
                action=action,
                message_id=message_id or self._new_id(),
                tail=tail.decode(),
                mark=mark_of(tail),
                state=MessageState.QUEUED,
                answer=answer.decode(),
                attempts=0,
                provisional=None,
                at=self._clock.now(),
            )
            await self._store.write(Changes(proxy_messages=(message,)))
            self.queue[message.seq] = message
        return message

    async def promise(self, seq: int, answer: bytes, provisional: int | None) -> ProxyMessage | None:
        """Write down what the charger is told for the CSMS; ``None`` if the CSMS has answered meanwhile."""
        async with self._writing:
            if seq not in self.queue:
                return None
            message = replace(self.queue[seq], answer=answer.decode(), provisional=provisional)
            given = () if provisional is None else (self._transaction(provisional, None),)
            await self._store.write(Changes(proxy_messages=(message,), proxy_transactions=given))
            self.queue[seq] = message
            if provisional is not None:
                self.actual[provisional], self._last_id = None, provisional
        return message

    async def settle(self, seq: int, answer: bytes, actual: int | None) -> ProxyMessage:
        """The CSMS has answered; ``actual`` is the transaction id that it gave. What was told before stays told."""
        async with self._writing:
            message = self.queue[seq]
            done = replace(message, state=MessageState.ANSWERED, answer=message.answer or answer.decode())
            known: tuple[ProxyTransaction, ...] = ()
            if message.provisional is not None and actual is not None:
                known = (self._transaction(message.provisional, actual),)
            spare = list(self._answered.values())[: max(0, len(self._answered) + 1 - _ANSWERED_KEPT)]
            gone = tuple((self._charger, each.seq) for each in spare)
            await self._store.write(Changes(proxy_messages=(done,), proxy_transactions=known, proxy_forgotten=gone))
            if known:
                self.actual[known[0].provisional] = actual
            for each in spare:
                del self._answered[each.mark]
            self._answered[done.mark] = done
            del self.queue[seq]
        return message

    async def forget(self, seq: int) -> None:
        """The CSMS said no to a message, and the charger hears it: what follows is the charger's."""
        async with self._writing:
            await self._store.write(Changes(proxy_forgotten=((self._charger, seq),)))
            self.queue.pop(seq, None)

    async def refused(self, seq: int, answer: bytes, attempts: int) -> bool:
        """The CSMS said no to a message that the charger holds for told; True if it is given up after so many times.

        It stays on disk for an operator.
        """
        async with self._writing:
            message = replace(self.queue[seq], attempts=self.queue[seq].attempts + 1)
            over = message.attempts >= attempts
            if over:
                message = replace(message, state=MessageState.REFUSED, answer=answer.decode())
            await self._store.write(Changes(proxy_messages=(message,)))
            if over:
                del self.queue[seq]
            else:
                self.queue[seq] = message
        return over

    def _transaction(self, provisional: int, actual: int | None) -> ProxyTransaction:
        return ProxyTransaction(charger=self._charger, provisional=provisional, actual=actual, at=self._clock.now())
