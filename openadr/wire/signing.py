"""Writing XML signatures of the high security level (R514): a detached ds:Signature before oadrSignedObject.

Rule: nothing is parsed. What ``openadr.wire.encode`` writes is canonical already, with every namespace on the root, so
the digests are taken over its bytes; only the namespaces in scope are added where C14N would repeat them. No clock and
no random numbers: time of sending and nonce are arguments.
"""

import base64
import hashlib
from datetime import datetime
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from openadr.times import format_instant
from openadr.wire.signature import C14N, DS, DSP, ECDSA_SHA256, RSA_SHA256, SHA256, usable_key, width
from openadr.wire.xml import DECLARATIONS, escape

NONCE_BYTES = 16  # what ``sign`` wants at least: 128 random bits are never drawn twice

_PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_SCOPE = f' xmlns:ds="{DS}"{DECLARATIONS}'  # in C14N order: by prefix
_PAYLOAD_START = f"<oadr:oadrPayload{DECLARATIONS}>".encode()
_PAYLOAD_END = b"</oadr:oadrPayload>"
_OBJECT_START, _OBJECT_END = b"<oadr:oadrSignedObject>", b"</oadr:oadrSignedObject>"
_OBJECT_ID, _REPLAY_ID, _SIGNATURE_ID = "oadrSignedObject", "replayProtect", "signature"
_OBJECT_WITH_ID = f'<oadr:oadrSignedObject oadr:Id="{_OBJECT_ID}">'.encode()
_CANONICAL_OBJECT = f'<oadr:oadrSignedObject{DECLARATIONS} oadr:Id="{_OBJECT_ID}">'.encode()


class Signer:
    """A private key loaded once, with its certificate: what ``sign`` needs. Safe to share between threads."""

    __slots__ = ("_info", "_key", "certificate_der", "key_info")

    def __init__(self, key: _PrivateKey, certificate_der: bytes) -> None:
        """Take an RSA key of 2048 bits or more, or an EC key. Raises ``ValueError`` if key or certificate is unfit."""
        certificate = x509.load_der_x509_certificate(certificate_der)
        public = certificate.public_key()
        if public != key.public_key():
            raise ValueError("the certificate is not the one of this private key")
        usable_key(public)
        self._key = key
        self.certificate_der = certificate_der
        self._info = _signed_info_template(RSA_SHA256 if isinstance(key, rsa.RSAPrivateKey) else ECDSA_SHA256)
        body = certificate.public_bytes(Encoding.PEM).decode().split("-----")[2].lstrip("\n")
        self.key_info = (  # base64 in lines, because peers put PEM marks around it
            f"<ds:KeyInfo><ds:X509Data><ds:X509SubjectName>{escape(certificate.subject.rfc4514_string())}"
            f"</ds:X509SubjectName><ds:X509Certificate>{body}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
        )

    @property
    def is_rsa(self) -> bool:
        """True for an RSA key, False for an EC one."""
        return isinstance(self._key, rsa.RSAPrivateKey)

    @classmethod
    def from_pem(cls, key: bytes, certificates: bytes, *, password: bytes | None = None) -> Self:
        """Take PEM texts: a private key and a chain whose first certificate is its own. Raises ``ValueError``."""
        try:
            private = load_pem_private_key(key, password)
        except (TypeError, UnsupportedAlgorithm) as error:  # TypeError: encrypted and no password, or the reverse
            raise ValueError(f"the private key cannot be loaded: {error}") from error
        if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ValueError("signing wants an RSA or EC key")
        return cls(private, x509.load_pem_x509_certificates(certificates)[0].public_bytes(Encoding.DER))

    def signed_info(self, object_digest: bytes, replay_digest: bytes) -> str:
        """Return what stands inside ds:SignedInfo, in canonical form."""
        return self._info.format(*(base64.b64encode(digest).decode() for digest in (object_digest, replay_digest)))

    def signature(self, data: bytes) -> bytes:
        """Return the signature value of ``data`` as XMLDSig wants it: for ECDSA the plain r and s."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        size = width(self._key.key_size)
        return r.to_bytes(size) + s.to_bytes(size)


def sign(document: bytes, signer: Signer, *, timestamp: datetime, nonce: bytes) -> bytes:
    """Return ``document``, which has to come from ``encode`` or ``join_distribute``, with a signature in it.

    ``timestamp`` is the time of sending (cut to the second), ``nonce`` at least 16 random bytes never used before with
    this key. Raises ``ValueError`` for anything else. RSA takes about 0.3 ms without the GIL.
    """
    before, start, rest = document.partition(_PAYLOAD_START + _OBJECT_START)
    if not start or not rest.endswith(_OBJECT_END + _PAYLOAD_END):
        raise ValueError("only an unsigned document of openadr.wire.encode can be signed")
    if len(nonce) < NONCE_BYTES:
        raise ValueError(f"a nonce has at least {NONCE_BYTES} bytes")
    content = rest[: -len(_PAYLOAD_END)]
    replay = _replay_protect(timestamp, nonce)
    info = signer.signed_info(
        hashlib.sha256(_CANONICAL_OBJECT + content).digest(),
        hashlib.sha256(f'<ds:Object{_SCOPE} Id="{_REPLAY_ID}">{replay}'.encode()).digest(),
    )
    value = base64.b64encode(signer.signature(f"<ds:SignedInfo{_SCOPE}>{info}".encode())).decode()
    signature = (
        f'<ds:Signature xmlns:ds="{DS}" Id="{_SIGNATURE_ID}"><ds:SignedInfo>{info}'
        f"<ds:SignatureValue>{value}</ds:SignatureValue>{signer.key_info}"
        f'<ds:Object Id="{_REPLAY_ID}">{replay}</ds:Signature>'
    )
    return b"".join((before, _PAYLOAD_START, signature.encode(), _OBJECT_WITH_ID, content, _PAYLOAD_END))


def _replay_protect(timestamp: datetime, nonce: bytes) -> str:
    return (
        f'<ds:SignatureProperties><ds:SignatureProperty Target="#{_SIGNATURE_ID}">'
        f'<dsp:ReplayProtect xmlns:dsp="{DSP}">'
        f"<dsp:timestamp>{format_instant(timestamp)}</dsp:timestamp><dsp:nonce>{nonce.hex()}</dsp:nonce>"
        "</dsp:ReplayProtect></ds:SignatureProperty></ds:SignatureProperties></ds:Object>"
    )


def _signed_info_template(method: str) -> str:
    references = "".join(
        f'<ds:Reference URI="#{name}"><ds:Transforms><ds:Transform Algorithm="{C14N}"></ds:Transform></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod><ds:DigestValue>{{}}</ds:DigestValue></ds:Reference>'
        for name in (_OBJECT_ID, _REPLAY_ID)
    )
    return (
        f'<ds:CanonicalizationMethod Algorithm="{C14N}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{method}"></ds:SignatureMethod>{references}</ds:SignedInfo>'
    )
