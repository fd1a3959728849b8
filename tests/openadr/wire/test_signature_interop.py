"""Signatures between us and software we did not write: signxml and openleadr, RSA and EC, in both directions."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree
from openleadr import messaging
from openleadr.utils import certificate_fingerprint
from signxml import CanonicalizationMethod, SignatureConfiguration, XMLSigner, XMLVerifier, methods
from signxml.algorithms import SignatureMethod
from signxml.exceptions import InvalidDigest, InvalidSignature

from openadr import wire
from openadr.errors import SignatureInvalid
from openadr.identity import fingerprint
from openadr.messages import Message, Poll
from openadr.wire.replay import admit
from openadr.wire.signature import verify
from openadr.wire.signing import NONCE_BYTES, sign
from openadr.wire.xml import NAMESPACES
from tests.openadr.wire.samples import SAMPLES
from tests.openadr.wire.signed import DSP, NONCE, NOW, OADR, Party, party

pytestmark = pytest.mark.interop

KINDS = ("rsa", "ec")
BOTH_REFERENCES = SignatureConfiguration(expect_references=2, location="./")


def ours(message: Message, by: Party, timestamp: datetime = NOW) -> bytes:
    return sign(wire.encode(message), by.signer, timestamp=timestamp, nonce=secrets.token_bytes(NONCE_BYTES))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAMPLES)
def test_rule_514_signxml_verifies_what_we_sign(name: str, kind: str) -> None:
    by = party(kind)
    signed_object, properties = XMLVerifier().verify(
        ours(SAMPLES[name], by), x509_cert=by.pem.decode(), expect_config=BOTH_REFERENCES
    )
    assert signed_object.signed_xml.tag == f"{{{OADR}}}oadrSignedObject"
    assert wire.decode(etree.tostring(signed_object.signed_xml[0])) == SAMPLES[name]
    assert properties.signed_xml.findtext(f".//{{{DSP}}}timestamp") == "2026-11-21T08:00:00Z"


@pytest.mark.parametrize("kind", KINDS)
def test_signxml_and_we_refuse_the_same_tampering(kind: str) -> None:
    by = party(kind)
    data = ours(Poll(ven_id="ven-1"), by)
    for old, new in (
        (b"ven-1</", b"ven-2</"),
        (b"08:00:00Z", b"08:00:01Z"),
        (b"<ds:SignatureMethod ", b"<ds:SignatureMethod  "),
    ):
        other = data.replace(old, new)
        assert other != data
        if b"  " in new:  # blanks between attributes are no difference
            assert verify(other, trusted=by.der).message == Poll(ven_id="ven-1")
            continue
        with pytest.raises(SignatureInvalid, match="digest"):
            verify(other, trusted=by.der)
        with pytest.raises((InvalidDigest, InvalidSignature)):
            XMLVerifier().verify(other, x509_cert=by.pem.decode(), expect_config=BOTH_REFERENCES)


def signed_by_signxml(message: Message, by: Party, form: CanonicalizationMethod) -> bytes:
    root = etree.fromstring(wire.encode(message))
    root[0].set(f"{{{OADR}}}Id", "object-1")
    signer = XMLSigner(method=methods.detached, c14n_algorithm=form)
    signer.namespaces.update(NAMESPACES)  # what will be in scope where the signature is put
    signer.sign_alg = SignatureMethod.RSA_SHA256 if by is party("rsa") else SignatureMethod.ECDSA_SHA256
    protect = etree.Element(f"{{{DSP}}}ReplayProtect", nsmap={"dsp": DSP})
    etree.SubElement(protect, f"{{{DSP}}}timestamp").text = "2026-11-21T08:00:00.25Z"
    etree.SubElement(protect, f"{{{DSP}}}nonce").text = "n-1"
    signature = signer.sign(
        root,
        key=by.key_pem,
        cert=by.pem.decode(),
        reference_uri="#object-1",
        signature_properties=protect,
    )
    root.insert(0, signature)
    return etree.tostring(root)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAMPLES)
def test_rule_514_we_verify_what_signxml_signs(name: str, kind: str) -> None:
    by = party(kind)
    verified = verify(signed_by_signxml(SAMPLES[name], by, CanonicalizationMethod.CANONICAL_XML_1_0), trusted=by.der)
    assert verified.message == SAMPLES[name]
    assert (verified.nonce, verified.timestamp) == ("n-1", NOW + timedelta(milliseconds=250))


@pytest.mark.parametrize("kind", KINDS)
def test_rule_514_canonical_xml_with_comments_is_taken_from_signxml(kind: str) -> None:
    by = party(kind)
    data = signed_by_signxml(SAMPLES["oadrPoll"], by, CanonicalizationMethod.CANONICAL_XML_1_0_WITH_COMMENTS)
    assert b"#WithComments" in data
    assert verify(data, trusted=by.der).message == SAMPLES["oadrPoll"]


@pytest.mark.parametrize(
    "form", [CanonicalizationMethod.CANONICAL_XML_1_1, CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0]
)
def test_rule_514_other_canonical_forms_of_signxml_are_refused(form: CanonicalizationMethod) -> None:
    with pytest.raises(SignatureInvalid, match="CanonicalizationMethod"):
        verify(signed_by_signxml(SAMPLES["oadrPoll"], party("ec"), form), trusted=party("ec").der)


THEIRS: dict[str, dict[str, object]] = {
    "oadrPoll": {"ven_id": "ven-1"},
    "oadrRequestEvent": {"request_id": "r-1", "ven_id": "ven-1"},
    "oadrQueryRegistration": {"request_id": "r-1"},
    "oadrCanceledOpt": {
        "response": {"response_code": 200, "response_description": "OK", "request_id": "r-1"},
        "opt_id": "o-1",
    },
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", THEIRS)
def test_rule_514_we_verify_what_openleadr_signs(name: str, kind: str) -> None:
    by = party(kind)
    before = datetime.now(UTC)
    data = messaging.create_message(name, cert=by.pem, key=by.key_pem, **THEIRS[name]).encode()
    verified = verify(data, trusted=by.der)
    assert verified.message == wire.decode(messaging.create_message(name, **THEIRS[name]).encode())
    assert before <= verified.timestamp <= datetime.now(UTC)
    assert len(verified.nonce) == 32
    assert admit(verified, datetime.now(UTC)).fingerprint == certificate_fingerprint(by.pem.decode())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAMPLES)
def test_rule_514_openleadr_accepts_what_we_sign(name: str, kind: str) -> None:
    by = party(kind)
    data = ours(SAMPLES[name], by, datetime.now(UTC))
    tree = messaging.validate_xml_schema(data)
    messaging.validate_xml_signature(tree, cert_fingerprint=fingerprint(by.der))
    with pytest.raises(ValueError, match="already used"):
        messaging.validate_xml_signature(tree)  # it looked at timestamp and nonce
    assert verify(data, trusted=by.der).message == SAMPLES[name]


def test_openleadr_refuses_ours_after_tampering() -> None:
    tree = messaging.validate_xml_schema(ours(Poll(ven_id="ven-1"), party("ec"), datetime.now(UTC)))
    tree[1][0][0].text = "ven-2"
    with pytest.raises(InvalidDigest):
        messaging.validate_xml_signature(tree)
    assert len(NONCE) == NONCE_BYTES
