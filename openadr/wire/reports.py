"""EiReport on the wire: the eight report payloads. The report itself is in ``report_data``.

Rule: oadrPendingReports is always written, even empty; eiReportID is neither written nor read (R339).
"""

from openadr.messages import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    RegisteredReport,
    RegisterReport,
    UpdatedReport,
    UpdateReport,
)
from openadr.model import ReportRequest, ReportSpecifier, SpecifierPayload
from openadr.times import ZERO
from openadr.wire.common import (
    PROPERTIES,
    R_ID,
    REPORT_REQUEST_ID,
    REQUEST_ID,
    RESPONSE,
    VEN_ID,
    read_response,
    write_response,
)
from openadr.wire.report_data import READING_TYPE, REPORT, REPORT_SPECIFIER_ID, read_report, write_report
from openadr.wire.units import read_item_base, write_item_base
from openadr.wire.xml import DURATION, Reader, Tag, write_dtstart

_REPORT_REQUEST, _SPECIFIER = Tag("oadr:oadrReportRequest"), Tag("ei:reportSpecifier")
_GRANULARITY, _REPORT_BACK = Tag("xcal:granularity"), Tag("ei:reportBackDuration")
_REPORT_INTERVAL, _SPECIFIER_PAYLOAD = Tag("ei:reportInterval"), Tag("ei:specifierPayload")
_PENDING, _TO_FOLLOW = Tag("oadr:oadrPendingReports"), Tag("pyld:reportToFollow")
_CANCEL_REPORT = Tag("oadr:oadrCancelReport")


def encode_register_report(message: RegisterReport) -> str:
    """Write the inside of oadrRegisterReport."""
    return "".join(
        (
            REQUEST_ID.text(message.request_id),
            *map(write_report, message.reports),
            VEN_ID.maybe(message.ven_id),
            REPORT_REQUEST_ID.maybe(message.report_request_id),
        )
    )


def decode_register_report(root: Reader) -> RegisterReport:
    """Read oadrRegisterReport."""
    return RegisterReport(
        request_id=root.text(REQUEST_ID),
        reports=tuple(map(read_report, root.each(REPORT))),
        ven_id=root.maybe(VEN_ID),
        report_request_id=root.maybe(REPORT_REQUEST_ID),
    )


def encode_registered_report(message: RegisteredReport) -> str:
    """Write the inside of oadrRegisteredReport."""
    requests = "".join(map(_write_request, message.report_requests))
    return write_response(message.response) + requests + VEN_ID.maybe(message.ven_id)


def decode_registered_report(root: Reader) -> RegisteredReport:
    """Read oadrRegisteredReport."""
    return RegisteredReport(
        response=read_response(root.inside(RESPONSE)),
        report_requests=tuple(map(_read_request, root.each(_REPORT_REQUEST))),
        ven_id=root.maybe(VEN_ID),
    )


def encode_create_report(message: CreateReport) -> str:
    """Write the inside of oadrCreateReport."""
    requests = "".join(map(_write_request, message.report_requests))
    return REQUEST_ID.text(message.request_id) + requests + VEN_ID.maybe(message.ven_id)


def decode_create_report(root: Reader) -> CreateReport:
    """Read oadrCreateReport."""
    return CreateReport(
        request_id=root.text(REQUEST_ID),
        report_requests=tuple(map(_read_request, root.each(_REPORT_REQUEST))),
        ven_id=root.maybe(VEN_ID),
    )


def encode_created_report(message: CreatedReport) -> str:
    """Write the inside of oadrCreatedReport."""
    pending = _PENDING(REPORT_REQUEST_ID.texts(message.pending_reports))
    return write_response(message.response) + pending + VEN_ID.maybe(message.ven_id)


def decode_created_report(root: Reader) -> CreatedReport:
    """Read oadrCreatedReport."""
    return CreatedReport(
        response=read_response(root.inside(RESPONSE)),
        pending_reports=root.inside(_PENDING).texts(REPORT_REQUEST_ID),
        ven_id=root.maybe(VEN_ID),
    )


def encode_cancel_report(message: CancelReport) -> str:
    """Write the inside of oadrCancelReport."""
    return "".join(
        (
            REQUEST_ID.text(message.request_id),
            REPORT_REQUEST_ID.texts(message.report_request_ids),
            _TO_FOLLOW.flag(message.report_to_follow),
            VEN_ID.maybe(message.ven_id),
        )
    )


def decode_cancel_report(root: Reader) -> CancelReport:
    """Read oadrCancelReport."""
    return CancelReport(
        request_id=root.text(REQUEST_ID),
        report_request_ids=root.texts(REPORT_REQUEST_ID),
        report_to_follow=root.flag(_TO_FOLLOW),
        ven_id=root.maybe(VEN_ID),
    )


def encode_canceled_report(message: CanceledReport) -> str:
    """Write the inside of oadrCanceledReport."""
    pending = _PENDING(REPORT_REQUEST_ID.texts(message.pending_reports))
    return write_response(message.response) + pending + VEN_ID.maybe(message.ven_id)


def decode_canceled_report(root: Reader) -> CanceledReport:
    """Read oadrCanceledReport."""
    return CanceledReport(
        response=read_response(root.inside(RESPONSE)),
        pending_reports=root.inside(_PENDING).texts(REPORT_REQUEST_ID),
        ven_id=root.maybe(VEN_ID),
    )


def encode_update_report(message: UpdateReport) -> str:
    """Write the inside of oadrUpdateReport."""
    reports = "".join(map(write_report, message.reports))
    return REQUEST_ID.text(message.request_id) + reports + VEN_ID.maybe(message.ven_id)


def decode_update_report(root: Reader) -> UpdateReport:
    """Read oadrUpdateReport."""
    return UpdateReport(
        request_id=root.text(REQUEST_ID),
        reports=tuple(map(read_report, root.each(REPORT))),
        ven_id=root.maybe(VEN_ID),
    )


def encode_updated_report(message: UpdatedReport) -> str:
    """Write the inside of oadrUpdatedReport."""
    cancel = message.cancel_report
    inner = "" if cancel is None else _CANCEL_REPORT(encode_cancel_report(cancel))
    return write_response(message.response) + inner + VEN_ID.maybe(message.ven_id)


def decode_updated_report(root: Reader) -> UpdatedReport:
    """Read oadrUpdatedReport."""
    cancel = root.maybe_inside(_CANCEL_REPORT)
    return UpdatedReport(
        response=read_response(root.inside(RESPONSE)),
        cancel_report=None if cancel is None else decode_cancel_report(cancel),
        ven_id=root.maybe(VEN_ID),
    )


def _write_request(request: ReportRequest) -> str:
    specifier = request.specifier
    return _REPORT_REQUEST(
        REPORT_REQUEST_ID.text(request.report_request_id),
        _SPECIFIER(
            REPORT_SPECIFIER_ID.text(specifier.report_specifier_id),
            _GRANULARITY.duration(specifier.granularity),
            _REPORT_BACK.duration(specifier.report_back_duration),
            _write_report_interval(specifier),
            *map(_write_specifier_payload, specifier.payloads),
        ),
    )


def _read_request(reader: Reader) -> ReportRequest:
    specifier = reader.inside(_SPECIFIER)
    interval = specifier.maybe_inside(_REPORT_INTERVAL)
    properties = None if interval is None else interval.inside(PROPERTIES)
    return ReportRequest(
        report_request_id=reader.text(REPORT_REQUEST_ID),
        specifier=ReportSpecifier(
            report_specifier_id=specifier.text(REPORT_SPECIFIER_ID),
            granularity=specifier.duration(_GRANULARITY),
            report_back_duration=specifier.duration(_REPORT_BACK),
            payloads=tuple(map(_read_specifier_payload, specifier.each(_SPECIFIER_PAYLOAD))),
            interval_start=None if properties is None else properties.dtstart(),
            interval_duration=None if properties is None else properties.duration(DURATION),
        ),
    )


def _write_report_interval(specifier: ReportSpecifier) -> str:
    """Write ei:reportInterval; a start without duration means for ever, duration zero (R325)."""
    if specifier.interval_start is None:
        return ""
    return _REPORT_INTERVAL(
        PROPERTIES(write_dtstart(specifier.interval_start), DURATION.duration(specifier.interval_duration or ZERO))
    )


def _write_specifier_payload(payload: SpecifierPayload) -> str:
    return _SPECIFIER_PAYLOAD(
        R_ID.text(payload.r_id), write_item_base(payload.item_base), READING_TYPE.text(payload.reading_type)
    )


def _read_specifier_payload(reader: Reader) -> SpecifierPayload:
    return SpecifierPayload(
        r_id=reader.text(R_ID), item_base=read_item_base(reader.element), reading_type=reader.token(READING_TYPE)
    )
