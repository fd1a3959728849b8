"""The OpenAPI description of the operator API, generated from the same models and routes that serve it.

Rule: a route that is not in ``ROUTES`` does not exist.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from vtn.operator import requests, views

_REFERENCE = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation; ``handler`` is the name of the method of ``Api`` that serves it."""

    method: str
    path: str
    handler: str
    summary: str
    answer: type[BaseModel]
    status: int = 200
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/v1/events",
        handler="post_event",
        summary="Publish an event",
        answer=views.EventSummary,
        status=201,
        body=requests.EventIn,
    ),
    Route(
        method="GET",
        path="/api/v1/events",
        handler="get_events",
        summary="List events, latest dtstart first",
        answer=views.EventPage,
        query=requests.Page,
    ),
    Route(
        method="GET",
        path="/api/v1/events/{eventID}",
        handler="get_event",
        summary="Show an event with its state per VEN and resource",
        answer=views.EventDetail,
    ),
    Route(
        method="POST",
        path="/api/v1/events/{eventID}/cancel",
        handler="cancel_event",
        summary="Cancel an event",
        answer=views.EventSummary,
        body=requests.CancelIn,
    ),
    Route(
        method="GET",
        path="/api/v1/vens",
        handler="get_vens",
        summary="List VENs",
        answer=views.VenPage,
        query=requests.Page,
    ),
    Route(
        method="POST",
        path="/api/v1/vens",
        handler="post_ven",
        summary="Enrol a VEN",
        answer=views.VenView,
        status=201,
        body=requests.VenIn,
    ),
    Route(
        method="GET",
        path="/api/v1/reports",
        handler="get_reports",
        summary="List telemetry, oldest first",
        answer=views.ReportPage,
        query=requests.ReportQuery,
    ),
    Route(
        method="GET",
        path="/api/v1/opts",
        handler="get_opts",
        summary="List opts, newest first",
        answer=views.OptPage,
        query=requests.OptQuery,
    ),
)


def document(version: str, routes: Sequence[Route] = ROUTES) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    inputs = {route.body for route in routes} - {None}
    outputs = {route.answer for route in routes} | {views.ProblemView}
    models = [(each, "validation") for each in inputs if each is not None] + [
        (each, "serialization") for each in outputs
    ]
    models.sort(key=lambda pair: pair[0].__name__)
    _, schemas = models_json_schema(models, ref_template=_REFERENCE)  # type: ignore[arg-type]  # the literals above
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "OpenADR Gateway: VTN operator API", "version": version},
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    problem = {"description": "Refused", "content": {"application/problem+json": _schema(views.ProblemView)}}
    operation: dict[str, Any] = {
        "operationId": route.handler,
        "summary": route.summary,
        "parameters": [*_path_parameters(route.path), *_query_parameters(route.query)],
        "responses": {
            str(route.status): {"description": "Done", "content": {"application/json": _schema(route.answer)}},
            "4XX": problem,
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"content": {"application/json": _schema(route.body)}}
        operation["parameters"].append(
            {"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string"}}
        )
    return operation


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(model: type[BaseModel] | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    properties = model.model_json_schema()["properties"]
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in properties.items()]
