"""Mutated messages for the fuzz targets: golden documents whose tree is changed the way a schema-aware attacker would.

Most stay well-formed, many stay schema-valid, so that the decoder and the services behind it get their share.
"""

import re
from pathlib import Path

from hypothesis import strategies as st
from lxml import etree

GOLDEN = sorted((Path(__file__).parents[1] / "golden").rglob("*.xml"))
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, remove_blank_text=True)
_SERVICE = {  # for each payload root the service that takes it
    "Registration": "EiRegisterParty",
    "Reregistration": "EiRegisterParty",
    "Event": "EiEvent",
    "Report": "EiReport",
    "Opt": "EiOpt",
    "Poll": "OadrPoll",
    "Response": "EiEvent",
}
NUMBERS = ("0", "-1", "1", "1e400", "-0.0", "NaN", "INF", "-INF", "9" * 40, "0" * 3000 + "7", "0.1e-400", "2147483648")
INSTANTS = (
    "2026-11-21T12:00:00Z",
    "2026-11-21T12:00:00.999999999Z",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z",
    "-0001-01-01T00:00:00Z",
    "12026-01-01T00:00:00Z",
    "2026-11-21T12:00:00+14:00",
    "2026-11-21T12:00:00",
    "2026-11-21T24:00:00Z",
    "2026-02-30T00:00:00Z",
)
DURATIONS = ("PT0S", "-PT5M", "-P99Y", "P100Y", "P9999999999Y", "P1M", "PT9999999999S", "P1W", "PT1.5S", "P", "+P1DT1H")
WORDS = (
    "",
    " ",
    "ven-a",
    "ven-b",
    "x" * 300,
    "x" * 5000,
    "\ufffd",
    "\U0001f50c",
    "' OR 1=1 --",
    "../../etc/passwd",
    "{{7*7}}",
    "%s%n",
    "METADATA",
    "METADATA_TELEMETRY_USAGE",
    "METADATA_HISTORY_GREENBUTTON",
    "SIMPLE",
    "LOAD_CONTROL",
    "optOut",
    "always",
    "cancelled",
    "200",
    "999",
    "true",
    "x-ours",
)
_NUMBER = re.compile(r"-?[0-9.]+")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT.*")
_DURATION = re.compile(r"-?P.*")


def _like(text: str) -> tuple[str, ...]:
    """Return texts of the same kind as one."""
    for kind, texts in ((_NUMBER, NUMBERS), (_INSTANT, INSTANTS), (_DURATION, DURATIONS)):
        if kind.fullmatch(text):
            return texts
    return WORDS


DOCUMENTS = [path.read_bytes() for path in GOLDEN]


def tree(data: bytes) -> etree._Element:
    return etree.fromstring(data, _PARSER)


def own(root: etree._Element, ven_id: str) -> None:
    """Put the sender's venID into the document, so that it passes for its own."""
    for element in root.iter("{*}venID"):
        element.text = ven_id


def service(root: etree._Element) -> str:
    """Return the service that takes the document, whatever it is now."""
    for element in root.iter("{*}*"):
        name = element.tag.rpartition("}")[2]
        for ending, found in _SERVICE.items():
            if name.startswith("oadr") and name.endswith(ending):
                return found
    return "EiEvent"


def _change(draw: st.DrawFn, root: etree._Element) -> None:
    elements = [each for each in root.iter("{*}*") if each is not root]
    if not elements:
        return
    element = draw(st.sampled_from(elements))
    parent = element.getparent()
    assert parent is not None
    kind = draw(
        st.sampled_from(
            (
                "text",
                "text",
                "text",
                "text",
                "text",
                "text",
                "text",
                "drop",
                "double",
                "swap",
                "graft",
                "rename",
                "attribute",
            )
        )
    )
    if kind == "text":
        leaves = [each for each in elements if not len(each)] or [element]
        leaf = draw(st.sampled_from(leaves))
        kinds = (_like(leaf.text or ""), _like(leaf.text or ""), NUMBERS, INSTANTS, DURATIONS, WORDS)
        leaf.text = draw(st.sampled_from(draw(st.sampled_from(kinds))))
    elif kind == "drop":
        parent.remove(element)
    elif kind == "double":
        copies = draw(st.sampled_from((1, 2, 40)))
        for _ in range(copies):
            element.addnext(tree(etree.tostring(element)))
    elif kind == "swap":
        parent.insert(0, element)
    elif kind == "graft":
        other = list(tree(draw(st.sampled_from(DOCUMENTS))).iter("{*}*"))  # the root is among them
        element.addnext(draw(st.sampled_from(other)))
    elif kind == "rename":
        element.tag = draw(st.sampled_from([str(each.tag) for each in elements]))
    else:
        element.set(draw(st.sampled_from(("Id", "schemaVersion", "{urn:x}y"))), draw(st.sampled_from(WORDS)))


@st.composite
def documents(draw: st.DrawFn, ven_id: str = "ven-a") -> tuple[str, bytes]:
    """A mutated message with the service it is for."""
    root = tree(draw(st.sampled_from(DOCUMENTS)))
    own(root, ven_id)
    for _ in range(draw(st.integers(0, 3))):
        _change(draw, root)
    return service(root), etree.tostring(root)
