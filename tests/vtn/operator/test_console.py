"""The console's files over HTTP: open to all, guarded by headers, and nothing else comes with them."""

import asyncio
import re
from collections.abc import AsyncIterator
from http.client import HTTPConnection
from pathlib import Path

import aiohttp
import pytest

from tests.vtn.server import TOKEN, Running
from vtn.operator import console
from vtn.operator.app import ROUTES

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FOLDER = Path(console.__file__).parent / "console"
FILES = sorted(path.name for path in FOLDER.iterdir())


@pytest.fixture
async def stranger(vtn: Running) -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client without a token."""
    async with aiohttp.ClientSession(vtn.operator.url) as session:
        yield session


@pytest.mark.parametrize("name", ["", *FILES])
async def test_every_file_is_served_without_a_token_and_with_its_guards(
    stranger: aiohttp.ClientSession, name: str
) -> None:
    async with stranger.get(f"/console/{name}") as answer:
        body = await answer.read()
        kinds = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
        assert answer.status == 200
        assert body == (FOLDER / (name or "index.html")).read_bytes()
        assert answer.headers["Content-Type"] == f"{kinds[(name or 'index.html').rpartition('.')[2]]}; charset=utf-8"
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["X-Reference-Id"]


@pytest.mark.parametrize("path", ["/", "/console"])
async def test_the_address_alone_leads_to_the_console(stranger: aiohttp.ClientSession, path: str) -> None:
    async with stranger.get(path, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/console/")
        assert answer.headers["Content-Security-Policy"] == POLICY
    async with stranger.get(path) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")


async def test_a_file_that_is_known_is_not_sent_again(stranger: aiohttp.ClientSession) -> None:
    async with stranger.get("/console/console.js") as answer:
        etag = answer.headers["ETag"]
    async with stranger.get("/console/console.js", headers={"If-None-Match": etag}) as answer:
        assert (answer.status, await answer.read(), answer.headers["ETag"]) == (304, b"", etag)
        assert answer.headers["Content-Security-Policy"] == POLICY
    async with stranger.get("/console/console.js", headers={"If-None-Match": '"another"'}) as answer:
        assert answer.status == 200
    async with stranger.head("/console/console.js") as answer:
        assert (answer.status, answer.headers["ETag"]) == (200, etag)


async def test_the_api_behind_the_console_needs_the_token(stranger: aiohttp.ClientSession) -> None:
    for route in ROUTES:
        async with stranger.request(route.method, route.path.replace("{eventID}", "evt-1")) as answer:
            assert answer.status == 401, route.path
            assert answer.headers["WWW-Authenticate"] == "Bearer"


TRAVERSALS = [
    "/console/../api.py",
    "/console/../../settings.py",
    "/console/%2e%2e/api.py",
    "/console/..%2fapi.py",
    "/console/%2e%2e%2fapi.py",
    "/console/..%5capi.py",
    "/console//etc/passwd",
    "/console/console.js/../../api.py",
    "/console/console.js%00",
    "/console/./../app.py",
]


@pytest.mark.parametrize("path", TRAVERSALS)
@pytest.mark.parametrize(("token", "status"), [("", 401), (TOKEN, 404)])
async def test_no_path_leads_out_of_the_folder(vtn: Running, path: str, token: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    assert await _raw_status(vtn.app.operator_port, path, headers) == status


async def _raw_status(port: int, path: str, headers: dict[str, str]) -> int:
    """Ask for a path exactly as written; clients that know better would tidy it."""

    def ask() -> int:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.putrequest("GET", path)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            return connection.getresponse().status
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


@pytest.mark.parametrize(
    "name", ["unknown.js", "index.htm", "console.py", "console.js/", "__init__.py", "console.js/x"]
)
async def test_an_unknown_file_is_404(vtn: Running, name: str) -> None:
    status, _ = await vtn.operator.call("GET", f"/console/{name}")
    assert status == 404


async def test_the_console_only_reads(stranger: aiohttp.ClientSession) -> None:
    async with stranger.post("/console/", data=b"x") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


def test_the_page_keeps_to_its_own_policy() -> None:
    """No inline script or style, nothing from elsewhere, and no way for data to become markup."""
    page = (FOLDER / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page)
    assert set(re.findall(r'(?:src|href)="([^":]+)"', page)) <= set(FILES)
    markup = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function")
    for path in FOLDER.glob("*.js"):
        text = path.read_text()
        assert not markup.search(text), path.name
        assert set(re.findall(r'from "\./([^"]+)"', text)) <= set(FILES), path.name
        assert set(re.findall(r"https?://[^\"]+", text)) <= {"http://www.w3.org/2000/svg"}, path.name
    assert "://" not in (FOLDER / "console.css").read_text()
    assert {path.suffix for path in FOLDER.iterdir()} == {".html", ".js", ".css"}
