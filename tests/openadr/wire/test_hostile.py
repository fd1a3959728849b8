"""Hostile and broken input: always a clear error, never a crash, a file read or a connection (SEC-30)."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openadr import wire
from openadr.errors import NotXml, OadrError, SchemaInvalid, TooLarge, UnknownPayload, WireError
from openadr.messages import Poll
from tests.openadr.wire.samples import SAMPLES

OADR = "http://openadr.org/oadr-2.0b/2012/07"
EI = "http://docs.oasis-open.org/ns/energyinterop/201110"
LIMIT_S = 2.0  # far above what any of these takes; a bomb takes minutes


def poll(ven_id: str = "ven-1", *, attributes: str = "", before: str = "") -> str:
    return (
        f'{before}<o:oadrPayload xmlns:o="{OADR}" xmlns:e="{EI}"{attributes}><o:oadrSignedObject>'
        f"<o:oadrPoll><e:venID>{ven_id}</e:venID></o:oadrPoll></o:oadrSignedObject></o:oadrPayload>"
    )


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
DOCTYPES = {
    "plain": "<!DOCTYPE oadrPayload>",
    "public": '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://127.0.0.1/x.dtd">',
    "internal-entity": '<!DOCTYPE a [<!ENTITY x "ven-1">]>',
    "billion-laughs": f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]>',
    "quadratic": f'<!DOCTYPE a [<!ENTITY x "{"A" * 50_000}">]>',
    "external-file": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "parameter-entity": '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1/x.dtd"> %p;]>',
    "nested-parameter-entity": "<!DOCTYPE a [<!ENTITY % p \"&#60;!ENTITY x SYSTEM 'file:///etc/passwd'&#62;\"> %p;]>",
    "recursive": '<!DOCTYPE a [<!ENTITY x "&y;"><!ENTITY y "&x;">]>',
    "default-attribute": '<!DOCTYPE a [<!ATTLIST a b CDATA "&x;"><!ENTITY x "y">]>',
    "unterminated": "<!DOCTYPE a [",
    "with-newline": "<!DOCTYPE\na>",
    "notation": '<!DOCTYPE a [<!NOTATION n SYSTEM "x"><!ENTITY x SYSTEM "/dev/zero" NDATA n>]>',
}


@pytest.mark.parametrize("name", DOCTYPES)
@pytest.mark.parametrize("ven_id", ["ven-1", "&x;", "&l9;"])
def test_sec_30_every_doctype_is_refused_before_parsing(name: str, ven_id: str) -> None:
    started = time.perf_counter()
    with pytest.raises(NotXml, match="DOCTYPE"):
        wire.decode(poll(ven_id, before=DOCTYPES[name]).encode())
    assert time.perf_counter() - started < LIMIT_S


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037"])
def test_sec_30_a_doctype_cannot_hide_in_another_encoding(encoding: str) -> None:
    text = poll("&x;", before=f'<?xml version="1.0" encoding="{encoding}"?>{DOCTYPES["internal-entity"]}')
    with pytest.raises(NotXml):
        wire.decode(text.encode(encoding))


BROKEN = {
    "empty": b"",
    "blank": b" \r\n",
    "text": b"hello",
    "json": b'{"venID": "ven-1"}',
    "form": b"venID=ven-1",
    "html": b"<html><body>not found<br></body></html>",
    "nul": b"\x00" * 100,
    "binary": bytes(range(256)),
    "gzip": b"\x1f\x8b\x08\x00" + b"\x00" * 20,
    "cut-off": poll().encode()[:-20],
    "two-roots": poll().encode() * 2,
    "tail": poll().encode() + b"tail",
    "undeclared-prefix": b"<oadr:oadrPayload/>",
    "undeclared-entity": poll("&nbsp;").encode(),
    "external-in-text": poll("&xxe;").encode(),
    "bare-ampersand": poll("a & b").encode(),
    "bare-less-than": poll("a < b").encode(),
    "latin-1": poll("v\xe9n").encode("latin-1"),
    "latin-1-declared": poll("v\xe9n", before='<?xml version="1.0" encoding="ISO-8859-1"?>').encode("latin-1"),
    "overlong-utf-8": poll("X").encode().replace(b"X", b"\xc0\xbc"),
    "surrogate": poll("X").encode().replace(b"X", b"\xed\xa0\x80"),
    "control-character": poll("\x01").encode(),
    "character-reference-nul": poll("&#0;").encode(),
    "duplicate-attribute": poll(attributes=' a="1" a="2"').encode(),
    "utf-16-without-declaration": poll().encode("utf-16"),
    "declaration-not-first": b"\n" + poll(before='<?xml version="1.0"?>').encode(),
    "deep": b"<a>" * 100_000,
    "deep-and-closed": b"<a>" * 50_000 + b"</a>" * 50_000,
    "one-huge-name": b"<" + b"a" * 900_000 + b"/>",
    "unterminated-comment": b"<!--" + b"-" * 100_000,
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_xml_is_refused_quickly(name: str) -> None:
    started = time.perf_counter()
    with pytest.raises((NotXml, UnknownPayload)) as caught:
        wire.decode(BROKEN[name])
    assert time.perf_counter() - started < LIMIT_S
    assert len(caught.value.description) < 400
    assert caught.value.http_status == 406


UNKNOWN = {
    "2.0a": '<o:oadrRequestEvent xmlns:o="http://openadr.org/oadr-2.0a/2012/07"/>',
    "no-namespace": "<oadrPoll/>",
    "part": f'<e:eiEvent xmlns:e="{EI}"/>',
    "signed-object-alone": f'<o:oadrSignedObject xmlns:o="{OADR}"><o:oadrPoll/></o:oadrSignedObject>',
    "soap": '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"/>',
    "schema": '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"/>',
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_another_root_is_an_unknown_payload(name: str) -> None:
    with pytest.raises(UnknownPayload):
        wire.decode(UNKNOWN[name].encode())


INVALID = {
    "empty-envelope": f'<o:oadrPayload xmlns:o="{OADR}"/>',
    "empty-signed-object": f'<o:oadrPayload xmlns:o="{OADR}"><o:oadrSignedObject/></o:oadrPayload>',
    "unknown-inside": poll().replace("oadrPoll", "oadrPolls"),
    "no-ven-id": f'<o:oadrPoll xmlns:o="{OADR}"/>',
    "two-ven-ids": poll("a</e:venID><e:venID>b"),
    "two-payloads": poll("a</e:venID></o:oadrPoll><o:oadrPoll><e:venID>b"),
    "child-in-text": poll("a<e:venID>b</e:venID>"),
    "text-between": poll().replace("<o:oadrPoll>", "<o:oadrPoll>text"),
    "unknown-attribute": poll(attributes=' x="1"'),
    "bad-version": poll().replace("<o:oadrPoll>", '<o:oadrPoll e:schemaVersion="3.0">'),
    "unqualified-version": poll().replace("<o:oadrPoll>", '<o:oadrPoll schemaVersion="2.0b">'),
    "id-starts-with-digit": poll().replace("<o:oadrSignedObject>", '<o:oadrSignedObject o:Id="1a">'),
    "wrong-namespace": poll().replace(f'xmlns:e="{EI}"', 'xmlns:e="urn:other"'),
    "xsi-type": poll().replace(
        "<e:venID>",
        '<e:venID xmlns:x="http://www.w3.org/2001/XMLSchema-instance" '
        'xmlns:s="http://www.w3.org/2001/XMLSchema" x:type="s:int">',
    ),
    "xinclude": poll('<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="/etc/passwd"/>'),
    "signature-after": poll().replace(
        "</o:oadrPayload>", '<d:Signature xmlns:d="http://www.w3.org/2000/09/xmldsig#"/></o:oadrPayload>'
    ),
    "many-attributes": poll(attributes="".join(f' a{n}="{n}"' for n in range(20_000))),
    "many-namespaces": poll(attributes="".join(f' xmlns:a{n}="urn:{n}" a{n}:b=""' for n in range(2_000))),
    "many-elements": poll("a</e:venID>" + "<e:venID/>" * 50_000 + "<e:venID>"),
}


@pytest.mark.parametrize("name", INVALID)
def test_what_fails_the_official_schema_is_refused_with_its_reason(name: str) -> None:
    started = time.perf_counter()
    with pytest.raises(SchemaInvalid, match="schema") as caught:
        wire.decode(INVALID[name].encode())
    assert time.perf_counter() - started < LIMIT_S
    assert len(caught.value.description) < 400


def test_sec_30_size_is_checked_before_anything_else() -> None:
    with pytest.raises(TooLarge, match="100 bytes") as caught:
        wire.decode(b"\x00" * 101, max_bytes=100)
    assert caught.value.http_status == 413
    assert wire.decode(poll().encode(), max_bytes=len(poll())) == Poll(ven_id="ven-1")


def test_a_million_bytes_of_id_are_opaque_text() -> None:
    ven_id = "v" * 900_000
    assert wire.decode(poll(ven_id).encode()) == Poll(ven_id=ven_id)


def test_an_undeclared_encoding_name_does_not_matter_if_the_bytes_are_utf_8() -> None:
    text = poll("v\xe9n", before='<?xml version="1.0" encoding="ISO-8859-1"?>')
    assert wire.decode(text.encode()) == Poll(ven_id="v\xe9n")
    assert wire.decode(b"\xef\xbb\xbf" + poll().encode()) == Poll(ven_id="ven-1")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


def test_sec_30_nothing_is_fetched(listener: socket.socket, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    fifo = tmp_path / "canary.xsd"
    fifo.write_text("<canary/>")
    attempts = [
        poll("&x;", before=f'<!DOCTYPE a [<!ENTITY x SYSTEM "{url}">]>'),
        poll("&x;", before=f'<!DOCTYPE a SYSTEM "{url}">'),
        poll(before=f'<?xml-stylesheet type="text/xsl" href="{url}"?>'),
        poll(before=f'<?xml-model href="{url}"?>'),
    ]
    for location in (f"{OADR} {url}", f"{OADR} {fifo}", f"urn:other {url}"):
        xsi = f' xmlns:x="http://www.w3.org/2001/XMLSchema-instance" x:schemaLocation="{location}"'
        attempts.append(poll(attributes=xsi))
    outcomes: list[object] = []
    for attempt in attempts:
        try:
            outcomes.append(wire.decode(attempt.encode()))
        except NotXml as error:
            outcomes.append(error)
    with pytest.raises(TimeoutError):
        listener.accept()
    assert [type(outcome) for outcome in outcomes] == [NotXml, NotXml, Poll, Poll, Poll, Poll, Poll]


def test_errors_tell_the_peer_nothing_about_our_files() -> None:
    for data in [*BROKEN.values(), *(text.encode() for text in INVALID.values())]:
        with pytest.raises(WireError) as caught:
            wire.decode(data)
        assert "site-packages" not in caught.value.description
        assert ".xsd" not in caught.value.description


PIECES = [
    b"<!DOCTYPE a>",
    b"<![CDATA[",
    b"]]>",
    b"&lt;",
    b"&x;",
    b"<?x?>",
    b"<!--",
    b"-->",
    b"\x00",
    b"\xff",
    b"'",
    b'"',
]
PIECES += [
    b"<",
    b">",
    b"/",
    b"NaN",
    b"INF",
    b"-1",
    b"9" * 400,
    b"0" * 5000 + b"1",
    b"P",
    b"1W",
    b"\xd9\xa3",
    b"x-",
    b" ",
]
DOCUMENTS = [wire.encode(sample) for sample in SAMPLES.values()]


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from(DOCUMENTS))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        until = min(len(data), at + draw(st.integers(0, 12)))
        data = data[:at] + draw(st.sampled_from(PIECES) | st.binary(max_size=4)) + data[until:]
    return data


@st.composite
def misspelt(draw: st.DrawFn) -> bytes:
    """A document with the text of one element replaced: more often still XML, so it reaches schema and decoder."""
    parts = draw(st.sampled_from(DOCUMENTS)).split(b">")
    leaves = [n for n, part in enumerate(parts) if b"</" in part and not part.startswith(b"<")]
    at = draw(st.sampled_from(leaves))
    tail = parts[at][parts[at].index(b"</") :]
    return b">".join([*parts[:at], draw(st.sampled_from(PIECES)) + tail, *parts[at + 1 :]])


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutants() | misspelt())
def test_sec_30_any_bytes_give_a_message_or_one_of_our_errors(data: bytes) -> None:
    assert _outcome(data)


def _outcome(data: bytes) -> str:
    """The root's name, or what our error says; any other exception fails the test."""
    try:
        return wire.root_name(wire.decode(data))
    except (WireError, OadrError) as error:
        return error.description


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_never_a_message(data: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode(data)
