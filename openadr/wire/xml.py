"""Reading and writing single elements: one ``Tag`` an element name, used by both directions.

Rule: written text is canonical XML (C14N 1.0) with every prefix declared once on the root, so that fragments rendered
apart can be joined; whatever cannot stand in XML or has no meaning (control characters, NaN, INF) is refused with 454.
Reading trusts the schema for structure and checks what the schema leaves open.
"""

import math
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from lxml import etree

from openadr.errors import ComplianceError, InvalidData
from openadr.times import Duration, format_instant, parse_instant

NAMESPACES = {
    "ei": "http://docs.oasis-open.org/ns/energyinterop/201110",
    "emix": "http://docs.oasis-open.org/ns/emix/2011/06",
    "gml": "http://www.opengis.net/gml/3.2",
    "oadr": "http://openadr.org/oadr-2.0b/2012/07",
    "power": "http://docs.oasis-open.org/ns/emix/2011/06/power",
    "pyld": "http://docs.oasis-open.org/ns/energyinterop/201110/payloads",
    "scale": "http://docs.oasis-open.org/ns/emix/2011/06/siscale",
    "strm": "urn:ietf:params:xml:ns:icalendar-2.0:stream",
    "xcal": "urn:ietf:params:xml:ns:icalendar-2.0",
}
DECLARATIONS = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())  # in C14N order: by prefix

ID_MARK = "\0"  # stands for a number that makes an xs:ID unique in the document; cannot occur in text
_SPECIAL = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"}
_TRUE = frozenset({"true", "1"})


def _entity(match: re.Match[str]) -> str:
    entity = _ENTITIES.get(match[0])
    if entity is None:
        raise InvalidData(f"the character U+{ord(match[0]):04X} cannot stand in XML")
    return entity


def escape(text: str) -> str:
    """Return ``text`` as XML character data. Raises ``InvalidData`` for characters XML cannot hold."""
    return _SPECIAL.sub(_entity, text) if _SPECIAL.search(text) else text


def unwritable(text: str) -> str | None:
    """Return the first character of a text that XML cannot hold, as ``U+0001``; ``None`` if there is none."""
    found = next((each[0] for each in _SPECIAL.finditer(text) if each[0] not in _ENTITIES), None)
    return None if found is None else f"U+{ord(found):04X}"


class Tag:
    """An element name: called with rendered content it writes the element; ``clark`` is its name when reading."""

    __slots__ = ("clark", "end", "local", "start")

    def __init__(self, name: str) -> None:
        """Take a prefixed name such as ``ei:venID``."""
        prefix, self.local = name.split(":")
        self.clark = f"{{{NAMESPACES[prefix]}}}{self.local}"
        self.start, self.end = f"<{name}>", f"</{name}>"

    def __call__(self, *content: str) -> str:
        """Write the element around rendered content."""
        return f"{self.start}{''.join(content)}{self.end}"

    def text(self, value: str) -> str:
        """Write a text."""
        return f"{self.start}{escape(value)}{self.end}"

    def maybe(self, value: str | None) -> str:
        """Write a text, or nothing if there is none: empty is absent (R46)."""
        return self.text(value) if value else ""

    def texts(self, values: tuple[str, ...]) -> str:
        """Write one element a value."""
        return "".join(self.text(value) for value in values)

    def integer(self, value: int | None) -> str:
        """Write a whole number, or nothing."""
        return "" if value is None else f"{self.start}{value:d}{self.end}"

    def number(self, value: float | None) -> str:
        """Write a finite number, or nothing. Raises ``InvalidData`` for NaN and INF (section 2.3)."""
        if value is None:
            return ""
        if not math.isfinite(value):
            raise InvalidData(f"{self.local} must be a finite number", field=self.local)
        return f"{self.start}{value!r}{self.end}"

    def decimal(self, value: float | None) -> str:
        """Write a finite number without exponent, as xs:decimal wants it, or nothing."""
        text = self.number(value)
        return text if value is None or "e" not in repr(value) else f"{self.start}{Decimal(repr(value)):f}{self.end}"

    def flag(self, value: bool | None) -> str:
        """Write a boolean, or nothing."""
        return "" if value is None else f"{self.start}{'true' if value else 'false'}{self.end}"

    def instant(self, value: datetime | None) -> str:
        """Write a bare date-time in UTC (R1), or nothing."""
        return "" if value is None else f"{self.start}{format_instant(value)}{self.end}"

    def length(self, value: Duration) -> str:
        """Write a bare duration."""
        return f"{self.start}{value}{self.end}"

    def duration(self, value: Duration | None) -> str:
        """Write a duration wrapped in xcal:duration, or nothing."""
        if value is None:
            return ""
        return f"{self.start}<xcal:duration>{value}</xcal:duration>{self.end}"


DATE_TIME = Tag("xcal:date-time")
DTSTART = Tag("xcal:dtstart")
DURATION = Tag("xcal:duration")


def write_dtstart(value: datetime | None) -> str:
    """Write xcal:dtstart, or nothing."""
    return "" if value is None else DTSTART(DATE_TIME.instant(value))


def read_instant(text: str, field: str) -> datetime:
    """Read a date-time. Raises ``ComplianceError`` if it is not UTC ending in ``Z`` (R1)."""
    try:
        return parse_instant(text.strip())
    except ValueError as error:
        raise ComplianceError(f"{field}: {error}", field=field) from error


def read_length(text: str, field: str) -> Duration:
    """Read a duration. Raises ``InvalidData`` if it is longer than a century."""
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise InvalidData(f"{field}: {error}", field=field) from error


def read_whole(text: str, field: str) -> int:
    """Read a whole number. Raises ``InvalidData`` for one written with thousands of digits."""
    try:
        return int(text)
    except ValueError as error:
        raise InvalidData(f"{field} is not a whole number of reasonable length", field=field) from error


def read_finite(text: str, field: str) -> float:
    """Read a number. Raises ``InvalidData`` for NaN and INF, which the XSD lets pass."""
    value = float(text)
    if not math.isfinite(value):
        raise InvalidData(f"{field} must be a finite number", field=field)
    return value


class Reader:
    """The children of one schema-valid element by tag; an element that comes several times is read with ``each``.

    ``x`` reads what the schema makes mandatory, ``maybe_x`` gives ``None`` for what is absent or empty (R46).
    """

    __slots__ = ("_children", "element")

    def __init__(self, element: etree._Element) -> None:
        """Index the children once."""
        self.element = element
        self._children: dict[str, etree._Element] = {child.tag: child for child in element}

    def has(self, tag: Tag) -> bool:
        """True if the child is there, even empty."""
        return tag.clark in self._children

    def text(self, tag: Tag) -> str:
        """Return the text as it stands, '' if absent: IDs are opaque, never stripped or converted (R512)."""
        child = self._children.get(tag.clark)
        return "" if child is None else child.text or ""

    def maybe(self, tag: Tag) -> str | None:
        """Return the text."""
        return self.text(tag) or None

    def texts(self, tag: Tag) -> tuple[str, ...]:
        """Return the text of every such child."""
        return tuple(child.text or "" for child in self.element.iterchildren(tag.clark))

    def token(self, tag: Tag) -> str:
        """Return an enumerated value with its blanks collapsed, as the XSD compares it; '' if absent."""
        return " ".join(self.text(tag).split())

    def integer(self, tag: Tag) -> int:
        """Return a whole number."""
        return read_whole(self.text(tag), tag.local)

    def maybe_integer(self, tag: Tag) -> int | None:
        """Return a whole number."""
        return self.integer(tag) if self.has(tag) else None

    def number(self, tag: Tag) -> float:
        """Return a finite number."""
        return read_finite(self.text(tag), tag.local)

    def maybe_number(self, tag: Tag) -> float | None:
        """Return a finite number."""
        return self.number(tag) if self.has(tag) else None

    def flag(self, tag: Tag) -> bool:
        """Return a boolean."""
        return self.text(tag).strip() in _TRUE

    def maybe_flag(self, tag: Tag) -> bool | None:
        """Return a boolean."""
        return self.flag(tag) if self.has(tag) else None

    def instant(self, tag: Tag) -> datetime:
        """Return a bare date-time."""
        return read_instant(self.text(tag), tag.local)

    def maybe_instant(self, tag: Tag) -> datetime | None:
        """Return a bare date-time."""
        return self.instant(tag) if self.has(tag) else None

    def length(self, tag: Tag) -> Duration:
        """Return a bare duration."""
        return read_length(self.text(tag), tag.local)

    def maybe_length(self, tag: Tag) -> Duration | None:
        """Return a bare duration."""
        return self.length(tag) if self.has(tag) else None

    def duration(self, tag: Tag) -> Duration:
        """Return a duration wrapped in xcal:duration."""
        return read_length(self._children[tag.clark][0].text or "", tag.local)

    def maybe_duration(self, tag: Tag) -> Duration | None:
        """Return a duration wrapped in xcal:duration."""
        return self.duration(tag) if self.has(tag) else None

    def dtstart(self) -> datetime:
        """Return xcal:dtstart."""
        return read_instant(self._children[DTSTART.clark][0].text or "", DTSTART.local)

    def maybe_dtstart(self) -> datetime | None:
        """Return xcal:dtstart."""
        return self.dtstart() if self.has(DTSTART) else None

    def inside(self, tag: Tag) -> "Reader":
        """Return the reader of a child."""
        return Reader(self._children[tag.clark])

    def maybe_inside(self, tag: Tag) -> "Reader | None":
        """Return the reader of a child, even an empty one."""
        child = self._children.get(tag.clark)
        return None if child is None else Reader(child)

    def each(self, tag: Tag) -> "Iterator[Reader]":
        """Return a reader for every such child."""
        return (Reader(child) for child in self.element.iterchildren(tag.clark))
