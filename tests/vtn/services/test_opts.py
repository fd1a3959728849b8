"""EiOpt: qualification of events per resource, schedules that take each other's place, cancellation."""

from dataclasses import replace
from datetime import timedelta

import pytest

from openadr.messages import CanceledOpt, CancelOpt, CreatedEvent, CreatedOpt, CreateOpt, EiResponse, EventResponse
from openadr.model import Availability, EiTarget, OptType, QualifiedEventId, ResponseRequired
from openadr.times import Duration
from tests.vtn.services.test_events import ready
from tests.vtn.world import START, Party, World, simple_event
from vtn.services.overview import event_view
from vtn.store.eventrows import OptSource, StoredOpt
from vtn.store.rows import Resource

WINDOW = (Availability(dtstart=START + timedelta(hours=1), duration=Duration(seconds=3600)),)
ALL = EiTarget(ven_ids=("ven-a",))


def schedule(opt_id: str, *resources: str, opt_type: OptType = OptType.OPT_OUT, market: str | None = None) -> CreateOpt:
    return CreateOpt(
        opt_id=opt_id,
        opt_type=opt_type,
        opt_reason="notParticipating",
        ven_id="ven-a",
        created_date_time=START,
        request_id="req-o",
        market_context=market,
        vavailability=WINDOW,
        target=replace(ALL, resource_ids=resources),
    )


def qualification(
    *resources: str, number: int = 0, opt_type: OptType = OptType.OPT_OUT, event: str = "evt-a"
) -> CreateOpt:
    return replace(
        schedule("opt-q", *resources, opt_type=opt_type),
        vavailability=None,
        qualified_event_id=QualifiedEventId(event_id=event, modification_number=number),
    )


async def sent(party: Party, message: CreateOpt, expected: int = 200) -> str:
    reply = await party.send(message)
    assert isinstance(reply, CreatedOpt)
    assert (reply.response.response_code, reply.response.request_id) == (expected, message.request_id)
    assert reply.opt_id == message.opt_id
    return reply.response.response_description or ""


async def states(world: World, event_id: str = "evt-a") -> dict[str, tuple[str, str]]:
    async with world.store.read() as tx:
        view = await event_view(tx, event_id, START)
    assert view is not None
    return {each.resource_id: (str(each.opt.opt_type), str(each.opt.source)) for each in view.vens[0].resources}


async def in_force(world: World, opt_type: OptType = OptType.OPT_OUT) -> list[StoredOpt]:
    async with world.store.read() as tx:
        return list(await tx.opts.schedules("ven-a", str(opt_type)))


async def accept(party: Party, number: int = 0) -> None:
    answer = EventResponse(request_id="req-1", event_id="evt-a", modification_number=number, opt_type=OptType.OPT_IN)
    await party.send(CreatedEvent(response=EiResponse(), ven_id="ven-a", event_responses=(answer,)))


async def test_rule_206_a_qualified_resource_stays_through_answers_and_modifications(world: World) -> None:
    party = await ready(world)
    row = await world.put(simple_event(), resources={"ven-a": ("r1", "r2")})
    await accept(party)
    await sent(party, qualification("r2"))
    assert await states(world) == {"r1": ("optIn", "createdEvent"), "r2": ("optOut", "createOpt")}
    await world.modify(row, vtn_comment="changed")
    await accept(party, 1)
    assert await states(world) == {"r1": ("optIn", "createdEvent"), "r2": ("optOut", "createOpt")}
    await sent(party, qualification("r2", number=1, opt_type=OptType.OPT_IN))
    assert (await states(world))["r2"] == ("optIn", str(OptSource.CREATE_OPT))


async def test_rule_206_a_qualification_of_the_whole_ven_takes_the_place_of_those_of_resources(world: World) -> None:
    party = await ready(world)
    await world.put(simple_event(), resources={"ven-a": ("r1", "r2")})
    await sent(party, qualification("r2", opt_type=OptType.OPT_IN))
    await sent(party, qualification())
    assert await states(world) == {"r1": ("optOut", "createOpt"), "r2": ("optOut", "createOpt")}


async def test_resources_the_ven_knows_better_are_taken_for_an_event_of_the_whole_ven(world: World) -> None:
    party = await ready(world)
    await world.put(simple_event(), "ven-a")
    await sent(party, qualification("r-unheard-of"))
    assert await states(world) == {"r-unheard-of": ("optOut", "createOpt")}


async def test_a_group_stands_for_its_resources(world: World) -> None:
    party = await world.enrol("ven-a", 1, Resource(ven_id="ven-a", resource_id="r1", group_ids=("g1",)))
    await party.register()
    await world.put(simple_event(), resources={"ven-a": ("r1", "r2")})
    await sent(party, replace(qualification(), target=replace(ALL, group_ids=("g1",))))
    assert (await states(world))["r1"] == ("optOut", "createOpt")
    await sent(party, replace(qualification(), target=replace(ALL, group_ids=("g9",))), 462)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (qualification("r3"), 462),
        (qualification("r1", "r3"), 462),
        (qualification("r1", number=1), 450),
        (qualification("r1", event="evt-x"), 452),
        (replace(qualification("r1"), vavailability=WINDOW), 459),
        (replace(qualification("r1"), qualified_event_id=None), 459),
        (replace(qualification("r1"), market_context="https://x.example/"), 459),
        (replace(qualification(), target=EiTarget(ven_ids=("ven-b",))), 452),
        (replace(qualification(), target=EiTarget(pnodes=("p1",))), 462),
        (replace(qualification(), device_class=EiTarget(end_device_assets=("EVSE",))), 462),
        (qualification("r1", event="evt-never"), 451),
        (replace(qualification("r1"), opt_id=""), 459),
        (schedule("o" * 256), 459),
        (replace(schedule("opt-1"), vavailability=()), 459),
        (replace(schedule("opt-1"), vavailability=(replace(WINDOW[0], duration=Duration(seconds=-1)),)), 459),
    ],
)
async def test_bad_opts_are_refused_and_change_nothing(world: World, bad: CreateOpt, code: int) -> None:
    party = await ready(world)
    await world.put(simple_event(), resources={"ven-a": ("r1", "r2")})
    await world.put(simple_event("evt-never", required=ResponseRequired.NEVER), resources={"ven-a": ("r1",)})
    before = await states(world)
    assert await sent(party, bad, code)
    assert await states(world) == before
    async with world.store.read() as tx:
        assert await tx.opts.page() == ()


async def test_sending_the_same_opt_twice_is_harmless(world: World) -> None:
    party = await ready(world)
    await world.put(simple_event(), resources={"ven-a": ("r1",)})
    for message in (qualification("r1"), qualification("r1"), schedule("opt-1"), schedule("opt-1")):
        await sent(party, message)
    async with world.store.read() as tx:
        assert len(await tx.opts.page()) == 2
    assert len(await in_force(world)) == 1


async def test_rule_203_a_schedule_for_all_replaces_those_of_its_type_only(world: World) -> None:
    party = await ready(world)
    for message in (
        schedule("opt-1"),
        schedule("opt-2", "r1"),
        schedule("opt-3", opt_type=OptType.OPT_IN),
        schedule("opt-4", market="https://other.example/"),
        schedule("opt-5"),
    ):
        await sent(party, message)
    assert [each.message.opt_id for each in await in_force(world)] == ["opt-4", "opt-5"]
    assert [each.message.opt_id for each in await in_force(world, OptType.OPT_IN)] == ["opt-3"]


async def test_rule_203_a_schedule_with_resources_replaces_earlier_ones_for_these(world: World) -> None:
    party = await ready(world)
    await sent(party, schedule("opt-1"))
    await sent(party, schedule("opt-2", "r1", "r2"))
    await sent(party, schedule("opt-3", "r2"))
    await sent(party, schedule("opt-4", "r1"))
    found = {each.message.opt_id: each.superseded_for for each in await in_force(world)}
    assert found == {"opt-1": ("r1", "r2"), "opt-3": (), "opt-4": ()}


async def test_rule_204_cancelling_an_opt_id_ends_every_schedule_with_it(world: World) -> None:
    party = await ready(world)
    await sent(party, schedule("opt-1", "r1"))
    await sent(party, schedule("opt-1", "r2"))
    reply = await party.send(CancelOpt(request_id="req-c", opt_id="opt-1", ven_id="ven-a"))
    assert reply == CanceledOpt(response=EiResponse(request_id="req-c", response_description="OK"), opt_id="opt-1")
    assert await in_force(world) == []


async def test_rule_211_cancelling_a_superseded_schedule_is_no_error_a_qualification_is(world: World) -> None:
    party = await ready(world)
    await world.put(simple_event(), "ven-a")
    await sent(party, schedule("opt-1"))
    await sent(party, schedule("opt-2"))
    await sent(party, qualification())
    codes = []
    for opt_id in ("opt-1", "opt-q", "opt-x"):
        reply = await party.send(CancelOpt(request_id="", opt_id=opt_id, ven_id="ven-a"))
        assert isinstance(reply, CanceledOpt)
        codes.append(reply.response.response_code)
    assert codes == [200, 451, 452]
