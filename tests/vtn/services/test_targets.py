"""Targets: VEN, resource, group, party and area at the event, device classes at the signal, resources of a baseline."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from openadr.errors import InvalidData, InvalidId, TargetMismatch
from openadr.messages import DistributeEvent, RequestEvent
from openadr.model import Event, SignalType
from openadr.times import Duration
from openadr.wire import decode, encode
from tests.vtn.world import START, Party, World
from vtn.rendering import Renderer
from vtn.services.drafts import Draft, DraftBaseline, DraftInterval, DraftSignal
from vtn.services.modify import Change, modify
from vtn.services.publish import publish
from vtn.store.eventrows import StoredEvent
from vtn.store.rows import Resource
from vtn.store.store import Store
from vtn.store.targets import Attribute, AttributeKind

HOUR = Duration(seconds=3600)
SIMPLE = DraftSignal(signal_name="SIMPLE", signal_type=SignalType.LEVEL, intervals=(DraftInterval(value=2.0),))
PRICE = DraftSignal(
    signal_name="ELECTRICITY_PRICE", signal_type=SignalType.PRICE, intervals=(DraftInterval(value=0.3),)
)
DRAFT = Draft(
    market_context="https://dso.example/flex",
    duration=HOUR,
    signals=(SIMPLE,),
    dtstart=START + timedelta(hours=1),
)
TYPICAL = DraftBaseline(name="typical", intervals=(DraftInterval(value=7.0),), resource_ids=("r1", "r2"))


def attribute(ven_id: str, resource_id: str | None, kind: AttributeKind, value: str) -> Attribute:
    return Attribute(ven_id=ven_id, resource_id=resource_id, kind=kind, value=value)


@pytest.fixture
async def both(store: Store) -> World:
    """Return a world on each kind of database with three VENs."""
    return World(store)


async def three(world: World) -> dict[str, Party]:
    """Enrol ven-a with r1 and r2, ven-b with r3 and r4, ven-c with nothing, and say what they belong to."""
    names = {"ven-a": ("r1", "r2"), "ven-b": ("r3", "r4"), "ven-c": ()}
    parties = {}
    for number, (ven_id, resources) in enumerate(names.items(), 1):
        rows = (Resource(ven_id=ven_id, resource_id=each, group_ids=("g",)) for each in resources)
        parties[ven_id] = await world.enrol(ven_id, number, *rows)
        await parties[ven_id].register()
    async with world.store.write() as tx:
        await tx.targets.replace(
            "ven-a",
            (
                attribute("ven-a", "r1", AttributeKind.AREA, "feeder 12"),
                attribute("ven-a", None, AttributeKind.PARTY, "fleet one"),
                attribute("ven-a", "r1", AttributeKind.DEVICE_CLASS, "EVSE"),
                attribute("ven-a", "r2", AttributeKind.DEVICE_CLASS, "Thermostat"),
            ),
        )
        await tx.targets.replace(
            "ven-b",
            (
                attribute("ven-b", "r3", AttributeKind.AREA, "feeder 12"),
                attribute("ven-b", "r4", AttributeKind.PARTY, "fleet one"),
                attribute("ven-b", None, AttributeKind.DEVICE_CLASS, "EVSE"),
            ),
        )
    return parties


async def published(world: World, **changes: Any) -> StoredEvent:
    async with world.store.write() as tx:
        return await publish(tx, replace(DRAFT, **changes), world.clock.now(), world.desk, "tester")


async def seen(party: Party) -> Event | None:
    """Return what the VEN gets, read from the bytes that would be sent."""
    reply = await party.send(RequestEvent(request_id="q", ven_id=party.ven_id))
    assert isinstance(reply, DistributeEvent)
    data = Renderer().encode(reply)
    assert data == encode(reply)
    read = decode(data)
    assert isinstance(read, DistributeEvent)
    return read.events[0] if read.events else None


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ({"areas": ("feeder 12",)}, {"ven-a": ("r1",), "ven-b": ("r3",)}),
        ({"party_ids": ("fleet one",)}, {"ven-a": (), "ven-b": ("r4",)}),
        ({"party_ids": ("fleet one",), "areas": ("feeder 12",)}, {"ven-a": (), "ven-b": ("r3", "r4")}),
        ({"areas": ("feeder 12",), "resource_ids": ("r2",)}, {"ven-a": ("r1", "r2"), "ven-b": ("r3",)}),
        ({"group_ids": ("g",), "ven_ids": ("ven-c",)}, {"ven-a": ("r1", "r2"), "ven-b": ("r3", "r4"), "ven-c": ()}),
    ],
)
async def test_rule_022_063_criteria_are_alternatives_and_each_ven_sees_its_own(
    both: World, targets: dict[str, Any], expected: dict[str, tuple[str, ...]]
) -> None:
    parties = await three(both)
    stored = await published(both, **targets)
    for ven_id, party in parties.items():
        event = await seen(party)
        if ven_id not in expected:
            assert event is None
            continue
        assert event is not None
        assert (event.target.ven_ids, event.target.resource_ids) == ((ven_id,), expected[ven_id])
        assert event.target.group_names == event.target.party_ids == event.target.group_ids == ()
    async with both.store.read() as tx:
        counts = (await tx.events.counts([stored.event_id]))[stored.event_id]
    whole = {"ven-a": 2, "ven-b": 2, "ven-c": 0}
    assert counts.resources == sum(len(names) or whole[ven_id] for ven_id, names in expected.items())
    assert counts.vens == len(expected)


@pytest.mark.parametrize(
    ("targets", "field"), [({"party_ids": ("nobody",)}, "targets.partyID"), ({"areas": ("nowhere",)}, "targets.area")]
)
async def test_a_party_or_area_that_nobody_has_is_refused(world: World, targets: dict[str, Any], field: str) -> None:
    await three(world)
    with pytest.raises(InvalidId) as refused:
        await published(world, **targets)
    assert refused.value.field == field


async def test_rule_111_signals_of_other_device_classes_are_left_out(both: World) -> None:
    parties = await three(both)
    classed = replace(PRICE, device_classes=("Thermostat", "Sauna"))
    await published(both, signals=(SIMPLE, classed), ven_ids=("ven-a", "ven-b", "ven-c"))
    names = {}
    for ven_id, party in parties.items():
        event = await seen(party)
        assert event is not None
        names[ven_id] = [each.signal_name for each in event.signals]
    assert names == {  # of ven-c nothing is known
        "ven-a": ["SIMPLE", "ELECTRICITY_PRICE"],
        "ven-b": ["SIMPLE"],
        "ven-c": ["SIMPLE", "ELECTRICITY_PRICE"],
    }


async def test_rule_111_a_ven_whose_resources_are_of_other_classes_does_not_get_the_event(world: World) -> None:
    parties = await three(world)
    classed = (replace(SIMPLE, device_classes=("Thermostat",)),)
    await published(world, signals=classed, group_ids=("g",))
    assert await seen(parties["ven-a"]) is not None
    assert await seen(parties["ven-b"]) is None
    with pytest.raises(TargetMismatch, match="R111"):
        await published(world, signals=classed, resource_ids=("r1",))


async def test_rule_005_a_later_enrolment_changes_an_event_only_with_its_next_version(world: World) -> None:
    parties = await three(world)
    event_id = (await published(world, areas=("feeder 12",))).event_id
    async with world.store.write() as tx:
        await tx.targets.add([attribute("ven-c", None, AttributeKind.AREA, "feeder 12")])
        await tx.targets.replace("ven-b", ())
    assert await seen(parties["ven-c"]) is None
    assert await seen(parties["ven-b"]) is not None
    async with world.store.write() as tx:
        change = Change(draft=replace(DRAFT, areas=("feeder 12",)), expected=0)
        await modify(tx, event_id, change, world.clock.now(), world.desk, "tester")
    event = await seen(parties["ven-c"])
    assert event is not None
    assert event.descriptor.modification_number == 1
    gone = await seen(parties["ven-b"])
    assert gone is not None
    assert str(gone.descriptor.event_status) == "cancelled"


async def test_rule_101_102_108_a_baseline_goes_to_the_ven_that_has_its_resources(both: World) -> None:
    parties = await three(both)
    quarter = Duration(seconds=900)
    typical = replace(
        TYPICAL,
        intervals=tuple(DraftInterval(value=value, duration=quarter) for value in (7.0, 6.5)),
        dtstart=START,
        duration=Duration(seconds=1800),
    )
    stored = await published(both, ven_ids=("ven-a", "ven-b"), baseline=typical)
    event = await seen(parties["ven-a"])
    assert event is not None
    assert event.baseline is not None
    assert event.baseline == stored.event.baseline
    assert [each.uid for each in event.baseline.intervals] == [0, 1]
    assert event.baseline.resource_ids == ("r1", "r2")
    other = await seen(parties["ven-b"])
    assert other is not None
    assert other.baseline is None


async def test_rule_108_a_baseline_without_resources_goes_to_all_and_one_of_several_vens_to_nobody(
    world: World,
) -> None:
    parties = await three(world)
    everyone = replace(TYPICAL, resource_ids=())
    await published(world, ven_ids=("ven-a", "ven-c"), baseline=everyone)
    for ven_id in ("ven-a", "ven-c"):
        event = await seen(parties[ven_id])
        assert event is not None
        assert event.baseline is not None
        assert (event.baseline.dtstart, event.baseline.duration) == (event.active_period.dtstart, HOUR)
    with pytest.raises(InvalidData, match="R108"):
        await published(world, ven_ids=("ven-a", "ven-b"), baseline=replace(TYPICAL, resource_ids=("r1", "r3")))
    with pytest.raises(InvalidId, match="r9"):
        await published(world, ven_ids=("ven-a",), baseline=replace(TYPICAL, resource_ids=("r9",)))
