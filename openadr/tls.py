"""TLS contexts for every listener and client: which versions and suites, and who must show a certificate.

Rule: this is the one impure file of ``openadr``. A missing, untrusted or expired client certificate ends the
handshake in the server (SEC-02); the client always checks the server. The strict ``openadr`` profile is R67: TLS 1.2
with the two default suites only. Trust comes from the one file given, never from the system's bundle (SEC-23).
"""

import ssl
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path

OPENADR_SUITES = ("ECDHE-ECDSA-AES128-SHA256", "AES128-SHA256")
"""R67: TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256 and TLS_RSA_WITH_AES_128_CBC_SHA256 in OpenSSL's names."""

Refused = Callable[[str], None]
"""Told why a handshake failed, one line, so that the owner of the listener can log it (SEC-01)."""


class TlsError(Exception):
    """A TLS context cannot be made; the text names the file or the suite at fault."""


class TlsProfile(StrEnum):
    """What a link may negotiate."""

    OPENADR = "openadr"  # strict R67: TLS 1.2, exactly the two default suites
    MODERN = "modern"  # the two default suites first, then ECDHE with AES-GCM on 1.2; TLS 1.3 allowed
    PAS1878 = "pas1878"  # TLS 1.3 and above only (SEC-03)


_SUITES: dict[TlsProfile, str] = {
    TlsProfile.OPENADR: ":".join(OPENADR_SUITES),
    TlsProfile.MODERN: ":".join((*OPENADR_SUITES, "ECDHE+AESGCM")),
}
_VERSIONS: dict[TlsProfile, tuple[ssl.TLSVersion, ssl.TLSVersion]] = {
    TlsProfile.OPENADR: (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2),
    TlsProfile.MODERN: (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.MAXIMUM_SUPPORTED),
    TlsProfile.PAS1878: (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.MAXIMUM_SUPPORTED),
}


def server_context(
    *,
    cert_chains: Sequence[tuple[Path, Path]],
    client_ca: Path | None,
    profile: TlsProfile = TlsProfile.OPENADR,
    on_refused: Refused | None = None,
) -> ssl.SSLContext:
    """Make a listener's context from (chain, key) files; a VTN gives an EC and an RSA pair (R68).

    ``client_ca`` set: the client must show a certificate issued under it; ``None``: none is asked for.
    """
    if not cert_chains:
        raise TlsError("a TLS server needs at least one certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _apply(context, profile)
    for chain in cert_chains:
        _load_chain(context, chain)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _load_ca(context, client_ca)
    if on_refused is not None:
        context.sslobject_class = _observed(on_refused)
    return context


def client_context(
    *,
    ca: Path,
    cert_chain: tuple[Path, Path] | None,
    profile: TlsProfile = TlsProfile.OPENADR,
) -> ssl.SSLContext:
    """Make a client's context: the server must be issued under ``ca`` and bear the host name asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _apply(context, profile)
    _load_ca(context, ca)
    if cert_chain is not None:
        _load_chain(context, cert_chain)
    return context


def _apply(context: ssl.SSLContext, profile: TlsProfile) -> None:
    context.minimum_version, context.maximum_version = _VERSIONS[profile]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a trust file may name an issuing CA without its root
    if (suites := _SUITES.get(profile)) is not None:
        offer(context, suites)


def offer(context: ssl.SSLContext, suites: str) -> None:
    """Offer ``suites`` (OpenSSL's notation) on TLS 1.2 and make sure that both default suites (R67) are among them.

    Raises ``TlsError`` naming what is missing: a system crypto policy can remove RSA key exchange without a word.
    """
    try:
        context.set_ciphers(suites)
    except ssl.SSLError:
        raise TlsError(f"this system's TLS library offers none of {suites}") from None
    offered = {cipher["name"] for cipher in context.get_ciphers()}
    if missing := [suite for suite in OPENADR_SUITES if suite not in offered]:
        raise TlsError(f"this system's TLS library does not offer {', '.join(missing)} (R67): see its crypto policy")


def _load_chain(context: ssl.SSLContext, chain: tuple[Path, Path]) -> None:
    certificate, key = chain
    for path in chain:
        _must_read(path)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise TlsError(f"{certificate} with {key}: no usable certificate and key: {_reason(error)}") from None


def _load_ca(context: ssl.SSLContext, ca: Path) -> None:
    _must_read(ca)
    try:
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError as error:
        raise TlsError(f"{ca}: no usable CA certificates: {_reason(error)}") from None


def _must_read(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise TlsError(f"{path}: cannot be read: {error.strerror}") from None


def _no_password() -> str:
    """Refuse encrypted keys: without this OpenSSL would ask on the terminal and hang a service."""
    raise ValueError("the key is encrypted")


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or str(error)


def _observed(on_refused: Refused) -> type[ssl.SSLObject]:
    """Return an ``SSLObject`` that reports failed handshakes: event loops drop them silently."""

    class Observed(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                on_refused(getattr(error, "verify_message", None) or _reason(error))
                raise

    return Observed
