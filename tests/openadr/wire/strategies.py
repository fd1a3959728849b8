"""Hypothesis strategies for every message: whatever our dataclasses can hold and the standard can carry."""

from datetime import UTC, datetime, timedelta
from typing import TypeVar

from hypothesis import strategies as st

from openadr import messages as m
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
    OptReason,
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
    SignalName,
    SignalType,
    SpecifierPayload,
)
from openadr.times import Duration
from openadr.wire.units import CURRENCY, POWER, SCALES, UNITS

CENTURY_S = 100 * 366 * 86_400
UNSIGNED = st.integers(0, 2**32 - 1)

_legal = st.characters(
    codec="utf-8",
    exclude_characters=[*(chr(n) for n in range(32) if n not in (9, 10, 13)), "\ufffe", "\uffff"],
)
text = st.text(_legal, max_size=12)
filled = st.text(_legal, min_size=1, max_size=12)  # an optional element that is empty is absent
maybe_text = st.none() | filled
extension = st.from_regex(r"x-[A-Za-z0-9_.]{1,8}", fullmatch=True)
context = st.from_regex(r"http://[a-z]{1,8}\.example/[a-z0-9/]{0,8}", fullmatch=True)
_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_SECONDS = int((datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - _FIRST).total_seconds())
instants = st.integers(0, _SECONDS).map(lambda seconds: _FIRST + timedelta(seconds=seconds))
durations = st.builds(Duration, months=st.integers(0, 1200), seconds=st.integers(0, CENTURY_S))
signed_durations = durations | durations.map(lambda one: Duration(months=-one.months, seconds=-one.seconds))
numbers = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.integers(-10_000_000, 10_000_000).map(lambda value: value / 1000)


T = TypeVar("T")


def several(one: st.SearchStrategy[T], least: int = 0, most: int = 3) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(one, min_size=least, max_size=most).map(tuple)


areas = several(
    st.lists(st.integers(-90, 90).map(str), min_size=1, max_size=6).map(" ".join),
    most=2,
)

targets = st.builds(
    EiTarget,
    aggregated_pnodes=several(text, most=1),
    end_device_assets=several(text, most=2),
    meter_assets=several(text, most=1),
    pnodes=several(text, most=1),
    service_areas=areas,
    service_delivery_points=several(text, most=1),
    service_locations=areas,
    transport_interfaces=several(st.tuples(text, text), most=1),
    group_ids=several(text, most=2),
    group_names=several(text, most=1),
    resource_ids=several(text, most=2),
    ven_ids=several(text, most=2),
    party_ids=several(text, most=1),
)
maybe_targets = st.none() | targets.filter(lambda target: target != EiTarget())


def _unit(kind: str) -> st.SearchStrategy[ItemBase]:
    unit = UNITS[kind]
    free = kind == "customUnit"
    return st.builds(
        ItemBase,
        kind=st.just(kind),
        item_description=text if free else st.just(unit.description),
        item_units=text if free else st.sampled_from(["EUR", "USD"] if kind in CURRENCY else sorted(unit.units)),
        si_scale_code=st.just("none") if kind == "pulseCount" else st.sampled_from(sorted(SCALES)),
        hertz=decimals if kind in POWER else st.none(),
        voltage=decimals if kind in POWER else st.none(),
        ac=st.booleans() if kind in POWER else st.none(),
        pulse_factor=numbers if kind == "pulseCount" else st.none(),
    )


units = st.sampled_from(sorted(UNITS)).flatmap(_unit)
responses = st.builds(m.EiResponse, request_id=text, response_code=st.integers(0, 999), response_description=maybe_text)
intervals = several(
    st.builds(
        Interval,
        duration=durations,
        uid=st.integers(0, 10**9),
        value=numbers,
        dtstart=st.none() | instants,
    ),
    least=1,
)
signals = st.builds(
    Signal,
    signal_name=st.sampled_from([str(name) for name in SignalName]) | extension,
    signal_type=st.sampled_from(SignalType),
    signal_id=text,
    intervals=intervals,
    target=maybe_targets,
    item_base=st.none() | units,
    current_value=st.none() | numbers,
)
baselines = st.builds(
    Baseline,
    dtstart=instants,
    duration=durations,
    intervals=intervals,
    baseline_id=text,
    baseline_name=text,
    resource_ids=several(text),
    item_base=st.none() | units,
)
events = st.builds(
    Event,
    descriptor=st.builds(
        EventDescriptor,
        event_id=text,
        modification_number=UNSIGNED,
        market_context=context,
        created_date_time=instants,
        event_status=st.sampled_from(EventStatus),
        priority=UNSIGNED,
        modification_date_time=st.none() | instants,
        modification_reason=maybe_text,
        test_event=maybe_text,
        vtn_comment=maybe_text,
    ),
    active_period=st.builds(
        ActivePeriod,
        dtstart=instants,
        duration=durations,
        startafter=st.none() | durations,
        notification=durations,
        ramp_up=st.none() | signed_durations,
        recovery=st.none() | signed_durations,
    ),
    signals=several(signals, least=1, most=2),
    target=targets,
    baseline=st.none() | baselines,
    response_required=st.sampled_from(ResponseRequired),
)
loads = st.none() | st.builds(
    LoadControlValue,
    current=numbers,
    minimum=st.none() | numbers,
    maximum=st.none() | numbers,
    normal=st.none() | numbers,
)
statuses = st.builds(
    ResourceStatus,
    online=st.booleans(),
    manual_override=st.booleans(),
    load_control_state=st.none()
    | st.builds(LoadControlState, capacity=loads, level_offset=loads, percent_offset=loads, set_point=loads),
)
payloads = st.builds(
    ReportPayload,
    r_id=text,
    value=numbers | statuses,
    confidence=st.none() | st.integers(0, 100),
    accuracy=st.none() | numbers,
    data_quality=st.sampled_from([None, "No Quality - No Value", "Quality Limit - Field/High", "x-mine"]),
)
descriptions = st.builds(
    ReportDescription,
    r_id=text,
    report_type=st.sampled_from(["usage", "x-resourceStatus"]) | extension,
    reading_type=st.sampled_from(["Direct Read", "x-notApplicable"]) | extension,
    report_subject=maybe_targets,
    report_data_source=maybe_targets,
    item_base=st.none() | units,
    market_context=st.none() | context,
    sampling_rate=st.none()
    | st.builds(SamplingRate, min_period=durations, max_period=durations, on_change=st.booleans()),
)
reports = st.builds(
    Report,
    report_request_id=text,
    report_specifier_id=text,
    created_date_time=instants,
    report_name=st.sampled_from([None, "TELEMETRY_USAGE", "METADATA_HISTORY_USAGE"]) | extension,
    dtstart=st.none() | instants,
    duration=st.none() | durations,
    intervals=several(
        st.builds(
            ReportInterval,
            payloads=several(payloads, least=1),
            dtstart=st.none() | instants,
            duration=st.none() | durations,
            uid=st.none() | st.integers(0, 10**9),
        )
    ),
    descriptions=several(descriptions, most=2),
)


def _specifier(timed: bool) -> st.SearchStrategy[ReportSpecifier]:
    return st.builds(
        ReportSpecifier,
        report_specifier_id=text,
        granularity=durations,
        report_back_duration=durations,
        payloads=several(
            st.builds(
                SpecifierPayload,
                r_id=text,
                reading_type=st.just("x-notApplicable") | extension,
                item_base=st.none() | units,
            ),
            least=1,
        ),
        interval_start=instants if timed else st.none(),
        interval_duration=durations if timed else st.none(),
    )


requests = st.builds(ReportRequest, report_request_id=text, specifier=st.booleans().flatmap(_specifier))
cancel_reports = st.builds(
    m.CancelReport,
    request_id=text,
    report_request_ids=several(text, least=1),
    report_to_follow=st.booleans(),
    ven_id=maybe_text,
)


def _infos(name: st.SearchStrategy[str], least: int) -> st.SearchStrategy[tuple[NamedInfo, ...] | None]:
    entry = st.builds(NamedInfo, name=name, infos=several(st.builds(KeyValue, key=text, value=text), least=least))
    return st.none() | several(entry, least=1)


MESSAGES: dict[type[m.Message], st.SearchStrategy[m.Message]] = {
    m.QueryRegistration: st.builds(m.QueryRegistration, request_id=text),
    m.CreatePartyRegistration: st.builds(
        m.CreatePartyRegistration,
        request_id=text,
        profile_name=st.sampled_from(["2.0a", "2.0b"]),
        transport_name=st.sampled_from(["simpleHttp", "xmpp"]),
        transport_address=maybe_text,
        report_only=st.booleans(),
        xml_signature=st.booleans(),
        ven_name=maybe_text,
        http_pull_model=st.sampled_from([None, True, False]),
        registration_id=maybe_text,
        ven_id=maybe_text,
    ),
    m.CreatedPartyRegistration: st.builds(
        m.CreatedPartyRegistration,
        response=responses,
        vtn_id=text,
        profiles=several(
            st.builds(
                Profile,
                profile_name=st.sampled_from(["2.0a", "2.0b"]),
                transports=several(st.sampled_from(["simpleHttp", "xmpp"]), least=1),
            ),
            least=1,
        ),
        registration_id=maybe_text,
        ven_id=maybe_text,
        requested_poll_freq=st.none() | durations,
        service_specific_info=_infos(st.sampled_from(["EiEvent", "OadrPoll"]), 1),
        extensions=_infos(text, 0),
    ),
    m.CancelPartyRegistration: st.builds(
        m.CancelPartyRegistration, request_id=text, registration_id=text, ven_id=maybe_text
    ),
    m.CanceledPartyRegistration: st.builds(
        m.CanceledPartyRegistration, response=responses, registration_id=maybe_text, ven_id=maybe_text
    ),
    m.RequestReregistration: st.builds(m.RequestReregistration, ven_id=text),
    m.Poll: st.builds(m.Poll, ven_id=text),
    m.Response: st.builds(m.Response, response=responses, ven_id=maybe_text),
    m.RequestEvent: st.builds(m.RequestEvent, request_id=text, ven_id=text, reply_limit=st.none() | UNSIGNED),
    m.DistributeEvent: st.builds(
        m.DistributeEvent,
        request_id=text,
        vtn_id=text,
        events=several(events, most=2),
        response=st.none() | responses,
    ),
    m.CreatedEvent: st.builds(
        m.CreatedEvent,
        response=responses,
        ven_id=text,
        event_responses=several(
            st.builds(
                m.EventResponse,
                request_id=text,
                event_id=text,
                modification_number=UNSIGNED,
                opt_type=st.sampled_from(OptType),
                response_code=st.integers(0, 999),
                response_description=maybe_text,
            )
        ),
    ),
    m.CreateOpt: st.builds(
        m.CreateOpt,
        opt_id=text,
        opt_type=st.sampled_from(OptType),
        opt_reason=st.sampled_from([str(reason) for reason in OptReason]) | extension,
        ven_id=text,
        created_date_time=instants,
        request_id=text,
        market_context=st.none() | context,
        vavailability=st.none() | several(st.builds(Availability, dtstart=instants, duration=durations)),
        qualified_event_id=st.none() | st.builds(QualifiedEventId, event_id=text, modification_number=UNSIGNED),
        target=targets,
        device_class=maybe_targets,
    ),
    m.CreatedOpt: st.builds(m.CreatedOpt, response=responses, opt_id=text),
    m.CancelOpt: st.builds(m.CancelOpt, request_id=text, opt_id=text, ven_id=text),
    m.CanceledOpt: st.builds(m.CanceledOpt, response=responses, opt_id=maybe_text),
    m.RegisterReport: st.builds(
        m.RegisterReport,
        request_id=text,
        reports=several(reports, most=2),
        ven_id=maybe_text,
        report_request_id=maybe_text,
    ),
    m.RegisteredReport: st.builds(
        m.RegisteredReport, response=responses, report_requests=several(requests), ven_id=maybe_text
    ),
    m.CreateReport: st.builds(
        m.CreateReport, request_id=text, report_requests=several(requests, least=1), ven_id=maybe_text
    ),
    m.CreatedReport: st.builds(m.CreatedReport, response=responses, pending_reports=several(text), ven_id=maybe_text),
    m.CancelReport: cancel_reports,
    m.CanceledReport: st.builds(m.CanceledReport, response=responses, pending_reports=several(text), ven_id=maybe_text),
    m.UpdateReport: st.builds(m.UpdateReport, request_id=text, reports=several(reports, most=2), ven_id=maybe_text),
    m.UpdatedReport: st.builds(
        m.UpdatedReport, response=responses, cancel_report=st.none() | cancel_reports, ven_id=maybe_text
    ),
}
