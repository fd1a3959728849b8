"""Alerts over a stepped clock: raised, stored, counted, and posted to a webhook that is not always there."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.alerts import Alerts
from bridge.allocate import GroupLimit
from bridge.arbiter import Source
from bridge.data_settings import AlertSection
from bridge.groups import Group
from bridge.lookout import webhook
from bridge.metrics import FleetMetrics
from bridge.overview import Overview
from bridge.watch import Thresholds, VtnFacts
from bridge.webhook import Poster, Webhook
from runtime.http import serve
from tests.bridge.parts import QUICK, SimCharger, World, at, event, resource, simple


class Watch:
    """The alerts of a world, made anew at a restart."""

    def __init__(self, world: World, *, messages: bool = True) -> None:
        self.world, self.registry = world, CollectorRegistry()
        self.vtn = VtnFacts(name="", silent_since=None, offset_s=0.0, owed=0)
        self.metrics = FleetMetrics(self.registry)
        overview = Overview(supervisor=world.supervisor, target=world.park, store=world.store)
        self.alerts = Alerts(
            overview=overview,
            supervisor=world.supervisor,
            vtns=lambda: (self.vtn,),
            store=world.store,
            metrics=self.metrics,
            thresholds=Thresholds(for_s=30.0),
            messages=messages,
        )

    async def turn(self, seconds: float) -> None:
        await self.world.step(seconds)
        for job in self.alerts.jobs():
            await job.run(self.world.clock.now())

    async def open(self) -> list[tuple[str, str]]:
        return [(each.kind, each.subject) for each in await self.world.store.alerts(open_only=True)]

    def figure(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
async def world(bridge_db: AsyncEngine) -> World:
    found = World(bridge_db, [SimCharger("CP1"), SimCharger("CP2")], resources=[resource(1), resource(2)])
    await found.start()
    return found


async def test_tel_17_an_alert_is_logged_stored_counted_once_and_cleared_when_it_is_over(world: World) -> None:
    watch = Watch(world)
    with structlog.testing.capture_logs() as lines:
        world.park["CP1"].connected = False
        for _ in range(4):
            await watch.turn(15)
        assert await watch.open() == [("chargers_offline", "fleet")]
        world.park["CP1"].connected = True
        for _ in range(4):
            await watch.turn(15)
    said = [line for line in lines if line["event"].startswith("alert")]
    assert [(line["event"], line["kind"]) for line in said] == [
        ("alert", "chargers_offline"),
        ("alert is over", "chargers_offline"),
    ]
    assert await watch.open() == []
    assert watch.figure("oadr_bridge_alerts_total", kind="chargers_offline") == 1.0
    assert watch.figure("oadr_bridge_alerts_open", kind="chargers_offline") == 0.0
    states = [(each.state, json.loads(each.document)["kind"]) for each in await world.store.alert_messages(10)]
    assert states == [("raised", "chargers_offline"), ("cleared", "chargers_offline")]


async def test_tel_17_a_kill_neither_raises_again_nor_forgets(world: World) -> None:
    watch = Watch(world)
    world.park["CP1"].connected = False
    for _ in range(4):
        await watch.turn(15)
    await world.restart()
    again = Watch(world)
    for _ in range(4):
        await again.turn(15)
    assert len(await world.store.alerts()) == 1
    assert again.figure("oadr_bridge_alerts_total", kind="chargers_offline") is None
    world.park["CP1"].connected = True
    for _ in range(4):
        await again.turn(15)
    [alert] = await world.store.alerts()
    assert alert.cleared_at is not None
    assert len(await world.store.alert_messages(10)) == 2


async def test_tel_17_a_silent_vtn_and_an_event_that_is_not_followed_are_told(world: World) -> None:
    watch = Watch(world, messages=False)
    world.park["CP1"].ignores = True
    await world.publish(event(simple((600, 2)), start=at(0)))
    watch.vtn = VtnFacts(name="", silent_since=at(0), offset_s=None, owed=0)
    for _ in range(10):
        await watch.turn(15)
    assert await watch.open() == [("event_not_followed", "event-1"), ("vtn_silent", "VTN")]
    assert await world.store.alert_messages(10) == ()


async def test_tel_09_a_feeder_whose_meters_are_above_its_cap_is_told(bridge_db: AsyncEngine) -> None:
    limit = GroupLimit(per_phase_a=40.0, total_kw=30.0)
    groups = (Group(group_id="feeder-7", source=Source.GROUP, limit=limit),)
    members = [resource(1), resource(2, phases=1, wired_to=(2,))]
    chargers = [SimCharger("CP1"), SimCharger("CP2", phases=1)]
    world = World(bridge_db, chargers, resources=members, settings=replace(QUICK, groups=groups))
    await world.start()
    watch = Watch(world)
    for _ in range(4):
        await watch.turn(15)
    assert await watch.open() == []
    world.park["CP1"].ignores = world.park["CP2"].ignores = True
    for _ in range(4):
        await watch.turn(15)
    [alert] = await world.store.alerts(open_only=True)
    assert (alert.kind, alert.subject) == ("group_over_limit", "feeder-7")
    assert alert.text == "group feeder-7 phase 2: 64.0 A by meter, 40 A are allowed"


async def test_tel_13_tel_18_the_fleet_is_in_the_metrics_by_group_and_what_events_came_to(world: World) -> None:
    watch = Watch(world)
    await watch.turn(60)
    assert watch.figure("oadr_bridge_group_kilowatts", group="feeder-7", what="curtailable") == 44.16
    assert watch.figure("oadr_bridge_group_kilowatts", group="", what="drawn") == 44.16
    assert watch.figure("oadr_bridge_group_resources", group="feeder-7", what="charging") == 2.0
    share = watch.figure("oadr_bridge_participation_share", what="verified")
    assert share != share  # nothing was asked for: not a number, which is not 0
    await world.publish(event(simple((120, 2)), start=at(60)))
    await watch.turn(300)
    assert watch.figure("oadr_bridge_participation_share", what="verified") == 1.0
    assert watch.figure("oadr_bridge_reduction_kilowatts", what="peak") == 22.08


class Receiver:
    """A webhook that takes what it is told to take."""

    def __init__(self) -> None:
        self.status, self.got, self.url = 200, list[dict[str, Any]](), ""

    async def post(self, request: web.Request) -> web.Response:
        headers = {name: request.headers.get(name, "") for name in ("Idempotency-Key", "Authorization")}
        self.got.append({**await request.json(), **headers})
        return web.Response(status=self.status)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Receiver"]:
        application = web.Application()
        application.add_routes([web.post("/hook", self.post)])
        server = await serve(application, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.port}/hook"
        try:
            yield self
        finally:
            await server.stop()


async def test_tel_17_the_webhook_gets_everything_once_in_order_though_it_was_away(world: World) -> None:
    watch = Watch(world)
    world.park["CP1"].connected = False
    for _ in range(4):
        await watch.turn(15)
    world.park["CP1"].connected = True
    for _ in range(4):
        await watch.turn(15)
    async with Receiver().open() as receiver:
        receiver.status = 503
        poster = Poster(Webhook(url=receiver.url, token="a-secret"), world.store, watch.metrics)
        now = world.clock.now()
        assert await poster.run(now) == 0
        assert await poster.run(now) == 0  # not before its time
        assert len(receiver.got) == 1
        assert watch.figure("oadr_bridge_webhook_waiting") == 2.0
        receiver.status = 204
        world.clock.advance(5)
        [job] = Poster(Webhook(url=receiver.url, token="a-secret"), world.store, watch.metrics).jobs()  # after a kill
        assert await job.run(world.clock.now()) == 2
        assert await job.run(world.clock.now()) == 0
    first, *taken = receiver.got
    assert [each["state"] for each in taken] == ["raised", "cleared"]
    assert first["Idempotency-Key"] == taken[0]["Idempotency-Key"] == f"{first['alertID']}/raised"
    assert first["Authorization"] == "Bearer a-secret"
    assert (first["kind"], first["text"]) == ("chargers_offline", "1 of 2 chargers are offline")
    assert taken[1]["clearedAt"] is not None
    assert watch.figure("oadr_bridge_webhook_failures_total") == 1.0


async def test_tel_17_a_webhook_that_cannot_be_reached_is_tried_ever_more_rarely(world: World) -> None:
    watch = Watch(world)
    world.park["CP1"].connected = False
    for _ in range(4):
        await watch.turn(15)
    poster = Poster(Webhook(url="http://127.0.0.1:9/"), world.store, watch.metrics)
    pauses = []
    for _ in range(3):
        now = world.clock.now()
        assert await poster.run(now) == 0
        [message] = await world.store.alert_messages(10)
        pauses.append((message.not_before - now).total_seconds())
        world.clock.advance(pauses[-1])
    assert pauses == [5.0, 10.0, 20.0]


def test_a_webhook_needs_tls_or_this_machine() -> None:
    assert webhook(AlertSection()) is None
    found = webhook(AlertSection(webhook="https://example.org/hook", token="t"))
    assert found == Webhook(url="https://example.org/hook", token="t")
    assert AlertSection(webhook="http://127.0.0.1:1/").thresholds == Thresholds()
    for wrong in ({"webhook": "http://example.org/"}, {"webhook": "nowhere"}, {"token": "t"}):
        with pytest.raises(ValueError, match=r"https URL|need webhook"):
            AlertSection(**wrong)
