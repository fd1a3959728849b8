"""What each kind of certificate holds: a table of profiles, and pure functions that build the certificates from it.

Rule: no files, no clock, no key making: ``now``, keys and serial numbers are arguments. A profile belongs to one
role, and a role has its own root, so that a certificate that is good in one role is refused in another (SEC-23).
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
SKEW = timedelta(hours=1)  # a device whose clock is a little slow must not refuse a fresh certificate
CA_DAYS = 3650
MAX_NAME = 64  # ub-common-name and ub-organization-name of RFC 5280


class ProfileError(ValueError):
    """What was asked for does not fit the profile; the text names the field."""


class Role(StrEnum):
    """A trust domain with its own root and its own trust file."""

    OPENADR = "openadr"  # VTN and VENs
    OCPP = "ocpp"  # charging stations as clients
    SERVER = "server"  # central system, operator API


class KeyType(StrEnum):
    """The kind of key: EC P-256 or RSA-2048 (R68: both in a VTN, at least one in a VEN)."""

    EC = "ec"
    RSA = "rsa"


class Profile(StrEnum):
    """A kind of end certificate."""

    OPENADR_VTN = "openadr-vtn"
    OPENADR_VEN = "openadr-ven"
    OCPP_STATION = "ocpp-station"
    SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRule:
    """One row of the table: ``usages``, more when names are given, and the days of validity."""

    role: Role
    usages: tuple[ObjectIdentifier, ...]
    usages_with_names: tuple[ObjectIdentifier, ...] = ()
    needs_names: bool = False
    needs_organisation: bool = False
    days: int


_CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
_SERVER = ExtendedKeyUsageOID.SERVER_AUTH

PROFILES: dict[Profile, ProfileRule] = {
    # A VTN answers as a server and pushes as a client.
    Profile.OPENADR_VTN: ProfileRule(role=Role.OPENADR, usages=(_SERVER, _CLIENT), needs_names=True, days=397),
    # A VEN is a client; only one with a push listener bears host names and may act as a server.
    Profile.OPENADR_VEN: ProfileRule(role=Role.OPENADR, usages=(_CLIENT,), usages_with_names=(_SERVER,), days=730),
    # OCPP security: O is the charge point operator's name, CN the station's identity.
    Profile.OCPP_STATION: ProfileRule(role=Role.OCPP, usages=(_CLIENT,), needs_organisation=True, days=730),
    Profile.SERVER: ProfileRule(role=Role.SERVER, usages=(_SERVER,), needs_names=True, days=397),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafRequest:
    """What an end certificate shall say. ``names`` are host names or IP addresses."""

    profile: Profile
    common_name: str
    names: tuple[str, ...] = ()
    organisation: str = ""

    def checked(self) -> "LeafRequest":
        """Return itself; raises ``ProfileError`` naming the field that does not fit the profile."""
        rule = PROFILES[self.profile]
        _check_name("common name", self.common_name)
        if rule.needs_organisation or self.organisation:
            _check_name("organisation", self.organisation)
        if rule.needs_names and not self.names:
            raise ProfileError(f"{self.profile}: at least one host name or address is needed")
        for name in self.names:
            _general_name(name)
        return self


def ca_certificate(
    *,
    subject: str,
    owner: str,
    key: PrivateKey,
    issuer: tuple[x509.Certificate, PrivateKey] | None,
    serial: int,
    now: datetime,
) -> x509.Certificate:
    """Build a root (``issuer`` None; one level of CAs below) or an issuing CA (end certificates only)."""
    _check_name("owner", owner)
    name = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, owner), x509.NameAttribute(NameOID.COMMON_NAME, subject)]
    )
    issuer_name, issuer_key = (name, key) if issuer is None else (issuer[0].subject, issuer[1])
    until = now + timedelta(days=CA_DAYS)
    builder = _builder(
        subject=name,
        issuer=issuer_name,
        key=key.public_key(),
        issuer_key=issuer_key,
        serial=serial,
        since=now - SKEW,
        until=until if issuer is None else min(until, issuer[0].not_valid_after_utc),
    )
    usage = _key_usage(digital_signature=False, key_encipherment=False, authority=True)
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=1 if issuer is None else 0), critical=True)
        .add_extension(usage, critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def leaf_certificate(
    request: LeafRequest,
    *,
    key: PublicKey,
    issuer: tuple[x509.Certificate, PrivateKey],
    serial: int,
    now: datetime,
    days: int | None = None,
) -> x509.Certificate:
    """Build an end certificate by its profile, never valid for longer than its issuer."""
    request = request.checked()
    rule = PROFILES[request.profile]
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, request.common_name)]
    if request.organisation:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, request.organisation))
    builder = _builder(
        subject=x509.Name(attributes),
        issuer=issuer[0].subject,
        key=key,
        issuer_key=issuer[1],
        serial=serial,
        since=now - SKEW,
        until=min(now + timedelta(days=rule.days if days is None else days), issuer[0].not_valid_after_utc),
    )
    # Key encipherment is what TLS_RSA_WITH_AES_128_CBC_SHA256 (R67) does with an RSA key; an EC key never enciphers.
    usage = _key_usage(digital_signature=True, key_encipherment=isinstance(key, rsa.RSAPublicKey), authority=False)
    usages = rule.usages + (rule.usages_with_names if request.names else ())
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    if request.names:
        names = x509.SubjectAlternativeName([_general_name(name) for name in request.names])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer[1], hashes.SHA256())


def station_request(csr: bytes, identity: str, organisation: str) -> tuple[LeafRequest, PublicKey]:
    """Read a station's certificate request (PEM). Raises ``ProfileError`` unless it is signed and asks for itself."""
    try:
        asked = x509.load_pem_x509_csr(csr)
        key = asked.public_key()
        signed = asked.is_signature_valid
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ProfileError(f"request: cannot be read ({error})") from error
    if not signed:
        raise ProfileError("request: its signature is not that of its key")
    if not isinstance(key, PublicKey) or key.key_size < (2048 if isinstance(key, rsa.RSAPublicKey) else 224):
        raise ProfileError("request: the key must be RSA with 2048 bits or EC with 224 and more (A00.FR.5)")
    for field, oid, wanted in (
        ("common name", NameOID.COMMON_NAME, identity),
        ("organisation", NameOID.ORGANIZATION_NAME, organisation),
    ):
        said = [str(attribute.value) for attribute in asked.subject.get_attributes_for_oid(oid)]
        if said != [wanted]:
            raise ProfileError(f"{field}: the request says {said}, not {wanted!r}")
    return LeafRequest(profile=Profile.OCPP_STATION, common_name=identity, organisation=organisation).checked(), key


def _builder(
    *,
    subject: x509.Name,
    issuer: x509.Name,
    key: PublicKey,
    issuer_key: PrivateKey,
    serial: int,
    since: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    if until <= since:
        raise ProfileError("validity: it would end before it begins")
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _key_usage(*, digital_signature: bool, key_encipherment: bool, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_encipherment=key_encipherment,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _check_name(field: str, value: str) -> None:
    if not value.strip() or len(value) > MAX_NAME or not value.isprintable():
        raise ProfileError(f"{field}: 1 to {MAX_NAME} printable characters are needed, not {value[:80]!r}")


_HOST = re.compile(
    r"(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if len(name) > 253 or not _HOST.fullmatch(name):
            raise ProfileError(f"host: {name[:80]!r} is neither a host name nor an IP address") from None
        return x509.DNSName(name)


def common_name_for(names: Sequence[str]) -> str:
    """Return the common name of a server: its first name, cut to what a common name may hold."""
    return names[0][:MAX_NAME] if names else ""
