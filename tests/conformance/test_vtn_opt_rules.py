"""Rules that bind the VTN about opts, those that no other test names, in the order of their numbers."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from openadr.messages import CanceledOpt, CancelOpt, CreatedOpt, CreateOpt
from openadr.model import Availability, EiTarget, OptType, QualifiedEventId
from openadr.times import ZERO, Duration
from openadr.wire import decode, encode
from tests.conformance.test_vtn_event_rules import code, opt_of, published
from tests.vtn.services.test_events import ready
from tests.vtn.world import START, World
from vtn.store.rows import Resource, StoredOpt

WINDOW = Availability(dtstart=START + timedelta(hours=1), duration=Duration(seconds=3600))


def schedule(opt_id: str = "opt-1", **changes: Any) -> CreateOpt:
    made = CreateOpt(
        opt_id=opt_id,
        opt_type=OptType.OPT_OUT,
        opt_reason="notParticipating",
        ven_id="ven-a",
        created_date_time=START,
        request_id="req-o",
        vavailability=(WINDOW,),
        target=EiTarget(ven_ids=("ven-a",)),
    )
    return replace(made, **changes)


async def in_force(world: World) -> list[StoredOpt]:
    async with world.store.read() as tx:
        return list(await tx.opts.schedules("ven-a", "optOut"))


async def test_rule_200_times_beside_the_window_of_a_schedule_are_passed_over(world: World) -> None:
    party = await ready(world)
    text = encode(schedule()).decode()
    more = "<ei:x-eiRampUp><xcal:duration>PT5M</xcal:duration></ei:x-eiRampUp></xcal:properties>"
    message = decode(text.replace("</xcal:properties>", more).encode())
    assert code(await party.send(message)) == 200
    (kept,) = await in_force(world)
    assert kept.message.vavailability == (WINDOW,)


async def test_rule_205_a_schedule_of_one_programme_leaves_those_of_others(world: World) -> None:
    party = await ready(world)
    for opt_id, market in (("opt-1", "http://market.example/a"), ("opt-2", "http://market.example/b")):
        assert code(await party.send(schedule(opt_id, market_context=market))) == 200
    assert [each.message.opt_id for each in await in_force(world)] == ["opt-1", "opt-2"]
    await party.send(schedule("opt-3", market_context="http://market.example/a"))
    assert [each.message.opt_id for each in await in_force(world)] == ["opt-2", "opt-3"]


async def test_rule_512_a_market_context_is_the_same_in_another_spelling(world: World) -> None:
    party = await ready(world)
    await party.send(schedule("opt-1", market_context="http://market.example/%7Ea"))
    await party.send(schedule("opt-2", market_context="HTTP://Market.Example:80/x/../~a"))
    assert [each.message.opt_id for each in await in_force(world)] == ["opt-2"]


@pytest.mark.parametrize("request_id", ["", "req-9"])
async def test_rule_207_the_request_id_is_returned_also_an_empty_one(world: World, request_id: str) -> None:
    party = await ready(world)
    reply = await party.send(schedule(request_id=request_id))
    assert isinstance(reply, CreatedOpt)
    assert (reply.response.request_id, reply.opt_id) == (request_id, "opt-1")
    gone = await party.send(CancelOpt(request_id=request_id, opt_id="opt-1", ven_id="ven-a"))
    assert isinstance(gone, CanceledOpt)
    assert (gone.response.request_id, gone.response.response_code) == (request_id, 200)


async def test_rule_203_204_a_schedule_that_is_sent_again_is_kept_once(world: World) -> None:
    party = await ready(world)
    for _ in range(3):
        assert code(await party.send(schedule())) == 200
    assert [each.message.opt_id for each in await in_force(world)] == ["opt-1"]


@pytest.mark.xfail(reason="oadrDeviceClass of an opt schedule is not checked")
async def test_rule_209_a_device_class_that_is_not_listed_is_refused(world: World) -> None:
    party = await ready(world)
    toaster = EiTarget(end_device_assets=("Toaster",))
    assert 400 <= code(await party.send(schedule(device_class=toaster))) < 500


async def test_rule_210_a_schedule_of_duration_0_is_kept_as_open_ended(world: World) -> None:
    party = await ready(world)
    assert code(await party.send(schedule(vavailability=(replace(WINDOW, duration=ZERO),)))) == 200
    world.clock.advance(400 * 86_400)
    (kept,) = await in_force(world)
    assert kept.message.vavailability == (replace(WINDOW, duration=ZERO),)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"target": EiTarget(resource_ids=("r2",))}, 462, id="foreign resource"),
        pytest.param({"market_context": "http://market.example/a"}, 459, id="market context"),
        pytest.param({"vavailability": (WINDOW,)}, 459, id="both"),
        pytest.param({"target": EiTarget(ven_ids=("ven-b",))}, 452, id="foreign VEN"),
        pytest.param({"ven_id": "ven-b"}, 452, id="foreign sender"),
    ],
)
async def test_rule_206_021_a_qualification_beyond_the_event_is_refused(
    world: World, changes: dict[str, Any], expected: int
) -> None:
    party = await ready(world)
    async with world.store.write() as tx:
        await tx.vens.add_resources([Resource(ven_id="ven-a", resource_id=each) for each in ("r1", "r2")])
    event_id = (await published(world, ven_ids=(), resource_ids=("r1",))).event_id
    about = QualifiedEventId(event_id=event_id, modification_number=0)
    message = schedule(vavailability=None, qualified_event_id=about, target=EiTarget(resource_ids=("r1",)))
    assert code(await party.send(replace(message, **changes))) == expected
    assert await opt_of(world, event_id) == "None"
    assert code(await party.send(message)) == 200
