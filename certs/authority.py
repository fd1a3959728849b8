"""The authority: a folder with a root and an issuing CA for each role, their trust files, and all they issued.

Rule: each role has its own root, because a certificate of one role must not open another (SEC-23). An existing
authority is never overwritten. Layout: ``ca/`` (keys of the CAs), ``trust/ROLE.pem``,
``issued/NAME{.pem,.chain.pem,.key}``, ``inventory.json``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from certs import files
from certs.files import AuthorityError, Record
from certs.profiles import (
    PROFILES,
    KeyType,
    LeafRequest,
    PrivateKey,
    Profile,
    ProfileError,
    Role,
    ca_certificate,
    leaf_certificate,
    station_request,
)
from openadr.identity import fingerprint

__all__ = ["Authority", "AuthorityError", "Issued", "KeyType", "Profile", "ProfileError", "Role"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """An issued certificate: ``chain_path`` holds it and its issuing CA, as a TLS listener or client needs them."""

    cert_path: Path
    key_path: Path
    chain_path: Path
    fingerprint: str

    @property
    def chain(self) -> tuple[Path, Path]:
        """The (chain, key) pair that ``openadr.tls`` takes."""
        return self.chain_path, self.key_path


class Authority:
    """A PKI in a folder. Make one with ``create`` or take up an existing one with ``open``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._issuers: dict[tuple[Role, KeyType], tuple[x509.Certificate, PrivateKey]] = {}

    @classmethod
    def create(cls, directory: Path, *, now: datetime, owner: str = "OpenADR Gateway", rsa: bool = False) -> Self:
        """Make roots, issuing CAs and trust files; ``rsa`` adds an RSA line to the openadr role (R68).

        Raises ``AuthorityError`` if there is an authority in ``directory`` already.
        """
        authority = cls(directory)
        with files.locked(directory):
            if (directory / "ca").exists() or authority._inventory.exists():
                raise AuthorityError(f"{directory}: there is an authority already; it is never overwritten")
            with files.new_folder(directory / "ca") as folder:
                for role in Role:
                    lines = [KeyType.EC, KeyType.RSA] if rsa and role is Role.OPENADR else [KeyType.EC]
                    roots = [_create_line(folder, role, kind, owner, now) for kind in lines]
                    files.write_certificates(authority.trust(role), *roots)
            files.write_inventory(authority._inventory, ())
        return authority

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Take up an existing authority; ``AuthorityError`` if there is none."""
        if not (directory / "ca").is_dir():
            raise AuthorityError(f"{directory}: no authority here; make one with: oadr-certs init {directory}")
        return cls(directory)

    def trust(self, role: Role) -> Path:
        """Return the file with the roots of ``role``, to be given to peers as their CA file."""
        return self.directory / "trust" / f"{role}.pem"

    def inventory(self) -> tuple[Record, ...]:
        """Return every certificate issued, in order of issue."""
        return files.read_inventory(self._inventory)

    def issue(
        self,
        profile: Profile,
        common_name: str,
        sans: Sequence[str] = (),
        *,
        now: datetime,
        key_type: KeyType = KeyType.EC,
        organisation: str = "",
        days: int | None = None,
    ) -> Issued:
        """Make a key and a certificate. Raises ``ProfileError`` for unfit fields, ``AuthorityError`` if issued before.

        ``sans`` are host names and IP addresses; ``organisation`` is the CPO's name for a station.
        """
        request = LeafRequest(
            profile=profile, common_name=common_name, names=tuple(sans), organisation=organisation
        ).checked()
        cert_path, chain_path, key_path = self._paths(request, key_type)
        role = PROFILES[profile].role
        with files.locked(self.directory):
            files.refuse_existing(key_path)
            inventory, issuer = self.inventory(), self._issuer(role, key_type)
            key = files.new_key(key_type)
            serial = x509.random_serial_number()
            leaf = leaf_certificate(request, key=key.public_key(), issuer=issuer, serial=serial, now=now, days=days)
            record = self._record(request, key_type, leaf, cert_path)
            cert_path.parent.mkdir(exist_ok=True, mode=0o700)
            files.write_certificates(cert_path, leaf)
            files.write_certificates(chain_path, leaf, issuer[0])
            # The key comes last: a certificate that can be used stands in the inventory, whenever the power fails.
            files.write_inventory(self._inventory, (*inventory, record))
            files.write_key(key_path, key)
        return Issued(cert_path=cert_path, key_path=key_path, chain_path=chain_path, fingerprint=record.fingerprint)

    def sign_station(self, csr: bytes, *, identity: str, organisation: str, now: datetime) -> str:
        """Sign a charging station's own request and return its chain (PEM); its key stays with the station.

        Raises ``ProfileError`` for a request that is not for ``identity`` and ``organisation``.
        """
        request, key = station_request(csr, identity, organisation)
        kind = KeyType.RSA if isinstance(key, rsa.RSAPublicKey) else KeyType.EC
        with files.locked(self.directory):
            inventory, issuer = self.inventory(), self._issuer(Role.OCPP, kind)
            serial = x509.random_serial_number()
            leaf = leaf_certificate(request, key=key, issuer=issuer, serial=serial, now=now)
            path = self.directory / "issued" / f"{request.profile}-{quote(identity, safe='')}-{serial:x}.pem"
            path.parent.mkdir(exist_ok=True, mode=0o700)
            files.write_certificates(path, leaf, issuer[0])
            files.write_inventory(self._inventory, (*inventory, self._record(request, kind, leaf, path)))
        return path.read_text(encoding="ascii")

    @property
    def _inventory(self) -> Path:
        return self.directory / "inventory.json"

    def _paths(self, request: LeafRequest, key_type: KeyType) -> tuple[Path, Path, Path]:
        suffix = "" if key_type is KeyType.EC else f"-{key_type}"
        stem = f"{request.profile}-{quote(request.common_name, safe='')}{suffix}"
        folder = self.directory / "issued"
        return folder / f"{stem}.pem", folder / f"{stem}.chain.pem", folder / f"{stem}.key"

    def _record(self, request: LeafRequest, key_type: KeyType, leaf: x509.Certificate, path: Path) -> Record:
        return Record(
            serial=f"{leaf.serial_number:x}",
            owner=request.organisation,
            common_name=request.common_name,
            role=PROFILES[request.profile].role,
            profile=request.profile,
            key_type=key_type,
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
            fingerprint=fingerprint(leaf.public_bytes(Encoding.DER)),
            certificate=str(path.relative_to(self.directory)),
        )

    def _issuer(self, role: Role, kind: KeyType) -> tuple[x509.Certificate, PrivateKey]:
        """Return the issuing CA of the same key type if the role has one, else the EC one."""
        folder = self.directory / "ca"
        if not (folder / f"{role}-{kind}-issuing.key").exists():
            kind = KeyType.EC
        if (role, kind) not in self._issuers:
            certificate = files.read_certificate(folder / f"{role}-{kind}-issuing.pem")
            self._issuers[role, kind] = (certificate, files.read_key(folder / f"{role}-{kind}-issuing.key"))
        return self._issuers[role, kind]


def _create_line(folder: Path, role: Role, kind: KeyType, owner: str, now: datetime) -> x509.Certificate:
    """Make the root and the issuing CA of one role and key type in ``folder``; return the root."""
    root: tuple[x509.Certificate, PrivateKey] | None = None
    made: list[x509.Certificate] = []
    for level in ("root", "issuing"):
        key, serial = files.new_key(kind), x509.random_serial_number()
        subject = f"{role} {kind} {level}"
        certificate = ca_certificate(subject=subject, owner=owner, key=key, issuer=root, serial=serial, now=now)
        files.write_key(folder / f"{role}-{kind}-{level}.key", key)
        files.write_certificates(folder / f"{role}-{kind}-{level}.pem", certificate)
        root = (certificate, key)
        made.append(certificate)
    return made[0]
