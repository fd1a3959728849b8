"""Green Button feeds (HISTORY_GREENBUTTON) on the wire: an atom:feed passed through as text, never interpreted.

Rule: the text is the feed in exclusive canonical XML, so that it is whole wherever it is put; what is written is parsed
before, without entities or network, and has to be an atom:feed.
"""

from lxml import etree

from openadr.errors import InvalidData
from openadr.wire.xml import Reader, Tag

GB_PAYLOAD = Tag("oadr:oadrGBPayload")
GB_DESCRIPTION = Tag("oadr:oadrGBDataDescription")
_FEED = "{http://www.w3.org/2005/Atom}feed"


def read_feed(element: etree._Element) -> str:
    """Return the feed inside oadrGBPayload or oadrGBDataDescription."""
    return _canonical(element[0])


def read_maybe_feed(reader: Reader) -> str | None:
    """Return the feed of the oadrGBDataDescription among the children, ``None`` if there is none."""
    inside = reader.maybe_inside(GB_DESCRIPTION)
    return None if inside is None else read_feed(inside.element)


def write_feed(tag: Tag, feed: str) -> str:
    """Write a feed inside ``tag``. Raises ``InvalidData`` if it is not a well-formed atom:feed."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        if "<!DOCTYPE" in feed:
            raise InvalidData("a feed has no document type declaration", field=tag.local)
        element = etree.fromstring(feed.encode(), parser)
    except (etree.XMLSyntaxError, UnicodeEncodeError) as error:
        raise InvalidData(f"the feed is not well-formed XML: {error}", field=tag.local) from error
    if element.tag != _FEED:
        raise InvalidData("Green Button data is an atom:feed", field=tag.local)
    return tag(_canonical(element))


def _canonical(element: etree._Element) -> str:
    return etree.tostring(element, method="c14n", exclusive=True, with_tail=False).decode()
