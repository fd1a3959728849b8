"""Structured logs on standard error: JSON or console, every line with the reference id of the exchange it belongs to.

Rule: a reference is made once where an exchange enters or begins (``new_reference``), is bound to every line as
``ref``, and leaves with the answer. Secrets are masked by key before a line is written. Libraries' own logging takes
the same way out.
"""

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from itertools import count
from json import JSONEncoder
from secrets import randbits
from typing import Any, TextIO, cast

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import FilteringBoundLogger, Processor

from runtime.clock import SystemClock

Logger = FilteringBoundLogger

_reference: ContextVar[str] = ContextVar("reference", default="")
_SECRET_KEY = re.compile(r"token|passw|secret|authori[sz]ation|private|cookie|credential", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(://[^:/@\s]+:)[^@/\s]+(@)")
_BEARER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+", re.IGNORECASE)
# Local variables stay out of traces: they hold keys and tokens.
_TRACES = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
_CLOCK = SystemClock()  # a line tells the time at which it is written, whatever clock the rest goes by
_ENCODER = JSONEncoder(default=str)
_MASK = "***"
_NAME_KEY = "_logger"  # structlog takes no initial value called "logger"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_references = count(randbits(64))
_generation = 0  # counts the calls of ``configure``
_often: TextIO | None = None  # where ``write_often`` writes by itself
_CHATTY = ("aiosqlite", "alembic", "apscheduler", "asyncio", "ocpp", "sqlalchemy", "websockets", "aiohttp.access")


class _Named:
    """A logger that is set up at its first line after each ``configure``, not anew at every line."""

    __slots__ = ("_bound", "_generation", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._generation = -1
        self._bound: Any = None

    def __getattr__(self, method: str) -> Any:
        if self._generation != _generation or not structlog.is_configured():
            self._bound = structlog.get_logger(**{_NAME_KEY: self._name}).bind()
            self._generation = _generation
        return getattr(self._bound, method)


def get_logger(name: str) -> Logger:
    """Return a logger whose lines carry ``logger=name``; safe to call at import, configured later."""
    return cast(Logger, _Named(name))


Facts = tuple[tuple[str, object], ...]


def write_often(name: str, event: str, *facts: Facts) -> None:
    """Write a line at level info, as ``get_logger(name).info(event, ...)`` does, whose facts repeat.

    Each group of facts is encoded once for all the lines that have it: there is such a line for almost every request.
    """
    out = _often
    if out is None or structlog.get_config()["processors"][:1] != [_json_line]:
        get_logger(name).info(event, **{key: value for group in facts for key, value in group})
        return
    reference = _reference.get()
    ref = f', "ref": "{reference}"' if reference else ""
    same = ", ".join(map(_encoded, (*facts, (("event", event), ("logger", name)))))
    out.write(f'{{{same}{ref}, "at": "{_at()}", "level": "info"}}\n')
    out.flush()


@lru_cache(maxsize=50_000)
def _encoded(facts: Facts) -> str:
    return _ENCODER.encode({key: _masked(key, value) for key, value in facts})[1:-1]


def new_reference() -> str:
    """Make a reference id, bind it to this task's log lines, and return it."""
    reference = _make_reference()
    _reference.set(reference)
    return reference


def _make_reference() -> str:
    """Count on from a random number: as unique as a random one and cheaper, and a reference is no secret."""
    return f"ref-{next(_references) % 2**64:016x}"


def current_reference() -> str:
    """Return the reference id bound here, ``''`` if none."""
    return _reference.get()


@contextmanager
def bound_reference(reference: str | None = None) -> Iterator[str]:
    """Bind ``reference`` (a new one if ``None``) for the block, then restore the one before."""
    token = _reference.set(_make_reference() if reference is None else reference)
    try:
        yield _reference.get()
    finally:
        _reference.reset(token)


def configure(level: str = "info", json: bool = True, stream: TextIO | None = None) -> None:
    """Set up this process: ``level`` debug|info|warning|error, JSON lines or console, to ``stream`` (stderr)."""
    if level.upper() not in LEVELS:
        raise ValueError(f"log level {level!r}: use one of {', '.join(LEVELS).lower()}")
    number = logging.getLevelNamesMapping()[level.upper()]
    out = sys.stderr if stream is None else stream
    global _generation, _often
    _generation += 1
    _often = out if json and number <= logging.INFO else None
    common: list[Processor] = [
        _add_facts,
        structlog.processors.add_log_level,
        *([_TRACES] if json else []),
        mask_secrets,
    ]
    last: list[Processor] = (
        [_render]
        if json
        else [
            structlog.dev.ConsoleRenderer(
                colors=out.isatty(), timestamp_key="at", exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    structlog.configure(
        processors=[_json_line] if json else [*common, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    _configure_stdlib(number, out, common, last)


def _configure_stdlib(number: int, out: TextIO, common: list[Processor], last: list[Processor]) -> None:
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *common],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def mask_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of secret-sounding keys, and passwords and bearer tokens inside texts."""
    for key, value in event.items():
        masked = _masked(key, value)
        if masked is not value:
            event[key] = masked
    return event


def _masked(key: str, value: Any) -> Any:
    if isinstance(value, str):
        return _MASK if value and _is_secret(key) else _masked_text(value)
    if isinstance(value, dict):
        return {inner: _masked(key if _is_secret(key) else str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(key, item) for item in value]
    if value is None or value is True or value is False or not _is_secret(key):
        return value
    return _MASK


@lru_cache(maxsize=1000)
def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


def _masked_text(text: str) -> str:
    """Mask passwords in URLs and tokens behind their scheme; most texts have neither and are only looked through."""
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\g<1>{_MASK}\2", text)
    lowered = text.lower()
    if "bearer" in lowered or "basic" in lowered:
        text = _BEARER.sub(rf"\1 {_MASK}", text)
    return text


def _render(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """Write one line of JSON; what has no JSON form is written as its text."""
    return _ENCODER.encode(event)


def _json_line(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    """Do in one step what the processors of the other way do one by one: there is a line for almost every request."""
    _add_facts(logger, method, event)
    structlog.processors.add_log_level(logger, method, event)
    if "exc_info" in event:
        _TRACES(logger, method, event)
    return _render(logger, method, mask_secrets(logger, method, event))


def _add_facts(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the logger's name, the instant and the reference bound here."""
    if name := event.pop(_NAME_KEY, None):
        event["logger"] = name
    if reference := _reference.get():
        event.setdefault("ref", reference)
    event["at"] = _at()
    return event


def _at() -> str:
    return _CLOCK.now().replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
