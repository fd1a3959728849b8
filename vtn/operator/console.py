"""The operator's console: static files of the package, served without a token because they hold no data.

Rule: the files are read once, by name; nothing of a request ever becomes a path. What they show comes from the API,
with the operator's token, and the policy below keeps the browser from running or reaching anything else.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from aiohttp import web
from aiohttp.typedefs import Handler

FOLDER = "/console/"
INDEX = "index.html"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # kept, but asked for each time: a 304 by ETag as long as the program is the same
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file; ``etag`` is the digest of its bytes."""

    name: str
    body: bytes
    content_type: str
    etag: str

    @property
    def paths(self) -> tuple[str, ...]:
        """Where it is served."""
        return (FOLDER, FOLDER + INDEX) if self.name == INDEX else (FOLDER + self.name,)


def assets() -> tuple[Asset, ...]:
    """Read the files of the package; files of other kinds beside them are not served."""
    found = []
    for file in sorted(files("vtn.operator").joinpath("console").iterdir(), key=lambda each: each.name):
        content_type = _TYPES.get("." + file.name.rpartition(".")[2])
        if content_type is not None:
            body = file.read_bytes()
            etag = hashlib.sha256(body).hexdigest()[:32]
            found.append(Asset(name=file.name, body=body, content_type=content_type, etag=etag))
    return tuple(found)


def open_paths(served: tuple[Asset, ...]) -> frozenset[str]:
    """Return the paths that need no token."""
    return frozenset({"/", FOLDER.rstrip("/")}.union(*(each.paths for each in served)))


def routes(served: tuple[Asset, ...]) -> list[web.RouteDef]:
    """Return the routes: each file under its name, ``/`` and ``/console`` lead to the page."""
    table = [web.get(path, _to_console) for path in ("/", FOLDER.rstrip("/"))]
    for asset in served:
        table += [web.get(path, _handler(asset)) for path in asset.paths]
    return table


async def _to_console(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={**HEADERS, "Location": FOLDER})


def _handler(asset: Asset) -> Handler:
    async def get_asset(request: web.Request) -> web.StreamResponse:
        known = request.if_none_match or ()
        if any(tag.value in (asset.etag, "*") for tag in known):
            answer = web.Response(status=304, headers=HEADERS)
        else:
            answer = web.Response(body=asset.body, content_type=asset.content_type, charset="utf-8", headers=HEADERS)
        answer.etag = asset.etag
        return answer

    return get_asset
