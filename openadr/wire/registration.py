"""EiRegisterParty on the wire: query, create, cancel and their answers, and the request to register again.

Rule: an empty registrationID or venID is absent; that is how some VTNs refuse a registration (R46, R404).
"""

from openadr.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    QueryRegistration,
    RequestReregistration,
)
from openadr.model import KeyValue, NamedInfo, Profile
from openadr.wire.common import REQUEST_ID, RESPONSE, VEN_ID, VTN_ID, read_response, write_response
from openadr.wire.xml import Reader, Tag

_REGISTRATION_ID = Tag("ei:registrationID")
_PROFILES, _PROFILE, _PROFILE_NAME = map(Tag, ("oadr:oadrProfiles", "oadr:oadrProfile", "oadr:oadrProfileName"))
_TRANSPORTS, _TRANSPORT = Tag("oadr:oadrTransports"), Tag("oadr:oadrTransport")
_TRANSPORT_NAME, _TRANSPORT_ADDRESS = Tag("oadr:oadrTransportName"), Tag("oadr:oadrTransportAddress")
_REPORT_ONLY, _XML_SIGNATURE = Tag("oadr:oadrReportOnly"), Tag("oadr:oadrXmlSignature")
_VEN_NAME, _PULL_MODEL = Tag("oadr:oadrVenName"), Tag("oadr:oadrHttpPullModel")
_POLL_FREQ, _SERVICES = Tag("oadr:oadrRequestedOadrPollFreq"), Tag("oadr:oadrServiceSpecificInfo")
_SERVICE, _SERVICE_NAME = Tag("oadr:oadrService"), Tag("oadr:oadrServiceName")
_EXTENSIONS, _EXTENSION, _EXTENSION_NAME = map(
    Tag, ("oadr:oadrExtensions", "oadr:oadrExtension", "oadr:oadrExtensionName")
)
_INFO, _KEY, _VALUE = map(Tag, ("oadr:oadrInfo", "oadr:oadrKey", "oadr:oadrValue"))


def encode_query_registration(message: QueryRegistration) -> str:
    """Write the inside of oadrQueryRegistration."""
    return REQUEST_ID.text(message.request_id)


def decode_query_registration(root: Reader) -> QueryRegistration:
    """Read oadrQueryRegistration."""
    return QueryRegistration(request_id=root.text(REQUEST_ID))


def encode_create_party_registration(message: CreatePartyRegistration) -> str:
    """Write the inside of oadrCreatePartyRegistration."""
    return "".join(
        (
            REQUEST_ID.text(message.request_id),
            _REGISTRATION_ID.maybe(message.registration_id),
            VEN_ID.maybe(message.ven_id),
            _PROFILE_NAME.text(message.profile_name),
            _TRANSPORT_NAME.text(message.transport_name),
            _TRANSPORT_ADDRESS.maybe(message.transport_address),
            _REPORT_ONLY.flag(message.report_only),
            _XML_SIGNATURE.flag(message.xml_signature),
            _VEN_NAME.maybe(message.ven_name),
            _PULL_MODEL.flag(message.http_pull_model),
        )
    )


def decode_create_party_registration(root: Reader) -> CreatePartyRegistration:
    """Read oadrCreatePartyRegistration."""
    return CreatePartyRegistration(
        request_id=root.text(REQUEST_ID),
        registration_id=root.maybe(_REGISTRATION_ID),
        ven_id=root.maybe(VEN_ID),
        profile_name=root.token(_PROFILE_NAME),
        transport_name=root.token(_TRANSPORT_NAME),
        transport_address=root.maybe(_TRANSPORT_ADDRESS),
        report_only=root.flag(_REPORT_ONLY),
        xml_signature=root.flag(_XML_SIGNATURE),
        ven_name=root.maybe(_VEN_NAME),
        http_pull_model=root.maybe_flag(_PULL_MODEL),
    )


def encode_created_party_registration(message: CreatedPartyRegistration) -> str:
    """Write the inside of oadrCreatedPartyRegistration."""
    return "".join(
        (
            write_response(message.response),
            _REGISTRATION_ID.maybe(message.registration_id),
            VEN_ID.maybe(message.ven_id),
            VTN_ID.text(message.vtn_id),
            _PROFILES(*map(_write_profile, message.profiles)),
            _POLL_FREQ.duration(message.requested_poll_freq),
            _write_infos(_SERVICES, _SERVICE, _SERVICE_NAME, message.service_specific_info),
            _write_infos(_EXTENSIONS, _EXTENSION, _EXTENSION_NAME, message.extensions),
        )
    )


def decode_created_party_registration(root: Reader) -> CreatedPartyRegistration:
    """Read oadrCreatedPartyRegistration."""
    return CreatedPartyRegistration(
        response=read_response(root.inside(RESPONSE)),
        registration_id=root.maybe(_REGISTRATION_ID),
        ven_id=root.maybe(VEN_ID),
        vtn_id=root.text(VTN_ID),
        profiles=tuple(map(_read_profile, root.inside(_PROFILES).each(_PROFILE))),
        requested_poll_freq=root.maybe_duration(_POLL_FREQ),
        service_specific_info=_read_infos(root, _SERVICES, _SERVICE, _SERVICE_NAME),
        extensions=_read_infos(root, _EXTENSIONS, _EXTENSION, _EXTENSION_NAME),
    )


def _write_profile(profile: Profile) -> str:
    transports = (_TRANSPORT(_TRANSPORT_NAME.text(name)) for name in profile.transports)
    return _PROFILE(_PROFILE_NAME.text(profile.profile_name), _TRANSPORTS(*transports))


def _read_profile(reader: Reader) -> Profile:
    transports = reader.inside(_TRANSPORTS).each(_TRANSPORT)
    return Profile(
        profile_name=reader.token(_PROFILE_NAME), transports=tuple(one.token(_TRANSPORT_NAME) for one in transports)
    )


def _write_infos(outer: Tag, inner: Tag, name: Tag, entries: tuple[NamedInfo, ...] | None) -> str:
    if not entries:
        return ""
    return outer(*(inner(name.text(entry.name), *map(_write_info, entry.infos)) for entry in entries))


def _read_infos(root: Reader, outer: Tag, inner: Tag, name: Tag) -> tuple[NamedInfo, ...] | None:
    reader = root.maybe_inside(outer)
    if reader is None:
        return None
    entries = (
        NamedInfo(name=one.text(name), infos=tuple(map(_read_info, one.each(_INFO)))) for one in reader.each(inner)
    )
    return tuple(entries) or None


def _write_info(info: KeyValue) -> str:
    return _INFO(_KEY.text(info.key), _VALUE.text(info.value))


def _read_info(reader: Reader) -> KeyValue:
    return KeyValue(key=reader.text(_KEY), value=reader.text(_VALUE))


def encode_cancel_party_registration(message: CancelPartyRegistration) -> str:
    """Write the inside of oadrCancelPartyRegistration."""
    return "".join(
        (
            REQUEST_ID.text(message.request_id),
            _REGISTRATION_ID.text(message.registration_id),
            VEN_ID.maybe(message.ven_id),
        )
    )


def decode_cancel_party_registration(root: Reader) -> CancelPartyRegistration:
    """Read oadrCancelPartyRegistration."""
    return CancelPartyRegistration(
        request_id=root.text(REQUEST_ID), registration_id=root.text(_REGISTRATION_ID), ven_id=root.maybe(VEN_ID)
    )


def encode_canceled_party_registration(message: CanceledPartyRegistration) -> str:
    """Write the inside of oadrCanceledPartyRegistration."""
    return "".join(
        (
            write_response(message.response),
            _REGISTRATION_ID.maybe(message.registration_id),
            VEN_ID.maybe(message.ven_id),
        )
    )


def decode_canceled_party_registration(root: Reader) -> CanceledPartyRegistration:
    """Read oadrCanceledPartyRegistration."""
    return CanceledPartyRegistration(
        response=read_response(root.inside(RESPONSE)),
        registration_id=root.maybe(_REGISTRATION_ID),
        ven_id=root.maybe(VEN_ID),
    )


def encode_request_reregistration(message: RequestReregistration) -> str:
    """Write the inside of oadrRequestReregistration."""
    return VEN_ID.text(message.ven_id)


def decode_request_reregistration(root: Reader) -> RequestReregistration:
    """Read oadrRequestReregistration."""
    return RequestReregistration(ven_id=root.text(VEN_ID))
