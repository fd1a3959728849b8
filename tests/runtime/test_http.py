"""HTTP helpers on a real listener: problems, reference ids, tokens, health, metrics, start and stop."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import ClientSession, web

from certs.authority import Authority, Profile, Role
from openadr.tls import client_context, server_context
from runtime.clock import SystemClock
from runtime.http import (
    ACTOR,
    REFERENCE_HEADER,
    Problem,
    bearer_auth,
    errors,
    health_routes,
    json_body,
    json_response,
    log_refused,
    serve,
)
from runtime.logs import configure
from runtime.metrics import new_registry

TOKENS = {"anna": "token-of-anna", "ben": "token-of-ben"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    signalName: str
    value: float
    at: datetime | None = None


class OutOfPaperError(Exception):
    """A room's own error."""


def translate(error: Exception) -> Problem | None:
    return Problem(409, "no paper", title="Conflict") if isinstance(error, OutOfPaperError) else None


async def take_signal(request: web.Request) -> web.StreamResponse:
    return json_response(await json_body(request, Signal, max_bytes=200), 201)


async def who(request: web.Request) -> web.StreamResponse:
    return web.Response(text=request.get(ACTOR, ""))


async def refuse(_request: web.Request) -> web.StreamResponse:
    raise Problem(422, "end before start", title="Invalid event", field="duration")


async def out_of_paper(_request: web.Request) -> web.StreamResponse:
    raise OutOfPaperError


async def crash(_request: web.Request) -> web.StreamResponse:
    raise RuntimeError("internal detail")


async def moved(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/who")


@dataclass(slots=True)
class Site:
    url: str
    session: ClientSession
    sick: bool = False

    async def get(self, path: str, token: str = TOKENS["anna"], **headers: str) -> tuple[int, Any, dict[str, str]]:
        sent = {"Authorization": f"Bearer {token}", **headers} if token else headers
        async with self.session.get(self.url + path, headers=sent, allow_redirects=False) as answer:
            body = await answer.text()
            return answer.status, _parsed(body), dict(answer.headers)

    async def post(self, path: str, data: bytes | AsyncIterator[bytes]) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {TOKENS['anna']}"}
        async with self.session.post(self.url + path, data=data, headers=headers) as answer:
            return answer.status, _parsed(await answer.text())


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    app = web.Application(middlewares=[errors(translate), bearer_auth(TOKENS)])
    app.add_routes(
        [
            web.post("/signals", take_signal),
            web.get("/who", who),
            web.get("/refuse", refuse),
            web.get("/paper", out_of_paper),
            web.get("/crash", crash),
            web.get("/moved", moved),
        ]
    )
    async with ClientSession() as session:
        made = Site(url="", session=session)

        async def well() -> None:
            if made.sick:
                raise ConnectionError("the database is gone")

        app.add_routes(health_routes({"database": well}, new_registry("oadr-test", "1")))
        server = await serve(app, "127.0.0.1", 0)
        made.url = f"http://127.0.0.1:{server.port}"
        try:
            yield made
        finally:
            await server.stop()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    configure("info", json=True, stream=stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_a_problem_says_what_is_wrong_and_carries_the_reference(site: Site) -> None:
    status, body, headers = await site.get("/refuse")
    assert (status, headers["Content-Type"]) == (422, "application/problem+json")
    assert body == {
        "type": "about:blank",
        "title": "Invalid event",
        "status": 422,
        "detail": "end before start",
        "reference": headers[REFERENCE_HEADER],
        "field": "duration",
    }


async def test_the_reference_of_an_answer_is_the_one_in_the_log(log: io.StringIO, site: Site) -> None:
    _status, body, headers = await site.get("/crash")
    (line,) = [json.loads(line) for line in log.getvalue().splitlines()]
    assert line["ref"] == body["reference"] == headers[REFERENCE_HEADER]
    assert line["exception"][0]["exc_value"] == "internal detail"


async def test_references_differ_from_answer_to_answer(site: Site) -> None:
    assert len({(await site.get("/who"))[2][REFERENCE_HEADER] for _ in range(3)}) == 3


async def test_our_own_faults_show_nothing_but_the_reference(site: Site) -> None:
    status, body, _headers = await site.get("/crash")
    assert (status, body["title"]) == (500, "Internal error")
    assert "internal detail" not in str(body)


async def test_a_rooms_errors_are_translated_once(site: Site) -> None:
    status, body, _headers = await site.get("/paper")
    assert (status, body["title"], body["detail"]) == (409, "Conflict", "no paper")


async def test_unknown_paths_and_methods_are_problems_too(site: Site) -> None:
    status, body, _headers = await site.get("/nowhere")
    assert (status, body["title"]) == (404, "Not Found")
    status, body, headers = await site.get("/signals")
    assert (status, headers["Allow"]) == (405, "POST")


async def test_redirects_are_no_errors(site: Site) -> None:
    status, _body, headers = await site.get("/moved")
    assert (status, headers["Location"]) == (302, "/who")


@pytest.mark.parametrize("token", ["", "wrong", "token-of-ann", "token-of-annaa"])
async def test_a_request_without_valid_token_is_refused(site: Site, token: str) -> None:
    status, body, headers = await site.get("/who", token=token)
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert body["reference"] == headers[REFERENCE_HEADER]


async def test_another_scheme_is_refused(site: Site) -> None:
    status, _body, _headers = await site.get("/who", token="", Authorization=f"Basic {TOKENS['anna']}")
    assert status == 401


@pytest.mark.parametrize("name", sorted(TOKENS))
async def test_a_token_names_its_owner(site: Site, name: str) -> None:
    assert (await site.get("/who", token=TOKENS[name]))[:2] == (200, name)


@pytest.mark.parametrize("tokens", [{}, {"anna": ""}])
def test_empty_tokens_are_refused_at_start(tokens: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="token"):
        bearer_auth(tokens)


async def test_tokens_are_never_logged(log: io.StringIO, site: Site) -> None:
    await site.get("/who", token="almost-the-secret")
    assert "request without valid token" in log.getvalue()
    assert "almost-the-secret" not in log.getvalue()


async def test_a_json_body_is_read_as_its_type_and_answered_as_json(site: Site) -> None:
    status, body = await site.post("/signals", b'{"signalName": "SIMPLE", "value": 1, "at": "2026-01-15T12:00:00Z"}')
    assert (status, body) == (201, {"signalName": "SIMPLE", "value": 1.0, "at": "2026-01-15T12:00:00Z"})
    assert json_response(datetime(2026, 1, 1, tzinfo=UTC)).body == b'"2026-01-01T00:00:00Z"'


@pytest.mark.parametrize(
    ("data", "status", "detail"),
    [
        (b"", 400, "truncated"),
        (b"{", 400, "truncated"),
        (b"[]", 400, "Expected `object`"),
        (b'{"signalName": "SIMPLE"}', 400, "missing required field `value`"),
        (b'{"signalName": "SIMPLE", "value": "high"}', 400, "$.value"),
        (b'{"signalName": "\xff", "value": 1}', 400, "UTF-8"),
        (b'{"signalName": "' + b"x" * 300 + b'", "value": 1}', 413, "200 bytes"),
    ],
)
async def test_a_bad_body_is_refused_by_path(site: Site, data: bytes, status: int, detail: str) -> None:
    answered, body = await site.post("/signals", data)
    assert answered == status
    assert detail.lower() in body["detail"].lower()


async def test_a_body_that_does_not_tell_its_length_is_bounded_too(site: Site) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield b" " * 50

    async def short() -> AsyncIterator[bytes]:
        for part in (b'{"signalName": "SIMPLE",', b' "value": 2}'):
            yield part

    assert (await site.post("/signals", endless()))[0] == 413
    assert (await site.post("/signals", short()))[0] == 201


async def test_health_needs_no_token_and_tells_what_fails(site: Site) -> None:
    status, body, _headers = await site.get("/health", token="")
    assert (status, body) == (200, {"status": "ok", "checks": {"database": "ok"}})
    site.sick = True
    status, body, _headers = await site.get("/health", token="")
    assert (status, body) == (503, {"status": "failing", "checks": {"database": "failing"}})


async def test_metrics_need_a_token(site: Site) -> None:
    assert (await site.get("/metrics", token=""))[0] == 401
    status, body, _headers = await site.get("/metrics")
    assert status == 200
    assert 'oadr_build_info{program="oadr-test",version="1"} 1.0' in body


async def test_a_taken_port_is_an_error_at_start(site: Site) -> None:
    port = int(site.url.rpartition(":")[2])
    with pytest.raises(OSError, match="address already in use"):
        await serve(web.Application(), "127.0.0.1", port)


async def test_stopping_lets_a_request_in_work_end() -> None:
    begun = asyncio.Event()
    go_on = asyncio.Event()

    async def slow(_request: web.Request) -> web.StreamResponse:
        begun.set()
        await go_on.wait()
        return web.Response(text="done")

    app = web.Application()
    app.add_routes([web.get("/", slow)])
    server = await serve(app, "127.0.0.1", 0)
    async with ClientSession() as session:
        asked = asyncio.create_task(_text(session, f"http://127.0.0.1:{server.port}/"))
        await begun.wait()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0)
        go_on.set()
        assert await asked == "done"
        await stopping


async def _text(session: ClientSession, url: str) -> str:
    async with session.get(url) as answer:
        return await answer.text()


async def test_a_client_that_goes_away_is_no_fault_of_ours(log: io.StringIO, site: Site) -> None:
    port = int(site.url.rpartition(":")[2])
    head = (
        f"POST /signals HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKENS['anna']}\r\nContent-Length: 100\r\n\r\n{{"
    )
    _reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode())
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.transport.abort()
    await asyncio.sleep(0.05)
    assert (await site.get("/who"))[0] == 200
    assert "error" not in [json.loads(line)["level"] for line in log.getvalue().splitlines()]


async def test_streamed_answers_keep_what_they_have_sent() -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"part")
        await answer.write_eof()
        return answer

    app = web.Application(middlewares=[errors()])
    app.add_routes([web.get("/", stream)])
    server = await serve(app, "127.0.0.1", 0)
    try:
        async with ClientSession() as session:
            assert await _text(session, f"http://127.0.0.1:{server.port}/") == "part"
    finally:
        await server.stop()


def test_sec_01_a_failed_handshake_is_a_warning_with_its_listener(log: io.StringIO) -> None:
    log_refused("openadr")("certificate has expired")
    (line,) = [json.loads(line) for line in log.getvalue().splitlines()]
    assert (line["level"], line["listener"], line["reason"]) == ("warning", "openadr", "certificate has expired")


async def test_sec_01_a_listener_with_mutual_tls(tmp_path: Path) -> None:
    now = SystemClock().now()
    authority = Authority.create(tmp_path / "pki", now=now)
    vtn = authority.issue(Profile.OPENADR_VTN, "vtn", ["127.0.0.1"], now=now)
    ven = authority.issue(Profile.OPENADR_VEN, "ven", now=now)
    ca = authority.trust(Role.OPENADR)

    async def name(request: web.Request) -> web.StreamResponse:
        peer = request.get_extra_info("peercert")
        return web.Response(text=peer["subject"][-1][0][1])

    app = web.Application()
    app.add_routes([web.get("/", name)])
    server = await serve(app, "127.0.0.1", 0, server_context(cert_chains=[vtn.chain], client_ca=ca))
    try:
        async with ClientSession() as session:
            context = client_context(ca=ca, cert_chain=ven.chain)
            async with session.get(f"https://127.0.0.1:{server.port}/", ssl=context) as answer:
                assert await answer.text() == "ven"
    finally:
        await server.stop()
