"""The OpenADR listener: bytes in, decode, who is it, service, encode, bytes out; every error mapped once, here.

Rule: what is no OpenADR message gets an HTTP status with one line of text (section 1.4); what is one gets HTTP 200
and the normal answer, also for errors. Every answer carries the reference id of its log line and a Content-Length.
"""

import zlib
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from aiohttp import web
from prometheus_client import Counter

from openadr.errors import OadrError, WireError
from openadr.exchange import CONTENT_TYPE, PATH, Service, check_service, error_reply_to, ven_id_of
from openadr.identity import fingerprint
from openadr.messages import CreatePartyRegistration, DistributeEvent, Message, Poll, RequestEvent
from openadr.wire import decode, outline
from runtime.clock import Clock
from runtime.http import REFERENCE_HEADER
from runtime.logs import get_logger, new_reference
from vtn.metrics import VtnMetrics
from vtn.rendering import Renderer
from vtn.services.context import Desk
from vtn.services.dispatch import handle
from vtn.services.polling import empty
from vtn.store.store import Store

PATHS: Mapping[str, Service] = {PATH.format(service=service.value): service for service in Service}
_CONTENT_TYPES = frozenset({"application/xml", "application/xml;charset=utf-8"})
_KNOWN_PEERS = 100_000  # certificates remembered by their bytes, about 1.5 kB each
_KNOWN_POLLS = 50_000  # polls remembered by their bytes
_POLL_BYTES = 2_000  # longer ones are decoded each time
_STORED_BYTES = 6_000  # longer answers are compressed; must be below 65,536, what one stored block holds
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # RFC 1952: deflate, no name, no time, unknown system
_ZLIB_HEAD = b"\x78\x01"  # RFC 1950: deflate, 32 kB window, fastest
log = get_logger(__name__)


class Memory(Protocol):
    """What is remembered of VENs between their requests."""

    def quiet(self, fingerprint: str, ven_id: str, now: datetime) -> bool:
        """True if a poll is known to find nothing."""
        ...

    async def distribute(self, fingerprint: str, request: Poll | RequestEvent, now: datetime) -> DistributeEvent | None:
        """Answer with events, or leave it to the services."""
        ...

    async def write_deliveries(self) -> None:
        """Write what was handed out from memory."""
        ...

    def seen(self, fingerprint: str, now: datetime) -> None:
        """Note a sign of life."""
        ...


class Refusal(Exception):
    """The request gets ``status`` and one line of text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Endpoints:
    """The request handler of the listener; one per process."""

    def __init__(
        self,
        *,
        store: Store,
        desk: Desk,
        clock: Clock,
        memory: Memory,
        metrics: VtnMetrics,
        max_body_bytes: int,
    ) -> None:
        self._store = store
        self._desk = desk
        self._clock = clock
        self._memory = memory
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._renderer = Renderer()
        self._peers: dict[bytes, str] = {}
        self._empty: dict[tuple[str, str | None], bytes] = {}  # by venID and coding
        self._answered: dict[tuple[type[Message], int], Counter] = {}
        self._polls: dict[bytes, Poll] = {}  # a VEN's poll is the same bytes each time; decoding is pure

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        reference = new_reference()
        coding = _coding(request.headers.get("Accept-Encoding", ""))
        try:
            body = await self._answer(request, coding)
        except Refusal as refusal:
            log.warning("refused", status=refusal.status, detail=refusal.text, peer=request.remote)
            return self._text(request, refusal.status, refusal.text, reference)
        except WireError as error:
            log.warning("refused", status=error.http_status, detail=error.description, peer=request.remote)
            return self._text(request, error.http_status, error.description, reference)
        except Exception as error:
            log.error("request failed", path=request.raw_path, peer=request.remote, exc_info=error)
            return self._text(request, 500, f"internal error, reference {reference}", reference)
        headers = {REFERENCE_HEADER: reference, "Content-Type": CONTENT_TYPE}
        if coding is not None:
            headers["Content-Encoding"] = coding
        return web.Response(body=body, headers=headers)

    def _text(self, request: web.BaseRequest, status: int, text: str, reference: str) -> web.Response:
        self._metrics.refused.labels(str(status)).inc()
        response = web.Response(status=status, text=f"{text}\n", headers={REFERENCE_HEADER: reference})
        if status == 413:
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest, coding: str | None) -> bytes:
        service = _service(request)
        _check_content_type(request)
        data = await self._body(request)
        peer = self._peer(request)
        now = self._clock.now()
        message: Message | None = self._polls.get(data) if service is Service.OADR_POLL else None
        if message is None:
            try:
                message = self._decode(data, service)
            except OadrError as error:
                return _coded(self._meaningless(data, error, peer), coding)
        self._memory.seen(peer, now)
        if isinstance(message, Poll) and self._memory.quiet(peer, message.ven_id, now):
            return self._nothing(message.ven_id, coding)
        reply = await self._serve(message, peer, now)
        return self._nothing(reply, coding) if isinstance(reply, str) else _coded(self._renderer.encode(reply), coding)

    def _decode(self, data: bytes, service: Service) -> Message:
        message = decode(data, max_bytes=self._max_body_bytes)
        check_service(type(message), service)
        if isinstance(message, Poll) and len(data) <= _POLL_BYTES:
            if len(self._polls) >= _KNOWN_POLLS:
                self._polls.clear()
            self._polls[data] = message
        return message

    def _meaningless(self, data: bytes, error: OadrError, peer: str) -> bytes:
        """Answer a message that the schema lets pass and that has no meaning, or none on this path."""
        known = outline(data, max_bytes=self._max_body_bytes)
        reply = error_reply_to(
            known.kind, error, request_id=known.request_id, vtn_id=self._desk.vtn_id, opt_id=known.opt_id
        )
        self._log(known.kind, reply, peer, known.ven_id)
        return self._renderer.encode(reply)

    def _nothing(self, ven_id: str, coding: str | None) -> bytes:
        self._metrics.empty_polls.inc()
        body = self._empty.get((ven_id, coding))
        if body is None:
            body = self._empty[ven_id, coding] = _coded(self._renderer.encode(empty(ven_id)), coding, small=True)
        return body

    async def _serve(self, message: Message, peer: str, now: datetime) -> Message | str:
        """Return the reply, or the venID of a VEN for which nothing waits."""
        reply: Message | None = None
        if isinstance(message, Poll | RequestEvent):
            reply = await self._memory.distribute(peer, message, now)
            if reply is None and isinstance(message, Poll) and self._memory.quiet(peer, message.ven_id, now):
                return message.ven_id
        elif isinstance(message, CreatePartyRegistration):
            await self._memory.write_deliveries()  # a new registration makes events due again: in this order
        if reply is None:
            reply = await handle(self._store, message, peer, now, self._desk)
        self._log(type(message), reply, peer, ven_id_of(message))
        return reply

    def _log(self, kind: type[Message], reply: Message, peer: str, ven_id: str | None) -> None:
        response = getattr(reply, "response", None)
        code = 200 if response is None else int(response.response_code)
        counter = self._answered.get((kind, code))
        if counter is None:
            counter = self._answered[kind, code] = self._metrics.answered.labels(kind.__name__, str(code))
        counter.inc()
        facts = {"request": f"oadr{kind.__name__}", "reply": f"oadr{type(reply).__name__}", "code": code}
        if isinstance(reply, DistributeEvent):
            facts["events"] = len(reply.events)
        if 200 <= code < 300:
            log.info("answered", **facts, ven_id=ven_id, fingerprint=peer)
        else:
            detail = None if response is None else response.response_description
            log.warning("answered with an error", **facts, ven_id=ven_id, fingerprint=peer, detail=detail)

    def _peer(self, request: web.BaseRequest) -> str:
        """Return the fingerprint of the client's certificate, '' without one (then no VEN matches)."""
        transport = request.transport
        tls = None if transport is None else transport.get_extra_info("ssl_object")
        der = None if tls is None else tls.getpeercert(binary_form=True)
        if der is None:
            return ""
        known = self._peers.get(der)
        if known is None:
            if len(self._peers) >= _KNOWN_PEERS:
                self._peers.clear()
            known = self._peers[der] = fingerprint(der)
        return known

    async def _body(self, request: web.BaseRequest) -> bytes:
        limit = self._max_body_bytes
        if (request.content_length or 0) > limit:
            raise Refusal(413, f"the body exceeds {limit} bytes")
        if request.content.is_eof():  # came with the headers, as a poll does; without a length it may still be too long
            data = request.content.read_nowait(-1)
            if len(data) > limit:
                raise Refusal(413, f"the body exceeds {limit} bytes")
            return data
        parts: list[bytes] = []
        size = 0
        while chunk := await request.content.readany():
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                raise Refusal(413, f"the body exceeds {limit} bytes")
        return b"".join(parts)


def _service(request: web.BaseRequest) -> Service:
    if request.method != "POST":
        raise Refusal(501, "only POST is implemented")
    service = PATHS.get(request.raw_path) or PATHS.get(request.path.rstrip("/"))  # equal after normalisation (R511)
    if service is None:
        raise Refusal(404, "no such service; " + ", ".join(service.value for service in Service) + " are offered")
    return service


def _check_content_type(request: web.BaseRequest) -> None:
    given = request.headers.get("Content-Type", "")
    if given != CONTENT_TYPE and given.lower().replace(" ", "").replace('"', "") not in _CONTENT_TYPES:
        raise Refusal(406, "Content-Type must be application/xml, in UTF-8")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refusal(406, "Content-Encoding is not understood on requests")


@lru_cache(maxsize=1000)
def _coding(accepted: str) -> str | None:
    """Return the coding to use; one that is asked for must be used (section 1.4)."""
    if not accepted:
        return None
    offered = {
        name.strip().lower(): q.replace(" ", "") for name, _, q in (x.partition(";") for x in accepted.split(","))
    }
    for coding in ("gzip", "deflate"):
        q = offered.get(coding)
        if q is not None and q.rstrip("0.") != "q=":
            return coding
    return None


def _coded(body: bytes, coding: str | None, *, small: bool = False) -> bytes:
    """Put a body into a coding; short ones are stored in it as they are unless they are wanted ``small``.

    Compressing 2 kB costs more than all the rest of an answer with an event and saves one packet.
    """
    if coding is None:
        return body
    if small or len(body) > _STORED_BYTES:
        packer = zlib.compressobj(1, wbits=31 if coding == "gzip" else 15)
        return packer.compress(body) + packer.flush()
    size = len(body)
    block = b"\x01" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + body  # RFC 1951, 3.2.4
    if coding == "gzip":
        return _GZIP_HEAD + block + zlib.crc32(body).to_bytes(4, "little") + size.to_bytes(4, "little")
    return _ZLIB_HEAD + block + zlib.adler32(body).to_bytes(4, "big")
