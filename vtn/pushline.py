"""The HTTP side of push: one connection to one VEN, from the VTN as a client with its certificate.

Rule: a connection is opened only to an address the policy allows, and nothing is sent on it before the VEN has shown
the very certificate it is enrolled with: the host name proves nothing, the fingerprint does. Every way to fail has a
name; redirects are never followed, answers are bounded in size and time.
"""

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from openadr.errors import OadrError, WireError
from openadr.exchange import CONTENT_TYPE, PATH, SERVICE_OF
from openadr.identity import fingerprint
from openadr.messages import Message
from vtn.services.addresses import AddressRule
from vtn.services.pushing import Failed, Failure, Outcome, Taken
from vtn.store.rows import Ven

_CHUNK = 65_536  # bytes a read: the answer's size is checked this often
_STATUS: dict[int, Failure] = {
    403: Failure.IDENTITY,
    408: Failure.BUSY,
    429: Failure.BUSY,
    502: Failure.UNREACHABLE,  # a proxy's word that the VEN is not there
    503: Failure.BUSY,
    504: Failure.UNREACHABLE,
}
Encode = Callable[[Message, Ven], Awaitable[bytes]]
"""Write a message as this VEN wants it, signed if it registered so."""
Decode = Callable[[bytes, Ven, bytes], Awaitable[Message]]
"""Read what this VEN answered, which has shown this certificate; raises ``WireError`` or ``OadrError``."""


class Line(Protocol):
    """A connection to one VEN."""

    async def send(self, message: Message) -> Outcome:
        """Push one payload; never raises for what the VEN or the network does."""
        ...


class _Stranger(aiohttp.ClientConnectionError):
    """Somebody else answers at the VEN's address."""


class _Forbidden(OSError):
    """The host name stands for an address that is not allowed."""


class HttpLines:
    """Opens connections to VENs; ``context`` is asked for when the first is opened."""

    def __init__(
        self,
        *,
        context: Callable[[], ssl.SSLContext],
        addresses: AddressRule,
        timeout_s: float,
        max_answer_bytes: int,
        encode: Encode,
        decode: Decode,
    ) -> None:
        self._context = context
        self._addresses = addresses
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._max_bytes = max_answer_bytes
        self._encode = encode
        self._decode = decode

    @asynccontextmanager
    async def open(self, ven: Ven) -> AsyncIterator[Line]:
        """Give a line to a VEN; it is closed at the end of the block."""
        connector = _Connector(ven.fingerprint, self._context(), _Resolver(self._addresses))
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            skip_auto_headers=("Accept-Encoding", "User-Agent"),
            auto_decompress=False,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            yield _HttpLine(self, session, connector, ven)

    async def post(
        self, session: aiohttp.ClientSession, connector: "_Connector", ven: Ven, message: Message
    ) -> Outcome:
        """Push a message to its service at a VEN."""
        base = (ven.transport_address or "").rstrip("/")
        try:
            self._addresses.check(base)  # the policy may have changed since the registration
            body = await self._encoded(message, ven)
            if isinstance(body, Failed):
                return body
            url = base + PATH.format(service=SERVICE_OF[type(message)].value)
            return await self._exchange(session, connector, ven, url, body)
        except OadrError as error:
            return Failed(failure=Failure.IDENTITY, detail=error.description)
        except _Stranger as error:
            return Failed(failure=Failure.IDENTITY, detail=str(error))
        except aiohttp.ClientSSLError as error:
            return Failed(failure=Failure.IDENTITY, detail=f"TLS: {error}")
        except aiohttp.ClientConnectorError as error:
            failure = Failure.IDENTITY if isinstance(error.os_error, _Forbidden) else Failure.UNREACHABLE
            return Failed(failure=failure, detail=f"cannot connect to {error.host}: {error.os_error}")
        except TimeoutError:
            return Failed(failure=Failure.UNREACHABLE, detail=f"no answer within {self._timeout.total} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Failed(failure=Failure.UNREACHABLE, detail=f"{type(error).__name__}: {error}")

    async def _encoded(self, message: Message, ven: Ven) -> bytes | Failed:
        try:
            return await self._encode(message, ven)
        except Exception as error:  # a message of ours that cannot be written would fail for ever
            return Failed(failure=Failure.REFUSED, detail=f"cannot be encoded: {type(error).__name__}: {error}")

    async def _exchange(
        self, session: aiohttp.ClientSession, connector: "_Connector", ven: Ven, url: str, body: bytes
    ) -> Outcome:
        headers = {"Content-Type": CONTENT_TYPE, "Accept": CONTENT_TYPE}
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            if not 200 <= response.status < 300:
                default = Failure.REFUSED if 400 <= response.status < 500 or response.status == 501 else Failure.BROKEN
                return Failed(failure=_STATUS.get(response.status, default), detail=f"HTTP {response.status}")
            data = bytearray()
            async for chunk in response.content.iter_chunked(_CHUNK):
                data += chunk
                if len(data) > self._max_bytes:
                    response.close()  # the rest is not wanted, so neither is the connection
                    return Failed(failure=Failure.BROKEN, detail=f"the answer exceeds {self._max_bytes} bytes")
        if not data.strip():
            return Taken(answer=None)
        try:
            return Taken(answer=await self._decode(bytes(data), ven, connector.shown))
        except (WireError, OadrError) as error:
            return Failed(failure=Failure.BROKEN, detail=f"the answer cannot be read: {error.description}")


class _HttpLine:
    """One VEN's connection, kept for the payloads that follow each other."""

    def __init__(self, lines: HttpLines, session: aiohttp.ClientSession, connector: "_Connector", ven: Ven) -> None:
        self._lines = lines
        self._session = session
        self._connector = connector
        self._ven = ven

    async def send(self, message: Message) -> Outcome:
        return await self._lines.post(self._session, self._connector, self._ven, message)


class _Connector(aiohttp.TCPConnector):
    """Connects to the holder of one certificate only; plain HTTP shows none and needs the explicit setting."""

    def __init__(self, expected: str, context: ssl.SSLContext, resolver: "_Resolver") -> None:
        super().__init__(ssl=context, resolver=resolver, use_dns_cache=False, limit=1)
        self._expected = expected
        self.shown = b""

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        transport = connection.transport
        tls = None if transport is None else transport.get_extra_info("ssl_object")
        if req.url.scheme == "https":
            der = None if tls is None else tls.getpeercert(binary_form=True)
            self.shown = b"" if der is None else der
            shown = "none" if der is None else fingerprint(der)
            if shown != self._expected:
                connection.close()
                raise _Stranger(f"the certificate there is {shown}, the VEN's is {self._expected}")
        return connection


class _Resolver(AbstractResolver):
    """Looks names up and refuses those that stand for an address that is not allowed (rebinding)."""

    def __init__(self, addresses: AddressRule) -> None:
        self._addresses = addresses
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        bad = [each["host"] for each in found if not self._addresses.permits(host, each["host"])]
        if bad:
            raise _Forbidden(f"{host} stands for {bad[0]}, which is not allowed ([push] allow)")
        return found

    async def close(self) -> None:
        await self._inner.close()
