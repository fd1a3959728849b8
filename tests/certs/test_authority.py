"""The authority: files and their rights, no overwriting, inventory, trust by role."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certs.authority import Authority, AuthorityError, KeyType, Profile, ProfileError, Role
from certs.demo import demo_pki
from certs.files import read_certificate, read_key

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "pki", now=NOW, owner="The Owner")


def everything(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def test_sec_23_each_role_has_a_root_of_its_own(authority: Authority) -> None:
    roots = {role: x509.load_pem_x509_certificates(authority.trust(role).read_bytes()) for role in Role}
    assert all(len(found) == 1 for found in roots.values())
    assert len({found[0].public_bytes(Encoding.DER) for found in roots.values()}) == 3


def test_an_existing_authority_is_never_overwritten(authority: Authority) -> None:
    before = everything(authority.directory)
    with pytest.raises(AuthorityError, match="never overwritten"):
        Authority.create(authority.directory, now=NOW)
    assert everything(authority.directory) == before


def test_an_interrupted_creation_leaves_no_authority_and_can_be_repeated(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="owner"):
        Authority.create(tmp_path / "pki", now=NOW, owner="x" * 65)
    with pytest.raises(AuthorityError, match="no authority here"):
        Authority.open(tmp_path / "pki")
    assert len([*Authority.create(tmp_path / "pki", now=NOW).directory.rglob("ca/*.key")]) == 6


def test_opening_a_folder_without_authority_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError, match="oadr-certs init"):
        Authority.open(tmp_path)


def test_only_the_owner_can_read_keys(authority: Authority) -> None:
    issued = authority.issue(Profile.OPENADR_VEN, "ven", now=NOW)
    keys = [*authority.directory.rglob("*.key")]
    assert len(keys) == 7
    assert issued.key_path in keys
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    assert {(authority.directory / folder).stat().st_mode & 0o077 for folder in ("ca", "issued")} == {0}
    assert issued.cert_path.stat().st_mode & 0o777 == authority.trust(Role.OCPP).stat().st_mode & 0o777 == 0o644
    assert authority.trust(Role.OCPP).parent.stat().st_mode & 0o555 == 0o555


def test_the_chain_leads_from_the_certificate_to_the_trusted_root(authority: Authority) -> None:
    issued = authority.issue(Profile.OPENADR_VEN, "ven", now=NOW)
    leaf, issuing = x509.load_pem_x509_certificates(issued.chain_path.read_bytes())
    (root,) = x509.load_pem_x509_certificates(authority.trust(Role.OPENADR).read_bytes())
    leaf.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(root)
    assert read_certificate(issued.cert_path) == leaf
    assert issued.chain == (issued.chain_path, issued.key_path)


def test_the_key_belongs_to_the_certificate(authority: Authority) -> None:
    issued = authority.issue(Profile.OPENADR_VEN, "ven", now=NOW, key_type=KeyType.RSA)
    assert read_key(issued.key_path).public_key() == read_certificate(issued.cert_path).public_key()


def test_the_fingerprint_is_the_end_of_the_sha_256_of_the_der(authority: Authority) -> None:
    issued = authority.issue(Profile.OPENADR_VEN, "ven", now=NOW)
    digest = hashlib.sha256(read_certificate(issued.cert_path).public_bytes(Encoding.DER)).hexdigest().upper()
    assert issued.fingerprint.replace(":", "") == digest[-20:]
    assert len(issued.fingerprint) == 29


def test_the_same_certificate_is_not_issued_twice(authority: Authority) -> None:
    authority.issue(Profile.OPENADR_VEN, "ven", now=NOW)
    before = everything(authority.directory)
    with pytest.raises(AuthorityError, match="never overwritten"):
        authority.issue(Profile.OPENADR_VEN, "ven", now=NOW)
    assert everything(authority.directory) == before


def test_an_unfit_request_changes_nothing(authority: Authority) -> None:
    before = everything(authority.directory)
    with pytest.raises(ProfileError, match="organisation"):
        authority.issue(Profile.OCPP_STATION, "CP1", now=NOW)
    with pytest.raises(ProfileError, match="validity"):
        authority.issue(Profile.OPENADR_VEN, "ven", now=NOW - timedelta(days=3), days=-3)
    assert everything(authority.directory) == before


def test_names_cannot_leave_the_folder(authority: Authority) -> None:
    issued = authority.issue(Profile.OPENADR_VEN, "../../etc/ven", now=NOW)
    assert issued.cert_path.parent == authority.directory / "issued"
    assert read_certificate(issued.cert_path).subject.rfc4514_string() == "CN=../../etc/ven"


def test_sec_20_the_inventory_lists_what_was_issued(authority: Authority) -> None:
    ven = authority.issue(Profile.OPENADR_VEN, "ven", now=NOW)
    authority.issue(Profile.OCPP_STATION, "CP1", now=NOW, organisation="CPO", key_type=KeyType.RSA, days=30)
    first, second = Authority.open(authority.directory).inventory()
    assert (first.fingerprint, first.role, first.common_name) == (ven.fingerprint, Role.OPENADR, "ven")
    assert int(first.serial, 16) == read_certificate(ven.cert_path).serial_number
    assert (second.owner, second.key_type, second.not_after) == ("CPO", KeyType.RSA, NOW + timedelta(days=30))
    assert (authority.directory / second.certificate).exists()


def test_a_spoiled_inventory_is_refused_and_kept(authority: Authority) -> None:
    (authority.directory / "inventory.json").write_text("[{]")
    with pytest.raises(AuthorityError, match="inventory"):
        authority.inventory()
    assert (authority.directory / "inventory.json").read_text() == "[{]"


def test_certificates_issued_at_once_all_stand_in_the_inventory(authority: Authority) -> None:
    def issue(number: int) -> str:
        return Authority.open(authority.directory).issue(Profile.OPENADR_VEN, f"ven-{number}", now=NOW).fingerprint

    with ThreadPoolExecutor(8) as pool:
        fingerprints = set(pool.map(issue, range(24)))
    assert {record.fingerprint for record in authority.inventory()} == fingerprints
    assert len(fingerprints) == 24


def test_rule_068_with_rsa_the_openadr_role_has_an_rsa_line_too(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "pki", now=NOW, rsa=True)
    issued = authority.issue(Profile.OPENADR_VTN, "vtn", ["localhost"], now=NOW, key_type=KeyType.RSA)
    chain = x509.load_pem_x509_certificates(issued.chain_path.read_bytes())
    assert all(isinstance(certificate.public_key(), rsa.RSAPublicKey) for certificate in chain)
    assert len(x509.load_pem_x509_certificates(authority.trust(Role.OPENADR).read_bytes())) == 2


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.key"
    key = ed25519.Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(AuthorityError, match="neither an EC nor an RSA key"):
        read_key(path)
    path.write_text("nothing")
    with pytest.raises(AuthorityError, match="no usable key"):
        read_key(path)


def test_der_certificates_are_read_and_rubbish_is_refused(authority: Authority, tmp_path: Path) -> None:
    issued = authority.issue(Profile.OPENADR_VEN, "ven", now=NOW)
    certificate = read_certificate(issued.cert_path)
    der = tmp_path / "ven.der"
    der.write_bytes(certificate.public_bytes(Encoding.DER))
    assert read_certificate(der) == certificate
    der.write_bytes(b"rubbish")
    with pytest.raises(AuthorityError, match="no usable certificate"):
        read_certificate(der)


def test_the_demonstration_has_all_it_needs(tmp_path: Path) -> None:
    pki = demo_pki(tmp_path / "pki", now=NOW, stations=["CP1", "CP2"])
    fingerprints = {
        issued.fingerprint for issued in (*pki.vtn, pki.ven, pki.central, pki.operator, *pki.stations.values())
    }
    assert len(fingerprints) == 7
    assert list(pki.stations) == ["CP1", "CP2"]
    assert all(path.exists() for path in (pki.trust_openadr, pki.trust_ocpp, pki.trust_server))
