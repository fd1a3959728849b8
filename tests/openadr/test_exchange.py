"""The exchange tables against the profile: services, answers, and errors in the normal answer type."""

import pytest

from openadr import messages as m
from openadr import wire
from openadr.errors import ComplianceError, InvalidId, NotRegistered
from openadr.exchange import (
    PATH,
    SERVICE_OF,
    VEN_ACCEPTS,
    VTN_ACCEPTS,
    Service,
    allowed_replies,
    check_service,
    error_reply,
    error_reply_to,
    request_id_of,
    ven_id_of,
)
from openadr.messages import ROOTS, EiResponse, Message
from tests.openadr.wire.samples import SAMPLES

ERROR = InvalidId("venID is not ours", field="venID")


def test_rule_511_the_services_are_spelled_as_the_standard_spells_them() -> None:
    assert [str(service) for service in Service] == ["EiRegisterParty", "EiEvent", "EiReport", "EiOpt", "OadrPoll"]
    assert PATH.format(service=Service.OADR_POLL) == "/OpenADR2/Simple/2.0b/OadrPoll"


def test_every_root_has_a_service_and_a_place() -> None:
    roots = set(ROOTS.values())
    assert set(SERVICE_OF) == roots
    taken_by_vtn = set().union(*VTN_ACCEPTS.values())
    answers_of_vtn = {reply for kind in roots for reply in allowed_replies(kind)}
    assert taken_by_vtn | VEN_ACCEPTS | answers_of_vtn == roots


def test_rule_500_poll_only_on_its_path_and_only_at_the_vtn() -> None:
    assert [service for service in Service if m.Poll in VTN_ACCEPTS[service]] == [Service.OADR_POLL]
    assert m.Poll not in VEN_ACCEPTS


def test_answers_a_ven_posts_after_a_poll_are_taken_on_their_service() -> None:
    for kind in (m.CreatedReport, m.CanceledReport, m.RegisteredReport, m.UpdatedReport):
        assert kind in VTN_ACCEPTS[Service.EI_REPORT]
        assert allowed_replies(kind) == {m.Response}
    assert m.CanceledPartyRegistration in VTN_ACCEPTS[Service.EI_REGISTER_PARTY]
    assert all(m.Response in kinds for kinds in VTN_ACCEPTS.values())


@pytest.mark.parametrize("kind", [m.RequestEvent, m.QueryRegistration, m.CreatePartyRegistration])
def test_rule_023_401_what_only_a_ven_sends_is_not_taken_by_one(kind: type[Message]) -> None:
    assert kind not in VEN_ACCEPTS


def test_the_answers_to_a_poll() -> None:
    assert allowed_replies(m.Poll) == VEN_ACCEPTS | {m.Response}
    assert len(allowed_replies(m.Poll)) == 8


@pytest.mark.parametrize(
    ("request_kind", "reply"),
    [
        (m.QueryRegistration, m.CreatedPartyRegistration),
        (m.CreatePartyRegistration, m.CreatedPartyRegistration),
        (m.CancelPartyRegistration, m.CanceledPartyRegistration),
        (m.RequestReregistration, m.Response),
        (m.RequestEvent, m.DistributeEvent),
        (m.CreatedEvent, m.Response),
        (m.CreateOpt, m.CreatedOpt),
        (m.CancelOpt, m.CanceledOpt),
        (m.RegisterReport, m.RegisteredReport),
        (m.CreateReport, m.CreatedReport),
        (m.UpdateReport, m.UpdatedReport),
        (m.CancelReport, m.CanceledReport),
    ],
)
def test_section_1_3_the_normal_answers(request_kind: type[Message], reply: type[Message]) -> None:
    assert allowed_replies(request_kind) == {reply}


@pytest.mark.parametrize("name", SAMPLES)
def test_rule_033_048_an_error_is_the_normal_answer_with_its_code_and_schema_valid(name: str) -> None:
    request = SAMPLES[name]
    reply = error_reply(request, ERROR, vtn_id="VTN-1", ven_id="ven-1")
    assert wire.decode(wire.encode(reply)) == reply
    response = getattr(reply, "response", None)
    assert isinstance(response, EiResponse)
    assert (response.response_code, response.response_description) == (452, "venID is not ours")
    assert response.request_id == request_id_of(request)
    if not isinstance(request, m.DistributeEvent):
        assert type(reply) in allowed_replies(type(request))


def test_an_error_of_a_whole_event_payload_is_a_created_event_without_responses() -> None:
    reply = error_reply(SAMPLES["oadrDistributeEvent"], ERROR, vtn_id="VTN-1", ven_id="ven-1")
    assert reply == m.CreatedEvent(
        response=EiResponse(request_id="req-9", response_code=452, response_description="venID is not ours"),
        ven_id="ven-1",
    )


def test_rule_404_a_refused_registration_names_no_ids() -> None:
    reply = error_reply(m.CreatePartyRegistration(request_id="r"), NotRegistered("unknown certificate"), vtn_id="V")
    data = wire.encode(reply)
    assert b"registrationID" not in data
    assert b"venID" not in data
    assert isinstance(reply, m.CreatedPartyRegistration)
    assert (reply.response.response_code, reply.vtn_id) == (463, "V")


def test_the_opt_id_is_echoed() -> None:
    reply = error_reply(SAMPLES["oadrCreateOpt-event"], ERROR, vtn_id="V")
    assert isinstance(reply, m.CreatedOpt)
    assert reply.opt_id == "opt-2"
    cancelled = error_reply_to(m.CancelOpt, ERROR, request_id="r", vtn_id="V")
    assert isinstance(cancelled, m.CanceledOpt)
    assert cancelled.opt_id is None


def test_rule_041_a_distribute_event_has_an_outer_request_id_even_for_an_empty_one() -> None:
    reply = error_reply_to(m.RequestEvent, ERROR, request_id="", vtn_id="V")
    assert isinstance(reply, m.DistributeEvent)
    assert reply.request_id == "0"
    assert reply.response == EiResponse(request_id="", response_code=452, response_description="venID is not ours")


@pytest.mark.parametrize(
    ("message", "request_id", "ven_id"),
    [
        (m.Poll(ven_id="v"), "", "v"),
        (m.RequestReregistration(ven_id=""), "", None),
        (m.QueryRegistration(request_id="r"), "r", None),
        (m.DistributeEvent(request_id="r", vtn_id="V", response=EiResponse(request_id="q")), "r", None),
        (m.CreatedEvent(response=EiResponse(request_id="q"), ven_id="v"), "q", "v"),
        (m.CreatedOpt(response=EiResponse(request_id="q"), opt_id="o"), "q", None),
        (m.CancelReport(request_id="r", report_request_ids=("a",), ven_id="v"), "r", "v"),
    ],
)
def test_rule_303_508_request_id_and_ven_id_of_a_message(message: Message, request_id: str, ven_id: str | None) -> None:
    assert request_id_of(message) == request_id
    assert ven_id_of(message) == ven_id


def test_rule_033_a_payload_of_another_service_is_459() -> None:
    check_service(m.Poll, Service.OADR_POLL)
    check_service(m.Response, Service.EI_REPORT)
    with pytest.raises(ComplianceError, match="oadrPoll does not belong to the service EiEvent"):
        check_service(m.Poll, Service.EI_EVENT)
    with pytest.raises(ComplianceError):
        check_service(m.DistributeEvent, Service.EI_EVENT)
