"""VEN-03: a chain of DNO, aggregator and charge point operator: end node upwards, top node downwards, the same code.

Two real VTNs on real sockets; between them a real VEN and the bridge's way down; below them a VEN's own client.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from bridge.assess import Assessor
from bridge.downlink import Downlink, DownstreamSection, Passing
from bridge.downstream import Route
from openadr.messages import CreatedEvent, DistributeEvent, EiResponse, EventResponse
from openadr.model import Event, EventStatus, OptType
from openadr.times import Duration, format_instant
from runtime.clock import FakeClock
from runtime.database import create_engine
from tests.bridge.parts import DNO, PROGRAMMES
from tests.vtn.server import TOKEN, Running, VenSide, make_pki, running
from tests.vtn.world import START
from ven.client import VenClient
from ven.settings import VenSettings
from ven.state import VenStore

ROUTE = Route(above=DNO, below="https://aggregator.example/flex", ven_ids=("ven-a",))


# -- the chain ---------------------------------------------------------------------------------------------------------


@dataclass
class Chain:
    """The DNO's VTN, the aggregator between, its VTN, and the charge point operator's VEN."""

    dno: Running
    aggregator: VenClient
    down: Downlink
    lower: Running
    cpo: VenSide
    http: aiohttp.ClientSession
    clock: FakeClock

    async def pass_on(self) -> int:
        """Let the aggregator hear from above and say it below; return how many calls that took."""
        await self.aggregator.poll_once()
        return await self.down.round(self.http)

    async def heard(self) -> dict[str, Event]:
        """Let the operator poll and opt in; return the events by eventID."""
        payload = await self.cpo.poll()
        if not isinstance(payload, DistributeEvent):
            return {}
        answers = tuple(
            EventResponse(
                request_id=payload.request_id,
                event_id=each.descriptor.event_id,
                modification_number=each.descriptor.modification_number,
                opt_type=OptType.OPT_IN,
            )
            for each in payload.events
        )
        await self.cpo.send(CreatedEvent(response=EiResponse(), ven_id=self.cpo.ven_id, event_responses=answers))
        return {each.descriptor.event_id: each for each in payload.events}


@asynccontextmanager
async def chain(folder: Path) -> AsyncIterator[Chain]:
    clock = FakeClock(START)
    pki = make_pki(folder / "pki", clock)
    urls = [f"sqlite+aiosqlite:///{folder}/{name}.sqlite3" for name in ("dno", "lower", "bridge")]
    engine = create_engine(urls[2])
    async with running(pki, urls[0], clock) as dno, running(pki, urls[1], clock) as lower:
        await dno.enrolled("feeder")
        cpo = await lower.enrolled("evse-1")
        await cpo.register()
        await cpo.poll()
        store = await VenStore.open(engine)
        section = DownstreamSection.model_validate(
            {
                "url": lower.operator.url,
                "token": TOKEN,
                "allow_insecure_http": True,
                "every_s": 10,
                "routes": [{"above": DNO, "below": ROUTE.below, "ven_ids": ["ven-a"]}],
            }
        )
        chain_path, key_path = pki.ven_a.chain
        aggregator = VenClient(
            settings=VenSettings(
                vtn_url=f"https://127.0.0.1:{dno.app.port}",
                ca=pki.trust,
                cert=chain_path,
                key=key_path,
                ven_name="Aggregator",
            ),
            store=store,
            assess=Passing(Assessor(PROGRAMMES, (), lambda: "ven-a"), (ROUTE,)),
            capabilities=lambda: (),
            collect=_nothing,
            clock=clock,
            draw=lambda: 0.5,
            on_change=lambda: None,
            ssl_context=dno.ven(pki.ven_a, "ven-a").context,
        )
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
            down = Downlink(section, store.events, clock)
            try:
                yield Chain(dno, aggregator, down, lower, cpo, http, clock)
            finally:
                await aggregator.close()
    await engine.dispose()


async def _nothing(*_: object) -> tuple[()]:
    return ()


def body(**changes: Any) -> dict[str, Any]:
    return {
        "marketContext": DNO,
        "dtstart": format_instant(START + timedelta(minutes=10)),
        "duration": "PT1H",
        "startafter": "PT2M",
        "signals": [
            {
                "signalName": "LOAD_CONTROL",
                "signalType": "x-loadControlCapacity",
                "intervals": [{"duration": "PT1H", "value": 0.5}],
            }
        ],
        "targets": {"resourceID": ["feeder"]},
        "vtnComment": "evening peak",
    } | changes


async def test_ven_03_an_event_goes_down_a_chain_is_changed_and_cancelled_there(tmp_path: Path) -> None:
    async with chain(tmp_path) as found:
        status, made = await found.dno.operator.call("POST", "/api/v1/events", body())
        assert status == 201, made
        assert await found.pass_on() == 1
        assert await found.pass_on() == 0  # nothing has changed: nothing is said twice
        found.down = Downlink(found.down._settings, found.down._events, found.clock)  # it has forgotten everything
        assert await found.pass_on() == 0
        [heard] = (await found.heard()).values()
        assert heard.descriptor.market_context == ROUTE.below
        assert heard.active_period.startafter == Duration(seconds=120)
        assert heard.signals[0].intervals[0].value == 0.5
        _, above = await found.dno.operator.call("GET", f"/api/v1/events/{made['eventID']}")
        assert above["counts"]["optedIn"] == 1  # the aggregator has taken it on

        change = body(modificationNumber=0, duration="PT2H")
        change["signals"][0]["intervals"] = [{"duration": "PT2H", "value": 0.25}]
        assert (await found.dno.operator.call("PUT", f"/api/v1/events/{made['eventID']}", change))[0] == 200
        assert await found.pass_on() == 1
        [heard] = (await found.heard()).values()
        assert (heard.descriptor.modification_number, heard.signals[0].intervals[0].value) == (1, 0.25)

        cancel = f"/api/v1/events/{made['eventID']}/cancel"
        assert (await found.dno.operator.call("POST", cancel, {"reason": "not needed"}))[0] == 200
        assert await found.pass_on() == 1
        [heard] = (await found.heard()).values()
        assert heard.descriptor.event_status is EventStatus.CANCELLED
        assert await found.pass_on() == 0
        await _refused_once(found)


async def _refused_once(found: Chain) -> None:
    """What the VTN below refuses is not asked again."""
    routes = found.down._settings.routes[0].model_copy(update={"ven_ids": ("nobody",)})
    settings = found.down._settings.model_copy(update={"routes": (routes,)})
    found.down = Downlink(settings, found.down._events, found.clock)
    await found.dno.operator.call("POST", "/api/v1/events", body())
    assert await found.pass_on() == 0
    assert len(found.down._refused) == 1
    assert await found.pass_on() == 0


async def test_ven_03_a_vtn_below_that_is_away_is_tried_again(tmp_path: Path) -> None:
    async with chain(tmp_path) as found:
        await found.dno.operator.call("POST", "/api/v1/events", body())
        await found.aggregator.poll_once()
        url = found.down._settings.url
        found.down._settings = found.down._settings.model_copy(update={"url": "http://127.0.0.1:1"})
        task = asyncio.create_task(found.down.run())
        try:
            async with asyncio.timeout(30):
                while not found.clock.sleepers:
                    await asyncio.sleep(0.01)
                found.down._settings = found.down._settings.model_copy(update={"url": url})
                found.clock.advance(11)
                while not (heard := await found.heard()):
                    await asyncio.sleep(0.01)
            assert len(heard) == 1
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
