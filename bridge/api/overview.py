"""The fleet as a whole in the operator API: curtailable power, status cards, key figures, availability, alerts.

Rule: as in the other routes: read, check, copy.
"""

from urllib.parse import urlencode

from aiohttp import web

from bridge.api.bodies import PREFIX
from bridge.api.overview_bodies import alert_body, availability_body, figures_body, group_body, status_body
from bridge.api.paging import page_limit
from bridge.api.window import window
from bridge.overview import Overview
from bridge.store import BridgeStore
from runtime.clock import Clock
from runtime.http import Problem, json_response


class OverviewApi:
    """Handlers of the overview."""

    def __init__(self, overview: Overview, store: BridgeStore, clock: Clock) -> None:
        self._overview, self._store, self._clock = overview, store, clock

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(f"{PREFIX}/groups", self.groups),
            web.get(f"{PREFIX}/status", self.status),
            web.get(f"{PREFIX}/figures", self.figures),
            web.get(f"{PREFIX}/availability", self.availability),
            web.get(f"{PREFIX}/alerts", self.alerts),
        ]

    async def groups(self, _request: web.Request) -> web.Response:
        """GET /groups."""
        return json_response([group_body(each) for each in await self._overview.groups(self._clock.now())])

    async def status(self, request: web.Request) -> web.Response:
        """GET /status?resourceID=&groupID=&limit=&after=; Link names the next page (RFC 8288)."""
        limit, after = page_limit(request.query.get("limit")), request.query.get("after", "")
        names = [name for name in self._wanted(request) if name > after]
        page = names[:limit]
        answer = json_response([status_body(card) for card in await self._overview.cards(page, self._clock.now())])
        if len(names) > limit:
            query = urlencode({**request.query, "limit": limit, "after": page[-1]})
            answer.headers["Link"] = f'<{PREFIX}/status?{query}>; rel="next"'
        return answer

    def _wanted(self, request: web.Request) -> list[str]:
        resources = self._overview.resources
        name, group = request.query.get("resourceID"), request.query.get("groupID")
        if name is not None and name not in resources:
            raise Problem(404, f"resourceID {name} is not known here", title="Unknown resource")
        found = sorted(resources if name is None else [name])
        if group is not None:
            found = [each for each in found if group in resources[each].memberships]
            if not found:
                raise Problem(404, f"groupID {group} has no resource here", title="Unknown group")
        return found

    async def figures(self, request: web.Request) -> web.Response:
        """GET /figures?start=&end=."""
        start, end = window(request, self._clock.now())
        found = await self._overview.key_figures(start, end)
        return json_response(figures_body(found, self._overview.shortfall_kwh(self._clock.now()), start, end))

    async def availability(self, request: web.Request) -> web.Response:
        """GET /availability?start=&end=."""
        start, end = window(request, self._clock.now())
        return json_response([availability_body(each) for each in await self._overview.availability(start, end)])

    async def alerts(self, request: web.Request) -> web.Response:
        """GET /alerts?open=true&limit=."""
        wanted = request.query.get("open", "false")
        if wanted not in ("true", "false"):
            raise Problem(400, "open: true or false", title="Invalid query")
        limit = page_limit(request.query.get("limit"))
        found = await self._store.alerts(open_only=wanted == "true", limit=limit)
        return json_response([alert_body(each) for each in found])
