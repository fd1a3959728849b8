"""What every handler of the operator API shares: bodies, problems, pages, and changes in one transaction.

Rule: refusals of services become problems in ``translate`` only. Requests that change something are written with
their answer when an Idempotency-Key is given.
"""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec
from aiohttp import web
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DBAPIError

from openadr.errors import NotAllowed, OadrError, OutOfSequence
from openadr.wire.xml import unwritable
from runtime.clock import Clock
from runtime.database import is_transient
from runtime.http import ACTOR, MAX_JSON_BYTES, Problem
from vtn.services.context import Desk
from vtn.store.rows import Answered
from vtn.store.store import Store, Tx

M = TypeVar("M", bound=BaseModel)
C = TypeVar("C")
IDEMPOTENCY_KEY = "Idempotency-Key"
_ATTEMPTS = 3  # of a transaction that deadlocked or lost its connection
_MAX_KEY = 200  # characters of an idempotency key


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation; ``handler`` is the name of the method that serves it, in the class beside the route.

    One that answers in another ``media`` type than JSON has no ``answer``.
    """

    method: str
    path: str
    handler: str
    summary: str
    answer: type[BaseModel] | None = None
    media: str = "application/json"
    status: int = 200
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None


def translate(error: Exception) -> Problem | None:
    """Map what services and models raise to a problem that names the field."""
    if isinstance(error, ValidationError):
        faults = [
            {"field": _path(each["loc"]), "reason": _reason(each["type"], each["msg"])} for each in error.errors()
        ]
        detail = "; ".join(f"{each['field']}: {each['reason']}" for each in faults[:10])
        return Problem(422, detail, title="Invalid request", field=faults[0]["field"], errors=faults)
    if isinstance(error, NotAllowed | OutOfSequence):
        return Problem(409, error.description, field=error.field, responseCode=int(error.code))
    if isinstance(error, OadrError):
        return Problem(422, error.description, title="Invalid request", field=error.field, responseCode=int(error.code))
    return None


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "body"


def _reason(kind: str, message: str) -> str:
    return "unknown field" if kind == "extra_forbidden" else message.removeprefix("Value error, ")


class Handling:
    """What handlers work with; ``flush`` writes what is only in memory, so that a read shows it."""

    def __init__(self, store: Store, desk: Desk, clock: Clock, flush: Callable[[], Awaitable[None]]) -> None:
        self.store = store
        self.desk = desk
        self.clock = clock
        self.flush = flush

    async def change(
        self,
        request: web.Request,
        kind: type[M],
        act: Callable[[Tx, M, datetime], Awaitable[tuple[int, BaseModel]]],
    ) -> web.StreamResponse:
        """Read a body, act on it and keep its answer, all in one transaction.

        A transaction that the database gave up for another one is tried again.
        """
        data = await _body(request)
        key = request.headers.get(IDEMPOTENCY_KEY)
        if key is not None and not 0 < len(key) <= _MAX_KEY:
            raise Problem(422, f"{IDEMPOTENCY_KEY}: 1 to {_MAX_KEY} characters", field=IDEMPOTENCY_KEY)
        body = _parse(data, kind)
        digest = hashlib.sha256(f"{request.method} {request.path}\n".encode() + data).digest()
        name = None if key is None else f"{request[ACTOR]} {key}"
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._once(name, digest, body, act)
            except DBAPIError as error:
                if not is_transient(error):
                    raise
        return await self._once(name, digest, body, act)

    async def _once(
        self,
        name: str | None,
        digest: bytes,
        body: M,
        act: Callable[[Tx, M, datetime], Awaitable[tuple[int, BaseModel]]],
    ) -> web.StreamResponse:
        async with self.store.write() as tx:
            before = None if name is None else await tx.keys.get(name)
            if before is not None:
                return _again(before, digest)
            now = self.clock.now()
            status, view = await act(tx, body, now)
            answer = view.model_dump_json().encode()
            if name is not None:
                await tx.keys.put(name, Answered(digest=digest, status=status, body=answer), now)
        return web.Response(status=status, body=answer, content_type="application/json")


async def _body(request: web.Request) -> bytes:
    if (request.content_length or 0) > MAX_JSON_BYTES:
        raise Problem(413, f"the body exceeds {MAX_JSON_BYTES} bytes")
    parts: list[bytes] = []
    while chunk := await request.content.readany():
        parts.append(chunk)
        if sum(map(len, parts)) > MAX_JSON_BYTES:
            raise Problem(413, f"the body exceeds {MAX_JSON_BYTES} bytes")
    return b"".join(parts)


def _parse(data: bytes, kind: type[M]) -> M:
    try:
        value = msgspec.json.decode(data or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"not JSON: {error}", title="Invalid body") from None
    for path, text in _texts(value, ()):
        check_text(path, text)
    return kind.model_validate(value)


def _texts(value: object, path: tuple[int | str, ...]) -> Iterator[tuple[str, str]]:
    """Yield every text of a JSON value with its path."""
    if isinstance(value, str):
        yield _path(path), value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _texts(each, (*path, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _texts(each, (*path, index))


def check_text(field: str, text: str) -> None:
    """Refuse a text that no VEN can be sent: it would break every payload that it is in. Raises ``Problem``."""
    character = unwritable(text)
    if character is not None:
        raise Problem(
            422, f"{field}: the character {character} cannot stand in XML", title="Invalid request", field=field
        )


def _again(before: Answered, digest: bytes) -> web.Response:
    if before.digest != digest:
        raise Problem(422, f"{IDEMPOTENCY_KEY} was used for another request", field=IDEMPOTENCY_KEY)
    return web.Response(status=before.status, body=before.body, content_type="application/json")


def json(view: BaseModel) -> web.Response:
    """Return a view as an answer."""
    return web.Response(body=view.model_dump_json().encode(), content_type="application/json")


def next_cursor(last: object) -> str | None:
    """Return the cursor of the page after ``last``, ``None`` if there is none."""
    return None if last is None else base64.urlsafe_b64encode(msgspec.json.encode(last)).decode()


def cursor(text: str | None, kind: type[C]) -> C | None:
    """Read a cursor. Raises ``Problem`` if it is not one of ours."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text), type=kind)
    except (ValueError, msgspec.DecodeError):
        raise Problem(422, "cursor: not one that this API gave", field="cursor") from None
