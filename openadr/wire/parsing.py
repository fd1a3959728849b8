"""From bytes to a schema-valid tree: size, hardened parse, known payload, official XSD, in this order.

Rule: nothing is resolved and nothing is fetched: a DOCTYPE is refused in the bytes, before any parser sees it, the
encoding is UTF-8 whatever the document claims, and comments and processing instructions are dropped so that text is
whole (a caller that asks to keep them has to refuse them). The schema is applied to the finished tree and never handed
to the parser, where a DTD entity reference could end the process.
"""

import importlib.util
from functools import cache
from pathlib import Path
from threading import local

from lxml import etree

from openadr.errors import NotXml, SchemaInvalid, TooLarge, UnknownPayload
from openadr.messages import ROOTS, Message
from openadr.wire.xml import NAMESPACES, Tag

MAX_BYTES = 1_000_000  # a report of 1,000 intervals has about 400 kB (SEC-30)
_SHOWN = 300  # characters of a parser's or schema's reason that go to the peer
_DOCTYPE = b"<!DOCTYPE"
_PAYLOAD = Tag("oadr:oadrPayload").clark
_KINDS: dict[str, type[Message]] = {f"{{{NAMESPACES['oadr']}}}{name}": kind for name, kind in ROOTS.items()}


def schema_file(package: str = "openleadr") -> Path:
    """Return the schema's main file as ``package`` ships it; the package's code is not run.

    Raises ``RuntimeError`` if it is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the OpenADR 2.0b schema files are missing: install the distribution {package!r}")
    return Path(spec.origin).parent / "schema" / "oadr_20b.xsd"


class _Compiled(local):
    """The schema of one thread: a shared one would mix up the reasons it gives to different peers."""

    def __init__(self) -> None:
        self.schema = etree.XMLSchema(etree.parse(schema_file()))


@cache
def _compiled() -> _Compiled:
    return _Compiled()


def schema() -> etree.XMLSchema:
    """Return the official 2.0b schema, compiled once a thread (about 10 ms).

    Raises ``RuntimeError`` if its files are not installed.
    """
    return _compiled().schema


def _parser(*, keep: bool) -> etree.XMLParser:
    """Return a hardened parser; one a document, because a parser is not to be shared between threads."""
    return etree.XMLParser(
        encoding="utf-8",  # overrides the document: no other encoding can hide a DOCTYPE from the byte scan
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=not keep,
        remove_pis=not keep,
    )


def parse(data: bytes, *, max_bytes: int = MAX_BYTES, keep: bool = False) -> etree._Element:
    """Return the schema-valid root. Raises ``TooLarge``, ``NotXml``, ``UnknownPayload`` or ``SchemaInvalid``.

    ``keep`` leaves comments and processing instructions in the tree, so that the caller can see and refuse them.
    """
    if len(data) > max_bytes:
        raise TooLarge(f"the message is larger than {max_bytes} bytes")
    if b"!" in data and _DOCTYPE in data:  # to look for one byte costs a tenth
        raise NotXml("a document type declaration (DOCTYPE) is not allowed")
    try:
        root = etree.fromstring(data, _parser(keep=keep))
    except etree.XMLSyntaxError as error:
        raise NotXml(f"not well-formed XML in UTF-8: {str(error)[:_SHOWN]}") from error
    _known(root)
    try:
        schema().assertValid(root)
    except etree.DocumentInvalid as error:
        raise SchemaInvalid(f"does not match the OpenADR 2.0b schema: {str(error)[:_SHOWN]}") from error
    return root


def _known(root: etree._Element) -> None:
    if root.tag != _PAYLOAD and root.tag not in _KINDS:
        raise UnknownPayload(f"not an OpenADR 2.0b payload: {root.tag[:_SHOWN]}")


def payload(root: etree._Element) -> etree._Element:
    """Return the payload element of a schema-valid root: the root itself if bare, else what oadrSignedObject holds."""
    return root[-1][0] if root.tag == _PAYLOAD else root


def kind_of(element: etree._Element) -> type[Message]:
    """Return the message type of a payload element."""
    return _KINDS[element.tag]
