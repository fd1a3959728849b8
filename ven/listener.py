"""The VEN's push listener: HTTPS with certificates on both sides, where the VTN posts what else would wait for a poll.

Rule: nobody but the VTN gets past the certificate: issued under the trusted CA, and either one of the configured
fingerprints or made out to the host that this VEN itself calls its VTN (R517). What is no OpenADR message gets an HTTP
status and one line of text, what is one gets HTTP 200 and its answer, empty for events (section 1.3).
"""

import ssl
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import web

from openadr import wire
from openadr.errors import OadrError, WireError
from openadr.exchange import CONTENT_TYPE, PATH, Service, error_reply_to
from openadr.identity import certificate_facts, fingerprint, names_host
from openadr.messages import Message
from openadr.tls import TlsError, server_context
from runtime.http import REFERENCE_HEADER, log_refused
from runtime.intake import LINGER_S, Intake, Refusal, check_post
from runtime.logs import bound_reference, get_logger, new_reference
from ven.settings import VenSettings
from ven.signed import Seal

_PEERS = 100  # certificates whose judgement is remembered; more than a VTN has
_UNFINISHED = frozenset({400, 408, 413})  # answered before the body came to its end: the connection is of no more use
log = get_logger(__name__)


class Taker(Protocol):
    """Who takes what is pushed."""

    async def pushed(self, message: Message, service: Service) -> Message | None:
        """Take a payload and return the answer, ``None`` for an empty one. Raises ``TimeoutError`` if too busy."""
        ...


class PushListener:
    """Listens for one VEN. ``port`` is the real one when 0 was asked."""

    def __init__(self, settings: VenSettings, taker: Taker, seal: Seal | None = None) -> None:
        if settings.push is None:
            raise ValueError("ven.push is not set")
        self._settings = settings
        self._push = settings.push
        self._taker = taker
        self._seal = seal
        self._intake = Intake(max_bytes=self._push.max_body_bytes, timeout_s=self._push.body_timeout_s)
        self._vtn_host = (urlsplit(settings.vtn_url).hostname or "").lower()
        prefix = urlsplit(self._push.address).path.rstrip("/")
        services = [service for service in Service if service is not Service.OADR_POLL]  # R500
        self._paths = {prefix + PATH.format(service=service.value): service for service in services}
        self._peers: dict[bytes, str | None] = {}  # fingerprint of those that may push, by their certificates
        self._runner: web.ServerRunner | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen. Raises ``TlsError`` or ``OSError``."""
        context = push_tls(self._settings)
        keepalive_s = self._push.keepalive_s
        server = web.Server(self._handle, access_log=None, keepalive_timeout=keepalive_s, lingering_time=LINGER_S)
        runner = web.ServerRunner(server)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._push.host, self._push.port, ssl_context=context).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner, self.port = runner, int(runner.addresses[0][1])
        log.info("push listener listens", port=self.port, address=self._push.address)

    async def stop(self) -> None:
        """Stop listening; a second call does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
            self._intake.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        reference = new_reference()
        with bound_reference(reference):
            try:
                body = await self._answer(request)
            except Refusal as refusal:
                return _text(refusal.status, refusal.text, reference, request)
            except WireError as error:
                return _text(error.http_status, error.description, reference, request)
            except TimeoutError:
                return _text(503, "busy", reference, request)
            except Exception as error:
                log.error("push failed", path=request.raw_path, peer=request.remote, exc_info=error)
                return web.Response(status=500, text=f"internal error, reference {reference}\n")
        headers = {REFERENCE_HEADER: reference, "Content-Type": CONTENT_TYPE}
        return web.Response(body=body, headers=headers)

    async def _answer(self, request: web.BaseRequest) -> bytes:
        self._admit(request)
        service = self._paths.get(request.raw_path) or self._paths.get(request.path.rstrip("/"))  # R511
        if request.method == "POST" and service is None:
            raise Refusal(404, "no such service here")
        check_post(request)
        data = await self._intake.body(request)
        assert service is not None  # noqa: S101  only POST comes here
        try:
            message = await self._read(request, data)
        except OadrError as error:
            return self._signed(self._meaningless(data, error))
        answer = await self._taker.pushed(message, service)
        return b"" if answer is None else self._signed(wire.encode(answer))

    async def _read(self, request: web.BaseRequest, data: bytes) -> Message:
        """Read what is pushed; with high security it has to be signed by whoever this connection belongs to."""
        if self._seal is None:
            return await self._intake.aside(partial(wire.decode, max_bytes=self._intake.max_bytes), data)
        transport = request.transport
        tls = None if transport is None else transport.get_extra_info("ssl_object")
        der = None if tls is None else tls.getpeercert(binary_form=True)
        return await self._seal.open(data, () if der is None else (der,), max_bytes=self._intake.max_bytes)

    def _signed(self, document: bytes) -> bytes:
        return document if self._seal is None else self._seal.sign(document)

    def _meaningless(self, data: bytes, error: OadrError) -> bytes:
        """Answer a message that the schema lets pass and that has no meaning."""
        log.warning("push without meaning", detail=error.description)
        known = wire.outline(data, max_bytes=self._intake.max_bytes)
        reply = error_reply_to(known.kind, error, request_id=known.request_id, vtn_id="", opt_id=known.opt_id)
        return wire.encode(reply)

    def _admit(self, request: web.BaseRequest) -> None:
        """Let the VTN pass. Raises ``Refusal`` 403 for everybody else (R517)."""
        transport = request.transport
        tls = None if transport is None else transport.get_extra_info("ssl_object")
        der = None if tls is None else tls.getpeercert(binary_form=True)
        if der is None or not self._is_vtn(der):
            shown = "none" if der is None else fingerprint(der)
            log.warning("push refused", reason="not the certificate of the VTN", fingerprint=shown, peer=request.remote)
            raise Refusal(403, "this is not the certificate of the VTN (ven.push.vtn_fingerprints)")

    def _is_vtn(self, der: bytes) -> bool:
        if der not in self._peers:
            known = self._push.vtn_fingerprints
            right = fingerprint(der) in known if known else names_host(certificate_facts(der), self._vtn_host)
            if len(self._peers) >= _PEERS:
                self._peers.clear()
            self._peers[der] = fingerprint(der) if right else None
        return self._peers[der] is not None


def push_tls(settings: VenSettings) -> ssl.SSLContext:
    """Return the listener's context. Raises ``TlsError`` naming the file at fault."""
    push = settings.push
    assert push is not None  # noqa: S101  asked for only with [ven.push]
    cert, key, ca = push.cert or settings.cert, push.key or settings.key, push.ca or settings.ca
    if cert is None or key is None or ca is None:
        raise TlsError("ven.push: a certificate, its key and a CA are needed")
    return server_context(
        cert_chains=[(cert, key)], client_ca=ca, profile=settings.tls_profile, on_refused=log_refused("push")
    )


def _text(status: int, text: str, reference: str, request: web.BaseRequest) -> web.Response:
    log.warning("push refused", status=status, detail=text, peer=request.remote)
    response = web.Response(status=status, text=f"{text}\n", headers={REFERENCE_HEADER: reference})
    if status in _UNFINISHED:
        response.force_close()
    return response
