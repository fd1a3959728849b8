"""The operator's web application: routes from the table, one token, problems, health, metrics, the API description.

Rule: everything but /health and the console's static files needs the bearer token.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry

from openadr.wire.xml import unwritable
from runtime.http import HealthCheck, Problem, bearer_auth, errors, health_routes, json_response
from vtn.operator import (
    candidates_api,
    console,
    events_api,
    opts_api,
    programmes_api,
    registrations_api,
    reportrequests_api,
    reports_api,
    vens_api,
)
from vtn.operator.handling import Handling, Route, check_text, translate
from vtn.operator.openapi import document

AREAS: tuple[tuple[Callable[[Handling], object], tuple[Route, ...]], ...] = (
    (events_api.EventsApi, events_api.ROUTES),
    (programmes_api.ProgrammesApi, programmes_api.ROUTES),
    (vens_api.VensApi, vens_api.ROUTES),
    (registrations_api.RegistrationsApi, registrations_api.ROUTES),
    (candidates_api.CandidatesApi, candidates_api.ROUTES),
    (reports_api.ReportsApi, reports_api.ROUTES),
    (reportrequests_api.ReportRequestsApi, reportrequests_api.ROUTES),
    (opts_api.OptsApi, opts_api.ROUTES),
)
ROUTES: tuple[Route, ...] = tuple(route for _, routes in AREAS for route in routes)


def operator_app(
    handling: Handling,
    *,
    token: str,
    checks: Mapping[str, HealthCheck],
    registry: CollectorRegistry,
    version: str,
    facts: Mapping[str, Callable[[], Awaitable[object]]] = MappingProxyType({}),
) -> web.Application:
    """Return the application."""
    page = console.assets()
    tokens = bearer_auth({"operator": token}, open_paths=console.open_paths(page) | {"/health"})
    app = web.Application(middlewares=[errors(translate), tokens, _readable])
    described = document(version, ROUTES)

    async def get_description(_request: web.Request) -> web.StreamResponse:
        return json_response(described)

    for make, routes in AREAS:
        area = make(handling)
        for route in routes:
            app.router.add_route(route.method, route.path, getattr(area, route.handler))
    app.router.add_get("/openapi.json", get_description)
    app.add_routes([*health_routes(checks, registry, facts), *console.routes(page)])
    return app


@web.middleware
async def _readable(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse names that no identifier can have before the database sees them."""
    if unwritable(request.path) is not None:
        raise Problem(404, "nothing has such a name")
    for field, text in request.query.items():
        check_text("query", field)
        check_text(field, text)
    return await handler(request)
