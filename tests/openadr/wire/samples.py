"""One message or more for each of the 23 roots, using every element our messages can carry; golden files show them."""

from datetime import UTC, datetime

from openadr import messages as m
from openadr.messages import EiResponse, Message
from openadr.model import (
    ActivePeriod,
    Availability,
    Baseline,
    EiTarget,
    Event,
    EventDescriptor,
    EventStatus,
    Interval,
    ItemBase,
    KeyValue,
    LoadControlState,
    LoadControlValue,
    NamedInfo,
    OptType,
    Profile,
    QualifiedEventId,
    Report,
    ReportDescription,
    ReportInterval,
    ReportPayload,
    ReportRequest,
    ReportSpecifier,
    ResourceStatus,
    ResponseRequired,
    SamplingRate,
    Signal,
    SignalType,
    SpecifierPayload,
    energy_real,
    power_real,
)
from openadr.times import Duration

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
START = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
CONTEXT = "http://programmes.example/ev-peak"
OK = EiResponse(request_id="req-1", response_description="OK")
QUARTER = Duration(seconds=900)
HOUR = Duration(seconds=3600)

ALL_TARGETS = EiTarget(
    aggregated_pnodes=("apn-1",),
    end_device_assets=("EVSE", "Electric_Vehicle"),
    meter_assets=("meter-1",),
    pnodes=("pn-1", "pn-2"),
    service_areas=("52.0 5.0 52.1 5.0 52.1 5.1 52.0 5.0", "1 2 3 4"),
    service_delivery_points=("sdp-1",),
    service_locations=("51.0 4.0 51.1 4.0",),
    transport_interfaces=(("in-1", "out-1"),),
    group_ids=("group-1",),
    group_names=("Depot north",),
    resource_ids=("charger-1", "charger-2"),
    ven_ids=("ven-1",),
    party_ids=("party-1",),
)


def intervals(*values: float, each: Duration = QUARTER) -> tuple[Interval, ...]:
    return tuple(Interval(duration=each, uid=uid, value=value) for uid, value in enumerate(values))


SIMPLE_EVENT = Event(
    descriptor=EventDescriptor(
        event_id="event-1",
        modification_number=0,
        market_context=CONTEXT,
        created_date_time=NOW,
        event_status=EventStatus.FAR,
    ),
    active_period=ActivePeriod(dtstart=START, duration=HOUR),
    signals=(
        Signal(
            signal_name="SIMPLE",
            signal_type=SignalType.LEVEL,
            signal_id="signal-1",
            intervals=intervals(1.0, each=HOUR),
            current_value=0.0,
        ),
    ),
)

FULL_EVENT = Event(
    descriptor=EventDescriptor(
        event_id="event-2",
        modification_number=3,
        modification_date_time=NOW,
        modification_reason="grid operator asked for more",
        priority=1,
        market_context=CONTEXT,
        created_date_time=NOW,
        event_status=EventStatus.NEAR,
        test_event="false",
        vtn_comment='Peak <& evening> "load"\r\nsecond line',
    ),
    active_period=ActivePeriod(
        dtstart=START,
        duration=HOUR,
        startafter=Duration(seconds=300),
        notification=Duration(seconds=86_400),
        ramp_up=Duration(seconds=600),
        recovery=Duration(seconds=-300),
    ),
    signals=(
        Signal(
            signal_name="LOAD_CONTROL",
            signal_type=SignalType.LOAD_CONTROL_CAPACITY,
            signal_id="signal-1",
            intervals=intervals(1.0, 0.5, 0.25, 0.75),
            target=EiTarget(end_device_assets=("EVSE",)),
            current_value=1.0,
        ),
        Signal(
            signal_name="LOAD_DISPATCH",
            signal_type=SignalType.SETPOINT,
            signal_id="signal-2",
            intervals=intervals(-11.5, 1e-07, each=Duration(seconds=1800)),
            item_base=power_real(scale="k"),
        ),
        Signal(
            signal_name="ELECTRICITY_PRICE",
            signal_type=SignalType.PRICE,
            signal_id="signal-3",
            intervals=intervals(0.31, each=HOUR),
            item_base=ItemBase(kind="currencyPerKWh", item_description="currencyPerKWh", item_units="EUR"),
        ),
    ),
    target=ALL_TARGETS,
    baseline=Baseline(
        dtstart=START,
        duration=HOUR,
        intervals=intervals(40.0, 41.0, 42.0, 43.0),
        baseline_id="baseline-1",
        baseline_name="mean of five days",
        resource_ids=("charger-1", "charger-2"),
        item_base=energy_real(scale="k"),
    ),
    response_required=ResponseRequired.NEVER,
)

USAGE = ReportDescription(
    r_id="usage-1",
    report_subject=EiTarget(end_device_assets=("EVSE",)),
    report_data_source=EiTarget(resource_ids=("charger-1",)),
    report_type="usage",
    reading_type="Direct Read",
    item_base=power_real(),
    market_context=CONTEXT,
    sampling_rate=SamplingRate(min_period=Duration(seconds=60), max_period=QUARTER, on_change=True),
)
METADATA = (
    Report(
        report_request_id="0",
        report_specifier_id="telemetry-usage",
        report_name="METADATA_TELEMETRY_USAGE",
        created_date_time=NOW,
        duration=HOUR,
        descriptions=(
            USAGE,
            ReportDescription(
                r_id="pulse-1",
                report_type="usage",
                reading_type="Direct Read",
                item_base=ItemBase(
                    kind="pulseCount", item_description="pulse count", item_units="count", pulse_factor=0.5
                ),
            ),
        ),
    ),
    Report(
        report_request_id="0",
        report_specifier_id="telemetry-status",
        report_name="METADATA_TELEMETRY_STATUS",
        created_date_time=NOW,
        duration=HOUR,
        descriptions=(
            ReportDescription(r_id="status-1", report_type="x-resourceStatus", reading_type="x-notApplicable"),
        ),
    ),
)
STATUS = ResourceStatus(
    online=True,
    manual_override=False,
    load_control_state=LoadControlState(
        capacity=LoadControlValue(current=0.5, minimum=0.0, maximum=1.0, normal=1.0),
        level_offset=LoadControlValue(current=1.0),
        percent_offset=LoadControlValue(current=-5.0),
        set_point=LoadControlValue(current=21.5),
    ),
)
DATA = (
    Report(
        report_request_id="rr-1",
        report_specifier_id="telemetry-usage",
        report_name="TELEMETRY_USAGE",
        created_date_time=NOW,
        dtstart=START,
        duration=HOUR,
        intervals=(
            ReportInterval(
                dtstart=START,
                duration=QUARTER,
                uid=0,
                payloads=(
                    ReportPayload(r_id="usage-1", value=7.4),
                    ReportPayload(
                        r_id="pulse-1",
                        value=12.0,
                        confidence=95,
                        accuracy=0.5,
                        data_quality="Quality Good - Non Specific",
                    ),
                ),
            ),
            ReportInterval(uid=1, payloads=(ReportPayload(r_id="usage-1", value=0.0, confidence=0),)),
        ),
    ),
    Report(
        report_request_id="rr-2",
        report_specifier_id="telemetry-status",
        report_name="TELEMETRY_STATUS",
        created_date_time=NOW,
        dtstart=START,
        intervals=(
            ReportInterval(dtstart=START, payloads=(ReportPayload(r_id="status-1", value=STATUS),)),
            ReportInterval(
                dtstart=START,
                payloads=(
                    ReportPayload(
                        r_id="status-2",
                        value=ResourceStatus(online=False, manual_override=True),
                        data_quality="No New Value - Previous Value Used",
                    ),
                ),
            ),
        ),
    ),
)
REQUESTS = (
    ReportRequest(
        report_request_id="rr-1",
        specifier=ReportSpecifier(
            report_specifier_id="telemetry-usage",
            granularity=Duration(seconds=60),
            report_back_duration=QUARTER,
            interval_start=START,
            interval_duration=Duration(),
            payloads=(SpecifierPayload(r_id="usage-1"), SpecifierPayload(r_id="usage-2", item_base=energy_real())),
        ),
    ),
    ReportRequest(
        report_request_id="rr-2",
        specifier=ReportSpecifier(
            report_specifier_id="METADATA",
            granularity=Duration(),
            report_back_duration=Duration(),
            payloads=(SpecifierPayload(r_id="0"),),
        ),
    ),
)
CANCEL_REPORT = m.CancelReport(
    request_id="req-1", report_request_ids=("rr-1", "rr-2"), report_to_follow=True, ven_id="ven-1"
)

SAMPLES: dict[str, Message] = {
    "oadrQueryRegistration": m.QueryRegistration(request_id="req-1"),
    "oadrCreatePartyRegistration": m.CreatePartyRegistration(request_id="req-1", ven_name="Depot"),
    "oadrCreatePartyRegistration-again-push": m.CreatePartyRegistration(
        request_id="req-1",
        registration_id="reg-1",
        ven_id="ven-1",
        transport_address="https://ven.example:8443/site1/",
        report_only=True,
        xml_signature=True,
        http_pull_model=False,
    ),
    "oadrCreatedPartyRegistration": m.CreatedPartyRegistration(
        response=OK,
        vtn_id="VTN-1",
        profiles=(
            Profile(profile_name="2.0a", transports=("simpleHttp",)),
            Profile(profile_name="2.0b", transports=("simpleHttp", "xmpp")),
        ),
        registration_id="reg-1",
        ven_id="ven-1",
        requested_poll_freq=Duration(seconds=10),
        service_specific_info=(NamedInfo(name="EiEvent", infos=(KeyValue(key="depth", value="10"),)),),
        extensions=(NamedInfo(name="x-empty"), NamedInfo(name="x-more", infos=(KeyValue(key="a", value=""),))),
    ),
    "oadrCreatedPartyRegistration-to-query": m.CreatedPartyRegistration(
        response=OK, vtn_id="VTN-1", profiles=(Profile(profile_name="2.0b", transports=("simpleHttp",)),)
    ),
    "oadrCancelPartyRegistration": m.CancelPartyRegistration(
        request_id="req-1", registration_id="reg-1", ven_id="ven-1"
    ),
    "oadrCanceledPartyRegistration": m.CanceledPartyRegistration(response=OK, registration_id="reg-1", ven_id="ven-1"),
    "oadrRequestReregistration": m.RequestReregistration(ven_id="ven-1"),
    "oadrPoll": m.Poll(ven_id="ven-1"),
    "oadrResponse": m.Response(response=EiResponse(request_id="", response_code=463), ven_id="ven-1"),
    "oadrRequestEvent": m.RequestEvent(request_id="req-1", ven_id="ven-1", reply_limit=5),
    "oadrDistributeEvent": m.DistributeEvent(
        request_id="req-9", vtn_id="VTN-1", events=(FULL_EVENT, SIMPLE_EVENT), response=OK
    ),
    "oadrDistributeEvent-none": m.DistributeEvent(request_id="req-9", vtn_id="VTN-1"),
    "oadrCreatedEvent": m.CreatedEvent(
        response=EiResponse(),
        ven_id="ven-1",
        event_responses=(
            m.EventResponse(request_id="req-9", event_id="event-2", modification_number=3, opt_type=OptType.OPT_IN),
            m.EventResponse(
                request_id="req-9",
                event_id="event-1",
                modification_number=0,
                opt_type=OptType.OPT_OUT,
                response_code=460,
                response_description="signal not supported",
            ),
        ),
    ),
    "oadrCreateOpt-schedule": m.CreateOpt(
        opt_id="opt-1",
        opt_type=OptType.OPT_OUT,
        opt_reason="x-maintenance",
        market_context=CONTEXT,
        ven_id="ven-1",
        vavailability=(
            Availability(dtstart=START, duration=HOUR),
            Availability(dtstart=START, duration=Duration()),
        ),
        created_date_time=NOW,
        request_id="req-1",
        target=EiTarget(resource_ids=("charger-1",), ven_ids=("ven-1",)),
        device_class=EiTarget(end_device_assets=("EVSE",)),
    ),
    "oadrCreateOpt-event": m.CreateOpt(
        opt_id="opt-2",
        opt_type=OptType.OPT_IN,
        opt_reason="participating",
        ven_id="ven-1",
        created_date_time=NOW,
        request_id="req-1",
        qualified_event_id=QualifiedEventId(event_id="event-1", modification_number=0),
    ),
    "oadrCreatedOpt": m.CreatedOpt(response=OK, opt_id="opt-1"),
    "oadrCancelOpt": m.CancelOpt(request_id="req-1", opt_id="opt-1", ven_id="ven-1"),
    "oadrCanceledOpt": m.CanceledOpt(response=OK, opt_id="opt-1"),
    "oadrRegisterReport": m.RegisterReport(
        request_id="req-1", reports=METADATA, ven_id="ven-1", report_request_id="rr-9"
    ),
    "oadrRegisterReport-none": m.RegisterReport(request_id="req-1"),
    "oadrRegisteredReport": m.RegisteredReport(response=OK, report_requests=REQUESTS, ven_id="ven-1"),
    "oadrCreateReport": m.CreateReport(request_id="req-1", report_requests=REQUESTS, ven_id="ven-1"),
    "oadrCreatedReport": m.CreatedReport(response=OK, pending_reports=("rr-1", "rr-2"), ven_id="ven-1"),
    "oadrUpdateReport": m.UpdateReport(request_id="req-1", reports=DATA, ven_id="ven-1"),
    "oadrUpdatedReport": m.UpdatedReport(response=OK, cancel_report=CANCEL_REPORT, ven_id="ven-1"),
    "oadrCancelReport": CANCEL_REPORT,
    "oadrCanceledReport": m.CanceledReport(response=OK, pending_reports=()),
}
