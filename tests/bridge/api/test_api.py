"""The operator API over real sockets: what it shows, what it does, how it refuses."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine
from yarl import URL

from bridge.api import Api, build_api
from runtime.http import serve
from tests.bridge.parts import EMERGENCY, SimCharger, World, at, event, simple

TOKEN = "a-token-of-enough-characters"


@dataclass
class Client:
    http: aiohttp.ClientSession
    base: str
    routes: dict[str, list[str]]

    async def __call__(self, method: str, path: str, body: Any = None, token: str = TOKEN) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        async with self.http.request(method, f"{self.base}{path}", json=body, headers=headers) as answer:
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
            text = await answer.text()
            return answer.status, await answer.json(content_type=None) if text.startswith(("{", "[")) else text


Call = Callable[..., Awaitable[tuple[int, Any]]]


def _routes(application: web.Application) -> dict[str, list[str]]:
    """Return the methods that are served, by path."""
    found: dict[str, set[str]] = {}
    for route in application.router.routes():
        if route.resource is not None and route.method != "HEAD":
            found.setdefault(route.resource.canonical, set()).add(route.method.lower())
    return {path: sorted(methods) for path, methods in found.items()}


@asynccontextmanager
async def api_of(world: World, **more: Any) -> AsyncIterator[Client]:
    async def fine() -> None:
        return None

    api = Api(
        supervisor=world.supervisor,
        target=world.park,
        store=world.store,
        clock=world.clock,
        version="1.2.3",
        vens={"": world.upstream},
        **more,
    )
    application = build_api(api, token=TOKEN, checks={"database": fine}, registry=CollectorRegistry())
    server = await serve(application, "127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as http:
            yield Client(http, f"http://127.0.0.1:{server.port}", _routes(application))
    finally:
        await server.stop()


@pytest.fixture
async def world(bridge_db: AsyncEngine) -> World:
    found = World(bridge_db, [SimCharger("CP1"), SimCharger("CP2", refuses=True)])
    await found.start()
    return found


@pytest.fixture
async def call(world: World) -> AsyncIterator[Client]:
    async with api_of(world) as client:
        yield client


async def test_sec_01_without_the_token_only_health_answers(call: Call) -> None:
    assert (await call("GET", "/api/v1/chargers", token="wrong"))[0] == 401
    assert (await call("GET", "/metrics", token="wrong"))[0] == 401
    assert await call("GET", "/health", token="") == (200, {"status": "ok", "checks": {"database": "ok"}})
    status, text = await call("GET", "/metrics")
    assert status == 200
    assert isinstance(text, str)


async def test_arb_09_chargers_and_limits_say_who_limits_and_why_and_how_far_it_is_proven(
    world: World, call: Call
) -> None:
    await world.publish(event(simple((600, 2)), start=at(10)))
    await world.step(60)
    status, chargers = await call("GET", "/api/v1/chargers")
    assert status == 200
    first = chargers[0]
    assert (first["chargerID"], first["resourceID"], first["connected"], first["session"]) == (
        "CP1",
        "evse-1",
        True,
        True,
    )
    assert (first["limitA"], first["limitSource"], first["limitReason"]) == (
        16.0,
        "event",
        "SIMPLE 2: 50 % of 32 A = 16 A per phase",
    )
    assert first["outcomes"][0]["state"] == "verified"
    status, limits = await call("GET", "/api/v1/limits")
    assert status == 200
    assert (limits[0]["state"], limits[0]["eventID"], limits[0]["until"]) == (
        "verified",
        "event-1",
        "2026-03-02T14:10:10Z",
    )
    assert limits[0]["acceptedAt"] < limits[0]["appliedAt"] < limits[0]["verifiedAt"]
    assert limits[0]["schedule"]["state"] == "accepted"
    assert limits[1]["state"] == "failed"
    assert limits[1]["schedule"]["state"] == "refused"


async def test_outcomes_are_by_event_with_powers_and_opt(world: World, call: Call) -> None:
    await world.step(20)
    await world.publish(event(simple((600, 2)), start=at(30)))
    await world.step(120)
    status, rows = await call("GET", "/api/v1/outcomes?eventID=event-1")
    assert status == 200
    assert (rows[0]["state"], rows[0]["kWBefore"], rows[0]["kWDuring"], rows[0]["kWAfter"]) == (
        "verified",
        22.08,
        11.04,
        None,
    )
    assert (rows[1]["state"], rows[1]["optType"], rows[1]["optReason"]) == ("failed", "optOut", "notParticipating")
    assert (await call("GET", "/api/v1/outcomes"))[1] == rows
    status, problem = await call("GET", "/api/v1/outcomes?eventID=nobody")
    assert status == 404
    assert "nobody" in problem["detail"]


async def test_overrides_are_made_listed_and_ended(world: World, call: Call) -> None:
    await world.publish(event(simple((600, 2))))
    await world.step(60)
    body = {"chargerID": "CP1", "reason": "doctor", "durationMinutes": 5}
    status, made = await call("POST", "/api/v1/overrides", body)
    assert status == 201
    assert (made["resourceID"], made["eventIDs"], made["start"], made["end"]) == (
        "evse-1",
        ["event-1"],
        "2026-03-02T14:01:00Z",
        "2026-03-02T14:06:00Z",
    )
    await world.round()
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0
    assert (await call("GET", "/api/v1/overrides"))[1] == [made]
    assert await call("DELETE", f"/api/v1/overrides/{made['id']}") == (204, "")
    await world.round()
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    assert (await call("GET", "/api/v1/overrides"))[1] == []
    assert (await call("DELETE", f"/api/v1/overrides/{made['id']}"))[0] == 404


async def test_arb_08_an_override_of_an_event_to_come_keeps_the_charger_free(world: World, call: Call) -> None:
    await world.publish(event(simple((600, 2)), start=at(60)))
    status, _ = await call("POST", "/api/v1/overrides", {"resourceID": "evse-1", "eventID": "event-1"})
    assert status == 201
    await world.step(120)
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"chargerID": "CP9"}, 404, "chargerID CP9 is not known here"),
        ({"resourceID": "evse-9"}, 404, "resourceID evse-9 is not known here"),
        ({"chargerID": "CP1", "eventID": "event-9"}, 404, "event event-9 is not known at resource evse-1"),
        ({}, 400, "exactly one of chargerID and resourceID"),
        ({"chargerID": "CP1", "resourceID": "evse-1"}, 400, "exactly one of chargerID and resourceID"),
        ({"chargerID": "CP1", "durationMinutes": 0}, 400, "$.durationMinutes"),
        ({"chargerID": "CP1", "charger": "CP1"}, 400, "unknown field `charger`"),
        ({"chargerID": 7}, 400, "$.chargerID"),
        ({"chargerID": "CP1"}, 409, "no event is in force"),
    ],
)
async def test_bad_overrides_are_refused_and_change_nothing(
    world: World, call: Call, body: dict[str, Any], status: int, words: str
) -> None:
    answer, problem = await call("POST", "/api/v1/overrides", body)
    assert answer == status
    assert words in problem["detail"]
    assert problem["reference"].startswith("ref-")
    assert world.supervisor.overrides == ()


async def test_arb_05_overriding_an_emergency_is_409_with_the_rule(world: World, call: Call) -> None:
    await world.publish(event(simple((600, 3)), context=EMERGENCY))
    for body in ({"chargerID": "CP1"}, {"chargerID": "CP1", "eventID": "event-1"}):
        status, problem = await call("POST", "/api/v1/overrides", body)
        assert (status, problem["rule"], problem["title"]) == (409, "ARB-05", "Override refused")


async def test_an_event_that_is_over_cannot_be_overridden(world: World, call: Call) -> None:
    await world.publish(event(simple((60, 2))))
    await world.step(65)
    status, problem = await call("POST", "/api/v1/overrides", {"chargerID": "CP1", "eventID": "event-1"})
    assert (status, problem["rule"]) == (409, "ARB-08")


async def test_openapi_describes_every_route(call: Client) -> None:
    status, document = await call("GET", "/openapi.json")
    assert status == 200
    assert document["info"]["version"] == "1.2.3"
    described = {path: sorted(methods) for path, methods in document["paths"].items()}
    assert described == {path: methods for path, methods in call.routes.items() if path.startswith("/api/")}
    assert len(described) > 30
    assert "kWBefore" in document["components"]["schemas"]["OutcomeBody"]["properties"]


async def test_outcomes_come_in_pages_and_the_link_header_names_the_next(world: World) -> None:
    await world.publish(*(event(simple((60, 2)), event_id=f"event-{n}", start=at(n)) for n in range(3)))
    async with api_of(world) as client:
        path, seen = "/api/v1/outcomes?limit=4", []
        while path:
            async with client.http.get(f"{client.base}{path}", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
                seen.append([(row["eventID"], row["resourceID"]) for row in await answer.json()])
                path = URL(answer.links["next"]["url"]).path_qs if "next" in answer.links else ""
        assert [len(page) for page in seen] == [4, 2]
        assert seen[0][0] == ("event-2", "evse-1")
        assert len({row for page in seen for row in page}) == 6
        for query in ("limit=0", "limit=10001", "limit=x", "limit=²", "cursor=x", "cursor=W10="):
            status, problem = await client("GET", f"/api/v1/outcomes?{query}")
            assert (status, problem["detail"][:5]) == (400, query[:5])


async def test_rule_401_ven_01_an_operator_leaves_the_vtn_and_registers_again(world: World) -> None:
    world.upstream.last_contact = at(0)
    async with api_of(world) as call:
        status, shown = await call("GET", "/api/v1/vtn")
        assert (status, shown) == (
            200,
            {
                "registered": True,
                "withdrawn": False,
                "venID": "ven-1",
                "vtnID": "vtn-1",
                "lastContact": "2026-03-02T14:00:00Z",
                "clockOffsetS": 0.4,
                "outbox": 0,
                "lastFailure": None,
            },
        )
        assert (await call("DELETE", "/api/v1/vtn/registration"))[1]["withdrawn"]
        assert (await call("GET", "/api/v1/vtn?name=nobody"))[0] == 404
        assert not (await call("PUT", "/api/v1/vtn/registration"))[1]["withdrawn"]
