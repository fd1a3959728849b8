"""Programmes: an event that its market context does not allow is refused, naming the field and the term."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from openadr.errors import InvalidData, NotAllowed, OadrError, TargetMismatch
from openadr.model import OptType, ResponseRequired, SignalType
from openadr.times import ZERO, Duration
from tests.vtn.services.test_events import poll_events, ready
from tests.vtn.world import START, World
from vtn.services.context import Contexts
from vtn.services.drafts import Draft, DraftInterval, DraftSignal
from vtn.services.modify import Change, modify
from vtn.services.programmes import check_programme, drop, lay_down
from vtn.services.publish import publish
from vtn.store.eventrows import StoredEvent
from vtn.store.programmes import OptRules, Programme, SignalPair, Terms
from vtn.store.store import Store

URI = "https://dso.example/flex"
HOUR = Duration(seconds=3600)
SIMPLE = DraftSignal(signal_name="SIMPLE", signal_type=SignalType.LEVEL, intervals=(DraftInterval(value=2.0),))
DRAFT = Draft(
    market_context=URI, duration=HOUR, signals=(SIMPLE,), ven_ids=("ven-a",), dtstart=START + timedelta(hours=1)
)


def programme(uri: str = URI, name: str = "Flex", **terms: Any) -> Programme:
    return Programme(market_context=uri, name=name, terms=Terms(**terms), modified_at=START, actor="tester")


async def published(world: World, **changes: Any) -> StoredEvent:
    async with world.store.write() as tx:
        return await publish(tx, replace(DRAFT, **changes), world.clock.now(), world.desk, "tester")


async def laid_down(world: World, *, new: bool = False, **terms: Any) -> None:
    async with world.store.write() as tx:
        await lay_down(tx, programme(**terms), new=new)


@pytest.mark.parametrize(
    ("terms", "changes", "field"),
    [
        ({"test_events_only": True}, {}, "testEvent"),
        ({"priorities": (1, 2)}, {}, "priority"),
        ({"targets": ("groupID", "area")}, {}, "targets.venID"),
        ({"signals": (SignalPair(signal_name="ELECTRICITY_PRICE"),)}, {}, "signals.signalName"),
        ({"signals": (SignalPair(signal_name="SIMPLE", signal_type="delta"),)}, {}, "signals.signalName"),
        ({"max_duration": Duration(seconds=3599)}, {}, "duration"),
        ({"max_duration": HOUR}, {"duration": ZERO}, "duration"),
        ({"min_notification": Duration(seconds=3601)}, {}, "dtstart"),
    ],
)
async def test_an_event_that_a_programme_forbids_is_refused(
    world: World, terms: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    party = await ready(world)
    await laid_down(world, **terms)
    with pytest.raises(OadrError) as refused:
        await published(world, **changes)
    assert refused.value.field == field
    assert await poll_events(party) == ()
    await published(world, market_context="https://other.example", **changes)  # its own business


async def test_what_a_programme_allows_is_published_and_its_answer_rule_is_the_default(world: World) -> None:
    await ready(world)
    await laid_down(
        world,
        test_events_only=True,
        priorities=(1,),
        targets=("venID",),
        signals=(SignalPair(signal_name="SIMPLE", signal_type="level"),),
        max_duration=HOUR,
        min_notification=HOUR,
        response_required=ResponseRequired.NEVER,
    )
    allowed = {"test_event": "true", "priority": 1}
    assert (await published(world, **allowed)).event.response_required is ResponseRequired.NEVER
    asked = await published(world, **allowed, response_required=ResponseRequired.ALWAYS)
    assert asked.event.response_required is ResponseRequired.ALWAYS


async def test_rule_512_a_market_context_is_the_same_however_it_is_written(world: World) -> None:
    await ready(world)
    await laid_down(world, priorities=(1,))
    with pytest.raises(InvalidData):
        await published(world, market_context="HTTPS://DSO.example:443/flex")
    with pytest.raises(NotAllowed):
        await laid_down(world, new=True, uri="https://dso.example:443/./flex")


async def test_a_listed_vtn_takes_the_market_contexts_it_knows_only(world: World) -> None:
    await ready(world)
    world.desk = replace(world.desk, contexts=Contexts.LISTED)
    with pytest.raises(TargetMismatch) as refused:
        await published(world)
    assert refused.value.field == "marketContext"
    await laid_down(world, new=True)
    await published(world)
    async with world.store.write() as tx:
        assert await drop(tx, URI + "/") is False
        assert await drop(tx, URI) is True
    with pytest.raises(TargetMismatch):
        await published(world)


async def test_a_change_keeps_to_the_programme_too_and_late_changes_need_no_new_notice(world: World) -> None:
    await ready(world)
    await laid_down(world, min_notification=HOUR, max_duration=HOUR)
    event_id = (await published(world)).event_id
    world.clock.advance(1800)

    async def put(now: datetime, **changes: Any) -> None:
        async with world.store.write() as tx:
            await modify(tx, event_id, Change(draft=replace(DRAFT, **changes)), now, world.desk, "tester")

    await put(world.clock.now(), priority=1)
    with pytest.raises(InvalidData, match="minNotification"):
        await put(world.clock.now(), dtstart=START + timedelta(minutes=80))
    with pytest.raises(InvalidData, match="maxDuration"):
        await put(world.clock.now(), duration=Duration(seconds=3601))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"targets": ("pnode",)}, "targets"),
        ({"signals": (SignalPair(signal_name="NONSENSE"),)}, "signals"),
        ({"signals": (SignalPair(signal_name="SIMPLE", signal_type="nonsense"),)}, "signals"),
        ({"max_duration": ZERO}, "maxDuration"),
        ({"min_notification": Duration(seconds=-1)}, "minNotification"),
    ],
)
def test_a_programme_that_cannot_be_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidData) as refused:
        check_programme(programme(**changes))
    assert refused.value.field == field


def test_a_length_beyond_the_calendar_is_no_limit() -> None:
    check_programme(programme(signals=(SignalPair(signal_name="x-own"),), max_duration=Duration(months=1200)))


async def test_programmes_are_kept_listed_and_replaced(store: Store) -> None:
    opts = OptRules(
        schedule_types=(OptType.OPT_OUT,),
        default_state=OptType.OPT_OUT,
        precedence=OptType.OPT_IN,
        overlaps=False,
        events_during_opt_out=False,
    )
    full = programme(
        opts=opts, signals=(SignalPair(signal_name="SIMPLE"),), priorities=(1, 2), max_duration=Duration(months=1)
    )
    async with store.write() as tx:
        await tx.programmes.put(full)
        await tx.programmes.put(programme("https://a.example"))
        await tx.programmes.put(programme("https://a.example", name="Again"))
    async with store.read() as tx:
        assert await tx.programmes.get(URI) == full
        assert await tx.programmes.get("https://none.example") is None
        assert [each.name for each in await tx.programmes.page()] == ["Again", "Flex"]
        assert [each.name for each in await tx.programmes.page(after="https://a.example/", limit=1)] == ["Flex"]
