"""``oadr-bridge self-test``: has the running bridge test one charger, waits, and writes the signed evidence.

Rule: a client of the operator API like any other; the bridge signs, so that who runs the command cannot change what it
found. Exit code 0: passed, 1: not, or not begun.
"""

import asyncio
import base64
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

_LOOK_S = 2.0  # between two looks at a running test


class NoAnswer(Exception):
    """The bridge does not do what was asked; the text says why."""


async def self_test(
    *, url: str, token: str, charger: str, folder: Path, tell: Callable[[str], None], tls: ssl.SSLContext | None
) -> bool:
    """Run a self-test through the API at ``url`` and write its evidence into ``folder``; ``True`` if it passed."""
    address = f"{url.rstrip('/')}/api/v1/chargers/{quote(charger, safe='')}/self-tests"
    headers = {"Authorization": f"Bearer {token}"}
    context: ssl.SSLContext | bool = tls if tls is not None else True
    try:
        async with aiohttp.ClientSession(headers=headers) as http:
            async with http.post(address, ssl=context) as answer:
                begun = await _body(answer)
            tell(f"{charger}: self-test {begun['testID']} runs; it takes some minutes")
            found = await _ended(http, address, begun["testID"], context)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise NoAnswer(f"{url}: {str(error) or type(error).__name__}") from error
    path = folder / f"{found['testID']}.json"
    path.write_bytes(found["evidence"].encode())
    tell(f"evidence: {path}")
    if found["signature"]:
        path.with_name(f"{path.name}.sig").write_bytes(base64.b64decode(found["signature"]))
        tell(f"signature: {path}.sig")
    else:
        tell("not signed: [ven] has no key")
    tell(f"{charger}: {'passed' if found['passed'] else 'FAILED'}")
    return bool(found["passed"])


async def _ended(
    http: aiohttp.ClientSession, address: str, test_id: str, context: ssl.SSLContext | bool
) -> dict[str, Any]:
    while True:
        await asyncio.sleep(_LOOK_S)
        async with http.get(address, ssl=context) as answer:
            rows = await _body(answer)
        mine = next((row for row in rows if row["testID"] == test_id), None)
        if mine is None:
            raise NoAnswer(f"self-test {test_id} ended without a result: see the bridge's log")
        if mine["state"] == "done":
            return dict(mine)


async def _body(answer: aiohttp.ClientResponse) -> Any:
    body = await answer.json(content_type=None)
    if answer.status >= 400:
        raise NoAnswer(str(body.get("detail", answer.reason)) if isinstance(body, dict) else str(answer.reason))
    return body
