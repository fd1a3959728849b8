"""EiRegisterParty: the table of create requests and their results, and what each leaves behind."""

from dataclasses import replace

from openadr.exchange import PROFILES
from openadr.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedEvent,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    DistributeEvent,
    EiResponse,
    EventResponse,
    QueryRegistration,
    RegisterReport,
    Response,
)
from openadr.model import OptType
from openadr.times import Duration
from tests.vtn.services.test_reports import metadata
from tests.vtn.world import Party, World, simple_event
from vtn.services.context import SignaturePolicy
from vtn.store.rows import Ven


async def row(party: Party) -> Ven:
    async with party.world.store.read() as tx:
        found = await tx.vens.get(party.ven_id)
    assert found is not None
    return found


async def test_rule_404_a_query_names_no_ids_before_registration(world: World) -> None:
    party = await world.enrol()
    reply = await party.send(QueryRegistration(request_id="req-q"))
    assert isinstance(reply, CreatedPartyRegistration)
    assert (reply.registration_id, reply.ven_id, reply.vtn_id) == (None, None, "VTN-1")
    assert reply.profiles == PROFILES
    assert reply.response == EiResponse(request_id="req-q", response_description="OK")


async def test_rule_403_a_create_gets_ids_profiles_and_poll_frequency(world: World) -> None:
    party = await world.enrol()
    reply = await party.register()
    assert (reply.response.response_code, reply.response.request_id) == (200, "reg-1")
    assert (reply.ven_id, reply.requested_poll_freq) == ("ven-a", Duration(seconds=10))
    assert reply.profiles == PROFILES
    assert reply.registration_id is not None
    assert reply.registration_id[0].isalpha()
    query = await party.send(QueryRegistration(request_id="req-q"))
    assert isinstance(query, CreatedPartyRegistration)
    assert (query.registration_id, query.ven_id) == (reply.registration_id, "ven-a")


async def test_rule_406_a_new_registration_erases_reports_and_queue_and_keeps_events(world: World) -> None:
    party = await world.enrol()
    first = await party.register()
    await world.put(simple_event(), "ven-a")
    await party.poll()
    payload = await party.poll()
    assert isinstance(payload, DistributeEvent)
    answer = EventResponse(
        request_id=payload.request_id, event_id="evt-a", modification_number=0, opt_type=OptType.OPT_OUT
    )
    await party.send(CreatedEvent(response=EiResponse(), ven_id="ven-a", event_responses=(answer,)))
    await party.send(metadata())
    second = await party.register()
    assert second.registration_id not in (None, first.registration_id)
    async with world.store.read() as tx:
        assert await tx.reports.offer("ven-a") == ()
        assert await tx.reports.requests("ven-a") == ()
        assert await tx.queue.depth() == 1
        (state,) = await tx.events.states("evt-a")
    assert state.answer is OptType.OPT_OUT
    assert isinstance(await party.poll(), RegisterReport)
    again = await party.poll()
    assert isinstance(again, DistributeEvent)
    assert len(again.events) == 1


async def test_reregistration_keeps_the_id_and_updates_the_data(world: World) -> None:
    party = await world.enrol()
    first = await party.register()
    await party.poll()
    await party.send(metadata())
    again = await party.register(registration_id=first.registration_id, ven_id="ven-a", report_only=True)
    assert again.registration_id == first.registration_id
    async with world.store.read() as tx:
        assert len(await tx.reports.offer("ven-a")) == 1
    assert (await row(party)).report_only


async def test_rule_400_wrong_ids_are_452_and_change_nothing(world: World) -> None:
    party = await world.enrol()
    first = await party.register()
    before = await row(party)
    for fields in (
        {"registration_id": "reg-wrong", "ven_id": "ven-a"},
        {"registration_id": first.registration_id},
        {"ven_id": "ven-b"},
        {"registration_id": first.registration_id, "ven_id": "ven-b"},
    ):
        reply = await party.register(**fields)
        assert (reply.response.response_code, reply.registration_id) == (452, None), fields
    assert await row(party) == before


async def test_a_registration_id_before_any_registration_is_452(world: World) -> None:
    party = await world.enrol()
    reply = await party.register(registration_id="reg-1", ven_id="ven-a")
    assert reply.response.response_code == 452
    assert not (await row(party)).registered


async def test_rule_402_what_is_not_offered_is_refused_naming_the_element(world: World) -> None:
    party = await world.enrol()
    for fields, element in (
        ({"profile_name": "2.0a"}, "oadrProfileName"),
        ({"transport_name": "xmpp", "transport_address": "a@b"}, "oadrTransportName"),
        ({"http_pull_model": None}, "oadrHttpPullModel"),
        ({"http_pull_model": False, "transport_address": "https://ven.example/"}, "oadrHttpPullModel"),
        ({"xml_signature": True}, "oadrXmlSignature"),
    ):
        world.desk = replace(world.desk, signatures=SignaturePolicy.OFF)
        reply = await party.register(**fields)
        assert not reply.response.ok
        assert element in (reply.response.response_description or "")
    assert not (await row(party)).registered


async def test_rule_407_cancelling_erases_everything_about_the_ven(world: World) -> None:
    party = await world.enrol()
    created = await party.register()
    await party.send(metadata())
    wrong = await party.send(CancelPartyRegistration(request_id="req-c", registration_id="reg-9", ven_id="ven-a"))
    assert isinstance(wrong, CanceledPartyRegistration)
    assert wrong.response.response_code == 452
    assert created.registration_id is not None
    request = CancelPartyRegistration(request_id="req-c", registration_id=created.registration_id, ven_id="ven-a")
    reply = await party.send(request)
    assert isinstance(reply, CanceledPartyRegistration)
    assert (reply.response.response_code, reply.ven_id) == (200, "ven-a")
    async with world.store.read() as tx:
        assert await tx.reports.offer("ven-a") == ()
        assert await tx.queue.depth() == 0
    poll = await party.poll()
    assert isinstance(poll, Response)
    assert poll.response.response_code == 463
    late = await party.send(replace(reply, response=EiResponse(request_id="req-x")))
    assert isinstance(late, Response)
    assert late.response.ok  # its answer arrives when it is no longer registered
    assert (await party.register()).response.ok


async def test_a_certificate_nobody_enrolled_gets_463_and_no_ids(world: World) -> None:
    stranger = Party(world, "ven-x", "00:11:22:33:44:55:66:77:88:99")
    reply = await stranger.send(CreatePartyRegistration(request_id="req-1"))
    assert isinstance(reply, CreatedPartyRegistration)
    assert (reply.response.response_code, reply.registration_id, reply.ven_id) == (463, None, None)
