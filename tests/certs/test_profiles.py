"""The certificate profiles: what each holds, and what is refused before anything is made."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.files import new_key
from certs.profiles import (
    MAX_NAME,
    PROFILES,
    KeyType,
    LeafRequest,
    PrivateKey,
    Profile,
    ProfileError,
    Role,
    ca_certificate,
    common_name_for,
    leaf_certificate,
)

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@pytest.fixture(scope="module")
def root() -> tuple[x509.Certificate, PrivateKey]:
    key = new_key(KeyType.EC)
    return ca_certificate(subject="root", owner="Owner", key=key, issuer=None, serial=1, now=NOW), key


@pytest.fixture(scope="module")
def issuer(root: tuple[x509.Certificate, PrivateKey]) -> tuple[x509.Certificate, PrivateKey]:
    key = new_key(KeyType.EC)
    return ca_certificate(subject="issuing", owner="Owner", key=key, issuer=root, serial=2, now=NOW), key


def leaf(
    issuer: tuple[x509.Certificate, PrivateKey],
    request: LeafRequest,
    kind: KeyType = KeyType.EC,
    days: int | None = None,
) -> x509.Certificate:
    return leaf_certificate(request, key=new_key(kind).public_key(), issuer=issuer, serial=3, now=NOW, days=days)


def usages(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def key_usage(certificate: x509.Certificate) -> x509.KeyUsage:
    return certificate.extensions.get_extension_for_class(x509.KeyUsage).value


def test_every_profile_has_a_row_and_every_role_a_profile() -> None:
    assert set(PROFILES) == set(Profile)
    assert {rule.role for rule in PROFILES.values()} == set(Role)


def test_a_vtn_is_server_and_client_with_its_names(issuer: tuple[x509.Certificate, PrivateKey]) -> None:
    made = leaf(
        issuer, LeafRequest(profile=Profile.OPENADR_VTN, common_name="vtn", names=("vtn.example", "127.0.0.1", "::1"))
    )
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert usages(made) == {SERVER, CLIENT}
    assert names.get_values_for_type(x509.DNSName) == ["vtn.example"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_a_ven_is_a_client_and_a_server_only_with_host_names(issuer: tuple[x509.Certificate, PrivateKey]) -> None:
    pull = LeafRequest(profile=Profile.OPENADR_VEN, common_name="AA:BB:CC:DD:EE:FF")
    push = LeafRequest(profile=Profile.OPENADR_VEN, common_name="ven", names=("ven.example",))
    made = leaf(issuer, pull)
    assert usages(made) == {CLIENT}
    assert made.subject.rfc4514_string() == "CN=AA:BB:CC:DD:EE:FF"
    assert usages(leaf(issuer, push)) == {CLIENT, SERVER}


def test_a_station_names_its_operator_and_its_identity(issuer: tuple[x509.Certificate, PrivateKey]) -> None:
    made = leaf(issuer, LeafRequest(profile=Profile.OCPP_STATION, common_name="CP1", organisation="The CPO"))
    assert usages(made) == {CLIENT}
    assert made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "CP1"
    assert made.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "The CPO"


def test_a_server_is_only_a_server(issuer: tuple[x509.Certificate, PrivateKey]) -> None:
    assert usages(leaf(issuer, LeafRequest(profile=Profile.SERVER, common_name="s", names=("localhost",)))) == {SERVER}


@pytest.mark.parametrize(("kind", "enciphers"), [(KeyType.EC, False), (KeyType.RSA, True)])
def test_rule_067_only_an_rsa_key_may_encipher_keys(
    issuer: tuple[x509.Certificate, PrivateKey], kind: KeyType, enciphers: bool
) -> None:
    made = leaf(issuer, LeafRequest(profile=Profile.OPENADR_VEN, common_name="ven"), kind)
    assert key_usage(made).key_encipherment is enciphers
    assert key_usage(made).digital_signature is True
    assert key_usage(made).key_cert_sign is False


@pytest.mark.parametrize(("kind", "bits"), [(KeyType.EC, 256), (KeyType.RSA, 2048)])
def test_rule_068_keys_are_long_enough(kind: KeyType, bits: int) -> None:
    assert new_key(kind).key_size == bits


def test_an_issuing_ca_may_not_make_another_ca(
    root: tuple[x509.Certificate, PrivateKey], issuer: tuple[x509.Certificate, PrivateKey]
) -> None:
    lengths = [
        each[0].extensions.get_extension_for_class(x509.BasicConstraints).value.path_length for each in (root, issuer)
    ]
    assert lengths == [1, 0]
    assert all(key_usage(each[0]).key_cert_sign for each in (root, issuer))


def test_a_certificate_is_signed_by_its_issuer(
    root: tuple[x509.Certificate, PrivateKey], issuer: tuple[x509.Certificate, PrivateKey]
) -> None:
    made = leaf(issuer, LeafRequest(profile=Profile.OPENADR_VEN, common_name="ven"))
    made.verify_directly_issued_by(issuer[0])
    issuer[0].verify_directly_issued_by(root[0])
    with pytest.raises(ValueError, match="does not match certificate issuer"):
        made.verify_directly_issued_by(root[0])


def test_validity_begins_a_little_earlier_and_never_outlasts_the_issuer(
    issuer: tuple[x509.Certificate, PrivateKey],
) -> None:
    request = LeafRequest(profile=Profile.OPENADR_VEN, common_name="ven")
    made = leaf(issuer, request)
    assert made.not_valid_before_utc == NOW - timedelta(hours=1)
    assert made.not_valid_after_utc == NOW + timedelta(days=730)
    assert leaf(issuer, request, days=99_999).not_valid_after_utc == issuer[0].not_valid_after_utc


def test_a_validity_that_ends_before_it_begins_is_refused(issuer: tuple[x509.Certificate, PrivateKey]) -> None:
    with pytest.raises(ProfileError, match="validity"):
        leaf(issuer, LeafRequest(profile=Profile.OPENADR_VEN, common_name="ven"), days=-1)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (LeafRequest(profile=Profile.OPENADR_VTN, common_name="vtn"), "host name or address"),
        (LeafRequest(profile=Profile.SERVER, common_name="s"), "host name or address"),
        (LeafRequest(profile=Profile.OCPP_STATION, common_name="CP1"), "organisation"),
        (LeafRequest(profile=Profile.OPENADR_VEN, common_name=" "), "common name"),
        (LeafRequest(profile=Profile.OPENADR_VEN, common_name="x" * (MAX_NAME + 1)), "common name"),
        (LeafRequest(profile=Profile.OPENADR_VEN, common_name="a\nb"), "common name"),
        (LeafRequest(profile=Profile.OPENADR_VTN, common_name="vtn", names=("not a host",)), "host"),
        (LeafRequest(profile=Profile.OPENADR_VTN, common_name="vtn", names=("a" * 254,)), "host"),
    ],
)
def test_unfit_fields_are_refused_by_name(request_: LeafRequest, field: str) -> None:
    with pytest.raises(ProfileError, match=field):
        request_.checked()


def test_the_common_name_of_a_server_is_its_first_name() -> None:
    assert common_name_for(["a.example", "b.example"]) == "a.example"
    assert common_name_for([]) == ""
    assert len(common_name_for(["a" * 70])) == MAX_NAME
