"""What an operator changes of an enrolled VEN: resources, attributes, certificate, access; and its removal."""

from datetime import timedelta

import pytest

from openadr.errors import InvalidData, NotAllowed, OadrError
from openadr.messages import Message, Poll, QueryRegistration, RequestEvent
from tests.vtn.services.test_events import ready
from tests.vtn.services.test_registration import row
from tests.vtn.world import START, Party, World, fingerprint, simple_event
from vtn.services import administration
from vtn.services.administration import Belongings, Change
from vtn.store.rows import Resource, Ven
from vtn.store.store import Store


def code(reply: Message) -> int:
    response = getattr(reply, "response")  # noqa: B009
    return int(response.response_code)


@pytest.fixture
async def shared(store: Store) -> World:
    """Return a world on each kind of database."""
    return World(store)


async def change(party: Party, given: Change) -> Ven:
    async with party.world.store.write() as tx:
        return await administration.change(tx, await row(party), given)


async def resources(party: Party) -> dict[str, tuple[str, tuple[str, ...]]]:
    async with party.world.store.read() as tx:
        found = await tx.vens.resources(ven_ids=(party.ven_id,))
    return {each.resource_id: (each.source, each.group_ids) for each in found}


async def attributes(party: Party) -> set[tuple[str | None, str, str]]:
    async with party.world.store.read() as tx:
        found = await tx.targets.of_vens((party.ven_id,))
    return {(each.resource_id, str(each.kind), each.value) for each in found}


async def test_resources_and_groups_take_the_place_of_those_before(shared: World) -> None:
    party = await shared.enrol("ven-a", 1, Resource(ven_id="ven-a", resource_id="r1", group_ids=("g1", "g2")))
    async with shared.store.write() as tx:
        await tx.vens.add_resources([Resource(ven_id="ven-a", resource_id="m1", source="metadata")])
    await change(party, Change(belongings=(Belongings(resource_id="r1", area=("north",)), Belongings(party=("p",)))))
    await change(party, Change(resources=(("r1", ("g3",)), ("r2", ()), ("m1", ()))))
    assert await resources(party) == {
        "r1": ("enrolment", ("g3",)),
        "r2": ("enrolment", ()),
        "m1": ("enrolment", ()),
    }
    assert await attributes(party) == {("r1", "area", "north"), (None, "party", "p")}
    await change(party, Change(resources=(("r2", ()),)))
    assert set(await resources(party)) == {"r2"}
    assert await attributes(party) == {(None, "party", "p")}


async def test_names_poll_interval_and_attributes(shared: World) -> None:
    party = await shared.enrol("ven-a", 1, Resource(ven_id="ven-a", resource_id="r1"))
    given = Belongings(resource_id="r1", party=("p1",), area=("north", "south"), device_class=("EVSE", "x-lift"))
    changed = await change(party, Change(ven_name="Roof", poll_freq_s=300, belongings=(given,)))
    assert (changed.ven_name, changed.poll_freq_s) == ("Roof", 300)
    assert len(await attributes(party)) == 5
    changed = await change(party, Change(ven_name="", poll_freq_s=0, belongings=()))
    assert (changed.ven_name, changed.poll_freq_s) == (None, None)
    assert await attributes(party) == set()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (Change(ven_name="x", resources=(("r1", ()), ("r1", ()))), "resources.resourceID"),
        (Change(ven_name="x", resources=(("", ()),)), "resourceID"),
        (Change(ven_name="x", resources=(("r1", ("",)),)), "groupID"),
        (Change(ven_name="x", poll_freq_s=86_401), "pollFreqSeconds"),
        (Change(ven_name="x", belongings=(Belongings(device_class=("Toaster",)),)), "deviceClass"),
        (Change(ven_name="x", belongings=(Belongings(resource_id="r9", area=("n",)),)), "resources.resourceID"),
        (Change(ven_name="x", belongings=(Belongings(party=("",)),)), "party"),
    ],
)
async def test_a_bad_change_is_refused_by_field_and_nothing_is_changed(world: World, given: Change, field: str) -> None:
    party = await world.enrol("ven-a", 1, Resource(ven_id="ven-a", resource_id="r1"))
    before = await row(party)
    with pytest.raises(OadrError) as refused:
        await change(party, given)
    assert refused.value.field == field
    assert await row(party) == before
    assert set(await resources(party)) == {"r1"}


async def test_rule_517_a_certificate_is_replaced_at_once_or_with_an_overlap(shared: World) -> None:
    old = await ready(shared)
    new = Party(shared, "ven-a", fingerprint(50))
    until = shared.clock.now() + timedelta(days=1)
    async with shared.store.write() as tx:
        await administration.replace_certificate(tx, await row(old), fingerprint(50).lower(), START, until)
    for party in (old, new):
        assert code(await party.poll()) == 200
    async with shared.store.write() as tx:
        await tx.vens.seen({fingerprint(1): shared.clock.now()})
    assert (await row(new)).old_last_seen == (await row(new)).last_seen == shared.clock.now()
    shared.clock.advance(86_400)
    assert code(await old.poll()) == 463
    assert code(await new.poll()) == 200
    async with shared.store.write() as tx:
        await administration.replace_certificate(tx, await row(new), fingerprint(51), shared.clock.now())
    assert code(await new.poll()) == 463
    assert code(await Party(shared, "ven-a", fingerprint(51)).poll()) == 200


async def test_a_certificate_of_somebody_is_not_given_to_another(world: World) -> None:
    party = await ready(world)
    await world.enrol("ven-b", 2)
    async with world.store.write() as tx:
        ven = await row(party)
        for taken in (fingerprint(1), fingerprint(2)):
            with pytest.raises(NotAllowed):
                await administration.replace_certificate(tx, ven, taken, START)
        with pytest.raises(InvalidData):
            await administration.replace_certificate(tx, ven, fingerprint(9), START, START)
        later = START + timedelta(days=1)
        changed = await administration.replace_certificate(tx, ven, fingerprint(9), START, later)
        back = await administration.replace_certificate(tx, changed, fingerprint(1), START, later)
    assert (back.fingerprint, back.old_fingerprint) == (fingerprint(1), fingerprint(9))


async def test_rule_517_a_suspended_ven_is_refused_and_finds_everything_afterwards(shared: World) -> None:
    party = await ready(shared)
    async with shared.store.write() as tx:
        await administration.suspend(tx, await row(party), START, "lost charger")
    await shared.put(simple_event(), "ven-a")
    for message in (
        Poll(ven_id="ven-a"),
        RequestEvent(request_id="req-e", ven_id="ven-a"),
        QueryRegistration(request_id="req-q"),
    ):
        assert code(await party.send(message)) == 463
    async with shared.store.read() as tx:
        assert await tx.vens.registered((fingerprint(1),)) == {}, "nothing is answered from memory"
    async with shared.store.write() as tx:
        await administration.resume(tx, await row(party), START)
    assert type(await party.poll()).__name__ == "DistributeEvent"
    async with shared.store.write() as tx:
        with pytest.raises(NotAllowed):
            await administration.resume(tx, await row(party), START)


async def test_only_a_ven_that_is_out_can_be_removed_and_everything_goes_with_it(shared: World) -> None:
    party = await ready(shared)
    await shared.put(simple_event(), "ven-a")
    with pytest.raises(NotAllowed):
        administration.check_removable(await row(party))
    async with shared.store.write() as tx:
        ven = await administration.suspend(tx, await row(party), START, None)
        administration.check_removable(ven)
        assert await tx.vens.remove("ven-a")
        assert not await tx.vens.remove("ven-a")
    assert code(await party.poll()) == 463
    async with shared.store.read() as tx:
        assert await tx.events.states("evt-a") == ()
