"""Verifying XML signatures of the high security level (R514): a detached ds:Signature before oadrSignedObject.

Rule: places are fixed and never searched for. The two elements the references have to name are the root's own
oadrSignedObject and the signature's own ds:Object; an Id that occurs twice is refused, and the message is decoded from
the very element that was digested, so that nothing can be wrapped around it. The key comes from a certificate the
caller trusts, never from the message alone, and the algorithm has to fit that key. Comments and processing instructions
are kept by the parser and refused anywhere in the payload: C14N without comments does not cover a comment that cuts an
ID in two, and where there is none, ``#WithComments`` is the same form.
No clock, no random numbers, no store: ``openadr.wire.replay`` says whether the time of sending is fresh.
"""

import hashlib
import re
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree

from openadr.errors import SignatureInvalid, SignatureMissing
from openadr.messages import Message
from openadr.wire.codec import read
from openadr.wire.parsing import MAX_BYTES, parse
from openadr.wire.xml import NAMESPACES

MAX_NONCE = 256  # characters of a peer's nonce; a store keeps each one for a while
MIN_RSA_BITS = 2048  # R68
_MAX_RSA_BITS = 8192  # the work of verifying grows with the key
_MAX_CERTIFICATES = 8  # a chain; OpenADR's own has three
_MAX_CERTIFICATE = 16_384  # base64 characters of one certificate
_KEYS_KEPT = 4096  # public keys of certificates in use, some KiB each; loading one costs as much as verifying with it
_SHOWN = 100  # characters of a refused value that are repeated to the peer

DS = "http://www.w3.org/2000/09/xmldsig#"
DSP = "http://openadr.org/oadr-2.0b/2012/07/xmldsig-properties"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
_Kind = type[rsa.RSAPublicKey] | type[ec.EllipticCurvePublicKey]
_Method = tuple[_Kind, type[hashes.HashAlgorithm]]
Trusted = bytes | Callable[[bytes], bool]

_C14N_FORMS = frozenset({C14N, f"{C14N}#WithComments"})
_METHODS: dict[str, _Method] = {
    RSA_SHA256: (rsa.RSAPublicKey, hashes.SHA256),
    ECDSA_SHA256: (ec.EllipticCurvePublicKey, hashes.SHA256),
}
_METHODS_WITH_SHA1: dict[str, _Method] = _METHODS | {
    f"{DS}rsa-sha1": (rsa.RSAPublicKey, hashes.SHA1),
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1": (ec.EllipticCurvePublicKey, hashes.SHA1),
}
_DIGESTS = {SHA256: "sha256"}
_DIGESTS_WITH_SHA1 = _DIGESTS | {f"{DS}sha1": "sha1"}
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)

_PAYLOAD = f"{{{NAMESPACES['oadr']}}}oadrPayload"
_OADR_ID = f"{{{NAMESPACES['oadr']}}}Id"
_SIGNATURE, _OBJECT = f"{{{DS}}}Signature", f"{{{DS}}}Object"
_CERTIFICATES = tuple(f"{{{DS}}}{name}" for name in ("KeyInfo", "X509Data", "X509Certificate"))
_REPLAY_PROTECT = (f"{{{DS}}}SignatureProperties", f"{{{DS}}}SignatureProperty", f"{{{DSP}}}ReplayProtect")
_REPLAY_CHILDREN = [f"{{{DSP}}}timestamp", f"{{{DSP}}}nonce"]
_SAME_IDS = etree.XPath(
    "count(//@*[(local-name()='Id' or local-name()='ID' or local-name()='id') and (. = $first or . = $second)])"
)
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_BLANKS = b" \t\r\n"  # white space of XML, allowed anywhere in base64


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentic:
    """A payload whose signature holds, not read yet; ``payload`` is the element inside the one digested."""

    certificate_der: bytes  # of the signer; it was trusted, and whether it has expired is the caller's to say (R516)
    timestamp: datetime  # of sending, in UTC; not yet compared with any clock
    nonce: str  # as written by the peer
    payload: etree._Element = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified(Authentic):
    """A message whose signature holds."""

    message: Message


def may_be_signed(data: bytes) -> bool:
    """False if there is certainly no signature in a message.

    Names of elements have no second spelling in UTF-8, and that of their namespace has a ``#``, as any other spelling
    of it would; to look for one byte costs a tenth.
    """
    return b"#" in data and b"Signature" in data


def verify(data: bytes, *, trusted: Trusted, max_bytes: int = MAX_BYTES, sha1: bool = False) -> Verified:
    """Return the message of a signed payload, as ``authenticate`` and then ``read`` do."""
    found = authenticate(data, trusted=trusted, max_bytes=max_bytes, sha1=sha1)
    return Verified(
        message=read(found.payload),
        certificate_der=found.certificate_der,
        timestamp=found.timestamp,
        nonce=found.nonce,
        payload=found.payload,
    )


def authenticate(data: bytes, *, trusted: Trusted, max_bytes: int = MAX_BYTES, sha1: bool = False) -> Authentic:
    """Return the payload element of a signed payload: size, hardened parse, XSD, structure, signature.

    ``trusted`` is the one certificate (DER) expected, which then also serves a signature that only names its key, or a
    function that says whether a certificate found in KeyInfo is registered. ``sha1`` lets the SHA-1 forms of R514 in.
    Raises ``SignatureMissing`` if there is no signature, ``SignatureInvalid`` if it does not hold, and the
    ``WireError`` of bytes that are no message. The caller has yet to ask ``openadr.wire.replay`` and to ``read``.
    """
    root = parse(data, max_bytes=max_bytes, keep=True)
    if root.tag != _PAYLOAD or not _below(root, _SIGNATURE):
        raise SignatureMissing("the message has no XML signature (R514)")
    if next(root.iter(etree.Comment, etree.ProcessingInstruction), None) is not None:
        raise SignatureInvalid("a signed message must not hold comments or processing instructions")
    signature, signed_object = root  # the schema lets nothing else stand here
    properties = _only_object(signature)
    certificate_der = _certificate(signature, trusted)
    info = signature[0]
    _check_value(info, _base64(signature[1]), certificate_der, _METHODS_WITH_SHA1 if sha1 else _METHODS)
    _check_references(info, signed_object, properties, _DIGESTS_WITH_SHA1 if sha1 else _DIGESTS)
    timestamp, nonce = _read_replay_protect(properties)
    return Authentic(certificate_der=certificate_der, timestamp=timestamp, nonce=nonce, payload=signed_object[0])


def _below(element: etree._Element, *tags: str) -> list[etree._Element]:
    """Return the elements at the end of a path of tags, as ``findall`` does, at a third of its cost."""
    found = [element]
    for tag in tags:
        found = [child for each in found for child in each.iterchildren(tag)]
    return found


def _only_object(signature: etree._Element) -> etree._Element:
    """Return the ds:Object, of which there has to be one: a second would be unsigned."""
    objects = _below(signature, _OBJECT)
    if len(objects) != 1:
        raise SignatureInvalid("the signature needs exactly one ds:Object, the one with ReplayProtect (R514)")
    return objects[0]


def _certificate(signature: etree._Element, trusted: Trusted) -> bytes:
    """Return the trusted certificate the signature was made with; nothing of an untrusted one is looked into."""
    found = _below(signature, *_CERTIFICATES)
    if not found:
        if isinstance(trusted, bytes):
            return trusted
        raise SignatureInvalid("KeyInfo holds no X509Certificate")
    if len(found) > _MAX_CERTIFICATES or any(len(element.text or "") > _MAX_CERTIFICATE for element in found):
        raise SignatureInvalid("KeyInfo holds too many or too large certificates")
    if isinstance(trusted, bytes) and _packed(found[0]) == _written(trusted):
        return trusted  # as it usually is: the first one, and written as everyone writes it
    known = trusted.__eq__ if isinstance(trusted, bytes) else trusted
    for der in map(_base64, found):
        if known(der):
            return der
    raise SignatureInvalid("the certificate in KeyInfo is not the one registered for this party")


@lru_cache(maxsize=_KEYS_KEPT)
def _written(certificate_der: bytes) -> bytes:
    return b64encode(certificate_der)


def _check_value(info: etree._Element, value: bytes, certificate_der: bytes, methods: dict[str, _Method]) -> None:
    """Verify the value over SignedInfo. The key type is the certificate's, and the method has to be of that type."""
    _algorithm(info[0], _C14N_FORMS)
    key_type, hash_type = methods[_algorithm(info[1], methods)]
    key, kind = _public_key(certificate_der)
    if kind is not key_type:
        raise SignatureInvalid("the SignatureMethod does not fit the key of the certificate")
    data = _canonical(info)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(value, data, PKCS1v15(), hash_type())
        else:
            key.verify(_dss(value, width(key.key_size)), data, ec.ECDSA(hash_type()))
    except (InvalidSignature, UnsupportedAlgorithm) as error:
        raise SignatureInvalid("the SignatureValue does not hold for SignedInfo and this certificate") from error


def _dss(value: bytes, size: int) -> bytes:
    """Return r and s, which XMLDSig writes one after the other, in the form cryptography takes."""
    if len(value) != 2 * size:
        raise SignatureInvalid(f"an ECDSA SignatureValue of this key has {2 * size} bytes, not {len(value)}")
    return encode_dss_signature(int.from_bytes(value[:size]), int.from_bytes(value[size:]))


def width(bits: int) -> int:
    """Return the bytes of r, and of s, for a key of so many bits."""
    return (bits + 7) // 8


@lru_cache(maxsize=_KEYS_KEPT)
def _public_key(certificate_der: bytes) -> tuple[PublicKey, _Kind]:
    """Return the key of a trusted certificate. Raises ``SignatureInvalid`` if it is no key for signing here."""
    try:
        key = usable_key(x509.load_der_x509_certificate(certificate_der).public_key())
        return key, rsa.RSAPublicKey if isinstance(key, rsa.RSAPublicKey) else ec.EllipticCurvePublicKey
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SignatureInvalid(f"the certificate cannot be used to sign: {str(error)[:_SHOWN]}") from error


def usable_key(key: object) -> PublicKey:
    """Return ``key`` if it may sign here. Raises ``ValueError``."""
    if isinstance(key, rsa.RSAPublicKey) and MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return key  # that its point is on the curve was checked on loading
    raise ValueError(f"neither RSA of {MIN_RSA_BITS} to {_MAX_RSA_BITS} bits nor EC on P-256, P-384 or P-521 (R68)")


def _check_references(
    info: etree._Element, signed_object: etree._Element, properties: etree._Element, digests: dict[str, str]
) -> None:
    """Check that the two references name these two elements, whose Ids nothing else bears, and that digests match."""
    object_id, properties_id = signed_object.get(_OADR_ID, ""), properties.get("Id", "")
    wanted = {f"#{object_id}": signed_object, f"#{properties_id}": properties}
    _, _, *references = info
    named = {reference.get("URI", ""): reference for reference in references}
    if len(references) != 2 or len(wanted) != 2 or named.keys() != wanted.keys():
        raise SignatureInvalid("SignedInfo needs two references: to oadrSignedObject and to the ds:Object (R514)")
    if _SAME_IDS(info, first=object_id, second=properties_id) != 2:
        raise SignatureInvalid("the Id of a signed element occurs twice")
    for uri, element in wanted.items():
        _check_digest(named[uri], element, digests)


def _check_digest(reference: etree._Element, element: etree._Element, digests: dict[str, str]) -> None:
    *transforms, method, value = reference
    steps = [step for group in transforms for step in group]
    if len(steps) > 1:
        raise SignatureInvalid("a reference may have one Transform, to Canonical XML 1.0")
    for step in steps:
        _algorithm(step, _C14N_FORMS)
    digest = hashlib.new(digests[_algorithm(method, digests)], _canonical(element)).digest()
    if digest != _base64(value):
        raise SignatureInvalid(f"the digest of {etree.QName(element).localname} does not match")


def _canonical(element: etree._Element) -> bytes:
    """Return Canonical XML 1.0 with every namespace in scope; it has no form for a relative namespace name."""
    try:
        return etree.tostring(element, method="c14n")
    except etree.C14NError as error:
        raise SignatureInvalid("Canonical XML has no form for a relative namespace name") from error


def _algorithm(element: etree._Element, allowed: Collection[str]) -> str:
    """Return the Algorithm, which has to be ``allowed`` and without parameters (XPath, XSLT, HMAC length, prefixes)."""
    uri = element.get("Algorithm", "")
    if uri not in allowed or len(element) or (element.text or "").strip():
        raise SignatureInvalid(f"{etree.QName(element).localname} {uri[:_SHOWN]!r} is not allowed here (R514)")
    return uri


def _packed(element: etree._Element) -> bytes:
    return (element.text or "").encode().translate(None, _BLANKS)


def _base64(element: etree._Element) -> bytes:
    try:
        return a2b_base64(_packed(element), strict_mode=True)
    except ValueError as error:
        raise SignatureInvalid(f"{etree.QName(element).localname} is not base64") from error


def _read_replay_protect(properties: etree._Element) -> tuple[datetime, str]:
    """Return time of sending and nonce. The 2.0b schema does not know ReplayProtect, so all of it is checked here."""
    found = _below(properties, *_REPLAY_PROTECT)
    if len(found) != 1 or [child.tag for child in found[0]] != _REPLAY_CHILDREN:
        raise SignatureInvalid("the signature needs one dsp:ReplayProtect with timestamp and nonce (R514)")
    timestamp, nonce = found[0]
    text = nonce.text or ""
    if len(timestamp) or len(nonce) or not 0 < len(text) <= MAX_NONCE:
        raise SignatureInvalid(f"ReplayProtect: a nonce has 1 to {MAX_NONCE} characters")
    return _instant((timestamp.text or "").strip(" \t\r\n")), text


def _instant(text: str) -> datetime:
    """Read an xs:dateTime that says its zone: ``Z``, as everyone sends it, or an offset."""
    if _DATE_TIME.fullmatch(text):
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            pass  # the 30th of February, or an offset out of the calendar
    raise SignatureInvalid(f"ReplayProtect: not a date-time with a zone: {text[:_SHOWN]!r}")
