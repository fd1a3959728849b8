"""Publishing: an operator may aim one event at many VENs; each of them gets its own part."""

from dataclasses import replace

import pytest

from openadr.errors import InvalidData, InvalidId, OadrError
from openadr.messages import DistributeEvent, RequestEvent
from openadr.model import EiTarget, SignalType
from openadr.times import Duration
from tests.vtn.services.test_events import ready
from tests.vtn.world import World
from vtn.services.drafts import Draft, DraftInterval, DraftSignal
from vtn.services.publish import publish

DRAFT = Draft(
    market_context="https://dso.example/flex",
    duration=Duration(seconds=600),
    signals=(DraftSignal(signal_name="SIMPLE", signal_type=SignalType.LEVEL, intervals=(DraftInterval(value=2.0),)),),
)


async def test_rule_063_one_event_for_two_vens_names_one_ven_in_each_payload(world: World) -> None:
    parties = [await ready(world), await ready(world, "ven-b", 2)]
    async with world.store.write() as tx:
        draft = replace(DRAFT, ven_ids=("ven-a", "ven-b"))
        stored = await publish(tx, draft, world.clock.now(), world.desk, "tester")
    for party in parties:
        payload = await party.send(RequestEvent(request_id="req-1", ven_id=party.ven_id))
        assert isinstance(payload, DistributeEvent)
        (event,) = payload.events
        assert event.descriptor.event_id == stored.event_id
        assert event.target == EiTarget(ven_ids=(party.ven_id,))


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        ({"ven_ids": ()}, InvalidData, "targets"),
        ({"ven_ids": ("ven-a", "ven-x")}, InvalidId, "venID"),
        ({"resource_ids": ("nowhere",)}, InvalidId, "resourceID"),
        ({"group_ids": ("nobody",)}, InvalidId, "groupID"),
        ({"ven_ids": ("ven-a",), "duration": Duration(seconds=-60)}, OadrError, "duration"),
    ],
)
async def test_a_bad_draft_is_refused_by_field_and_changes_nothing(
    world: World, change: dict[str, object], error: type[OadrError], field: str
) -> None:
    await ready(world)
    with pytest.raises(error) as raised:
        async with world.store.write() as tx:
            await publish(tx, replace(DRAFT, **change), world.clock.now(), world.desk, "tester")  # type: ignore[arg-type]
    assert field in raised.value.field
    async with world.store.read() as tx:
        assert await tx.events.page(after=None, limit=10) == ()
