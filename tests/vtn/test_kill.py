"""kill -9 of the VTN between and within the steps of an event's life; the VEN repeats what got no answer (OUT-01).

A VEN at the level of single messages: create-event, deliver, created-event, opt, report. ``between``: the VTN dies
right after each answer, and the VEN, which might not have heard it, does the step again. ``within``: it dies while a
step is on its way, answered or not. Nothing is lost, and nothing is there twice.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from openadr.messages import (
    CreatedEvent,
    CreatedOpt,
    CreateOpt,
    DistributeEvent,
    EiResponse,
    EventResponse,
    Message,
    RegisteredReport,
    Response,
    UpdatedReport,
)
from openadr.model import EiTarget, OptType, QualifiedEventId
from openadr.times import format_instant
from openadr.tls import client_context
from tests.interop.ours import TOKEN, Api, Place, eventually
from tests.interop.processes import Child
from tests.vtn.server import VenSide
from tests.vtn.test_chain import data, event_body, metadata

pytestmark = pytest.mark.process

VEN = "ven-a"
HALFWAY_S = 0.004  # about half of what a step takes: some die before the commit and some after it


@dataclass
class Life:
    """A VTN as a process with its VEN and operator, and what they know so far."""

    api: Api
    ven: VenSide
    process: Child
    within: bool
    body: dict[str, Any] | None = None
    event_id: str = ""
    report_request_id: str = ""
    payloads: list[DistributeEvent] = field(default_factory=list)

    async def die(self) -> None:
        self.process.kill()
        assert await self.process.stop() == -9
        await self.process.start()
        await eventually("the VTN is up again", self.api.up)

    async def step(self, do: Callable[[], Awaitable[Any]]) -> Any:
        """Do a step around a death of the VTN, and again after it; return the later answer."""
        if self.within:
            doing = asyncio.ensure_future(do())
            await asyncio.sleep(HALFWAY_S)
            await self.die()
            await asyncio.gather(doing, return_exceptions=True)
        else:
            await do()
            await self.die()
        return await do()

    async def create(self) -> str:
        start = format_instant(datetime.now(UTC) + timedelta(minutes=10))
        headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": "event-of-the-test"}
        self.body = self.body or event_body(dtstart=start)
        async with self.api.http.post(
            f"{self.api.base}/api/v1/events", json=self.body, headers=headers, ssl=self.api.tls
        ) as answer:
            found = await answer.json()
            assert answer.status in (200, 201), found
            return str(found["eventID"])

    async def deliver(self) -> Message:
        reply = await self.ven.poll()
        if isinstance(reply, DistributeEvent):
            self.payloads.append(reply)
        return reply

    async def answer(self) -> Message:
        given = EventResponse(
            request_id=self.payloads[-1].request_id,
            event_id=self.event_id,
            modification_number=0,
            opt_type=OptType.OPT_IN,
        )
        return await self.ven.send(CreatedEvent(response=EiResponse(), ven_id=VEN, event_responses=(given,)))

    async def opt(self) -> Message:
        return await self.ven.send(
            CreateOpt(
                opt_id="opt-1",
                opt_type=OptType.OPT_OUT,
                opt_reason="overrideStatus",
                ven_id=VEN,
                created_date_time=datetime(2026, 11, 21, 12, 0, tzinfo=UTC),
                request_id="req-o",
                qualified_event_id=QualifiedEventId(event_id=self.event_id, modification_number=0),
                target=EiTarget(ven_ids=(VEN,), resource_ids=("r2",)),
            )
        )

    async def report(self) -> Message:
        return await self.ven.send(data(self.report_request_id, 7400.0, 3700.0))

    async def drained(self) -> None:
        """Poll until nothing waits; events that come again are kept."""
        for _ in range(10):
            if isinstance(await self.deliver(), Response):
                return
        raise AssertionError("the queue does not end")


@asynccontextmanager
async def life(folder: Path, within: bool) -> AsyncIterator[Life]:
    place = Place(folder)
    async with place.apis() as (api, _), place.vtn(event_retry_s=60, queue_retry_s=60) as process:
        await eventually("the VTN is up", api.up)
        resources = [{"resourceID": name, "groupIDs": ["g1"]} for name in ("r1", "r2")]
        await api.post("/vens", {"venID": VEN, "fingerprint": place.pki.ven.fingerprint, "resources": resources})
        context = client_context(ca=place.pki.trust_openadr, cert_chain=place.pki.ven.chain)
        ven = VenSide(api.http, place.vtn_url, context, VEN)
        await ven.register()
        offered = await ven.send(metadata())
        assert isinstance(offered, RegisteredReport)
        name = offered.report_requests[0].report_request_id
        lived = Life(api=api, ven=ven, process=process, within=within, report_request_id=name)
        await lived.drained()
        yield lived


@pytest.mark.parametrize("when", ["between", "within"])
async def test_out_01_kill_at_every_step_loses_and_doubles_nothing(tmp_path: Path, when: str) -> None:
    async with life(tmp_path, within=when == "within") as one:
        one.event_id = await one.step(one.create)
        assert [each["eventID"] for each in (await one.api.get("/events"))["events"]] == [one.event_id]

        await one.step(one.deliver)
        while not one.payloads:  # the death may have come between hand-out and answer: it is due again
            assert await one.deliver() is not None
        for payload in one.payloads:
            assert [(e.descriptor.event_id, e.descriptor.modification_number) for e in payload.events] == [
                (one.event_id, 0)
            ]

        replied = await one.step(one.answer)
        assert isinstance(replied, Response)
        assert replied.response.ok
        handed_out = len(one.payloads)

        opted = await one.step(one.opt)
        assert isinstance(opted, CreatedOpt)
        assert opted.response.ok

        reported = await one.step(one.report)
        assert isinstance(reported, UpdatedReport)
        assert reported.response.ok

        await one.drained()
        assert len(one.payloads) == handed_out, "an answered event came again"
        seen = await one.api.get(f"/events/{one.event_id}")
        (of_ven,) = seen["vens"]
        assert (of_ven["state"], of_ven["optType"]) == ("acknowledged", "optIn")
        opts = {each["resourceID"]: (each["optType"], each["optSource"]) for each in of_ven["resources"]}
        assert opts == {"r1": ("optIn", "createdEvent"), "r2": ("optOut", "createOpt")}
        rows = (await one.api.get("/opts?limit=1000"))["opts"]
        assert [row["optID"] for row in rows if row["eventID"] == one.event_id] == ["opt-1"]
        values = [row["value"] for row in (await one.api.get("/reports?resourceID=r1"))["reports"]]
        assert values == [7400.0, 3700.0]
        assert len((await one.api.get("/events"))["events"]) == 1
