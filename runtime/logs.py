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
from typing import Any, TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import FilteringBoundLogger, Processor

from runtime.clock import new_id

Logger = FilteringBoundLogger

_reference: ContextVar[str] = ContextVar("reference", default="")
_SECRET_KEY = re.compile(r"token|passw|secret|authori[sz]ation|private|cookie|credential", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(://[^:/@\s]+:)[^@/\s]+(@)")
_BEARER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+", re.IGNORECASE)
# Local variables stay out of traces: they hold keys and tokens.
_TRACES = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
_MASK = "***"
_NAME_KEY = "_logger"  # structlog takes no initial value called "logger"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_CHATTY = ("aiosqlite", "alembic", "asyncio", "ocpp", "sqlalchemy", "websockets", "aiohttp.access")


def get_logger(name: str) -> Logger:
    """Return a logger whose lines carry ``logger=name``; safe to call at import, configured later."""
    logger: Logger = structlog.get_logger(**{_NAME_KEY: name})
    return logger


def new_reference() -> str:
    """Make a reference id, bind it to this task's log lines, and return it."""
    reference = new_id("ref")
    _reference.set(reference)
    return reference


def current_reference() -> str:
    """Return the reference id bound here, ``''`` if none."""
    return _reference.get()


@contextmanager
def bound_reference(reference: str | None = None) -> Iterator[str]:
    """Bind ``reference`` (a new one if ``None``) for the block, then restore the one before."""
    token = _reference.set(new_id("ref") if reference is None else reference)
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
    common: list[Processor] = [
        _add_facts,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        *([_TRACES] if json else []),
        mask_secrets,
    ]
    last: list[Processor] = (
        [structlog.processors.JSONRenderer(default=str)]
        if json
        else [
            structlog.dev.ConsoleRenderer(
                colors=out.isatty(), timestamp_key="at", exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    structlog.configure(
        processors=[*common, *last],
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
        event[key] = _masked(key, value)
    return event


def _masked(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {inner: _masked(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(key, item) for item in value]
    if _SECRET_KEY.search(key) and value not in (None, "", True, False):
        return _MASK
    if isinstance(value, str):
        return _BEARER.sub(rf"\1 {_MASK}", _URL_PASSWORD.sub(rf"\g<1>{_MASK}\2", value))
    return value


def _add_facts(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the logger's name and the reference bound here."""
    if name := event.pop(_NAME_KEY, None):
        event["logger"] = name
    if reference := _reference.get():
        event.setdefault("ref", reference)
    return event
