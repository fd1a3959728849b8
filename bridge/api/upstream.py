"""The link upstream in the operator API: how the VEN stands with its VTN, leaving it, registering again.

Rule: as in the other routes: read, check, copy. A wish is durable before it is answered; the VTN is told after it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from aiohttp import web

from bridge.api.bodies import PREFIX, Body
from runtime.http import Problem, json_response
from ven.contact import VenStatus


class Ven(Protocol):
    """What the API asks of the VEN."""

    @property
    def status(self) -> VenStatus:
        """How it stands."""
        ...

    async def leave(self) -> None:
        """Cancel the registration for good."""
        ...

    async def enter(self) -> None:
        """Register again."""
        ...


class VtnBody(Body, frozen=True):
    """How the VEN stands with its VTN; ``withdrawn``: an operator left it, ``clockOffsetS``: its clock less ours."""

    registered: bool
    withdrawn: bool
    ven_id: str | None
    vtn_id: str | None
    last_contact: datetime | None
    clock_offset_s: float | None
    outbox: int
    last_failure: str | None


class UpstreamApi:
    """Handlers of the link upstream."""

    def __init__(self, vens: Mapping[str, Ven]) -> None:
        self._vens = vens

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(f"{PREFIX}/vtn", self.show),
            web.put(f"{PREFIX}/vtn/registration", self.enter),
            web.delete(f"{PREFIX}/vtn/registration", self.leave),
        ]

    def _asked(self, request: web.Request) -> Ven:
        name = request.query.get("name", "")
        if name not in self._vens:
            raise Problem(404, f"name {name} is no VTN of this bridge", title="Unknown VTN")
        return self._vens[name]

    def _body(self, ven: Ven) -> web.Response:
        status = ven.status
        return json_response(
            VtnBody(
                registered=status.registered,
                withdrawn=status.withdrawn,
                ven_id=status.ven_id,
                vtn_id=status.vtn_id,
                last_contact=status.last_contact,
                clock_offset_s=status.clock_offset_s,
                outbox=status.outbox_depth,
                last_failure=status.last_failure,
            )
        )

    async def show(self, request: web.Request) -> web.Response:
        """GET /vtn?name=."""
        return self._body(self._asked(request))

    async def enter(self, request: web.Request) -> web.Response:
        """PUT /vtn/registration?name=."""
        ven = self._asked(request)
        await ven.enter()
        return self._body(ven)

    async def leave(self, request: web.Request) -> web.Response:
        """DELETE /vtn/registration?name=."""
        ven = self._asked(request)
        await ven.leave()
        return self._body(ven)
