"""Candidates for enrolment: who is noted, what an operator decides, and how many there can be."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from openadr.errors import InvalidId, NotAllowed
from openadr.messages import CreatedPartyRegistration, CreatePartyRegistration, Message, Poll, QueryRegistration
from tests.vtn.server import Pki
from tests.vtn.world import START, Party, World, fingerprint
from vtn.services import candidates
from vtn.services.context import EnrolmentMode, EnrolmentPolicy
from vtn.services.dispatch import handle
from vtn.services.enrolment import Enrolment, enrol
from vtn.store.rows import Candidate, CandidateState
from vtn.store.store import Store

CREATE = CreatePartyRegistration(request_id="req-1", ven_name="Roof station")


@pytest.fixture
async def asking(store: Store) -> World:
    """Return a world in mode ask on each kind of database."""
    world = World(store)
    world.desk = replace(world.desk, enrolment=EnrolmentPolicy(mode=EnrolmentMode.ASK, most=3))
    return world


def stranger(world: World, number: int) -> Party:
    return Party(world, "ven-x", fingerprint(number))


async def refused(party: Party, message: Message = CREATE) -> None:
    reply = await party.send(message)
    response = getattr(reply, "response")  # noqa: B009
    assert response.response_code == 463
    if isinstance(reply, CreatedPartyRegistration):
        assert (reply.ven_id, reply.registration_id) == (None, None)


async def listed(world: World, state: CandidateState | None = None) -> list[Candidate]:
    async with world.store.read() as tx:
        return list(await tx.candidates.page(state=state))


async def test_rule_517_in_mode_listed_a_stranger_leaves_no_trace(world: World) -> None:
    await refused(stranger(world, 7))
    assert await listed(world) == []


async def test_a_stranger_who_tries_to_register_is_noted_refused_and_approved(asking: World) -> None:
    party = stranger(asking, 7)
    await refused(party, QueryRegistration(request_id="req-q"))
    asking.clock.advance(60)
    await refused(party)
    (found,) = await listed(asking)
    assert (found.fingerprint, found.ven_name) == (fingerprint(7), "Roof station")
    assert (found.first_seen, found.last_seen) == (START, START + timedelta(seconds=60))
    given = Enrolment(ven_id="ven-7", fingerprint=fingerprint(7), resources=(("r1", ("g1",)),))
    async with asking.store.write() as tx:
        await candidates.approve(tx, given, asking.clock.now())
    assert await listed(asking) == []
    reply = await party.send(CREATE)
    assert isinstance(reply, CreatedPartyRegistration)
    assert (reply.response.response_code, reply.ven_id) == (200, "ven-7")


async def test_only_who_tries_to_register_is_noted(asking: World) -> None:
    await refused(stranger(asking, 7), Poll(ven_id="ven-x"))
    await handle(asking.store, CREATE, "", START, asking.desk)
    assert await listed(asking) == []


async def test_what_the_certificate_says_is_noted(asking: World, pki: Pki) -> None:
    issued = pki.ven_a
    certificate = x509.load_pem_x509_certificate(issued.cert_path.read_bytes())
    der, ends = certificate.public_bytes(Encoding.DER), certificate.not_valid_after_utc
    await handle(asking.store, CREATE, issued.fingerprint, START, asking.desk, certificate=der)
    (found,) = await listed(asking)
    assert (found.subject_cn, found.not_after) == ("ven-a", ends)
    async with asking.store.write() as tx:
        ven = await candidates.approve(tx, Enrolment(ven_id="v", fingerprint=issued.fingerprint), START)
    assert (ven.certificate_cn, ven.certificate_not_after) == ("ven-a", ends)
    await handle(asking.store, CREATE, fingerprint(9), START, asking.desk, certificate=b"no certificate")
    (other,) = await listed(asking)
    assert other.subject_cn == ""


async def test_a_rejected_candidate_stays_refused_and_out_of_the_way(asking: World) -> None:
    party = stranger(asking, 7)
    await refused(party)
    async with asking.store.write() as tx:
        await candidates.reject(tx, fingerprint(7).lower())
    asking.clock.advance(3600)
    await refused(party)
    assert await listed(asking, CandidateState.WAITING) == []
    (found,) = await listed(asking, CandidateState.REJECTED)
    assert found.last_seen == asking.clock.now()
    async with asking.store.write() as tx:
        with pytest.raises(NotAllowed):
            await candidates.reject(tx, fingerprint(7))
        await candidates.forget(tx, fingerprint(7))
        for act in (candidates.reject, candidates.forget):
            with pytest.raises(InvalidId):
                await act(tx, fingerprint(7))


async def test_a_flood_neither_grows_the_table_nor_pushes_out_who_still_tries(asking: World) -> None:
    for number in (1, 2, 3):
        await refused(stranger(asking, number))
    for number in range(10, 30):
        await refused(stranger(asking, number))
    assert [each.fingerprint for each in await listed(asking)] == [fingerprint(number) for number in (1, 2, 3)]
    asking.clock.advance(2 * 86_400)
    await refused(stranger(asking, 1))
    await refused(stranger(asking, 3))
    await refused(stranger(asking, 40))
    assert {each.fingerprint for each in await listed(asking)} == {fingerprint(n) for n in (1, 3, 40)}


async def test_one_that_hammers_is_not_written_each_time(asking: World) -> None:
    party = stranger(asking, 7)
    for _ in range(5):
        await refused(party)
        asking.clock.advance(1)
    (found,) = await listed(asking)
    assert found.last_seen == START
    await refused(party, replace(CREATE, ven_name="Another name"))
    (found,) = await listed(asking)
    assert found.ven_name == "Another name"


async def test_enrolling_by_hand_ends_the_waiting(asking: World) -> None:
    await refused(stranger(asking, 7))
    async with asking.store.write() as tx:
        await enrol(tx, Enrolment(ven_id="ven-7", fingerprint=fingerprint(7)), START)
    assert await listed(asking) == []
