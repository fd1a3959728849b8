"""Certificates as OpenADR sees them: the fingerprint that stands for a party, and the facts an operator wants to read.

Rule: works on DER bytes only; trust is decided by TLS, never here. The fingerprint is the last 10 bytes of the
certificate's SHA-256 as upper-case hex pairs joined by ``:`` (profile section 10.5.1).
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from openadr.errors import InvalidData

FINGERPRINT_BYTES = 10  # section 10.5.1
FINGERPRINT_LENGTH = 29  # ten hex pairs and nine colons


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What a certificate says of itself; ``not_after`` is the last instant it may be used (R516)."""

    subject_cn: str  # '' if the subject has none
    issuer_cn: str
    organisation: str
    serial: str  # upper-case hex without prefix
    not_before: datetime
    not_after: datetime
    fingerprint: str
    san_dns: tuple[str, ...] = ()
    san_ip: tuple[str, ...] = ()

    def valid_at(self, now: datetime) -> bool:
        """True while the certificate may be used (R516)."""
        return self.not_before <= now <= self.not_after


def fingerprint(der: bytes) -> str:
    """Return the OpenADR fingerprint of a DER certificate, for example ``A1:B2:...`` (29 characters)."""
    return hashlib.sha256(der).digest()[-FINGERPRINT_BYTES:].hex(":").upper()


def normal_fingerprint(text: str) -> str:
    """Return a fingerprint typed by a person in the form of ``fingerprint``: any case, with or without colons.

    Raises ``InvalidData`` if it is not ten bytes of hex.
    """
    digits = text.replace(":", "").replace(" ", "").replace("-", "")
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        raw = b""
    if len(raw) != FINGERPRINT_BYTES:
        raise InvalidData("a fingerprint is ten hex pairs such as 0A:1B:... (29 characters)", field="fingerprint")
    return raw.hex(":").upper()


def certificate_facts(der: bytes) -> CertificateFacts:
    """Read a DER certificate. Raises ``InvalidData`` if it is none."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        names, addresses = _alternative_names(certificate)
        return CertificateFacts(
            subject_cn=_first(certificate.subject, NameOID.COMMON_NAME),
            issuer_cn=_first(certificate.issuer, NameOID.COMMON_NAME),
            organisation=_first(certificate.subject, NameOID.ORGANIZATION_NAME),
            serial=f"{certificate.serial_number:X}",
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            fingerprint=fingerprint(der),
            san_dns=names,
            san_ip=addresses,
        )
    except ValueError as error:
        raise InvalidData("not an X.509 certificate in DER form", field="certificate") from error


def names_host(facts: CertificateFacts, host: str) -> bool:
    """True if a certificate is made out to ``host``: a name, by a wildcard for its first label too, or an address."""
    wanted = host.lower().rstrip(".")
    _, _, parent = wanted.partition(".")
    names = {name.lower() for name in facts.san_dns}
    return wanted in names or (bool(parent) and f"*.{parent}" in names) or _address(wanted) in facts.san_ip


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _first(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    return next((str(attribute.value) for attribute in name.get_attributes_for_oid(oid)), "")


def _alternative_names(certificate: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), ()
    return (
        tuple(names.get_values_for_type(x509.DNSName)),
        tuple(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    )
