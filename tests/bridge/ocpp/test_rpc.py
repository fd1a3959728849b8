"""bridge.ocpp.rpc: one outstanding call, deadlines, turns, late and foreign answers, and never a deadlock."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bridge.ocpp.deadline import Deadline
from bridge.ocpp.frames import ErrorCode, Version
from bridge.ocpp.metrics import OcppMetrics
from bridge.ocpp.rpc import YIELD_S, Answer, CallFailed, CallTimeout, ConnectionGone, Refused, RpcConnection
from bridge.ocpp.schemas import OutboundInvalid
from bridge.ocpp.turns import NORMAL, URGENT, Turns
from runtime.clock import FakeClock
from tests.bridge.ocpp.harness import START

PATIENCE_S = 5.0


class Peer:
    """The other end, by hand: what was sent comes out of a queue."""

    def __init__(
        self, version: Version = Version.V16, deadline_s: float = PATIENCE_S, yield_s: float = YIELD_S
    ) -> None:
        self.sent: asyncio.Queue[list[Any]] = asyncio.Queue()
        self.registry = CollectorRegistry()
        self.broken = False
        self.deadline = Deadline(deadline_s)
        self.on_call: Callable[[str, Mapping[str, Any]], Any] = lambda action, payload: Answer(
            payload={"currentTime": "2026-03-01T12:00:00Z"}
        )
        ids = count(1)
        self.rpc = RpcConnection(
            identity="CP-1",
            version=version,
            send=self._send,
            handle=self._handle,
            clock=FakeClock(START),
            metrics=OcppMetrics(self.registry),
            new_id=lambda: f"c-{next(ids)}",
            deadline=self.deadline,
            yield_s=yield_s,
        )

    async def _send(self, text: str) -> None:
        if self.broken:
            raise ConnectionResetError("gone")
        self.sent.put_nowait(json.loads(text))

    async def _handle(self, action: str, payload: Mapping[str, Any], now: datetime) -> Answer:
        result = self.on_call(action, payload)
        answer: Answer = await result if asyncio.iscoroutine(result) else result
        return answer

    def feed(self, *frame: Any) -> None:
        self.rpc.feed(json.dumps(list(frame)))

    async def next(self) -> list[Any]:
        async with asyncio.timeout(PATIENCE_S):
            return await self.sent.get()

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def peer(**options: Any) -> AsyncIterator[Peer]:
    made = Peer(**options)
    made.rpc.start()
    try:
        yield made
    finally:
        await made.rpc.close()


CLEAR = ("ClearChargingProfile", {"id": 1})


async def test_a_call_gets_its_answer() -> None:
    async with peer() as other:
        call = asyncio.create_task(other.rpc.call(*CLEAR))
        assert await other.next() == [2, "c-1", "ClearChargingProfile", {"id": 1}]
        other.feed(3, "c-1", {"status": "Unknown"})
        assert await call == {"status": "Unknown"}
        assert other.counted("ocpp_calls_total", action="ClearChargingProfile", ended="answered") == 1


async def test_one_call_is_outstanding_at_a_time_and_an_urgent_one_overtakes() -> None:
    async with peer() as other:
        first = asyncio.create_task(other.rpc.call(*CLEAR))
        await other.next()
        second = asyncio.create_task(
            other.rpc.call("TriggerMessage", {"requestedMessage": "Heartbeat"}, priority=NORMAL)
        )
        await asyncio.sleep(0)
        urgent = asyncio.create_task(other.rpc.call("ClearChargingProfile", {"id": 9}, priority=URGENT))
        await asyncio.sleep(0)
        assert other.sent.empty()
        other.feed(3, "c-1", {"status": "Accepted"})
        assert (await other.next())[3] == {"id": 9}
        other.feed(3, "c-2", {"status": "Accepted"})
        assert (await other.next())[2] == "TriggerMessage"
        other.feed(3, "c-3", {"status": "Accepted"})
        await asyncio.gather(first, second, urgent)


async def test_a2_6_a_call_from_inside_a_handler_does_not_deadlock() -> None:
    async with peer() as other:

        async def nested() -> Answer:
            return (
                Answer(payload={"currentTime": "2026-03-01T12:00:00Z"}, after=None)
                if await other.rpc.call(*CLEAR)
                else Answer(payload={})
            )

        other.on_call = lambda action, payload: nested()
        other.feed(2, "h", "Heartbeat", {})
        assert (await other.next())[1] == "c-1"
        other.feed(3, "c-1", {"status": "Accepted"})
        assert (await other.next())[:2] == [3, "h"]


async def test_an_error_answer_raises_and_is_not_swallowed() -> None:
    async with peer() as other:
        call = asyncio.create_task(other.rpc.call(*CLEAR))
        await other.next()
        other.feed(4, "c-1", "NotSupported", "no", {})
        with pytest.raises(CallFailed, match="NotSupported: no") as caught:
            await call
        assert caught.value.code == "NotSupported"


async def test_a2_10_an_extra_field_in_an_answer_is_a_quirk_not_a_fault() -> None:
    async with peer() as other:
        call = asyncio.create_task(other.rpc.call(*CLEAR))
        await other.next()
        other.feed(3, "c-1", {"status": "Accepted", "vendor": 1})
        assert await call == {"status": "Accepted"}
        assert other.counted("ocpp_quirks_total", action="ClearChargingProfile") == 1


@pytest.mark.parametrize("payload", [{}, {"status": "Perhaps"}, {"status": []}])
async def test_an_answer_that_says_nothing_fails_the_call(payload: dict[str, Any]) -> None:
    async with peer() as other:
        call = asyncio.create_task(other.rpc.call(*CLEAR))
        await other.next()
        other.feed(3, "c-1", payload)
        with pytest.raises(CallFailed, match="answer to ClearChargingProfile"):
            await call


async def test_a_malformed_answer_fails_its_call_at_once() -> None:
    async with peer() as other:
        call = asyncio.create_task(other.rpc.call(*CLEAR))
        await other.next()
        other.feed(3, "c-1", "nothing")
        with pytest.raises(CallFailed, match="malformed CALLRESULT"):
            await call


async def test_ocp_09_a_call_ends_at_its_deadline_and_its_late_answer_is_known_as_such() -> None:
    async with peer() as other:
        with pytest.raises(CallTimeout, match="no answer within"):
            await other.rpc.call(*CLEAR, deadline_s=0.01)
        other.feed(3, "c-1", {"status": "Accepted"})
        assert other.counted("ocpp_late_answers_total") == 1
        other.feed(3, "c-1", {"status": "Accepted"})  # and once more: now it is unknown
        assert other.counted("ocpp_late_answers_total") == 1
        call = asyncio.create_task(other.rpc.call(*CLEAR))
        await other.next()
        await other.next()
        other.feed(3, "c-1", {"status": "Rejected"})  # the late one does not settle the next call
        other.feed(3, "c-2", {"status": "Accepted"})
        assert await call == {"status": "Accepted"}


async def test_ocp_09_a_late_answer_teaches_patience() -> None:
    async with peer(deadline_s=0.02) as other:
        with pytest.raises(CallTimeout):
            await other.rpc.call(*CLEAR)
        assert (other.deadline.misses, other.deadline.seconds) == (1, 0.04)
        other.feed(3, "c-1", {"status": "Accepted"})
        assert other.deadline.misses == 0


async def test_ocp_09_each_answer_counts_towards_the_deadline() -> None:
    async with peer(deadline_s=30.0) as other:
        for number in range(1, 5):
            call = asyncio.create_task(other.rpc.call(*CLEAR))
            await other.next()
            other.feed(3, f"c-{number}", {"status": "Accepted"})
            await call
        assert other.deadline.seconds == 10.0


async def test_a_limit_does_not_wait_out_housekeeping_that_a_charger_is_slow_to_answer() -> None:
    async with peer(yield_s=0.01) as other:
        slow = asyncio.create_task(other.rpc.call("TriggerMessage", {"requestedMessage": "Heartbeat"}))
        await other.next()
        urgent = asyncio.create_task(other.rpc.call(*CLEAR, priority=URGENT))
        assert (await other.next())[2] == "ClearChargingProfile"
        another = asyncio.create_task(other.rpc.call(*CLEAR, priority=URGENT))  # a limit does not push out a limit
        await asyncio.sleep(0.03)
        other.feed(3, "c-2", {"status": "Accepted"})
        assert await urgent == {"status": "Accepted"}
        await other.next()
        other.feed(3, "c-3", {"status": "Accepted"})
        await another
        with pytest.raises(CallTimeout):
            await slow


async def test_a_repeated_call_gets_the_same_answer_and_nothing_is_done_twice() -> None:
    async with peer() as other:
        done: list[str] = []

        def act(action: str, payload: Mapping[str, Any]) -> Answer:
            done.append(action)
            return Answer(payload={"transactionId": len(done), "idTagInfo": {"status": "Accepted"}})

        other.on_call = act
        start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-03-01T12:00:00Z"}
        other.feed(2, "s", "StartTransaction", start)
        other.feed(2, "s", "StartTransaction", start)  # while the first is not answered: one answer serves both
        first = await other.next()
        other.feed(2, "s", "StartTransaction", start)
        assert await other.next() == first
        assert done == ["StartTransaction"]
        assert other.counted("ocpp_repeated_calls_total") == 2
        other.feed(2, "s", "StartTransaction", start | {"connectorId": 2})  # the id again, but another call
        assert (await other.next())[2]["transactionId"] == 2


async def test_a_repeated_refusal_is_the_same_refusal_and_a_repeated_heartbeat_gets_the_time() -> None:
    async with peer() as other:
        other.feed(2, "n", "Nonsense", {})
        first = await other.next()
        other.feed(2, "n", "Nonsense", {})
        assert await other.next() == first
        for _ in range(2):
            other.feed(2, "h", "Heartbeat", {})
            assert (await other.next())[:2] == [3, "h"]
        assert other.counted("ocpp_repeated_calls_total") == 1


async def test_a_call_that_failed_by_our_fault_is_served_when_it_comes_again() -> None:
    async with peer() as other:
        answers: list[Exception | Answer] = [RuntimeError("a fault of ours"), Answer(payload={})]

        def act(action: str, payload: Mapping[str, Any]) -> Answer:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        other.on_call = act
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
        for kind in (4, 3):
            other.feed(2, "c", "StatusNotification", status)
            assert (await other.next())[:2] == [kind, "c"]


async def test_old_calls_are_forgotten() -> None:
    async with peer() as other:
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
        other.on_call = lambda action, payload: Answer(payload={})
        for number in (*range(40), 0):
            other.feed(2, f"c-{number}", "StatusNotification", status)
            await other.next()
        assert other.counted("ocpp_repeated_calls_total") == 0


async def test_late_ids_are_remembered_up_to_a_bound() -> None:
    async with peer() as other:
        for _ in range(18):
            with pytest.raises(CallTimeout):
                await other.rpc.call(*CLEAR, deadline_s=0.001)
        other.feed(3, "c-1", {"status": "Accepted"})
        other.feed(3, "c-18", {"status": "Accepted"})
        assert other.counted("ocpp_late_answers_total") == 1


async def test_the_end_of_the_connection_ends_the_call_and_those_that_wait() -> None:
    async with peer() as other:
        calls = [asyncio.create_task(other.rpc.call(*CLEAR)) for _ in range(2)]
        await other.next()
        await other.rpc.close()
        for call in calls:
            with pytest.raises(ConnectionGone):
                await call


async def test_a_send_on_a_dead_socket_is_a_connection_gone() -> None:
    async with peer() as other:
        other.broken = True
        with pytest.raises(ConnectionGone):
            await other.rpc.call(*CLEAR)
        other.feed(2, "h", "Heartbeat", {})  # an answer that cannot be sent harms nothing
        await asyncio.sleep(0)
        other.broken = False
        other.feed(2, "h2", "Heartbeat", {})
        assert (await other.next())[:2] == [3, "h2"]


async def test_nothing_invalid_is_sent() -> None:
    async with peer() as other:
        with pytest.raises(OutboundInvalid):
            await other.rpc.call("ClearChargingProfile", {"id": "one"})
        assert other.sent.empty()


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("Nonsense", {}, "NotImplemented"),
        ("BootNotification", {}, "OccurenceConstraintViolation"),
        ("MeterValues", {"connectorId": [], "meterValue": [{}]}, "TypeConstraintViolation"),
        (
            "StatusNotification",
            {"connectorId": 1, "errorCode": "NoError", "status": "?"},
            "PropertyConstraintViolation",
        ),
    ],
)
async def test_a_call_that_cannot_be_used_is_answered_by_its_error(
    action: str, payload: dict[str, Any], code: str
) -> None:
    async with peer() as other:
        other.feed(2, "x", action, payload)
        assert (await other.next())[:3] == [4, "x", code]
        other.feed(2, "y", "Heartbeat", {})
        assert (await other.next())[:2] == [3, "y"]


async def test_a_failing_handler_is_an_internal_error_and_the_next_call_works() -> None:
    async with peer() as other:

        def answer(action: str, payload: Mapping[str, Any]) -> Answer:
            if action == "Authorize":
                raise RuntimeError("a fault of ours")
            if action == "DataTransfer":
                return Answer(payload={"status": "Nonsense"})  # our own reply breaks its schema
            if action == "StatusNotification":
                raise Refused(ErrorCode.SECURITY, "no")

            def after() -> None:
                raise RuntimeError("a fault of ours, afterwards")

            return Answer(payload={"currentTime": "2026-03-01T12:00:00Z"}, after=after)

        other.on_call = answer
        other.feed(2, "a", "Authorize", {"idTag": "t"})
        other.feed(2, "b", "DataTransfer", {"vendorId": "v"})
        other.feed(2, "c", "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
        other.feed(2, "d", "Heartbeat", {})
        other.feed(2, "e", "Heartbeat", {})
        answers = [await other.next() for _ in range(5)]
        assert [frame[:3] for frame in answers[:3]] == [
            [4, "a", "InternalError"],
            [4, "b", "InternalError"],
            [4, "c", "SecurityError"],
        ]
        assert [frame[:2] for frame in answers[3:]] == [[3, "d"], [3, "e"]]


async def test_what_follows_an_answer_comes_after_it() -> None:
    async with peer() as other:
        order: list[str] = []
        other.on_call = lambda action, payload: Answer(
            payload={"currentTime": "2026-03-01T12:00:00Z"}, after=lambda: order.append(f"after {other.sent.qsize()}")
        )
        other.feed(2, "a", "Heartbeat", {})
        await other.next()
        assert order == ["after 1"]


async def test_a_flood_is_answered_up_to_a_bound_and_then_dropped() -> None:
    async with peer() as other:
        for index in range(600):
            other.feed(2, f"f-{index}", "Heartbeat", {})
        answers = [await other.next() for _ in range(512)]
        assert sum(frame[0] == 3 for frame in answers) == 256
        assert {frame[2] for frame in answers if frame[0] == 4} == {"GenericError"}
        other.feed(2, "after", "Heartbeat", {})
        assert (await other.next())[:2] == [3, "after"]


async def test_a_binary_frame_is_answered_as_no_frame() -> None:
    async with peer(version=Version.V201) as other:
        other.rpc.feed_binary(10)
        assert (await other.next())[:3] == [4, "-1", "RpcFrameworkError"]
        assert other.counted("ocpp_bad_frames_total") == 1


async def test_turns_pass_on_when_a_waiter_is_cancelled() -> None:
    turns = Turns()
    await turns.acquire(NORMAL)
    waiters = [asyncio.create_task(turns.acquire(NORMAL)) for _ in range(3)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    await asyncio.sleep(0)
    turns.release()  # gives to the second,
    waiters[1].cancel()  # which is cancelled in the same breath
    async with asyncio.timeout(PATIENCE_S):
        await waiters[2]
    turns.release()
    async with asyncio.timeout(PATIENCE_S):
        await turns.acquire(URGENT)
    assert waiters[1].cancelled()


async def test_closing_before_starting_is_harmless() -> None:
    other = Peer()
    await other.rpc.close()
    with pytest.raises(ConnectionGone):
        await other.rpc.call(*CLEAR)
