"""What comes in: the body of a request within its bounds of size and time, and large ones read beside the event loop.

Rule: nobody waits for a slow sender or for somebody else's large message. A body that is too long is 413 and one that
does not come to an end in time is 408; then the connection is closed.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aiohttp import web

LINGER_S = 1.0  # how long the rest of a refused body is read and thrown away, so that the refusal is heard
LARGE_BYTES = 20_000  # reading so much takes about half a millisecond; a poll must not wait for more
THREADS = 1  # parsing and schema go on while the loop runs; a second one would only take turns with it for the rest
_CONTENT_TYPES = frozenset({"application/xml", "application/xml;charset=utf-8"})
T = TypeVar("T")


class Refusal(Exception):
    """The request gets ``status`` and one line of text instead of an OpenADR answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Intake:
    """Reads bodies; one per listener."""

    def __init__(self, *, max_bytes: int, timeout_s: float) -> None:
        self.max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="intake")  # started when first needed

    async def body(self, request: web.BaseRequest) -> bytes:
        """Return the whole body. Raises ``Refusal`` 413 or 408."""
        if (request.content_length or 0) > self.max_bytes:
            raise self._too_long()
        content = request.content
        if content.is_eof():  # came with the headers, as a poll does; without a length it may still be too long
            data = content.read_nowait(-1)
            if len(data) > self.max_bytes:
                raise self._too_long()
            return data
        try:
            async with asyncio.timeout(self._timeout_s):
                if request.headers.get("Expect", "").lower() == "100-continue":
                    await _go_on(request)
                return await self._collect(request)
        except TimeoutError:
            raise Refusal(408, f"the body did not come within {self._timeout_s:g} s") from None
        except web.RequestPayloadError as error:
            raise Refusal(400, f"the body is not what its headers say: {str(error)[:200]}") from error
        except ConnectionError:
            raise Refusal(400, "the connection ended within the body") from None

    async def _collect(self, request: web.BaseRequest) -> bytes:
        parts: list[bytes] = []
        size = 0
        while chunk := await request.content.readany():
            parts.append(chunk)
            size += len(chunk)
            if size > self.max_bytes:
                raise self._too_long()
        return b"".join(parts)

    def _too_long(self) -> Refusal:
        return Refusal(413, f"the body exceeds {self.max_bytes} bytes")

    async def aside(self, work: Callable[[bytes], T], data: bytes) -> T:
        """Return ``work(data)``, done beside the event loop if the data are large; ``work`` touches nothing shared."""
        if len(data) < LARGE_BYTES:
            return work(data)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, data)

    def close(self) -> None:
        """End the threads; what they still do is left undone."""
        self._threads.shutdown(wait=False, cancel_futures=True)


async def _go_on(request: web.BaseRequest) -> None:
    """Tell a client that waits to be told before it sends its body (.NET does, curl for large ones)."""
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # what counts is the answer


def check_post(request: web.BaseRequest) -> None:
    """Check method and headers of an OpenADR request (section 1.4). Raises ``Refusal`` 501 or 406."""
    if request.method != "POST":
        raise Refusal(501, "only POST is implemented")
    given = request.headers.get("Content-Type", "").lower().replace(" ", "").replace('"', "")
    if given not in _CONTENT_TYPES:
        raise Refusal(406, "Content-Type must be application/xml, in UTF-8")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refusal(406, "Content-Encoding is not understood on requests")
