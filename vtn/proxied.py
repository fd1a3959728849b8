"""Who sends a request that comes through a TLS-terminating proxy: the client certificate the proxy forwards.

Rule: a header is believed only from the addresses of the settings, and a certificate only after it was validated here
against the trust file of the VENs: chain, validity, use as a client. The proxy's own word that it verified is not asked
for. One header with one certificate, or 403 (R517); what comes to the proxy from outside under that name is for the
proxy to strip, and a second value is refused.
"""

import binascii
import ipaddress
from asyncio import BaseTransport
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ssl import SSLObject
from urllib.parse import unquote_to_bytes

from aiohttp import web
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from openadr.identity import fingerprint
from runtime.intake import Refusal
from vtn.peers import Peer

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
CHAIN_HEADER = "Client-Cert-Chain"  # RFC 9440
RECHECK = timedelta(minutes=5)  # how long a validated certificate is believed without validating it again
KNOWN = 20_000  # forwarded headers remembered, some kB each
MAX_CHAIN = 8  # certificates in the chain header


class Form(StrEnum):
    """How a proxy writes the certificate."""

    PEM = "pem"  # URL-encoded PEM: $ssl_client_escaped_cert of nginx
    RFC9440 = "rfc9440"  # Client-Cert: base64 of the DER between colons


@dataclass(frozen=True, slots=True)
class _Believed:
    peer: Peer
    since: datetime
    until: datetime


class ProxiedPeers:
    """Senders by the certificate that a trusted proxy forwards."""

    def __init__(
        self,
        *,
        trusted: Sequence[Network],
        header: str,
        form: Form,
        anchors: Sequence[x509.Certificate],
        intermediates: Sequence[x509.Certificate] = (),
    ) -> None:
        self._trusted = tuple(trusted)
        self._header = header
        self._form = form
        self._store = Store(list(anchors))
        self._intermediates = list(intermediates)
        self._believed: dict[str, _Believed] = {}

    def tls(self, _request: web.BaseRequest) -> SSLObject | None:
        """Return ``None``: the connection is the proxy's."""
        return None

    def behind(self, _transport: BaseTransport) -> Peer | None:
        """Return ``None``: a proxy sends the requests of many on one connection."""
        return None

    def of(self, request: web.BaseRequest, now: datetime) -> Peer:
        """Return the holder of the forwarded certificate."""
        if not self._from_proxy(request.remote):
            raise Refusal(403, "requests are taken from the proxy only")
        values = request.headers.getall(self._header, [])
        if len(values) != 1 or not values[0].strip():
            raise Refusal(403, "a client certificate is needed (R517)")
        chain = ",".join(request.headers.getall(CHAIN_HEADER, [])) if self._form is Form.RFC9440 else ""
        key = f"{values[0]}\n{chain}"
        known = self._believed.get(key)
        if known is None or not known.since <= now < known.until:
            known = self._believe(values[0], chain, now)
            if len(self._believed) >= KNOWN:
                self._believed.clear()
            self._believed[key] = known
        return known.peer

    def _from_proxy(self, remote: str | None) -> bool:
        try:
            address = ipaddress.ip_address(remote or "")
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        address = address if mapped is None else mapped
        return any(address in network for network in self._trusted)

    def _believe(self, value: str, chain: str, now: datetime) -> _Believed:
        try:
            certificate = _from_pem(value) if self._form is Form.PEM else _from_field(value)
            forwarded = [_from_field(each) for each in chain.split(",")[:MAX_CHAIN]] if chain else []
        except ValueError:
            raise Refusal(403, f"the header {self._header} holds no certificate in the form {self._form}") from None
        try:
            verifier = _policy(self._store, now).build_client_verifier()
            verified = verifier.verify(certificate, [*self._intermediates, *forwarded])
        except (VerificationError, UnsupportedAlgorithm, ValueError) as error:
            raise Refusal(403, f"the client certificate is not valid here (R517): {error}") from None
        if not _for_clients(certificate):
            raise Refusal(403, "the client certificate is not for use as a client (R517)")
        der = certificate.public_bytes(Encoding.DER)
        until = min([now + RECHECK, *(each.not_valid_after_utc for each in verified.chain)])
        return _Believed(Peer(fingerprint(der), der), now, until)


def _policy(store: Store, now: datetime) -> PolicyBuilder:
    """Return the rules of RFC 5280 without those of the web: a VEN's certificate names no host."""
    authority = ExtensionPolicy.webpki_defaults_ca()
    party = ExtensionPolicy.permit_all().may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, _no_authority)
    return PolicyBuilder().store(store).time(now).extension_policies(ca_policy=authority, ee_policy=party)


def _no_authority(_policy: Policy, _certificate: x509.Certificate, extension: x509.BasicConstraints | None) -> None:
    if extension is not None and extension.ca:
        raise ValueError("a certification authority is no client")


def _for_clients(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True  # any use, as in TLS
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage


def _from_pem(value: str) -> x509.Certificate:
    certificates = x509.load_pem_x509_certificates(unquote_to_bytes(value.strip()))
    if len(certificates) != 1:
        raise ValueError("one certificate is wanted")
    return certificates[0]


def _from_field(value: str) -> x509.Certificate:
    text = value.strip()
    if len(text) < 3 or text[0] != ":" or text[-1] != ":":
        raise ValueError("a byte sequence stands between colons (RFC 8941)")
    try:
        return x509.load_der_x509_certificate(b64decode(text[1:-1], validate=True))
    except binascii.Error as error:
        raise ValueError("not base64") from error
