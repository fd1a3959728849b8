"""Messages rendered by openleadr are read, and ours are read by openleadr (its own codec; no network here)."""

import re
from datetime import timedelta

import pytest
from openleadr import enums, messaging, objects

from openadr import messages as m
from openadr import wire
from openadr.errors import SchemaInvalid
from openadr.messages import EiResponse, Message
from openadr.model import (
    EiTarget,
    EventStatus,
    Interval,
    OptType,
    Profile,
    ReportInterval,
    ReportPayload,
    ReportSpecifier,
    ResponseRequired,
    SamplingRate,
    SignalType,
    SpecifierPayload,
    power_real,
)
from openadr.signals import check_event
from openadr.times import Duration
from tests.openadr.wire.samples import CONTEXT, HOUR, NOW, QUARTER, SAMPLES, START

OK = {"response_code": 200, "response_description": "OK", "request_id": "req-1"}
THEIR_OK = EiResponse(request_id="req-1", response_description="OK")


def theirs(kind: str, **payload: object) -> Message:
    return wire.decode(messaging.create_message(kind, **payload).encode())


@pytest.mark.parametrize(
    ("kind", "payload", "expected"),
    [
        ("oadrPoll", {"ven_id": "ven-1"}, m.Poll(ven_id="ven-1")),
        ("oadrQueryRegistration", {"request_id": "r"}, m.QueryRegistration(request_id="r")),
        ("oadrRequestReregistration", {"ven_id": "ven-1"}, m.RequestReregistration(ven_id="ven-1")),
        ("oadrRequestEvent", {"request_id": "r", "ven_id": "v"}, m.RequestEvent(request_id="r", ven_id="v")),
        ("oadrResponse", {"response": OK, "ven_id": "v"}, m.Response(response=THEIR_OK, ven_id="v")),
        (
            "oadrCancelPartyRegistration",
            {"request_id": "r", "registration_id": "reg", "ven_id": "v"},
            m.CancelPartyRegistration(request_id="r", registration_id="reg", ven_id="v"),
        ),
        (
            "oadrCanceledPartyRegistration",
            {"response": OK, "registration_id": "reg", "ven_id": "v"},
            m.CanceledPartyRegistration(response=THEIR_OK, registration_id="reg", ven_id="v"),
        ),
        (
            "oadrCreatedReport",
            {"response": OK, "pending_reports": [{"report_request_id": "a"}], "ven_id": "v"},
            m.CreatedReport(response=THEIR_OK, pending_reports=("a",), ven_id="v"),
        ),
        (
            "oadrCancelReport",
            {"request_id": "r", "report_request_id": "a", "report_to_follow": True, "ven_id": "v"},
            m.CancelReport(request_id="r", report_request_ids=("a",), report_to_follow=True, ven_id="v"),
        ),
        (
            "oadrUpdatedReport",
            {"response": OK, "ven_id": "v"},
            m.UpdatedReport(response=THEIR_OK, ven_id="v"),
        ),
        (
            "oadrCreatedOpt",
            {"response": OK, "opt_id": "o"},
            m.CreatedOpt(response=THEIR_OK, opt_id="o"),
        ),
        (
            "oadrCancelOpt",
            {"request_id": "r", "opt_id": "o", "ven_id": "v"},
            m.CancelOpt(request_id="r", opt_id="o", ven_id="v"),
        ),
    ],
)
def test_small_messages_of_openleadr(kind: str, payload: dict[str, object], expected: Message) -> None:
    assert theirs(kind, **payload) == expected


def test_registration_of_an_openleadr_ven() -> None:
    message = theirs(
        "oadrCreatePartyRegistration",
        request_id="r",
        ven_name="ven",
        http_pull_model=True,
        xml_signature=False,
        report_only=False,
        profile_name="2.0b",
        transport_name="simpleHttp",
        transport_address=None,
        ven_id=None,
        registration_id=None,
    )
    assert message == m.CreatePartyRegistration(request_id="r", ven_name="ven", transport_address="None")


def test_refused_registration_of_an_openleadr_vtn_has_empty_ids_that_are_absent() -> None:
    message = theirs(
        "oadrCreatedPartyRegistration",
        response=OK,
        registration_id="",
        ven_id="",
        vtn_id="VTN",
        profiles=[{"profile_name": "2.0b", "transports": [{"transport_name": "simpleHttp"}]}],
        requested_oadr_poll_freq=timedelta(seconds=10),
    )
    assert message == m.CreatedPartyRegistration(
        response=THEIR_OK,
        vtn_id="VTN",
        profiles=(Profile(profile_name="2.0b", transports=("simpleHttp",)),),
        requested_poll_freq=Duration(seconds=10),
    )


def their_event(duration: timedelta, **period: object) -> objects.Event:
    return objects.Event(
        event_descriptor=objects.EventDescriptor(
            event_id="event-1",
            modification_number=1,
            market_context=CONTEXT,
            event_status="near",
            created_date_time=NOW,
            modification_date_time=NOW,
            vtn_comment="peak",
        ),
        active_period=objects.ActivePeriod(dtstart=START, duration=duration, **period),
        event_signals=[
            objects.EventSignal(
                intervals=[objects.Interval(dtstart=START, duration=duration, signal_payload=2, uid=0)],
                signal_name="SIMPLE",
                signal_type="level",
                signal_id="signal-1",
                current_value=0,
            )
        ],
        targets=[objects.Target(resource_id="charger-1"), objects.Target(ven_id="ven-1")],
    )


def test_event_of_an_openleadr_vtn_with_dtstart_in_its_intervals() -> None:
    tolerance = {"startafter": timedelta(minutes=5)}
    message = theirs(
        "oadrDistributeEvent",
        request_id="r",
        vtn_id="VTN",
        response=OK,
        events=[their_event(timedelta(hours=1), tolerance=tolerance)],
    )
    assert isinstance(message, m.DistributeEvent)
    (event,) = message.events
    assert event.active_period.startafter == Duration(seconds=300)
    assert event.active_period.notification == Duration()
    assert event.signals[0].signal_type is SignalType.LEVEL
    assert event.signals[0].intervals == (Interval(duration=HOUR, uid=0, value=2.0, dtstart=START),)
    assert event.descriptor.event_status in EventStatus  # openleadr replaces ours by what its own clock says
    assert not event.descriptor.is_test
    assert event.target == EiTarget(resource_ids=("charger-1",), ven_ids=("ven-1",))
    assert event.response_required is ResponseRequired.ALWAYS
    check_event(event)


def test_open_ended_event_of_an_openleadr_vtn_has_the_duration_p() -> None:
    text = messaging.create_message(
        "oadrDistributeEvent", request_id="r", vtn_id="VTN", response=OK, events=[their_event(timedelta(0))]
    )
    assert "<xcal:duration>P</xcal:duration>" in text
    message = wire.decode(text.encode())
    assert isinstance(message, m.DistributeEvent)
    assert message.events[0].active_period.duration == Duration()
    check_event(message.events[0])


def test_event_of_an_openleadr_vtn_without_target_fails_the_schema() -> None:
    text = messaging.create_message(
        "oadrDistributeEvent", request_id="r", vtn_id="VTN", response=OK, events=[their_event(timedelta(hours=1))]
    )
    with pytest.raises(SchemaInvalid):
        wire.decode(re.sub("<ei:eiTarget>.*</ei:eiTarget>", "", text, flags=re.DOTALL).encode())


def test_created_event_of_an_openleadr_ven() -> None:
    message = theirs(
        "oadrCreatedEvent",
        response={"response_code": 200, "response_description": "OK", "request_id": ""},
        event_responses=[
            {
                "response_code": 200,
                "response_description": "OK",
                "request_id": "r",
                "event_id": "event-1",
                "modification_number": 1,
                "opt_type": "optIn",
            }
        ],
        ven_id="ven-1",
    )
    assert message == m.CreatedEvent(
        response=EiResponse(response_description="OK"),
        ven_id="ven-1",
        event_responses=(
            m.EventResponse(
                request_id="r",
                event_id="event-1",
                modification_number=1,
                opt_type=OptType.OPT_IN,
                response_description="OK",
            ),
        ),
    )


def test_report_registration_of_an_openleadr_ven() -> None:
    report = objects.Report(
        report_specifier_id="spec-1",
        report_name="METADATA_TELEMETRY_USAGE",
        duration=timedelta(hours=1),
        created_date_time=NOW,
        report_descriptions=[
            objects.ReportDescription(
                r_id="r-1",
                market_context=CONTEXT,
                reading_type="Direct Read",
                report_subject=None,
                report_data_source=objects.Target(resource_id="charger-1"),
                report_type="usage",
                sampling_rate=objects.SamplingRate(
                    min_period=timedelta(minutes=1), max_period=timedelta(minutes=15), on_change=False
                ),
                measurement=enums.MEASUREMENTS.POWER_REAL,
            )
        ],
    )
    message = theirs("oadrRegisterReport", request_id="r", reports=[report], ven_id="ven-1")
    assert isinstance(message, m.RegisterReport)
    (one,) = message.reports
    assert one.report_request_id == "0"
    assert one.duration == HOUR
    (description,) = one.descriptions
    assert description.item_base == power_real()
    assert description.report_data_source == EiTarget(resource_ids=("charger-1",))
    assert description.sampling_rate == SamplingRate(min_period=Duration(seconds=60), max_period=QUARTER)


def test_report_request_of_an_openleadr_vtn() -> None:
    message = theirs(
        "oadrRegisteredReport",
        response=OK,
        ven_id="ven-1",
        report_requests=[
            objects.ReportRequest(
                report_request_id="rr-1",
                report_specifier=objects.ReportSpecifier(
                    report_specifier_id="spec-1",
                    granularity=timedelta(minutes=1),
                    report_back_duration=timedelta(minutes=15),
                    specifier_payloads=[objects.SpecifierPayload(r_id="r-1", reading_type="Direct Read")],
                ),
            )
        ],
    )
    assert isinstance(message, m.RegisteredReport)
    assert message.report_requests[0].specifier == ReportSpecifier(
        report_specifier_id="spec-1",
        granularity=Duration(seconds=60),
        report_back_duration=QUARTER,
        payloads=(SpecifierPayload(r_id="r-1", reading_type="Direct Read"),),
    )


def test_report_data_of_an_openleadr_ven() -> None:
    report = objects.Report(
        report_specifier_id="spec-1",
        report_name="TELEMETRY_USAGE",
        report_request_id="rr-1",
        created_date_time=NOW,
        dtstart=START,
        intervals=[
            objects.ReportInterval(
                dtstart=START, duration=timedelta(0), report_payload=objects.ReportPayload(r_id="r-1", value=7.4)
            )
        ],
    )
    message = theirs("oadrUpdateReport", request_id="r", reports=[report], ven_id="ven-1")
    assert isinstance(message, m.UpdateReport)
    (one,) = message.reports
    assert one.report_name == "TELEMETRY_USAGE"
    assert one.intervals == (
        ReportInterval(dtstart=START, duration=Duration(), payloads=(ReportPayload(r_id="r-1", value=7.4),)),
    )


@pytest.mark.parametrize("name", SAMPLES)
def test_openleadr_validates_and_parses_what_we_send(name: str) -> None:
    data = wire.encode(SAMPLES[name])
    messaging.validate_xml_schema(data)
    kind, payload = messaging.parse_message(data)
    assert kind == wire.root_name(SAMPLES[name])
    assert isinstance(payload, dict)
