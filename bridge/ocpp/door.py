"""Who may come in at ``/ocpp/{identity}``: security profiles 0 to 3 as one decision; pure.

Rule: the identity in the path must be known, and the credential must be that identity's own (OCP-10: one per
station). The reason of a refusal goes to the log, never to the caller.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.ocpp.frames import Version
from bridge.ocpp.settings import ChargerConfig, OcppSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a connection is refused: HTTP status, a word for the counter, and a sentence for the log."""

    status: int
    word: str
    reason: str


def choose_version(offered: Sequence[str]) -> Version | None:
    """Return the first subprotocol that we speak, in the charger's order of preference; ``None`` if there is none."""
    for name in offered:
        if name in set(Version):
            return Version(name)
    return None


def admit(
    identity: str,
    *,
    config: ChargerConfig | None,
    settings: OcppSettings,
    authorization: str | None,
    peer_certificate: Mapping[str, Any] | None,
) -> Refusal | None:
    """Return ``None`` if the charger may come in, else why not. ``peer_certificate`` is what ``ssl`` gives of it."""
    if config is None:
        return Refusal(status=404, word="unknown_identity", reason="unknown charger identity")
    if settings.security_profile == 0:
        return None
    if settings.security_profile == 3:
        return _check_certificate(identity, settings, peer_certificate)
    return _check_password(identity, config, authorization)


def _check_certificate(identity: str, settings: OcppSettings, certificate: Mapping[str, Any] | None) -> Refusal | None:
    if not certificate:
        return Refusal(status=401, word="no_certificate", reason="no client certificate")
    subject = {name: value for part in certificate.get("subject", ()) for name, value in part}
    if not hmac.compare_digest(str(subject.get("commonName", "")).encode(), identity.encode()):
        return Refusal(
            status=403, word="other_identity", reason="the certificate's CN is another identity (A00.FR.511)"
        )
    if settings.cpo_name is not None and subject.get("organizationName") != settings.cpo_name:
        return Refusal(
            status=403, word="other_operator", reason="the certificate's O is not this operator (A00.FR.509)"
        )
    return None


def _check_password(identity: str, config: ChargerConfig, authorization: str | None) -> Refusal | None:
    given = _basic(authorization)
    if given is None:
        return Refusal(status=401, word="no_password", reason="no basic credentials")
    user, password = given
    if config.password is None:
        return Refusal(status=401, word="no_password_set", reason="no password is set for this charger")
    same_user = hmac.compare_digest(user, identity.encode())
    if not (_matches(password, config.password) and same_user):
        return Refusal(status=401, word="wrong_password", reason="wrong user or password")
    return None


def _basic(header: str | None) -> tuple[bytes, bytes] | None:
    """User and password of a Basic header. Passwords may hold any byte (A00.FR.205)."""
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = decoded.partition(b":")
    return (user, password) if colon else None


def _matches(given: bytes, expected: str) -> bool:
    if expected.startswith("sha256:"):
        return hmac.compare_digest(hashlib.sha256(given).hexdigest(), expected.removeprefix("sha256:").lower())
    return hmac.compare_digest(given, expected.encode())
