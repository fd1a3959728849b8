"""The ``ocpp`` library's two handler decorators, with types, and its log made quiet.

Rule: nothing else is added. The library logs every frame at *info*; a fleet of simulated chargers says that at *debug*.
"""

import logging
from collections.abc import Callable
from typing import Any, TypeVar, cast

from ocpp import routing

Method = TypeVar("Method", bound=Callable[..., Any])


def on(action: str) -> Callable[[Method], Method]:
    """Mark the handler that answers ``action``."""
    return cast("Callable[[Method], Method]", routing.on(action))


def after(action: str) -> Callable[[Method], Method]:
    """Mark the hook that runs once the answer to ``action`` is sent."""
    return cast("Callable[[Method], Method]", routing.after(action))


class FrameLog(logging.LoggerAdapter[logging.Logger]):
    """The library's log: what it tells at *info* is told at *debug*, warnings and errors as they are."""

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a frame at *debug*."""
        self.debug(msg, *args, **kwargs)


FRAMES = FrameLog(logging.getLogger("bridge.simulators.ocpp"))
