"""The OpenAPI description of the operator API, generated from the same models and routes that serve it.

Rule: a route that is not in the ``ROUTES`` of its area does not exist.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from vtn.operator import views
from vtn.operator.handling import Route

_REFERENCE = "#/components/schemas/{model}"


def document(version: str, routes: Sequence[Route]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    inputs = {route.body for route in routes} - {None}
    outputs = {route.answer for route in routes if route.answer is not None} | {views.ProblemView}
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
            str(route.status): {"description": "Done", "content": {route.media: _answer(route)}},
            "4XX": problem,
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"content": {"application/json": _schema(route.body)}}
        operation["parameters"].append(
            {"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string"}}
        )
    return operation


def _answer(route: Route) -> dict[str, Any]:
    return {"schema": {"type": "string"}} if route.answer is None else _schema(route.answer)


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
