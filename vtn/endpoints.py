"""The OpenADR listener: bytes in, decode, who is it, service, encode, bytes out; every error mapped once, here.

Rule: what is no OpenADR message gets an HTTP status with one line of text (section 1.4); what is one gets HTTP 200
and the normal answer, also for errors. Every answer carries the reference id of its log line and a Content-Length.
A signed message is opened before anything looks at its content, its nonce is taken before anything acts on it, and
its answer is signed; nothing that is remembered of unsigned messages stands in for that.
"""

from asyncio import BaseTransport
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from aiohttp import web
from prometheus_client import Counter

from openadr.errors import OadrError, WireError
from openadr.exchange import CONTENT_TYPE, PATH, Service, check_service, error_reply_to, ven_id_of
from openadr.messages import CreatePartyRegistration, DistributeEvent, Message, Poll, RequestEvent
from openadr.wire import Outline, decode, outline
from openadr.wire.replay import UsedNonce
from runtime.clock import Clock
from runtime.http import REFERENCE_HEADER
from runtime.intake import Intake, Refusal
from runtime.logs import Facts, get_logger, new_reference, write_often
from vtn.coding import chosen, coded, last_headers, packed, whole
from vtn.lane import Later, Way
from vtn.metrics import VtnMetrics
from vtn.payloads import Parcel
from vtn.peers import Peer, Peers, TlsPeers
from vtn.rendering import Renderer
from vtn.replays import Replays
from vtn.services.context import Desk, SignaturePolicy
from vtn.services.dispatch import handle
from vtn.services.polling import empty
from vtn.signed import Opened, Signatures
from vtn.store.store import Store

PATHS: Mapping[str, Service] = {PATH.format(service=service.value): service for service in Service}
_CONTENT_TYPES = frozenset({"application/xml", "application/xml;charset=utf-8"})
_KNOWN_POLLS = 50_000  # polls remembered by their bytes
_POLL_BYTES = 2_000  # longer ones are decoded each time
_UNFINISHED = frozenset({400, 408, 413})  # answered before the body came to its end: the connection is of no more use
log = get_logger(__name__)


class Memory(Protocol):
    """What is remembered of VENs between their requests."""

    def quiet(self, fingerprint: str, ven_id: str, now: datetime, *, signed: bool = False) -> bool:
        """True if a poll is known to find nothing, and may be answered so without a signature or with it."""
        ...

    async def registered(self, fingerprint: str, request: Poll | RequestEvent, now: datetime) -> bool:
        """True if the holder of this certificate is registered under the venID of its request."""
        ...

    async def distribute(
        self, fingerprint: str, request: Poll | RequestEvent, now: datetime, *, signed: bool = False
    ) -> DistributeEvent | None:
        """Answer with events, or leave it to the services."""
        ...

    def at_once(self, fingerprint: str, request: Poll, now: datetime) -> Parcel | None:
        """Answer an unsigned poll with events, if that needs nothing that is not in memory."""
        ...

    async def write_deliveries(self) -> None:
        """Write what was handed out from memory."""
        ...

    def seen(self, fingerprint: str, now: datetime) -> None:
        """Note a sign of life."""
        ...


@dataclass(slots=True)
class _Letter:
    """A message with what its envelope says."""

    message: Message
    peer: Peer
    signed: bool = False
    nonce: UsedNonce | None = None  # still to be taken


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
        intake: Intake,
    ) -> None:
        self.peers: Peers = TlsPeers()
        self.signatures = Signatures(max_bytes=intake.max_bytes)
        self.replays = Replays(store)
        self._store = store
        self._desk = desk
        self._clock = clock
        self._memory = memory
        self._metrics = metrics
        self._intake = intake
        self._renderer = Renderer()
        self._empty: dict[tuple[str, str | None], bytes] = {}  # by venID and coding
        self._answered: dict[tuple[type[Message], int], Counter] = {}
        self._polls: dict[bytes, Poll] = {}  # a VEN's poll is the same bytes each time; decoding is pure

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        reference = new_reference()
        coding = chosen(request.headers.get("Accept-Encoding", ""))
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

    def way(self, path: str, headers: Mapping[str, str]) -> Way | None:
        """Return how polls with this head are answered at once; None: it is no head of a poll."""
        if PATHS.get(path) is not Service.OADR_POLL:
            return None
        try:
            _check_content(headers)
        except Refusal:
            return None
        return Way(chosen(headers.get("Accept-Encoding", "")))

    def sender(self, transport: BaseTransport) -> Peer | None:
        """Return who sends all that comes on a connection."""
        return self.peers.behind(transport)

    def at_once(self, way: Way, body: bytes, sender: Peer) -> bytes | None:
        """Answer an unsigned poll that was read before, and that finds nothing or events that memory has."""
        poll = self._polls.get(body)
        if poll is None:
            return None
        now = self._clock.now()
        if self._memory.quiet(sender.fingerprint, poll.ven_id, now):
            self._metrics.empty_polls.inc()
            reference, found = new_reference(), self._nothing(poll.ven_id, way.coding)
        else:
            parcel = self._memory.at_once(sender.fingerprint, poll, now)
            if parcel is None:
                return None
            reference, found = new_reference(), packed(parcel, way.coding)
            self._note(Poll, "oadrDistributeEvent", 200, parcel.events, sender.fingerprint, poll.ven_id)
        self._memory.seen(sender.fingerprint, now)
        return whole(reference, way.coding, found, last_headers(int(now.timestamp())))

    def soon(self, way: Way, body: bytes, sender: Peer, transport: BaseTransport) -> Later | None:
        """Answer a signed poll that finds nothing once its nonce is written."""
        now = self._clock.now()
        opened = self.signatures.open_at_once(body, sender.der, now)
        if opened is None:
            return None
        poll = opened.message
        if not isinstance(poll, Poll) or not self._memory.quiet(sender.fingerprint, poll.ven_id, now, signed=True):
            self.signatures.keep(body, sender.der, now, opened)
            return None
        return self._soon(way, poll, opened.nonce, sender, transport, now)

    async def _soon(
        self, way: Way, poll: Poll, nonce: UsedNonce, sender: Peer, transport: BaseTransport, now: datetime
    ) -> bytes | None:
        try:
            await self.replays.use(nonce)
            self._memory.seen(sender.fingerprint, now)
            nothing = self._nothing(poll.ven_id, None)
            body = await self.signatures.seal(nothing, transport.get_extra_info("ssl_object"), now)
        except Exception:
            return None  # the long way says what is wrong
        self._metrics.empty_polls.inc()
        return whole(new_reference(), way.coding, coded(body, way.coding), last_headers(int(now.timestamp())))

    def _text(self, request: web.BaseRequest, status: int, text: str, reference: str) -> web.Response:
        self._metrics.refused.labels(str(status)).inc()
        response = web.Response(status=status, text=f"{text}\n", headers={REFERENCE_HEADER: reference})
        if status in _UNFINISHED:
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest, coding: str | None) -> bytes:
        service = _service(request)
        _check_content(request.headers)
        data = await self._intake.body(request)
        now = self._clock.now()
        peer = self.peers.of(request, now)
        message: Message | None = self._polls.get(data) if service is Service.OADR_POLL else None
        if message is not None:
            return await self._reply(request, _Letter(message, peer), now, coding)
        opened = await self.signatures.open(data, peer.der, now)
        try:
            letter = await self._decode(data, service, peer) if opened is None else _letter(opened, service, peer)
        except OadrError as error:
            known = await self._outline(data) if opened is None else opened.outline
            reply = self._meaningless(known, error, peer)
            return await self._put(request, reply, now, coding, signed=opened is not None)
        return await self._reply(request, letter, now, coding)

    async def _reply(self, request: web.BaseRequest, letter: _Letter, now: datetime, coding: str | None) -> bytes:
        message, peer = letter.message, letter.peer.fingerprint
        if letter.nonce is None:
            self._memory.seen(peer, now)
        if isinstance(message, Poll) and self._finds_nothing(letter, now):
            await self._take_nonce(letter)
            reply: Message | str = message.ven_id
        else:
            reply = await self._serve(letter, now)
        if isinstance(reply, str):
            self._metrics.empty_polls.inc()
        if letter.signed:
            self._memory.seen(peer, now)
        elif isinstance(reply, str):
            return self._nothing(reply, coding)
        body = self._nothing(reply, None) if isinstance(reply, str) else self._renderer.encode(reply)
        return await self._put(request, body, now, coding, signed=letter.signed or self._promised(message))

    def _promised(self, message: Message) -> bool:
        """True if the sender says that it takes signatures: the answer to that is the first that is signed."""
        if self.signatures.policy is SignaturePolicy.OFF:
            return False
        return isinstance(message, CreatePartyRegistration) and message.xml_signature

    async def _put(
        self, request: web.BaseRequest, body: bytes, now: datetime, coding: str | None, *, signed: bool
    ) -> bytes:
        if signed:
            body = await self.signatures.seal(body, self.peers.tls(request), now)
        return coded(body, coding)

    async def _outline(self, data: bytes) -> Outline:
        return await self._intake.aside(partial(outline, max_bytes=self._intake.max_bytes), data)

    async def _decode(self, data: bytes, service: Service, peer: Peer) -> _Letter:
        message = await self._intake.aside(partial(decode, max_bytes=self._intake.max_bytes), data)
        check_service(type(message), service)
        if isinstance(message, Poll) and len(data) <= _POLL_BYTES:
            if len(self._polls) >= _KNOWN_POLLS:
                self._polls.clear()
            self._polls[data] = message
        return _Letter(message, peer)

    def _meaningless(self, known: Outline, error: OadrError, peer: Peer) -> bytes:
        """Answer a message that the schema lets pass and that has no meaning, or none on this path."""
        reply = error_reply_to(
            known.kind, error, request_id=known.request_id, vtn_id=self._desk.vtn_id, opt_id=known.opt_id
        )
        self._log(known.kind, reply, peer.fingerprint, known.ven_id)
        return self._renderer.encode(reply)

    def _finds_nothing(self, letter: _Letter, now: datetime) -> bool:
        """True if this is a poll for which memory knows that nothing waits."""
        message = letter.message
        return isinstance(message, Poll) and self._memory.quiet(
            letter.peer.fingerprint, message.ven_id, now, signed=letter.signed
        )

    async def _take_nonce(self, letter: _Letter) -> None:
        if letter.nonce is not None:
            await self.replays.use(letter.nonce)
            letter.nonce = None

    def _nothing(self, ven_id: str, coding: str | None) -> bytes:
        body = self._empty.get((ven_id, coding))
        if body is None:
            body = self._empty[ven_id, coding] = coded(self._renderer.encode(empty(ven_id)), coding, small=True)
        return body

    async def _serve(self, letter: _Letter, now: datetime) -> Message | str:
        """Return the reply, or the venID of a VEN for which nothing waits."""
        message, peer, signed = letter.message, letter.peer.fingerprint, letter.signed
        reply: Message | None = None
        if isinstance(message, Poll | RequestEvent):
            if letter.nonce is not None and await self._memory.registered(peer, message, now):
                await self._take_nonce(letter)  # what memory answers acts without a transaction
            if letter.nonce is None:
                reply = await self._memory.distribute(peer, message, now, signed=signed)
                if reply is None and self._finds_nothing(letter, now):
                    return message.ven_id
        elif isinstance(message, CreatePartyRegistration):
            await self._memory.write_deliveries()  # a new registration makes events due again: in this order
        if reply is None:
            reply = await handle(
                self._store,
                message,
                peer,
                now,
                self._desk,
                signed=signed,
                nonce=letter.nonce,
                certificate=letter.peer.der,
            )
        self._log(type(message), reply, peer, ven_id_of(message))
        return reply

    def _log(self, kind: type[Message], reply: Message, peer: str, ven_id: str | None) -> None:
        response = getattr(reply, "response", None)
        code = 200 if response is None else int(response.response_code)
        name = f"oadr{type(reply).__name__}"
        events = len(reply.events) if isinstance(reply, DistributeEvent) else None
        detail = None if response is None else response.response_description
        self._note(kind, name, code, events, peer, ven_id, detail)

    def _note(
        self,
        kind: type[Message],
        reply: str,
        code: int,
        events: int | None,
        peer: str,
        ven_id: str | None,
        detail: str | None = None,
    ) -> None:
        counter = self._answered.get((kind, code))
        if counter is None:
            counter = self._answered[kind, code] = self._metrics.answered.labels(kind.__name__, str(code))
        counter.inc()
        what: Facts = (("request", f"oadr{kind.__name__}"), ("reply", reply), ("code", code))
        if events is not None:
            what = (*what, ("events", events))
        who: Facts = (("ven_id", ven_id), ("fingerprint", peer))
        if 200 <= code < 300:
            write_often(__name__, "answered", what, who)
        else:
            log.warning("answered with an error", **dict(what), **dict(who), detail=detail)


def _letter(opened: Opened, service: Service, peer: Peer) -> _Letter:
    """Return a signed message. Raises ``OadrError`` if it has no meaning, or none on this path."""
    if opened.message is None:
        assert opened.error is not None  # noqa: S101  one of the two is there
        raise opened.error
    check_service(type(opened.message), service)
    return _Letter(opened.message, peer, signed=True, nonce=opened.nonce)


def _service(request: web.BaseRequest) -> Service:
    if request.method != "POST":
        raise Refusal(501, "only POST is implemented")
    service = PATHS.get(request.raw_path) or PATHS.get(request.path.rstrip("/"))  # equal after normalisation (R511)
    if service is None:
        raise Refusal(404, "no such service; " + ", ".join(service.value for service in Service) + " are offered")
    return service


def _check_content(headers: Mapping[str, str]) -> None:
    given = headers.get("Content-Type", "")
    if given != CONTENT_TYPE and given.lower().replace(" ", "").replace('"', "") not in _CONTENT_TYPES:
        raise Refusal(406, "Content-Type must be application/xml, in UTF-8")
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refusal(406, "Content-Encoding is not understood on requests")
