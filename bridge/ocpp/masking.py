"""What of an OCPP payload may be seen in a log; pure.

Rule: id tags and tokens name a person (SEC, PRV): only their last two characters are shown; passwords and keys never
are.
"""

from collections.abc import Mapping
from typing import Any

_TOKENS = frozenset({"idTag", "parentIdTag", "idToken", "groupIdToken"})
_SECRETS = frozenset({"password", "basicAuthPassword", "authorizationKey"})
_SECRET_KEYS = frozenset({"authorizationkey", "basicauthpassword"})
_DEEPEST = 12  # levels; the deepest message of either version has 8


def mask_token(text: str) -> str:
    """Return ``text`` with all but its last two characters hidden; short tokens are hidden whole."""
    return "***" if len(text) < 6 else "***" + text[-2:]


def masked(payload: Any, depth: int = 0) -> Any:
    """Return a copy of ``payload`` that may be logged; what is nested too deep is left out."""
    if depth > _DEEPEST and isinstance(payload, (Mapping, list, tuple)):
        return "..."
    if isinstance(payload, Mapping):
        secret = str(payload.get("key", "")).lower() in _SECRET_KEYS  # ChangeConfiguration of a password
        return {
            key: "***" if secret and key == "value" else _field(str(key), value, depth)
            for key, value in payload.items()
        }
    if isinstance(payload, (list, tuple)):
        return [masked(item, depth + 1) for item in payload]
    return payload


def _field(key: str, value: Any, depth: int) -> Any:
    name = key.rpartition("/")[2]  # of a field set aside, the key is its path
    if name in _SECRETS:
        return "***"
    if name in _TOKENS and isinstance(value, str):
        return mask_token(value)
    return masked(value, depth + 1)
