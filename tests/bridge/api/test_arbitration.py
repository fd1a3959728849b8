"""The arbiter in the operator API: standing limits, opt schedules, suspensions, the ledger as JSON and CSV."""

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.overrides import Budget
from bridge.store import Attribution, Changes
from tests.bridge.api.test_api import TOKEN, api_of
from tests.bridge.parts import QUICK, SimCharger, World, at, event, resource, simple


@pytest.fixture
async def world(bridge_db: AsyncEngine) -> World:
    resources = [resource(1, site="depot"), resource(2, site="depot")]
    found = World(bridge_db, [SimCharger("CP1"), SimCharger("CP2")], resources=resources)
    await found.start()
    return found


async def test_arb_11_a_supervisory_limit_is_set_shown_and_taken_back(world: World) -> None:
    async with api_of(world) as call:
        body = {"source": "dso", "groupID": "depot", "limitA": 20, "reason": "overload", "minutes": 30}
        status, made = await call("POST", "/api/v1/standing", body)
        assert (status, made["members"], made["limitA"], made["kWLimit"]) == (201, 2, 20.0, None)
        await world.round()
        _, limits = await call("GET", "/api/v1/limits")
        assert [(row["limitA"], row["source"], row["category"]) for row in limits] == [(10.0, "dso", "SO")] * 2
        assert limits[0]["reason"] == "share 10 A of 20 A per phase of group depot, proportional; overload"
        assert [row["id"] for row in (await call("GET", "/api/v1/standing"))[1]] == [made["id"]]
        assert (await call("DELETE", f"/api/v1/standing/{made['id']}"))[0] == 204
        assert (await call("DELETE", f"/api/v1/standing/{made['id']}"))[0] == 404
        _, history = await call("GET", "/api/v1/limits/history?resourceID=evse-1")
        assert [row["source"] for row in history] == ["dso"]
        assert (await call("GET", "/api/v1/limits/history?resourceID=nobody"))[0] == 404


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"source": "weather", "resourceID": "evse-1", "limitA": 6}, 400, "source"),
        ({"source": "dso", "limitA": 6}, 400, "exactly one"),
        ({"source": "dso", "resourceID": "evse-1", "groupID": "depot", "limitA": 6}, 400, "exactly one"),
        ({"source": "dso", "resourceID": "evse-1"}, 400, "limitA or kWLimit"),
        ({"source": "dso", "resourceID": "evse-1", "limitA": -1}, 400, "limitA"),
        ({"source": "dso", "resourceID": "nobody", "limitA": 6}, 404, "nobody"),
        ({"source": "dso", "groupID": "nowhere", "kWLimit": 6}, 404, "nowhere"),
        ({"source": "dso", "resourceID": "evse-1", "limitA": 6, "start": "2026-03-02T10:00:00"}, 400, "offset"),
        (
            {"source": "dso", "resourceID": "evse-1", "limitA": 6, "start": "2026-03-02T10:00:00Z", "minutes": 5},
            400,
            "over",
        ),
    ],
)
async def test_a_wrong_limit_is_refused_and_changes_nothing(
    world: World, body: dict[str, object], status: int, word: str
) -> None:
    async with api_of(world) as call:
        answer, problem = await call("POST", "/api/v1/standing", body)
        assert (answer, word in problem["detail"]) == (status, True)
        assert (await call("GET", "/api/v1/standing"))[1] == []


async def test_ven_09_suspensions_and_opt_schedules_are_made_listed_and_ended(world: World) -> None:
    async with api_of(world) as call:
        status, made = await call("POST", "/api/v1/suspensions", {"resourceID": "evse-1", "reason": "rebuilding"})
        assert (status, made["kind"], made["optID"], made["end"]) == (201, "suspension", "opt-s1", None)
        body = {"resourceID": "evse-2", "start": "2026-03-02T20:00:00Z", "minutes": 60}
        status, ahead = await call("POST", "/api/v1/opt-schedules", body)
        assert (status, ahead["end"]) == (201, "2026-03-02T21:00:00Z")
        assert [row["id"] for row in (await call("GET", "/api/v1/suspensions"))[1]] == [made["id"]]
        assert [row["id"] for row in (await call("GET", "/api/v1/opt-schedules"))[1]] == [ahead["id"]]
        assert (await call("DELETE", f"/api/v1/opt-schedules/{made['id']}"))[0] == 404
        assert (await call("DELETE", f"/api/v1/suspensions/{made['id']}"))[0] == 204
        assert (await call("DELETE", f"/api/v1/opt-schedules/{ahead['id']}"))[0] == 204
        assert (await call("POST", "/api/v1/suspensions", {"resourceID": "nobody"}))[0] == 404
        assert world.upstream.cancelled == ["opt-s1", "opt-s2"]


def row(number: int, **changes: object) -> Attribution:
    base = Attribution(
        event_id="event-1",
        resource_id=f"evse-{number}",
        start=at(0),
        end=at(1800),
        contracted_kw=11.0,
        requested_kw=11.04,
        effective_kw=5.52,
        metered_kw=None,
        source="dso",
        by_event=None,
        outcome="constrained_by",
        reason="overload",
    )
    return replace(base, **changes)  # type: ignore[arg-type]


async def test_arb_10_the_ledger_comes_in_pages_as_json_and_as_csv(world: World) -> None:
    rows = (row(1), row(2, reason="=1+1"), row(1, event_id="event-2"))
    await world.store.write(Changes(attributions=rows))
    async with api_of(world) as call:
        _, found = await call("GET", "/api/v1/ledger")
        assert [(each["eventID"], each["resourceID"]) for each in found] == [
            ("event-1", "evse-1"),
            ("event-1", "evse-2"),
            ("event-2", "evse-1"),
        ]
        assert (found[0]["kWRequested"], found[0]["kWMetered"], found[0]["outcome"]) == (11.04, None, "constrained_by")
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/csv"}
        async with call.http.get(f"{call.base}/api/v1/ledger?eventID=event-1&limit=2", headers=headers) as answer:
            assert answer.content_type == "text/csv"
            lines = (await answer.text()).split("\r\n")
            link = str(answer.headers["Link"])
        assert lines[0].startswith("eventID,resourceID,start,end,kWContracted,kWRequested")
        assert lines[1].startswith("event-1,evse-1,2026-03-02T14:00:00Z,2026-03-02T14:30:00Z,11.0,11.04,5.52,,,dso,,")
        assert lines[2].endswith(",'=1+1")
        assert 'rel="next"' in link
        path = link[1 : link.index(">")]
        assert "eventID=event-1" in path
        assert (await call("GET", path.replace("format=csv", "format=json")))[1] == []
        assert (await call("GET", "/api/v1/ledger?limit=0"))[0] == 400
        assert (await call("GET", "/api/v1/ledger?cursor=nonsense"))[0] == 400


async def test_arb_06_a_spent_budget_is_409_with_the_rule(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], settings=replace(QUICK, budget=Budget()))
    await world.start()
    await world.publish(event(simple((600, 2))))
    async with api_of(world) as call:
        _, made = await call("POST", "/api/v1/overrides", {"chargerID": "CP1"})
        await call("DELETE", f"/api/v1/overrides/{made['id']}")
        status, problem = await call("POST", "/api/v1/overrides", {"chargerID": "CP1"})
        assert (status, problem["rule"]) == (409, "ARB-06")
