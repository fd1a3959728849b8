"""What of an OCPP payload may be seen in a log; pure.

Rule: id tags and tokens name a person (SEC, PRV): only their last two characters are shown; passwords and keys never
are.
"""

from collections.abc import Mapping
from typing import Any

_TOKENS = frozenset({"idTag", "parentIdTag", "idToken", "groupIdToken"})
_SECRETS = frozenset({"password", "basicAuthPassword", "authorizationKey"})
_SECRET_KEYS = frozenset({"authorizationkey", "basicauthpassword"})


def mask_token(text: str) -> str:
    """Return ``text`` with all but its last two characters hidden; short tokens are hidden whole."""
    return "***" if len(text) < 6 else "***" + text[-2:]


def masked(payload: Any) -> Any:
    """Return a copy of ``payload`` that may be logged."""
    if isinstance(payload, Mapping):
        secret = str(payload.get("key", "")).lower() in _SECRET_KEYS  # ChangeConfiguration of a password
        return {key: "***" if secret and key == "value" else _field(key, value) for key, value in payload.items()}
    if isinstance(payload, (list, tuple)):
        return [masked(item) for item in payload]
    return payload


def _field(key: str, value: Any) -> Any:
    if key in _SECRETS:
        return "***"
    if key in _TOKENS and isinstance(value, str):
        return mask_token(value)
    return masked(value)
