"""The life of a process: start parts in order, run until SIGTERM or SIGINT, stop them in the reverse order.

Rule: a part is a coroutine function that calls ``ready`` once it works and then runs until it is cancelled. A part
that ends or fails by itself stops all the others, and the exit code is 1. What an operator can put right (an address
in use, a database that does not answer, a certificate file) is one line of log, not a trace.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import uvloop
from sqlalchemy.exc import DBAPIError

from openadr.tls import TlsError
from runtime.database import DatabaseError
from runtime.logs import get_logger

Ready = Callable[[], None]
_COLLECT = (10_000, 20, 20)  # an exchange makes hundreds of objects and no cycles: look for them less often
_SWITCH_S = (
    0.001  # how long a thread that reads a large message keeps the event loop waiting; five times that by default
)
STOP_TIMEOUT_S = 10.0  # a part that has not stopped by then is left behind, so that the process ends

_OPERATORS = (OSError, TlsError, DatabaseError, DBAPIError)  # faults of the surroundings, for the operator to mend

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a process: ``main(ready)`` runs until cancelled."""

    name: str
    main: Callable[[Ready], Coroutine[Any, Any, None]]


def held(name: str, start: Callable[[], Awaitable[object]], stop: Callable[[], Awaitable[object]]) -> Part:
    """Return a part made of a ``start`` that returns when ready and a ``stop``."""

    async def main(ready: Ready) -> None:
        await start()
        try:
            ready()
            await asyncio.Event().wait()
        finally:
            await stop()

    return Part(name=name, main=main)


def task(name: str, main: Callable[[], Coroutine[Any, Any, None]]) -> Part:
    """Return a part from a loop that is ready at once."""

    async def run_at_once(ready: Ready) -> None:
        ready()
        await main()

    return Part(name=name, main=run_at_once)


async def run(
    parts: Sequence[Part], *, stop: asyncio.Event | None = None, stop_timeout_s: float = STOP_TIMEOUT_S
) -> int:
    """Run ``parts`` until ``stop`` is set (``None``: SIGTERM or SIGINT); return the exit code: 0 asked, 1 failed."""
    stop = _on_signals() if stop is None else stop
    asked = asyncio.create_task(stop.wait(), name="stop")
    running: list[asyncio.Task[None]] = []
    starting = ""
    try:
        for part in parts:
            starting = part.name
            ready = asyncio.Event()
            running.append(asyncio.create_task(part.main(ready.set), name=part.name))
            if await _ready_or_over(ready, asked, running):
                break
        else:
            starting = ""
            _freeze()  # what was made in starting stays as long as the process
            log.info("running", parts=[part.name for part in parts])
            await asyncio.wait([asked, *running], return_when=asyncio.FIRST_COMPLETED)
        failed = [each for each in running if each.done()]
        for each in failed:
            _report(each.get_name(), _failure(each), starting)
        return 1 if failed else 0
    finally:
        asked.cancel()
        for each in reversed(running):
            await _stop(each, stop_timeout_s)
        log.info("stopped")


def run_process(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run ``main`` on a uvloop event loop and return its exit code; a second Ctrl-C is not an error text."""
    gc.set_threshold(*_COLLECT)
    _freeze()  # what was imported stays: every whole collection would look through it while the loop stands still
    sys.setswitchinterval(_SWITCH_S)
    try:
        return uvloop.run(main())
    except _OPERATORS as error:
        _report("", error, "")
        return 1
    except KeyboardInterrupt:
        return 130


def _freeze() -> None:
    gc.collect()
    gc.freeze()


def _on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _ready_or_over(ready: asyncio.Event, asked: asyncio.Task[Any], running: Sequence[asyncio.Task[None]]) -> bool:
    """Wait until the newest part is ready; True if it is time to stop instead."""
    waiting = asyncio.create_task(ready.wait(), name="ready")
    try:
        done, _ = await asyncio.wait([waiting, asked, *running], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    return done != {waiting}


def _report(name: str, error: BaseException | None, starting: str) -> None:
    if name == starting and isinstance(error, _OPERATORS):
        reason = error.orig if isinstance(error, DBAPIError) else error
        log.error("cannot start", part=name, reason=str(reason) or type(reason).__name__)
    else:
        log.error("part ended by itself", part=name, exc_info=error)


def _failure(over: asyncio.Task[None]) -> BaseException | None:
    return None if over.cancelled() else over.exception()


async def _stop(running: asyncio.Task[None], timeout_s: float) -> None:
    if not running.done():
        running.cancel()
        _, late = await asyncio.wait([running], timeout=timeout_s)
        if late:
            log.error("part did not stop in time", part=running.get_name(), timeout_s=timeout_s)
            return
        if not running.cancelled() and (error := running.exception()):
            log.error("part failed while stopping", part=running.get_name(), exc_info=error)
