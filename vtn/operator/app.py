"""The operator's web application: routes from the table, one token, problems, health, metrics, the API description.

Rule: everything but /health and the console's static files needs the bearer token.
"""

from collections.abc import Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry

from runtime.http import HealthCheck, bearer_auth, errors, health_routes, json_response
from vtn.operator import console
from vtn.operator.api import Api, translate
from vtn.operator.openapi import ROUTES, document


def operator_app(
    api: Api, *, token: str, checks: Mapping[str, HealthCheck], registry: CollectorRegistry, version: str
) -> web.Application:
    """Return the application."""
    page = console.assets()
    tokens = bearer_auth({"operator": token}, open_paths=console.open_paths(page) | {"/health"})
    app = web.Application(middlewares=[errors(translate), tokens])
    described = document(version)

    async def get_description(_request: web.Request) -> web.StreamResponse:
        return json_response(described)

    for route in ROUTES:
        app.router.add_route(route.method, route.path, getattr(api, route.handler))
    app.router.add_get("/openapi.json", get_description)
    app.add_routes([*health_routes(checks, registry), *console.routes(page)])
    return app
