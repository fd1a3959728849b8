"""Golden files: what each message looks like on the wire, and foreign ways of writing the same."""

from pathlib import Path

import pytest
from lxml import etree

from openadr import wire
from openadr.messages import ROOTS
from tests.openadr.wire.samples import SAMPLES

GOLDEN = Path(__file__).parent.parent / "golden"
FOREIGN = GOLDEN / "foreign"


def _shape(element: etree._Element) -> object:
    """The element without what has no meaning: indentation, prefixes, order of attributes."""
    text = element.text or ""
    attributes = sorted((str(name), str(value)) for name, value in element.attrib.items())
    return element.tag, attributes, text if len(element) == 0 else "", [_shape(child) for child in element]


def test_every_root_has_a_golden_file_and_every_file_a_sample() -> None:
    assert {name.split("-")[0] for name in SAMPLES} == set(ROOTS)
    assert {path.stem for path in GOLDEN.glob("*.xml")} == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_golden_file_is_valid_and_decodes_to_its_sample(name: str) -> None:
    data = (GOLDEN / f"{name}.xml").read_bytes()
    wire.schema().assertValid(etree.fromstring(data))
    assert wire.decode(data) == SAMPLES[name]


@pytest.mark.parametrize("name", SAMPLES)
def test_encoding_writes_the_golden_file(name: str) -> None:
    golden = etree.fromstring((GOLDEN / f"{name}.xml").read_bytes())
    assert _shape(etree.fromstring(wire.encode(SAMPLES[name]))) == _shape(golden)


@pytest.mark.parametrize("name", SAMPLES)
def test_rule_509_045_schema_version_is_there_and_schema_location_is_not(name: str) -> None:
    data = wire.encode(SAMPLES[name])
    assert b'ei:schemaVersion="2.0b"' in data
    assert b"schemaLocation" not in data


@pytest.mark.parametrize(
    ("file", "sample"),
    [
        ("default-namespaces", "oadrPoll"),
        ("bare-root", "oadrPoll"),
        ("comments-and-instructions", "oadrPoll"),
        ("cdata-and-references", "oadrCreatedOpt"),
        ("signed-envelope", "oadrPoll"),
        ("blanks-in-tokens", "oadrCreateOpt-event"),
        ("empty-optional-elements", "oadrCreatedPartyRegistration-to-query"),
    ],
)
def test_foreign_ways_of_writing_mean_the_same(file: str, sample: str) -> None:
    assert wire.decode((FOREIGN / f"{file}.xml").read_bytes()) == SAMPLES[sample]
