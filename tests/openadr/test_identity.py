"""Fingerprints and certificate facts, checked against certificates made here."""

import hashlib
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from openadr.errors import InvalidData
from openadr.identity import (
    FINGERPRINT_LENGTH,
    CertificateFacts,
    certificate_facts,
    fingerprint,
    names_host,
    normal_fingerprint,
)

NOT_BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2027, 1, 1, tzinfo=UTC)


def certificate(*, names: bool = True, empty: bool = False) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = (
        []
        if empty
        else [
            x509.NameAttribute(NameOID.COMMON_NAME, "ven-1"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Depot"),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")]))
        .public_key(key.public_key())
        .serial_number(0xABC123)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
    )
    if names:
        alternatives = [x509.DNSName("ven.example"), x509.IPAddress(ip_address("192.0.2.1")), x509.DNSName("b.example")]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_the_fingerprint_is_the_last_ten_bytes_of_sha_256() -> None:
    der = certificate()
    digest = hashlib.sha256(der).hexdigest().upper()[-20:]
    assert fingerprint(der) == ":".join(digest[at : at + 2] for at in range(0, 20, 2))
    assert len(fingerprint(der)) == FINGERPRINT_LENGTH


def test_the_fingerprint_of_known_bytes() -> None:
    assert fingerprint(b"") == "64:9B:93:4C:A4:95:99:1B:78:52:B8:55"[-29:]


@pytest.mark.parametrize(
    "text",
    [
        "a4:95:99:1b:78:52:b8:55:00:ff",
        "A495991B7852B85500FF",
        "a4-95-99-1b-78-52-b8-55-00-ff",
        " A4 95 991B7852B855 00FF",
    ],
)
def test_a_typed_fingerprint_is_brought_into_one_form(text: str) -> None:
    assert normal_fingerprint(text) == "A4:95:99:1B:78:52:B8:55:00:FF"


@pytest.mark.parametrize("text", ["", "A4", "zz:95:99:1b:78:52:b8:55:00:ff", "A4:" * 20, "A495991B7852B85500F"])
def test_other_fingerprints_are_refused(text: str) -> None:
    with pytest.raises(InvalidData, match="ten hex pairs"):
        normal_fingerprint(text)


def test_facts_of_a_certificate() -> None:
    der = certificate()
    facts = certificate_facts(der)
    assert (facts.subject_cn, facts.issuer_cn, facts.organisation) == ("ven-1", "Test CA", "Depot")
    assert (facts.serial, facts.fingerprint) == ("ABC123", fingerprint(der))
    assert facts.san_dns == ("ven.example", "b.example")
    assert facts.san_ip == ("192.0.2.1",)
    assert (facts.not_before, facts.not_after) == (NOT_BEFORE, NOT_AFTER)


def test_a_certificate_without_names_has_empty_facts() -> None:
    facts = certificate_facts(certificate(names=False, empty=True))
    assert (facts.subject_cn, facts.organisation, facts.san_dns, facts.san_ip) == ("", "", (), ())


@pytest.mark.parametrize(
    ("now", "valid"),
    [
        (NOT_BEFORE - timedelta(seconds=1), False),
        (NOT_BEFORE, True),
        (NOT_AFTER, True),
        (NOT_AFTER + timedelta(seconds=1), False),
    ],
)
def test_rule_516_validity_in_time(now: datetime, valid: bool) -> None:
    assert certificate_facts(certificate()).valid_at(now) is valid


@pytest.mark.parametrize("der", [b"", b"not a certificate", certificate()[:-10], certificate() + b"\x00"])
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    with pytest.raises(InvalidData, match="DER"):
        certificate_facts(der)


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("ven.example", True),
        ("VEN.example.", True),
        ("b.example", True),
        ("c.example", False),
        ("a.wild.example", True),
        ("a.b.wild.example", False),
        ("wild.example", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("2001:db8::1", True),
        ("2001:0db8:0:0::1", True),
        ("example", False),
        ("", False),
    ],
)
def test_the_host_a_certificate_is_made_out_to(host: str, named: bool) -> None:
    facts = CertificateFacts(
        subject_cn="x",
        issuer_cn="ca",
        organisation="",
        serial="1",
        not_before=NOT_BEFORE,
        not_after=NOT_AFTER,
        fingerprint="",
        san_dns=("ven.example", "B.Example", "*.wild.example"),
        san_ip=("192.0.2.1", "2001:db8::1"),
    )
    assert names_host(facts, host) is named
