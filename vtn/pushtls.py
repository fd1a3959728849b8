"""TLS of HTTP push: which certificate the VTN shows as a client, and whom it trusts as a server.

Rule: VENs are known by their fingerprints, so their certificates have to come from the trust store and need not name
the host: OpenADR certificates name devices. A VTN whose server certificate may not act as a client offers no push
unless it is given another one.
"""

import ssl
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from openadr.tls import TlsError, client_context
from runtime.logs import get_logger
from vtn.listener import CertificateFiles, signatures_of
from vtn.settings import VtnSettings
from vtn.signed import Signatures

log = get_logger(__name__)


def offers_push(settings: VtnSettings) -> bool:
    """True if push is switched on and there is a certificate to do it with; says so if not."""
    if not settings.push.enabled:
        return False
    given = [each.cert for each in settings.server.certificates[:1]] if settings.push.cert is None else None
    if given is None or (given and may_be_client(given[0])):
        return True
    log.warning("http push is not offered", reason="no server certificate that may act as a client; see push.cert")
    return False


def push_tls(settings: VtnSettings) -> ssl.SSLContext:
    """Return the context towards VENs. Raises ``TlsError`` naming the file at fault."""
    push, server, files = settings.push, settings.server, _files(settings)
    if not may_be_client(files.cert):
        raise TlsError(f"{files.cert}: may not act as a client (no clientAuth in its extended key usage)")
    chain = (files.cert, files.key)
    context = client_context(ca=push.ca or server.client_ca, cert_chain=chain, profile=server.tls_profile)
    context.check_hostname = False  # the fingerprint is compared instead
    return context


def push_signatures(settings: VtnSettings) -> Signatures:
    """Return what signs payloads and opens answers: with the keys of the settings, else with that of push's own TLS.

    Raises ``TlsError``.
    """
    server = settings.server
    section = server.signatures
    if not section.certificates:
        section = section.model_copy(update={"certificates": (_files(settings),)})
    return signatures_of(server.model_copy(update={"signatures": section}))


def _files(settings: VtnSettings) -> CertificateFiles:
    push = settings.push
    if push.cert is not None and push.key is not None:
        return CertificateFiles(cert=push.cert, key=push.key)
    return settings.server.certificates[0]


def may_be_client(path: Path) -> bool:
    """True unless the first certificate of a file says that it is for other uses; what cannot be read says nothing."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return True
    return bool({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usages))
