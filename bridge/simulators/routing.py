"""The ``ocpp`` library's two handler decorators, with types.

Rule: nothing but the types is added.
"""

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
