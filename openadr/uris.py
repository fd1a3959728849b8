"""marketContexts compared as the standard compares them: equal after RFC 3986 normalisation (R512).

Rule: scheme and host in lower case, the scheme's default port and an empty path dropped, percent-escapes of unreserved
characters decoded and others in upper case, dot segments removed; nothing else is equal. What is no URI stays as it is.
"""

import posixpath
import re
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

_PORTS = {"http": 80, "https": 443}
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def _unescape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _path(path: str) -> str:
    if not path.startswith("/"):
        return path
    clean = "/" + posixpath.normpath(path).lstrip("/")
    return clean + "/" if clean != "/" and path.endswith(("/", "/.", "/..")) else clean


@lru_cache(maxsize=4096)
def normal(uri: str) -> str:
    """Return the form in which two equal URIs are the same text."""
    try:
        parts = urlsplit(_ESCAPE.sub(_unescape, uri))
        port = parts.port
    except ValueError:
        return uri
    if not parts.scheme:
        return uri
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    user = parts.netloc.rpartition("@")[0]
    authority = (f"{user}@" if user else "") + host
    if port is not None and port != _PORTS.get(parts.scheme):
        authority += f":{port}"
    path = _path(parts.path) or ("/" if authority else "")
    return urlunsplit((parts.scheme, authority, path, parts.query, parts.fragment))
