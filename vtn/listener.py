"""Settings of the OpenADR listener's security: its certificates, XML signatures, and a TLS-terminating proxy before it.

Rule: what weakens the mutual TLS that the standard asks for has to be written down; there is no default for it. Making
a listener's parts from these settings also happens here; faults of files are ``TlsError`` naming the file.
"""

import ipaddress
import ssl
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import Field, field_validator, model_validator

from openadr.tls import Refused, TlsError, TlsProfile, server_context
from openadr.wire.signing import Signer
from runtime.settings import Section, SettingsPath
from vtn.peers import Peers, TlsPeers
from vtn.proxied import Form, Network, ProxiedPeers
from vtn.services.context import SignaturePolicy
from vtn.signed import Signatures, load_signer

_HEADERS = {Form.PEM: "X-SSL-Client-Cert", Form.RFC9440: "Client-Cert"}


class CertificateFiles(Section):
    """A certificate chain and its private key, PEM."""

    cert: SettingsPath
    key: SettingsPath


class SignaturesSection(Section):
    """XML signatures, the standard's high security (R514)."""

    policy: SignaturePolicy = Field(
        SignaturePolicy.ACCEPT,
        description="off: not looked at; accept: verified where present, and demanded of VENs that registered with "
        "oadrXmlSignature; require: demanded of every message",
    )
    window_s: float = Field(
        60.0, ge=1, le=3600, description="Time of sending may differ from the own clock by so much, either way"
    )
    sha1: bool = Field(False, description="Accept the SHA-1 forms too (R514 lists them, section 10.6 excludes them)")
    certificates: tuple[CertificateFiles, ...] = Field(
        (), description="Keys that answers are signed with; without them those of the listener"
    )


class ProxySection(Section):
    """A proxy before this listener ends TLS and forwards the client certificate."""

    trusted: tuple[str, ...] = Field(
        min_length=1, description="Addresses or networks the proxy sends from; requests from elsewhere get 403"
    )
    form: Form = Field(
        Form.PEM, description="pem: URL-encoded PEM ($ssl_client_escaped_cert of nginx); rfc9440: Client-Cert"
    )
    header: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9-]+$",
        description="Header with the certificate; without it X-SSL-Client-Cert, or Client-Cert for rfc9440",
    )
    intermediates: SettingsPath | None = Field(
        None, description="Issuing CAs (PEM) between VENs and client_ca; the form pem forwards the VEN's alone"
    )
    proxy_ca: SettingsPath | None = Field(
        None, description="The proxy must show a client certificate from this CA; without it its address is enough"
    )
    allow_insecure_http: bool = Field(False, description="Plain HTTP between proxy and listener")

    @field_validator("trusted")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            try:
                network = ipaddress.ip_network(each)
            except ValueError:
                raise ValueError(f"{each!r} is no address and no network") from None
            if network.prefixlen == 0:
                raise ValueError(f"{each!r} would believe everybody")
        return value

    @property
    def networks(self) -> tuple[Network, ...]:
        """Return ``trusted`` as networks."""
        return tuple(ipaddress.ip_network(each) for each in self.trusted)


class ServerSection(Section):
    """The OpenADR listener for VENs."""

    host: str = "0.0.0.0"  # noqa: S104  VENs are elsewhere; clients without certificate are turned away
    port: int = Field(8443, ge=0, le=65535)
    certificates: tuple[CertificateFiles, ...] = Field(
        (), description="One RSA and one EC certificate (R68); none is needed for plain HTTP behind a proxy"
    )
    client_ca: SettingsPath = Field(description="Trust store for VEN certificates")
    tls_profile: TlsProfile = Field(
        TlsProfile.OPENADR,
        description="openadr: TLS 1.2 with the two suites of R67; modern: AES-GCM and TLS 1.3 too; pas1878: TLS 1.3",
    )
    max_body_bytes: int = Field(4_000_000, ge=10_000, description="Larger requests are refused with 413")
    body_timeout_s: float = Field(20.0, gt=0, description="A body that has not come by then is refused with 408")
    keepalive_s: float = Field(75.0, gt=0)
    signatures: SignaturesSection = SignaturesSection()
    proxy: ProxySection | None = Field(
        None, description="Set only behind a TLS-terminating proxy: VENs are then known by what it forwards"
    )

    @property
    def plain(self) -> bool:
        """True if the listener speaks plain HTTP."""
        return self.proxy is not None and self.proxy.allow_insecure_http

    @model_validator(mode="after")
    def _served(self) -> Self:
        if not self.certificates and not self.plain:
            raise ValueError("certificates: at least one is needed")
        if not (self.certificates or self.signatures.certificates or self.signatures.policy is SignaturePolicy.OFF):
            raise ValueError("signatures.certificates: with policy accept or require a key to sign with is needed")
        return self


def listener_context(server: ServerSection, on_refused: Refused) -> ssl.SSLContext | None:
    """Return the context of the listener, ``None`` for plain HTTP. Raises ``TlsError``."""
    if server.plain:
        return None
    return server_context(
        cert_chains=[(each.cert, each.key) for each in server.certificates],
        client_ca=server.client_ca if server.proxy is None else server.proxy.proxy_ca,
        profile=server.tls_profile,
        on_refused=on_refused,
    )


def signatures_of(server: ServerSection) -> Signatures:
    """Return what opens and signs messages. Raises ``TlsError``."""
    section = server.signatures
    off = section.policy is SignaturePolicy.OFF
    return Signatures(
        section.policy,
        () if off else signers(section.certificates or server.certificates),
        window=timedelta(seconds=section.window_s),
        sha1=section.sha1,
        max_bytes=server.max_body_bytes,
    )


def signers(files: Sequence[CertificateFiles]) -> tuple[Signer, ...]:
    """Load the keys to sign with. Raises ``TlsError``."""
    loaded = []
    for each in files:
        try:
            loaded.append(load_signer(each.cert, each.key))
        except (OSError, ValueError) as error:
            raise TlsError(f"{each.cert} with {each.key}: cannot be used to sign: {error}") from None
    return tuple(loaded)


def peers_of(server: ServerSection) -> Peers:
    """Return what says who sends a request. Raises ``TlsError``."""
    proxy = server.proxy
    if proxy is None:
        return TlsPeers()
    return ProxiedPeers(
        trusted=proxy.networks,
        header=proxy.header or _HEADERS[proxy.form],
        form=proxy.form,
        anchors=_certificates(server.client_ca),
        intermediates=() if proxy.intermediates is None else _certificates(proxy.intermediates),
    )


def missing_kind(files: Sequence[CertificateFiles]) -> str | None:
    """Return the kind of certificate, RSA or EC, that a listener lacks (R68); ``None`` if it has both."""
    kinds = {
        isinstance(certificate.public_key(), rsa.RSAPublicKey)
        for each in files
        for certificate in _certificates(each.cert)[:1]
    }
    return None if len(kinds) == 2 else "an EC" if kinds == {True} else "an RSA"


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise TlsError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise TlsError(f"{path}: no usable certificates: {error}") from None
