"""Signed payloads for tests: parties with keys, and a second signer that signs whatever a test made of the payload.

``forge`` shares no code with ours: it canonicalises the finished tree with lxml, so that a test can have a signature
that holds over a payload we would never write.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from lxml import etree

from openadr.messages import Poll
from openadr.wire import encode
from openadr.wire.signing import Signer, sign

OADR = "http://openadr.org/oadr-2.0b/2012/07"
EI = "http://docs.oasis-open.org/ns/energyinterop/201110"
DS = "http://www.w3.org/2000/09/xmldsig#"
DSP = "http://openadr.org/oadr-2.0b/2012/07/xmldsig-properties"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
ID = f"{{{OADR}}}Id"
NS = {"o": OADR, "e": EI, "ds": DS, "dsp": DSP}

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
NONCE = bytes(range(16))
POLL = Poll(ven_id="ven-1")
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Change = Callable[[etree._Element], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    key: Key
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def signer(self) -> Signer:
        return Signer.from_pem(self.key_pem, self.pem)


KEYS: dict[str, Callable[[], Key]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-1024": lambda: rsa.generate_private_key(65537, 1024),
    "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "p192": lambda: ec.generate_private_key(ec.SECP192R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@cache
def party(kind: str, name: str = "ven-1") -> Party:
    """A key and a self-signed certificate, made once for each kind and name."""
    key = KEYS[kind]()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=365))
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    return Party(key=key, certificate=certificate)


@cache
def signed(kind: str = "ec", ven_id: str = "ven-1", nonce: bytes = NONCE) -> bytes:
    """A poll signed by our own signer."""
    return sign(encode(Poll(ven_id=ven_id)), party(kind).signer, timestamp=NOW, nonce=nonce)


def one(root: etree._Element, path: str) -> etree._Element:
    found = root.find(path, NS)
    assert found is not None, path
    return found


def element(text: str) -> etree._Element:
    """Parse a fragment that uses the prefixes o, e, ds and dsp."""
    declarations = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in NS.items())
    return etree.fromstring(f"<wrap{declarations}>{text}</wrap>")[0]


def changed(data: bytes, change: Change) -> bytes:
    """Return a signed payload after ``change``, with its signature as it was."""
    root = etree.fromstring(data)
    change(root)
    return etree.tostring(root)


def forge(by: Party, change: Change = lambda root: None, *, data: bytes | None = None, comments: bool = False) -> bytes:
    """Return a payload after ``change``, signed anew by ``by``: digests of all references that resolve, then the value.

    The algorithms are those that stand in the payload after ``change``.
    """
    source = data or sign(encode(POLL), (by if _signs(by) else party("ec")).signer, timestamp=NOW, nonce=NONCE)
    root = etree.fromstring(source)
    if data is None:
        one(root, ".//ds:X509Certificate").text = base64.b64encode(by.der).decode()
        one(root, ".//ds:SignatureMethod").set("Algorithm", _method(by))
    change(root)
    info = one(root, ".//ds:SignedInfo")
    for reference in info.findall("ds:Reference", NS):
        uri = reference.get("URI", "")
        target = [node for node in root.iter() if uri in (f"#{node.get(ID)}", f"#{node.get('Id')}")]
        algorithm = one(reference, "ds:DigestMethod").get("Algorithm", "")
        digest = hashlib.sha1 if algorithm.endswith("sha1") else hashlib.sha256
        if target:
            canonical = etree.tostring(target[0], method="c14n", with_comments=comments)
            one(reference, "ds:DigestValue").text = base64.b64encode(digest(canonical).digest()).decode()
    value = signature_value(
        by, one(info, "ds:SignatureMethod").get("Algorithm", ""), etree.tostring(info, method="c14n")
    )
    one(root, ".//ds:SignatureValue").text = base64.b64encode(value).decode()
    return etree.tostring(root)


def _signs(by: Party) -> bool:
    return isinstance(by.key, ec.EllipticCurvePrivateKey) and isinstance(by.key.curve, ec.SECP256R1)


def _method(by: Party) -> str:
    return f"{MORE}rsa-sha256" if isinstance(by.key, rsa.RSAPrivateKey) else f"{MORE}ecdsa-sha256"


def signature_value(by: Party, algorithm: str, data: bytes) -> bytes:
    """The value of ``data`` by an algorithm, whatever the algorithm's worth."""
    chosen = hashes.SHA1() if algorithm.endswith("sha1") else hashes.SHA256()
    if "hmac" in algorithm:  # with what everyone knows, the public certificate, as the key
        return hmac.digest(by.der, data, "sha256")
    if isinstance(by.key, rsa.RSAPrivateKey):
        return by.key.sign(data, PKCS1v15(), chosen)
    if isinstance(by.key, ed25519.Ed25519PrivateKey):
        return by.key.sign(data)
    size = (by.key.key_size + 7) // 8
    return b"".join(part.to_bytes(size) for part in decode_dss_signature(by.key.sign(data, ec.ECDSA(chosen))))
