"""What several services share: eiResponse, targets, time properties and the tags they all use.

Rule: ``write_x`` and ``read_x`` stand beside each other; an optional element that is empty is absent both ways.
"""

from lxml import etree

from openadr.messages import EiResponse
from openadr.model import EiTarget, QualifiedEventId
from openadr.wire.xml import ID_MARK, Reader, Tag

VEN_ID = Tag("ei:venID")
VTN_ID = Tag("ei:vtnID")
REQUEST_ID = Tag("pyld:requestID")
RESPONSE = Tag("ei:eiResponse")
RESPONSE_CODE = Tag("ei:responseCode")
RESPONSE_DESCRIPTION = Tag("ei:responseDescription")
MARKET_CONTEXT = Tag("emix:marketContext")
CREATED_DATE_TIME = Tag("ei:createdDateTime")
QUALIFIED_EVENT_ID = Tag("ei:qualifiedEventID")
EVENT_ID = Tag("ei:eventID")
MODIFICATION_NUMBER = Tag("ei:modificationNumber")
OPT_TYPE = Tag("ei:optType")
RESOURCE_ID = Tag("ei:resourceID")
INTERVALS = Tag("strm:intervals")
INTERVAL = Tag("ei:interval")
UID = Tag("xcal:uid")
UID_TEXT = Tag("xcal:text")
PROPERTIES = Tag("xcal:properties")
COMPONENTS = Tag("xcal:components")
PAYLOAD_FLOAT = Tag("ei:payloadFloat")
VALUE = Tag("ei:value")
R_ID = Tag("ei:rID")
REPORT_REQUEST_ID = Tag("ei:reportRequestID")

_MRID, _NODE = Tag("power:mrid"), Tag("power:node")
_RECEIPT, _DELIVERY = Tag("power:pointOfReceipt"), Tag("power:pointOfDelivery")
_AGGREGATED, _DEVICE, _METER = map(Tag, ("power:aggregatedPnode", "power:endDeviceAsset", "power:meterAsset"))
_PNODE, _DELIVERY_POINT = Tag("power:pnode"), Tag("power:serviceDeliveryPoint")
_AREA, _LOCATION, _TRANSPORT = map(Tag, ("emix:serviceArea", "power:serviceLocation", "power:transportInterface"))
_GROUP_ID, _GROUP_NAME, _PARTY_ID = map(Tag, ("ei:groupID", "ei:groupName", "ei:partyID"))
_POS_LIST = Tag("gml:posList")
_GML_BEFORE = f'<gml:FeatureCollection gml:id="area-{ID_MARK}"><gml:location><gml:Polygon gml:id="polygon-{ID_MARK}">'
_GML_BEFORE += "<gml:exterior><gml:LinearRing>"
_GML_AFTER = "</gml:LinearRing></gml:exterior></gml:Polygon></gml:location></gml:FeatureCollection>"


def write_response(response: EiResponse) -> str:
    """Write ei:eiResponse."""
    return RESPONSE(
        RESPONSE_CODE.text(f"{response.response_code:03d}"),
        RESPONSE_DESCRIPTION.maybe(response.response_description),
        REQUEST_ID.text(response.request_id),
    )


def read_response(reader: Reader) -> EiResponse:
    """Read the ei:eiResponse that ``reader`` stands on."""
    return EiResponse(
        response_code=reader.integer(RESPONSE_CODE),
        response_description=reader.maybe(RESPONSE_DESCRIPTION),
        request_id=reader.text(REQUEST_ID),
    )


def write_qualified_event_id(event_id: str, modification_number: int) -> str:
    """Write ei:qualifiedEventID."""
    return QUALIFIED_EVENT_ID(EVENT_ID.text(event_id), MODIFICATION_NUMBER.integer(modification_number))


def read_qualified_event_id(reader: Reader) -> QualifiedEventId:
    """Read the ei:qualifiedEventID that ``reader`` stands on."""
    return QualifiedEventId(event_id=reader.text(EVENT_ID), modification_number=reader.integer(MODIFICATION_NUMBER))


def _areas(tag: Tag, areas: tuple[str, ...]) -> str:
    return "".join(tag(_GML_BEFORE, _POS_LIST.text(area), _GML_AFTER) for area in areas)


def _wrapped(tag: Tag, inner: Tag, values: tuple[str, ...]) -> str:
    return "".join(tag(inner.text(value)) for value in values)


def write_target(tag: Tag, target: EiTarget) -> str:
    """Write a mandatory target, which may be empty (R22)."""
    return tag(
        _wrapped(_AGGREGATED, _NODE, target.aggregated_pnodes),
        _wrapped(_DEVICE, _MRID, target.end_device_assets),
        _wrapped(_METER, _MRID, target.meter_assets),
        _wrapped(_PNODE, _NODE, target.pnodes),
        _areas(_AREA, target.service_areas),
        _wrapped(_DELIVERY_POINT, _NODE, target.service_delivery_points),
        _areas(_LOCATION, target.service_locations),
        "".join(_TRANSPORT(_RECEIPT.text(a), _DELIVERY.text(b)) for a, b in target.transport_interfaces),
        _GROUP_ID.texts(target.group_ids),
        _GROUP_NAME.texts(target.group_names),
        RESOURCE_ID.texts(target.resource_ids),
        VEN_ID.texts(target.ven_ids),
        _PARTY_ID.texts(target.party_ids),
    )


def write_maybe_target(tag: Tag, target: EiTarget | None) -> str:
    """Write an optional target; an empty one is left out (R111, R209, R307)."""
    return "" if target is None or target == EiTarget() else write_target(tag, target)


def _inner(reader: Reader, tag: Tag, inner: Tag) -> tuple[str, ...]:
    return tuple(child.text(inner) for child in reader.each(tag))


def _rings(reader: Reader, tag: Tag) -> tuple[str, ...]:
    return tuple(
        " ".join((ring.text or "").split())
        for area in reader.element.iterchildren(tag.clark)
        for ring in area.iter(_POS_LIST.clark)
    )


def read_target(element: etree._Element) -> EiTarget:
    """Read a target."""
    if not len(element):
        return EiTarget()
    reader = Reader(element)
    return EiTarget(
        aggregated_pnodes=_inner(reader, _AGGREGATED, _NODE),
        end_device_assets=_inner(reader, _DEVICE, _MRID),
        meter_assets=_inner(reader, _METER, _MRID),
        pnodes=_inner(reader, _PNODE, _NODE),
        service_areas=_rings(reader, _AREA),
        service_delivery_points=_inner(reader, _DELIVERY_POINT, _NODE),
        service_locations=_rings(reader, _LOCATION),
        transport_interfaces=tuple((c.text(_RECEIPT), c.text(_DELIVERY)) for c in reader.each(_TRANSPORT)),
        group_ids=reader.texts(_GROUP_ID),
        group_names=reader.texts(_GROUP_NAME),
        resource_ids=reader.texts(RESOURCE_ID),
        ven_ids=reader.texts(VEN_ID),
        party_ids=reader.texts(_PARTY_ID),
    )


def read_maybe_target(reader: Reader, tag: Tag) -> EiTarget | None:
    """Read an optional target; an empty one is absent (R46)."""
    child = reader.maybe_inside(tag)
    target = None if child is None else read_target(child.element)
    return None if target == EiTarget() else target
