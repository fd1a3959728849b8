"""Rules that bind the VTN about opts, those that no other test names, in the order of their numbers."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from openadr.errors import NotAllowed, TargetMismatch
from openadr.exchange import PATH
from openadr.messages import CanceledOpt, CancelOpt, CreatedOpt, CreateOpt, DistributeEvent, RequestEvent
from openadr.model import Availability, EiTarget, OptType, QualifiedEventId
from openadr.times import ZERO, Duration
from openadr.wire import decode, encode
from tests.conformance.test_vtn_event_rules import code, opt_of, published
from tests.vtn.server import Running
from tests.vtn.services.test_events import ready
from tests.vtn.test_chain import ready as vtn_ready
from tests.vtn.world import START, World
from vtn.services import optsettings
from vtn.services.context import OptLimits
from vtn.store.eventrows import StoredOpt
from vtn.store.programmes import OptRules, Programme, Terms
from vtn.store.rows import Resource
from vtn.store.targets import Attribute, AttributeKind

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


@pytest.mark.parametrize(
    "more",
    [
        "<xcal:tolerance><xcal:tolerate><xcal:startafter>PT5M</xcal:startafter></xcal:tolerate></xcal:tolerance>",
        "<ei:x-eiNotification><xcal:duration>PT5M</xcal:duration></ei:x-eiNotification>",
        "<ei:x-eiRampUp><xcal:duration>PT5M</xcal:duration></ei:x-eiRampUp>",
        "<ei:x-eiRecovery><xcal:duration>PT5M</xcal:duration></ei:x-eiRecovery>",
    ],
    ids=["tolerance", "notification", "ramp-up", "recovery"],
)
async def test_rule_200_times_beside_the_window_of_a_schedule_are_refused(vtn: Running, more: str) -> None:
    ven = await vtn_ready(vtn)
    text = encode(schedule()).decode().replace("</xcal:properties>", f"{more}</xcal:properties>")
    status, _, body = await ven.post(PATH.format(service="EiOpt"), text.encode())
    reply = decode(body)
    assert isinstance(reply, CreatedOpt)
    assert (status, reply.response.response_code, reply.opt_id) == (200, 459, "opt-1")
    assert "(R200)" in (reply.response.response_description or "")
    async with vtn.app.store.read() as tx:
        assert await tx.opts.page() == ()


PROGRAMME = "http://market.example/a"


async def lay_down(world: World, **rules: Any) -> None:
    terms = Terms(opts=OptRules(**rules))
    async with world.store.write() as tx:
        await tx.programmes.put(
            Programme(market_context=PROGRAMME, name="A", terms=terms, modified_at=START, actor="tester")
        )


async def test_rule_201_schedules_of_a_type_the_programme_does_not_take_are_refused(world: World) -> None:
    party = await ready(world)
    await lay_down(world, schedule_types=(OptType.OPT_IN,))
    message = schedule(market_context="HTTP://market.example:80/a")
    assert code(await party.send(message)) == 451
    assert code(await party.send(replace(message, opt_type=OptType.OPT_IN))) == 200
    assert code(await party.send(schedule("opt-2"))) == 200, "of no programme"
    assert [each.message.opt_id for each in await in_force(world)] == ["opt-2"]


async def test_rule_201_windows_that_overlap_are_refused_where_the_programme_forbids_it(world: World) -> None:
    party = await ready(world)
    await lay_down(world, overlaps=False)
    later = replace(WINDOW, dtstart=WINDOW.dtstart + timedelta(minutes=59))
    for windows, expected in (
        ((WINDOW, later), 454),
        ((later, WINDOW), 454),
        ((replace(WINDOW, duration=ZERO), replace(later, dtstart=START + timedelta(days=9))), 454),
        ((WINDOW, replace(later, dtstart=WINDOW.dtstart + timedelta(hours=1))), 200),
    ):
        assert code(await party.send(schedule(vavailability=windows, market_context=PROGRAMME))) == expected
    assert code(await party.send(schedule("opt-2", vavailability=(WINDOW, later)))) == 200


async def test_rule_201_events_are_not_sent_to_who_has_opted_out_where_the_programme_wants_it_so(world: World) -> None:
    await ready(world)
    party = await world.enrol("ven-b", 2)
    await party.register()
    own = EiTarget(ven_ids=("ven-b",))
    window = replace(WINDOW, dtstart=START, duration=Duration(seconds=86_400))
    assert code(await party.send(schedule(ven_id="ven-b", target=own, vavailability=(window,)))) == 200
    both = {"ven_ids": ("ven-a", "ven-b"), "market_context": PROGRAMME}
    stored = await published(world, **both)
    async with world.store.read() as tx:
        assert len(await tx.events.states(stored.event_id)) == 2
    await lay_down(world, events_during_opt_out=False)
    stored = await published(world, **both)
    async with world.store.read() as tx:
        assert [each.ven_id for each in await tx.events.states(stored.event_id)] == ["ven-a"]
    with pytest.raises(NotAllowed, match="R201"):
        await published(world, ven_ids=("ven-b",), market_context=PROGRAMME)


async def test_a_report_only_ven_gets_no_event_neither_new_ones_nor_those_it_had(world: World) -> None:
    party = await ready(world)
    async with world.store.write() as tx:
        await tx.vens.add_resources([Resource(ven_id="ven-a", resource_id="r1", group_ids=("g1",))])
    await published(world)
    await party.register(report_only=True)
    for _ in range(3):
        reply = await party.poll()
        assert not isinstance(reply, DistributeEvent)
        world.clock.advance(60)
    reply = await party.send(RequestEvent(request_id="req-e", ven_id="ven-a"))
    assert isinstance(reply, DistributeEvent)
    assert reply.events == ()
    for targets in ({"ven_ids": ("ven-a",)}, {"ven_ids": (), "group_ids": ("g1",)}):
        with pytest.raises(TargetMismatch, match="report-only"):
            await published(world, **targets)


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


async def test_rule_203_a_schedule_that_comes_late_a_second_time_does_not_undo_a_newer_one(world: World) -> None:
    party = await ready(world)
    for message in (schedule("opt-1"), schedule("opt-2"), schedule("opt-1")):
        assert code(await party.send(message)) == 200
    assert [each.message.opt_id for each in await in_force(world)] == ["opt-2"]


async def test_rule_206_a_qualification_that_comes_late_a_second_time_changes_nothing(world: World) -> None:
    party = await ready(world)
    event_id = (await published(world)).event_id
    about = QualifiedEventId(event_id=event_id, modification_number=0)
    out = schedule(vavailability=None, qualified_event_id=about)
    back = replace(out, opt_id="opt-2", opt_type=OptType.OPT_IN)
    for message in (out, back, out):
        assert code(await party.send(message)) == 200
    assert await opt_of(world, event_id) == "optIn"


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (EiTarget(end_device_assets=("Toaster",)), 462),
        (EiTarget(end_device_assets=("EVSE", "Toaster")), 462),
        (EiTarget(resource_ids=("r1",)), 459),
        (EiTarget(end_device_assets=("EVSE",), group_ids=("g1",)), 459),
        (EiTarget(end_device_assets=("EVSE",)), 200),
        (EiTarget(end_device_assets=("x-lift",)), 200),
        (EiTarget(), 200),
    ],
)
async def test_rule_209_a_device_class_is_one_of_the_list_and_nothing_else(
    world: World, classes: EiTarget, expected: int
) -> None:
    party = await ready(world)
    assert code(await party.send(schedule(device_class=classes))) == expected
    assert len(await in_force(world)) == (expected == 200)


async def test_rule_209_203_a_schedule_for_a_device_class_leaves_those_for_others(world: World) -> None:
    party = await ready(world)
    evse, pump = (EiTarget(end_device_assets=(name,)) for name in ("EVSE", "Pool_Pump"))
    await party.send(schedule("opt-1"))
    await party.send(schedule("opt-2", device_class=evse))
    await party.send(schedule("opt-3", device_class=pump))
    await party.send(schedule("opt-4", device_class=evse))
    assert [each.message.opt_id for each in await in_force(world)] == ["opt-1", "opt-3", "opt-4"]
    await party.send(schedule("opt-5"))
    assert [each.message.opt_id for each in await in_force(world)] == ["opt-5"]


async def test_rule_209_206_a_qualification_for_a_device_class_is_about_the_event_s_resources_of_it(
    world: World,
) -> None:
    party = await ready(world)
    async with world.store.write() as tx:
        await tx.vens.add_resources([Resource(ven_id="ven-a", resource_id=each) for each in ("r1", "r2", "r3")])
        await tx.targets.add(
            Attribute(ven_id="ven-a", resource_id=name, kind=AttributeKind.DEVICE_CLASS, value=value)
            for name, value in (("r1", "EVSE"), ("r2", "Pool_Pump"), ("r3", "EVSE"))
        )
    event_id = (await published(world, ven_ids=(), resource_ids=("r1", "r2"))).event_id
    about = QualifiedEventId(event_id=event_id, modification_number=0)
    message = schedule(vavailability=None, qualified_event_id=about)
    lift = replace(message, device_class=EiTarget(end_device_assets=("x-lift",)))
    assert code(await party.send(lift)) == 462
    assert code(await party.send(replace(message, device_class=EiTarget(end_device_assets=("EVSE",))))) == 200
    async with world.store.read() as tx:
        found = {each.resource_id: each.opt_type for each in await tx.events.resource_states(event_id)}
    assert found == {"r1": OptType.OPT_OUT, "r2": None}


async def test_a_schedule_that_is_over_is_out_of_force_and_shown_as_over(world: World) -> None:
    party = await ready(world)
    await party.send(schedule())
    world.clock.advance(2 * 3600)
    async with world.store.read() as tx:
        assert await tx.opts.schedules("ven-a", "optOut", world.clock.now()) == ()
        (row,) = await tx.opts.page()
    assert row.superseded_at is None
    await party.send(schedule("opt-2", target=EiTarget(resource_ids=("r1",))))
    async with world.store.read() as tx:
        assert (await tx.opts.of_id("ven-a", "opt-1"))[0].superseded_for == ()


@pytest.mark.parametrize("limits", [OptLimits(windows=501), OptLimits(schedules=2)])
async def test_what_one_ven_can_have_in_force_is_bounded(world: World, limits: OptLimits) -> None:
    party = await ready(world)
    windows = tuple(replace(WINDOW, dtstart=START + timedelta(hours=n)) for n in range(optsettings.MOST_WINDOWS + 1))
    assert code(await party.send(schedule(vavailability=windows))) == 454
    assert code(await party.send(schedule(vavailability=windows[:-1]))) == 200
    world.desk = replace(world.desk, opts=limits)
    expected = [200, 451, 451]
    for number, wanted in enumerate(expected):
        market = f"http://market.example/{number}"
        assert code(await party.send(schedule(f"opt-x{number}", market_context=market))) == wanted
    assert len(await in_force(world)) == 2


async def test_rule_001_a_window_that_ends_beyond_the_calendar_is_refused(world: World) -> None:
    party = await ready(world)
    far = Availability(dtstart=START.replace(year=9999), duration=Duration(months=12))
    assert code(await party.send(schedule(vavailability=(far,)))) == 454


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
