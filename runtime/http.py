"""HTTP for every listener: problem+json (RFC 9457), reference ids, bearer tokens, health, metrics, start and stop.

Rule: errors become answers in one place (``errors``), and the reference id of the answer is the one in the log.
Handlers raise ``Problem``; they never build error answers themselves.
"""

import hashlib
import hmac
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry

from runtime.logs import current_reference, get_logger, new_reference
from runtime.metrics import CONTENT_TYPE, render

REFERENCE_HEADER = "X-Reference-Id"
MAX_JSON_BYTES = 1_000_000  # an operator's event with thousands of intervals is about a tenth of it
ACTOR: web.RequestKey[str] = web.RequestKey("actor", str)
"""Request key: the name of the bearer token that authorised the request."""

log = get_logger(__name__)
T = TypeVar("T")
HealthCheck = Callable[[], Awaitable[None]]
"""Returns if well; raises what is wrong."""


class Problem(Exception):
    """An HTTP error answer: ``status``, a short ``title`` that is the same each time, a ``detail`` for this case."""

    def __init__(self, status: int, detail: str, *, title: str = "", **members: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title or HTTPStatus(status).phrase
        self.members = members


def problem(status: int, title: str, detail: str, **members: Any) -> web.Response:
    """Return an ``application/problem+json`` answer with the reference id bound here."""
    reference = current_reference()
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "reference": reference,
        **members,
    }
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type="application/problem+json",
        headers={REFERENCE_HEADER: reference} if reference else None,
    )


def json_response(value: Any, status: int = 200) -> web.Response:
    """Return ``value`` (dataclasses, datetimes, tuples...) as JSON."""
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")


async def json_body(request: web.Request, kind: type[T], *, max_bytes: int = MAX_JSON_BYTES) -> T:
    """Read the request's JSON as ``kind``; raises ``Problem`` 413 or 400 whose detail names the path at fault."""
    data = await request.content.read(max_bytes + 1) if (request.content_length or 0) <= max_bytes else None
    while data is not None and len(data) <= max_bytes and not request.content.at_eof():
        data += await request.content.read(max_bytes + 1 - len(data))
    if data is None or len(data) > max_bytes:
        raise Problem(413, f"the body exceeds {max_bytes} bytes")
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise Problem(400, str(error), title="Invalid body") from error
    except UnicodeDecodeError:
        raise Problem(400, "the body is not UTF-8", title="Invalid body") from None


def errors(translate: Callable[[Exception], Problem | None] = lambda _error: None) -> Middleware:
    """Return the outermost middleware: a reference id for each request, every exception mapped once.

    ``translate`` turns a room's own errors into a ``Problem``; the rest becomes a 500 that tells only the reference.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        reference = new_reference()
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = _from_http(error)
        except Exception as error:
            response = _from_error(request, error, translate)
        if not response.prepared:
            response.headers[REFERENCE_HEADER] = reference
        return response

    return middleware


def _from_http(error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        raise error
    response = problem(error.status, error.reason, error.text or error.reason)
    for name in ("Allow", "WWW-Authenticate"):
        if name in error.headers:
            response.headers[name] = error.headers[name]
    return response


def _from_error(
    request: web.Request, error: Exception, translate: Callable[[Exception], Problem | None]
) -> web.StreamResponse:
    if isinstance(error, ConnectionResetError) and (request.transport is None or request.transport.is_closing()):
        log.info("client went away", method=request.method, path=request.path)
        return problem(400, "Bad Request", "The connection was closed before the answer.")
    known = error if isinstance(error, Problem) else translate(error)
    if known is None:
        log.error("request failed", method=request.method, path=request.path, exc_info=error)
        return problem(500, "Internal error", "The request failed on our side; quote the reference.")
    log.info("request refused", method=request.method, path=request.path, status=known.status, detail=known.detail)
    return problem(known.status, known.title, known.detail, **known.members)


def bearer_auth(tokens: Mapping[str, str], *, open_paths: frozenset[str] = frozenset({"/health"})) -> Middleware:
    """Return a middleware that demands ``Authorization: Bearer`` with one of ``tokens`` (name -> token).

    Compares in constant time over all tokens; puts the name in ``request[ACTOR]``. An empty token is a ``ValueError``.
    """
    if not tokens or not all(tokens.values()):
        raise ValueError("bearer_auth: at least one token, none empty")
    digests = {name: hashlib.sha256(token.encode()).digest() for name, token in tokens.items()}

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in open_paths:
            return await handler(request)
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        digest = hashlib.sha256(given.strip().encode()).digest()
        names = [name for name, known in digests.items() if hmac.compare_digest(known, digest)]
        if scheme.lower() != "bearer" or not names:
            log.warning("request without valid token", method=request.method, path=request.path, peer=request.remote)
            answer = problem(401, "Unauthorized", "A valid bearer token is needed.")
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        request[ACTOR] = names[0]
        return await handler(request)

    return middleware


def log_refused(listener: str) -> Callable[[str], None]:
    """Return an ``on_refused`` for ``openadr.tls.server_context``: each failed handshake is a warning (SEC-01)."""

    def refused(reason: str) -> None:
        log.warning("tls handshake refused", listener=listener, reason=reason)

    return refused


def health_routes(
    checks: Mapping[str, HealthCheck],
    registry: CollectorRegistry,
    facts: Mapping[str, Callable[[], Awaitable[object]]] = MappingProxyType({}),
) -> list[web.RouteDef]:
    """Return ``GET /health`` (200, or 503 naming the failed checks) and ``GET /metrics``.

    ``facts`` are shown beside the checks and never make a process unwell; everybody may read them.
    """

    async def get_health(_request: web.Request) -> web.StreamResponse:
        results = {name: await _run_check(name, check) for name, check in checks.items()}
        well = all(result == "ok" for result in results.values())
        body: dict[str, object] = {"status": "ok" if well else "failing", "checks": results}
        if well:
            body |= {name: await fact() for name, fact in facts.items()}
        return json_response(body, 200 if well else 503)

    async def get_metrics(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=render(registry), headers={"Content-Type": CONTENT_TYPE})

    return [web.get("/health", get_health), web.get("/metrics", get_metrics)]


async def _run_check(name: str, check: HealthCheck) -> str:
    try:
        await check()
    except Exception as error:
        log.warning("health check failed", check=name, exc_info=error)
        return "failing"
    return "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A listener that takes requests. ``port`` is the real one when 0 was asked."""

    runner: web.AppRunner
    host: str
    port: int

    async def stop(self) -> None:
        """Stop listening, let requests in work end (bounded by the shutdown time-out), close connections."""
        await self.runner.cleanup()


async def serve(
    app: web.Application,
    host: str,
    port: int,
    ssl_context: ssl.SSLContext | None = None,
    *,
    keepalive_s: float = 75.0,
    shutdown_s: float = 5.0,
) -> Server:
    """Listen and return the ``Server``; raises ``OSError`` if the address is taken."""
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=keepalive_s, shutdown_timeout=shutdown_s)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=ssl_context).start()
    except BaseException:
        await runner.cleanup()
        raise
    return Server(runner=runner, host=host, port=int(runner.addresses[0][1]))
