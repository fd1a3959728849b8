"""Files of the PKI: keys that only their owner can read, writes that are whole or not there, the inventory.

Rule: nothing here overwrites a key. Certificates and trust files are public (0644), keys 0600, folders with keys 0700.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from certs.profiles import KeyType, PrivateKey, Profile, Role


class AuthorityError(Exception):
    """The PKI cannot do what was asked; nothing was changed. The text names the file or the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One issued certificate in the inventory (SEC-20). ``certificate`` is relative to the PKI's folder."""

    serial: str
    owner: str
    common_name: str
    role: Role
    profile: Profile
    key_type: KeyType
    not_before: datetime
    not_after: datetime
    fingerprint: str
    certificate: str


def new_key(kind: KeyType) -> PrivateKey:
    """Make a key with the system's generator."""
    if kind is KeyType.RSA:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def refuse_existing(path: Path) -> None:
    """Raise ``AuthorityError`` if there is a key at ``path``."""
    if path.exists():
        raise AuthorityError(f"{path}: a key is there already; it is never overwritten")


def write_key(path: Path, key: PrivateKey) -> None:
    """Write a new key file, mode 0600 from the first byte on; ``AuthorityError`` if there is one already."""
    refuse_existing(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        os.fsync(file.fileno())


def read_key(path: Path) -> PrivateKey:
    """Read a key file; ``AuthorityError`` if it is missing or not an EC or RSA key."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise AuthorityError(f"{path}: no usable key: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise AuthorityError(f"{path}: neither an EC nor an RSA key")
    return key


def write_certificates(path: Path, *certificates: x509.Certificate) -> None:
    """Write certificates as PEM, leaf first, replacing the file as a whole."""
    write_whole(path, b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates))


def read_certificate(path: Path) -> x509.Certificate:
    """Read the first certificate of a PEM file, or a DER file; ``AuthorityError`` if there is none."""
    try:
        data = path.read_bytes()
        return x509.load_pem_x509_certificate(data) if b"-----BEGIN" in data else x509.load_der_x509_certificate(data)
    except (OSError, ValueError) as error:
        raise AuthorityError(f"{path}: no usable certificate: {error}") from None


def write_whole(path: Path, data: bytes) -> None:
    """Write a public file so that a reader finds the old or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(data)
    new.chmod(0o644)
    new.replace(path)


def read_inventory(path: Path) -> tuple[Record, ...]:
    """Return the inventory in order of issue; empty if there is none yet."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Record, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError) as error:
        raise AuthorityError(f"{path}: no usable inventory: {error}") from None


def write_inventory(path: Path, records: tuple[Record, ...]) -> None:
    """Replace the inventory."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(records), indent=2) + b"\n")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a folder to fill; it appears at ``path`` only when the block has ended well."""
    new = path.with_name(f".{path.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    yield new
    new.rename(path)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the PKI's lock, so that two commands at once do not lose an inventory line."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
