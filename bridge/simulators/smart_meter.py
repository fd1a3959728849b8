"""A simulated smart meter with an auxiliary proportional controller (APC), wired to one load of a bridge.

Rule: the meter only knows levels; the adapter in front of the bridge turns each into a supervisory limit of the
operator API (``POST /api/v1/standing``), replaces the one before it, and takes it back when the meter lets go.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from bridge.apc import Command, Direction, carried_out
from bridge.resources import Resource

Call = Callable[[str, str, Any], Awaitable[tuple[int, Any]]]
"""Method, path and body to status and answer: a client of the operator API."""


class SmartMeter:
    """One meter and its adapter."""

    def __init__(self, resource: Resource, call: Call) -> None:
        self._resource, self._call = resource, call
        self._limit_id: str | None = None

    async def set_level(
        self, level: float, *, direction: Direction = Direction.OUTPUT, role: str = "supplier"
    ) -> tuple[int, Any]:
        """Limit the load to a share of its maximum. Raises ``NotForUs``."""
        found = carried_out(Command(direction=direction, level=level, role=role), self._resource)
        body = {
            "source": "dso",
            "resourceID": self._resource.resource_id,
            "limitA": found.amperes,
            "reason": f"smart meter, APC level {level:g}: {found.words}",
        }
        before, (status, made) = self._limit_id, await self._call("POST", "/api/v1/standing", body)
        self._limit_id = made["id"]
        if before is not None:
            await self._call("DELETE", f"/api/v1/standing/{before}", None)
        return status, made

    async def release(self) -> None:
        """Let the load go."""
        if self._limit_id is not None:
            await self._call("DELETE", f"/api/v1/standing/{self._limit_id}", None)
            self._limit_id = None
