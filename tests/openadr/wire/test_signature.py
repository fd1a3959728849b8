"""Signing and verifying by the rules of R514, our own messages both ways, and what may differ in a peer's signature."""

import base64
import secrets
import textwrap
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from openadr import wire
from openadr.errors import InvalidData, NotXml, SchemaInvalid, SignatureInvalid, SignatureMissing, TooLarge
from openadr.messages import Message, Poll
from openadr.wire import signature
from openadr.wire.signature import verify
from openadr.wire.signing import NONCE_BYTES, Signer, sign
from tests.openadr.wire.samples import SAMPLES, SIMPLE_EVENT
from tests.openadr.wire.signed import (
    C14N,
    DS,
    DSP,
    MORE,
    NONCE,
    NOW,
    NS,
    OADR,
    POLL,
    SHA256,
    Change,
    changed,
    element,
    forge,
    one,
    party,
    signed,
)
from tests.openadr.wire.strategies import MESSAGES


@pytest.mark.parametrize("kind", ["ec", "rsa", "p384", "p521"])
@pytest.mark.parametrize("name", SAMPLES)
def test_rule_514_every_message_is_signed_and_verified(kind: str, name: str) -> None:
    by = party(kind)
    nonce = secrets.token_bytes(NONCE_BYTES)
    data = sign(wire.encode(SAMPLES[name]), by.signer, timestamp=NOW, nonce=nonce)
    verified = verify(data, trusted=by.der)
    assert verified.message == SAMPLES[name]
    assert (verified.certificate_der, verified.timestamp, verified.nonce) == (by.der, NOW, nonce.hex())
    assert wire.decode(data) == SAMPLES[name]


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.one_of(*MESSAGES.values()))
def test_rule_514_any_message_is_signed_and_verified(message: Message) -> None:
    data = sign(wire.encode(message), party("ec").signer, timestamp=NOW, nonce=NONCE)
    assert verify(data, trusted=party("ec").der, max_bytes=10_000_000).message == message


def test_rule_514_joined_events_are_signed_like_encoded_ones() -> None:
    joined = wire.join_distribute("req-1", "VTN-1", None, [wire.encode_event(SIMPLE_EVENT)])
    data = sign(joined, party("ec").signer, timestamp=NOW, nonce=NONCE)
    assert verify(data, trusted=party("ec").der).message == wire.decode(joined)


def test_rule_514_what_is_signed_is_laid_out_as_the_profile_says() -> None:
    root = etree.fromstring(signed("rsa"))
    assert [etree.QName(child).localname for child in root] == ["Signature", "oadrSignedObject"]
    assert [reference.get("URI") for reference in root.iterfind(".//ds:Reference", NS)] == [
        "#" + root[1].get(f"{{{OADR}}}Id", ""),
        "#" + one(root, "ds:Signature/ds:Object").get("Id", ""),
    ]
    assert one(root, ".//ds:SignatureMethod").get("Algorithm") == f"{MORE}rsa-sha256"
    assert {method.get("Algorithm") for method in root.iterfind(".//ds:DigestMethod", NS)} == {SHA256}
    assert one(root, ".//ds:CanonicalizationMethod").get("Algorithm") == C14N
    assert one(root, ".//ds:X509SubjectName").text == "CN=ven-1"
    target = one(root, ".//ds:SignatureProperty").get("Target")
    assert target == "#" + one(root, "ds:Signature").get("Id", "")
    assert max(map(len, (one(root, ".//ds:X509Certificate").text or "").splitlines())) == 64


def test_rule_514_the_message_comes_from_the_very_element_that_was_digested() -> None:
    verified = verify(signed(), trusted=party("ec").der)
    signed_object = verified.payload.getparent()
    assert signed_object is not None
    assert signed_object.tag == f"{{{OADR}}}oadrSignedObject"
    assert signed_object.getparent() is verified.payload.getroottree().getroot()
    assert wire.root_name(verified.message) == etree.QName(verified.payload).localname


def test_rule_514_a_message_without_signature_is_told_apart() -> None:
    for data in (wire.encode(POLL), etree.tostring(etree.fromstring(wire.encode(POLL))[0][0])):
        with pytest.raises(SignatureMissing, match="no XML signature"):
            verify(data, trusted=party("ec").der)


def test_sec_30_size_form_and_schema_come_before_the_signature() -> None:
    data = signed()
    with pytest.raises(TooLarge):
        verify(data, trusted=party("ec").der, max_bytes=len(data) - 1)
    assert verify(data, trusted=party("ec").der, max_bytes=len(data)).message == POLL
    with pytest.raises(NotXml, match="DOCTYPE"):
        verify(data.replace(b"?>\n", b"?>\n<!DOCTYPE a>"), trusted=party("ec").der)
    with pytest.raises(SchemaInvalid):
        verify(data.replace(b"venID>", b"venId>"), trusted=party("ec").der)


def test_content_without_meaning_is_refused_after_the_signature() -> None:
    def not_a_number(root: etree._Element) -> None:
        one(root, ".//e:payloadFloat/e:value").text = "NaN"

    data = sign(wire.encode(SAMPLES["oadrUpdateReport"]), party("ec").signer, timestamp=NOW, nonce=NONCE)
    with pytest.raises(SignatureInvalid):
        verify(changed(data, not_a_number), trusted=party("ec").der)
    with pytest.raises(InvalidData):
        verify(forge(party("ec"), not_a_number, data=data), trusted=party("ec").der)


# What a peer may do otherwise than we do.


def drop(path: str) -> Change:
    def change(root: etree._Element) -> None:
        for found in root.findall(path, NS):
            parent = found.getparent()
            assert parent is not None
            parent.remove(found)

    return change


def put(path: str, name: str, value: str) -> Change:
    def change(root: etree._Element) -> None:
        for found in root.findall(path, NS):
            found.set(name, value)

    return change


def text(path: str, value: str) -> Change:
    def change(root: etree._Element) -> None:
        one(root, path).text = value

    return change


def swap(path: str, fragment: str) -> Change:
    def change(root: etree._Element) -> None:
        old = one(root, path)
        parent = old.getparent()
        assert parent is not None
        parent.replace(old, element(fragment))

    return change


def append(path: str, fragment: str) -> Change:
    return lambda root: one(root, path).append(element(fragment))


def reverse_references(root: etree._Element) -> None:
    info = one(root, ".//ds:SignedInfo")
    info.append(info[2])


def rename_ids(root: etree._Element) -> None:
    root[1].set(f"{{{OADR}}}Id", "x-1")
    one(root, ".//ds:Object").set("Id", "y-1")
    info = one(root, ".//ds:SignedInfo")
    info[2].set("URI", "#x-1")
    info[3].set("URI", "#y-1")


def blanks_in_base64(root: etree._Element) -> None:
    for path in (".//ds:X509Certificate", ".//ds:DigestMethod/../ds:DigestValue"):
        found = one(root, path)
        found.text = "\n " + "\r\n\t".join(textwrap.wrap(found.text or "", 20)) + " \n"


def blanks_between_elements(root: etree._Element) -> None:
    for parent in root.iter():
        if len(parent):
            parent.text = "\n  "
            for child in parent:
                child.tail = "\n  "


PEERS: dict[str, Change] = {
    "as-is": lambda root: None,
    "no-transforms": drop(".//ds:Transforms"),
    "one-transform-only": drop(".//ds:Reference[1]/ds:Transforms"),
    "with-comments-transform": put(".//ds:Transform", "Algorithm", f"{C14N}#WithComments"),
    "with-comments-signed-info": put(".//ds:CanonicalizationMethod", "Algorithm", f"{C14N}#WithComments"),
    "references-reversed": reverse_references,
    "other-ids": rename_ids,
    "reference-type": put(".//ds:Reference", "Type", f"{DS}SignatureProperties"),
    "no-key-info": drop(".//ds:KeyInfo"),
    "key-name-only": swap(".//ds:KeyInfo", "<ds:KeyInfo><ds:KeyName>ven-1</ds:KeyName></ds:KeyInfo>"),
    "key-name-too": append(".//ds:KeyInfo", "<ds:KeyName>somebody else</ds:KeyName>"),
    "key-value-too": append(
        ".//ds:KeyInfo",
        "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>",
    ),
    "no-subject-name": drop(".//ds:X509SubjectName"),
    "blanks-in-base64": blanks_in_base64,
    "blanks-between-elements": blanks_between_elements,
    "schema-location": put(
        ".", "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation", f"{OADR} http://127.0.0.1/oadr_20b.xsd"
    ),
    "nonce-encoding-type": put(".//dsp:nonce", "EncodingType", "http://example.com/#Base64Binary"),
    "second-property": append(
        ".//ds:SignatureProperties", '<ds:SignatureProperty Target="#x"><x xmlns="urn:x"/></ds:SignatureProperty>'
    ),
    "property-dangling-target": put(".//ds:SignatureProperty", "Target", "#mytarget"),
    "timestamp-blanks": text(".//dsp:timestamp", "\n 2026-11-21T08:00:00Z\t"),
    "timestamp-offset": text(".//dsp:timestamp", "2026-11-21T10:30:00+02:30"),
    "timestamp-zero-offset": text(".//dsp:timestamp", "2026-11-21T08:00:00.000-00:00"),
}


@pytest.mark.parametrize("kind", ["ec", "rsa"])
@pytest.mark.parametrize("name", PEERS)
def test_rule_514_forms_peers_may_use_are_taken(name: str, kind: str) -> None:
    verified = verify(forge(party(kind), PEERS[name]), trusted=party(kind).der)
    assert (verified.message, verified.timestamp, verified.nonce) == (POLL, NOW, NONCE.hex())


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-11-21T08:00:00.986646Z", NOW.replace(microsecond=986_646)),
        ("2026-11-21T08:00:00.123456789Z", NOW.replace(microsecond=123_456)),
        ("2026-11-21T08:00:00.5+00:00", NOW.replace(microsecond=500_000)),
        ("2026-11-20T18:00:00-14:00", NOW),
    ],
)
def test_rule_514_the_timestamp_is_read_to_the_microsecond_and_in_utc(written: str, read: datetime) -> None:
    verified = verify(forge(party("ec"), text(".//dsp:timestamp", written)), trusted=party("ec").der)
    assert verified.timestamp == read
    assert verified.timestamp.tzinfo is UTC


@pytest.mark.parametrize(
    "written",
    [
        "",
        "now",
        "2026-11-21T08:00:00",
        "2026-11-21 08:00:00Z",
        "2026-11-21T08:00Z",
        "2026-11-21",
        "20261121T080000Z",
        "2026-W47-6T08:00:00Z",
        "2026-02-30T08:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T08:00:60Z",
        "2026-11-21T08:00:00+24:00",
        "2026-11-21T08:00:00+0200",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "-2026-11-21T08:00:00Z",
        "02026-11-21T08:00:00Z",
        "2026-11-21T08:00:00Z2026-11-21T08:00:00Z",
        "२०२६-11-21T08:00:00Z",
        "9" * 500_000,
    ],
)
def test_rule_514_a_timestamp_that_is_no_instant_is_refused(written: str) -> None:
    with pytest.raises(SignatureInvalid, match="not a date-time") as caught:
        verify(forge(party("ec"), text(".//dsp:timestamp", written)), trusted=party("ec").der)
    assert len(caught.value.description) < 300


REPLAY_PROTECT: dict[str, Change] = {
    "no-objects": drop(".//ds:Object"),
    "two-objects": append(".//ds:Signature", '<ds:Object Id="second"/>'),
    "no-replay-protect": swap(".//dsp:ReplayProtect", '<x xmlns="urn:x"/>'),
    "other-namespace": swap(
        ".//dsp:ReplayProtect",
        '<ReplayProtect xmlns="urn:x"><timestamp>2026-11-21T08:00:00Z</timestamp><nonce>a</nonce></ReplayProtect>',
    ),
    "no-timestamp": drop(".//dsp:timestamp"),
    "no-nonce": drop(".//dsp:nonce"),
    "other-order": lambda root: one(root, ".//dsp:ReplayProtect").append(one(root, ".//dsp:timestamp")),
    "two-timestamps": append(".//dsp:ReplayProtect", "<dsp:timestamp>2026-11-21T08:00:00Z</dsp:timestamp>"),
    "two-nonces": append(".//dsp:ReplayProtect", "<dsp:nonce>other</dsp:nonce>"),
    "two-replay-protects": append(
        ".//ds:SignatureProperty",
        "<dsp:ReplayProtect><dsp:timestamp>2026-11-21T08:00:00Z</dsp:timestamp><dsp:nonce>b</dsp:nonce></dsp:ReplayProtect>",
    ),
    "deeper": swap(
        ".//dsp:ReplayProtect",
        '<x xmlns="urn:x"><dsp:ReplayProtect><dsp:timestamp>2026-11-21T08:00:00Z</dsp:timestamp>'
        "<dsp:nonce>b</dsp:nonce></dsp:ReplayProtect></x>",
    ),
    "element-in-nonce": append(".//dsp:nonce", '<x xmlns="urn:x"/>'),
    "element-in-timestamp": append(".//dsp:timestamp", '<x xmlns="urn:x"/>'),
    "empty-nonce": text(".//dsp:nonce", ""),
    "long-nonce": text(".//dsp:nonce", "n" * 257),
}


@pytest.mark.parametrize("name", REPLAY_PROTECT)
def test_rule_514_a_broken_replay_protect_is_refused_though_rightly_signed(name: str) -> None:
    with pytest.raises(SignatureInvalid, match="ReplayProtect"):
        verify(forge(party("ec"), REPLAY_PROTECT[name]), trusted=party("ec").der)


def test_rule_514_a_nonce_is_taken_as_it_stands() -> None:
    for nonce in ("n" * 256, " a\n", "ünïcode"):
        assert verify(forge(party("ec"), text(".//dsp:nonce", nonce)), trusted=party("ec").der).nonce == nonce


# Whose signature is taken.


def test_rule_514_another_certificate_than_the_registered_one_is_refused() -> None:
    for other in (party("ec", "ven-2"), party("rsa")):
        with pytest.raises(SignatureInvalid, match="not the one registered"):
            verify(signed(), trusted=other.der)
        with pytest.raises(SignatureInvalid, match="not the one registered"):
            verify(signed(), trusted=other.der.__eq__)


def test_rule_514_a_function_may_say_who_is_registered() -> None:
    asked: list[bytes] = []

    def registered(der: bytes) -> bool:
        asked.append(der)
        return der == party("ec").der

    assert verify(signed(), trusted=registered).certificate_der == party("ec").der
    chain = append(
        ".//ds:X509Data", f"<ds:X509Certificate>{base64.b64encode(party('rsa').der).decode()}</ds:X509Certificate>"
    )
    assert verify(forge(party("ec"), chain), trusted=registered).message == POLL
    assert asked == [party("ec").der] * 2


def test_rule_514_a_chain_may_hold_the_registered_certificate_at_any_place() -> None:
    def root_first(root: etree._Element) -> None:
        data = one(root, ".//ds:X509Data")
        data.insert(
            0, element(f"<ds:X509Certificate>{base64.b64encode(party('rsa').der).decode()}</ds:X509Certificate>")
        )

    assert verify(forge(party("ec"), root_first), trusted=party("ec").der).certificate_der == party("ec").der


def test_rule_514_a_key_name_alone_needs_the_registered_certificate_itself() -> None:
    data = forge(party("ec"), PEERS["key-name-only"])
    assert verify(data, trusted=party("ec").der).certificate_der == party("ec").der
    with pytest.raises(SignatureInvalid, match="no X509Certificate"):
        verify(data, trusted=lambda der: True)
    with pytest.raises(SignatureInvalid, match="SignatureValue"):
        verify(data, trusted=party("ec", "ven-2").der)


@pytest.mark.parametrize("kind", ["rsa-1024", "p192", "secp256k1", "ed25519"])
def test_rule_068_keys_too_weak_or_of_another_kind_are_refused_even_if_registered(kind: str) -> None:
    with pytest.raises(SignatureInvalid, match="cannot be used to sign"):
        verify(forge(party(kind)), trusted=party(kind).der)


def test_an_rsa_key_that_would_cost_seconds_to_use_is_refused_even_if_registered() -> None:
    """Verifying grows with the square of the modulus; nobody has to hold the private half of such a key."""
    giant = rsa.RSAPublicNumbers(e=65537, n=2**16_383 + 1).public_key()
    by = party("ec")
    assert isinstance(by.key, ec.EllipticCurvePrivateKey)
    certificate = (
        x509.CertificateBuilder(by.certificate.issuer, by.certificate.subject, giant, 1, NOW, NOW + timedelta(days=1))
        .sign(by.key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    with pytest.raises(SignatureInvalid, match="2048 to 8192 bits"):
        verify(forge(by, PEERS["no-key-info"]), trusted=certificate)


def test_signing_and_verifying_may_run_in_several_threads() -> None:
    signers = {kind: party(kind).signer for kind in ("ec", "rsa")}

    def there_and_back(number: int) -> bool:
        kind, message = ("ec", "rsa")[number % 2], Poll(ven_id=f"ven-{number}")
        data = sign(wire.encode(message), signers[kind], timestamp=NOW, nonce=number.to_bytes(NONCE_BYTES))
        verified = verify(data, trusted=party(kind).der)
        return (verified.message, verified.nonce) == (message, number.to_bytes(NONCE_BYTES).hex())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(there_and_back, range(400)))


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x03\x02\x01\x01", b"\x30\x84\xff\xff\xff\xff"])
def test_a_registered_certificate_that_is_none_is_an_error_not_a_crash(der: bytes) -> None:
    with pytest.raises(SignatureInvalid, match="cannot be used to sign"):
        verify(forge(party("ec"), drop(".//ds:KeyInfo")), trusted=der)


# SHA-1


def sha1_digest(root: etree._Element) -> None:
    put(".//ds:DigestMethod", "Algorithm", f"{DS}sha1")(root)


def sha1_rsa(root: etree._Element) -> None:
    put(".//ds:SignatureMethod", "Algorithm", f"{DS}rsa-sha1")(root)


def sha1_ecdsa(root: etree._Element) -> None:
    put(".//ds:SignatureMethod", "Algorithm", f"{MORE}ecdsa-sha1")(root)


@pytest.mark.parametrize(("kind", "change"), [("ec", sha1_digest), ("rsa", sha1_rsa), ("ec", sha1_ecdsa)])
def test_rule_514_sha1_is_refused_unless_configured(kind: str, change: Change) -> None:
    data = forge(party(kind), change)
    with pytest.raises(SignatureInvalid, match="sha1' is not allowed"):
        verify(data, trusted=party(kind).der)
    assert verify(data, trusted=party(kind).der, sha1=True).message == POLL
    assert verify(signed(kind), trusted=party(kind).der, sha1=True).message == POLL


# Our signer


def test_the_signer_takes_a_chain_and_a_password() -> None:
    by = party("rsa")
    assert Signer.from_pem(by.key_pem, by.pem + party("ec").pem).certificate_der == by.der


def test_the_signer_refuses_what_it_cannot_sign_with() -> None:
    rsa_party, ec_party = party("rsa"), party("ec")
    with pytest.raises(ValueError, match="not the one of this private key"):
        Signer.from_pem(rsa_party.key_pem, ec_party.pem)
    for kind in ("rsa-1024", "secp256k1"):
        with pytest.raises(ValueError, match="R68"):
            Signer.from_pem(party(kind).key_pem, party(kind).pem)
    with pytest.raises(ValueError, match="RSA or EC"):
        Signer.from_pem(party("ed25519").key_pem, party("ed25519").pem)
    with pytest.raises(ValueError, match="cannot be loaded"):
        Signer.from_pem(rsa_party.key_pem, rsa_party.pem, password=b"not encrypted at all")
    with pytest.raises(ValueError):  # noqa: PT011 -- the text is the library's
        Signer.from_pem(rsa_party.key_pem, b"")
    with pytest.raises(ValueError):  # noqa: PT011
        Signer.from_pem(b"", rsa_party.pem)


def test_only_our_own_unsigned_documents_are_signed() -> None:
    signer = party("ec").signer
    whole = wire.encode(POLL)
    for document in (b"", b"<a/>", signed(), whole[:-1], whole + b" ", whole.replace(b"oadrSignedObject>", b"x>")):
        with pytest.raises(ValueError, match="only an unsigned document"):
            sign(document, signer, timestamp=NOW, nonce=NONCE)


def test_a_short_nonce_or_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes"):
        sign(wire.encode(POLL), party("ec").signer, timestamp=NOW, nonce=b"x" * 15)
    with pytest.raises(ValueError, match="time zone"):
        sign(wire.encode(POLL), party("ec").signer, timestamp=NOW.replace(tzinfo=None), nonce=NONCE)


def test_the_time_of_sending_is_written_in_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    data = sign(wire.encode(POLL), party("ec").signer, timestamp=there, nonce=NONCE)
    assert b"<dsp:timestamp>2026-11-21T08:00:00Z</dsp:timestamp>" in data
    assert f"{{{DSP}}}" + "ReplayProtect" in {found.tag for found in etree.fromstring(data).iter()}


def test_base64_that_the_schema_would_not_let_pass_is_an_error_not_a_crash() -> None:
    for broken in ("A", "ä", "AA==AA", "A-_A"):
        with pytest.raises(SignatureInvalid, match="not base64"):
            signature._base64(element(f"<ds:DigestValue>{broken}</ds:DigestValue>"))
