"""One OpenADR exchange over HTTPS: encode, POST, bounded read, decode; every way to fail named once.

Rule: an HTTP 200 carries an OpenADR answer, errors included; everything else is an ``ExchangeFailed`` whose ``failure``
decides about sending again (HTTP table of the profile). The same connection is kept for all services.
"""

import ssl
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from openadr import wire
from openadr.errors import OadrError, SignatureInvalid, WireError
from openadr.exchange import CONTENT_TYPE, PATH, Service
from openadr.messages import Message
from ven.model import Failure
from ven.signed import Seal

_KNOWN_CERTIFICATES = 100  # more than a VTN's nodes have
_CHUNK = 65_536  # bytes a read: the answer's size is checked this often
_STATUS: dict[int, Failure] = {
    403: Failure.IDENTITY,
    408: Failure.BUSY,
    429: Failure.BUSY,
    500: Failure.BROKEN,
    502: Failure.UNREACHABLE,  # a proxy's word that the VTN is not there
    503: Failure.BUSY,
    504: Failure.UNREACHABLE,
}


class ExchangeFailed(Exception):
    """No OpenADR answer came; ``detail`` says what did."""

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(f"{failure}: {detail}")
        self.failure = failure
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: ``message`` is ``None`` for an empty 200; ``vtn_time`` is the Date header, if any."""

    message: Message | None
    vtn_time: datetime | None = None


class Transport(Protocol):
    """Carries one message to a service and brings back its answer."""

    async def exchange(self, service: Service, message: Message) -> Answer:
        """Return the answer; raises ``ExchangeFailed``."""
        ...

    async def close(self) -> None:
        """Close the connections; the next exchange opens new ones."""
        ...


class HttpTransport:
    """Simple HTTP, pull model, towards one VTN (R51, R53, R511)."""

    def __init__(
        self,
        *,
        vtn_url: str,
        ssl_context: ssl.SSLContext | None,
        timeout_s: float,
        max_answer_bytes: int,
        seal: Seal | None = None,
    ) -> None:
        self._base = vtn_url.rstrip("/")
        self._ssl = ssl_context
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._max_bytes = max_answer_bytes
        self._seal = seal
        self._shown: set[bytes] = set()  # certificates of the VTN, from handshakes that found them good
        self._session: aiohttp.ClientSession | None = None

    async def exchange(self, service: Service, message: Message) -> Answer:
        """Post ``message`` and read the answer."""
        body = _encoded(message)
        if self._seal is not None:
            body = self._seal.sign(body)
        try:
            return await self._post(self._base + PATH.format(service=service.value), body)
        except aiohttp.ClientSSLError as error:
            raise ExchangeFailed(Failure.IDENTITY, f"TLS: {error}") from error
        except aiohttp.ClientConnectorError as error:
            detail = f"cannot connect to {error.host}:{error.port}: {error.strerror or error.os_error}"
            raise ExchangeFailed(Failure.UNREACHABLE, detail) from error
        except TimeoutError as error:
            raise ExchangeFailed(Failure.UNREACHABLE, f"no answer within {self._timeout.total} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ExchangeFailed(Failure.UNREACHABLE, f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, url: str, body: bytes) -> Answer:
        headers = {"Content-Type": CONTENT_TYPE, "Accept": CONTENT_TYPE}
        async with self._opened().post(
            url, data=body, headers=headers, allow_redirects=False, ssl=True if self._ssl is None else self._ssl
        ) as response:
            if not 200 <= response.status < 300:
                failure = _STATUS.get(response.status, Failure.REFUSED)
                raise ExchangeFailed(failure, f"HTTP {response.status} {response.reason or ''}".rstrip())
            data = await self._read(response)
            vtn_time = _date(response.headers.get("Date"))
        return Answer(message=await self._decoded(data), vtn_time=vtn_time)

    async def _decoded(self, data: bytes) -> Message | None:
        if not data.strip():
            return None
        try:
            if self._seal is None:
                return wire.decode(data, max_bytes=self._max_bytes)
            return await self._seal.open(data, self._shown, max_bytes=self._max_bytes)
        except SignatureInvalid as error:  # whoever signed it has to put that right, so it is tried on and on
            detail = f"the answer is not taken: {error.description}"
            raise ExchangeFailed(Failure.IDENTITY, detail) from error
        except (WireError, OadrError) as error:
            raise ExchangeFailed(Failure.BROKEN, f"the answer cannot be read: {error.description}") from error

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        data = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            data += chunk
            if len(data) > self._max_bytes:
                response.close()  # the rest is not wanted, so neither is the connection
                raise ExchangeFailed(Failure.BROKEN, f"the answer exceeds {self._max_bytes} bytes")
        return bytes(data)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(self._shown),
                timeout=self._timeout,
                skip_auto_headers=("Accept-Encoding", "User-Agent"),
                trust_env=False,
            )
        return self._session


class _Connector(aiohttp.TCPConnector):
    """Notes the certificates that servers have shown."""

    def __init__(self, shown: set[bytes]) -> None:
        super().__init__()
        self._shown = shown

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        transport = connection.transport
        tls = None if transport is None else transport.get_extra_info("ssl_object")
        der = None if tls is None else tls.getpeercert(binary_form=True)
        if der is not None:
            if len(self._shown) >= _KNOWN_CERTIFICATES:
                self._shown.clear()
            self._shown.add(der)
        return connection


def _encoded(message: Message) -> bytes:
    try:
        return wire.encode(message)
    except Exception as error:  # a message of ours that cannot be written would fail for ever
        raise ExchangeFailed(Failure.REFUSED, f"cannot be encoded: {type(error).__name__}: {error}") from error


def _date(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None
