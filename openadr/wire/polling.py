"""OadrPoll on the wire: oadrPoll and oadrResponse."""

from openadr.messages import Poll, Response
from openadr.wire.common import RESPONSE, VEN_ID, read_response, write_response
from openadr.wire.xml import Reader


def encode_poll(message: Poll) -> str:
    """Write the inside of oadrPoll."""
    return VEN_ID.text(message.ven_id)


def decode_poll(root: Reader) -> Poll:
    """Read oadrPoll."""
    return Poll(ven_id=root.text(VEN_ID))


def encode_response(message: Response) -> str:
    """Write the inside of oadrResponse."""
    return write_response(message.response) + VEN_ID.maybe(message.ven_id)


def decode_response(root: Reader) -> Response:
    """Read oadrResponse."""
    return Response(response=read_response(root.inside(RESPONSE)), ven_id=root.maybe(VEN_ID))
