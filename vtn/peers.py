"""Who sends a request: the client certificate of its TLS connection.

Rule: identity is never read from the message. Behind a TLS-terminating proxy it is what ``vtn.proxied`` makes of the
proxy's header; there is nothing in between.
"""

from asyncio import BaseTransport
from dataclasses import dataclass
from datetime import datetime
from ssl import SSLObject
from typing import Protocol

from aiohttp import web

from openadr.identity import fingerprint

KNOWN_PEERS = 100_000  # certificates remembered by their bytes, about 1.5 kB each


@dataclass(frozen=True, slots=True)
class Peer:
    """The holder of a client certificate; nobody holds '' (then no VEN matches)."""

    fingerprint: str
    der: bytes


NOBODY = Peer("", b"")


class Peers(Protocol):
    """Says who sends a request."""

    def of(self, request: web.BaseRequest, now: datetime) -> Peer:
        """Return the sender. Raises ``Refusal`` (403) if that cannot be relied on."""
        ...

    def tls(self, request: web.BaseRequest) -> SSLObject | None:
        """Return the TLS connection with the sender itself, ``None`` if there is somebody in between."""
        ...

    def behind(self, transport: BaseTransport) -> Peer | None:
        """Return who sends everything that comes on a connection, ``None`` if each request says that itself."""
        ...


class TlsPeers:
    """Senders by the certificate they have shown in the handshake."""

    def __init__(self) -> None:
        self._known: dict[bytes, Peer] = {}

    def tls(self, request: web.BaseRequest) -> SSLObject | None:
        """Return the TLS connection."""
        transport = request.transport
        tls: SSLObject | None = None if transport is None else transport.get_extra_info("ssl_object")
        return tls

    def of(self, request: web.BaseRequest, now: datetime) -> Peer:
        """Return the holder of the client's certificate."""
        return self._holder(self.tls(request))

    def behind(self, transport: BaseTransport) -> Peer:
        """Return the holder of the client's certificate, which is one for the life of a connection."""
        return self._holder(transport.get_extra_info("ssl_object"))

    def _holder(self, tls: SSLObject | None) -> Peer:
        der = None if tls is None else tls.getpeercert(binary_form=True)
        if der is None:
            return NOBODY
        known = self._known.get(der)
        if known is None:
            if len(self._known) >= KNOWN_PEERS:
                self._known.clear()
            known = self._known[der] = Peer(fingerprint(der), der)
        return known
