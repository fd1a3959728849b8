"""The OpenAPI description of the operator API, made from the same types that answer; a plain value.

Rule: one row of ``OPERATIONS`` for each route; the schemas come from the bodies, so that they cannot drift.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from bridge.api.arbitration_bodies import AheadBody, AheadRequest, LedgerBody, NoteBody, StandingBody, StandingRequest
from bridge.api.bodies import PREFIX, ChargerBody, LimitBody, OutcomeBody, OverrideBody, OverrideRequest, ProblemBody
from bridge.api.upstream import VtnBody

_BODIES = (
    ChargerBody,
    LimitBody,
    OutcomeBody,
    OverrideBody,
    OverrideRequest,
    ProblemBody,
    StandingBody,
    StandingRequest,
    AheadBody,
    AheadRequest,
    LedgerBody,
    NoteBody,
    VtnBody,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route: ``answers`` maps a status to the body type, or to ``None`` for no body."""

    method: str
    path: str
    summary: str
    answers: dict[int, Any]
    body: Any = None
    query: tuple[tuple[str, str], ...] = ()


OPERATIONS = (
    Operation(
        method="get",
        path="/chargers",
        summary="Every charger with its live reading, its limit and how events stand there",
        answers={200: list[ChargerBody]},
    ),
    Operation(
        method="get",
        path="/limits",
        summary="The effective limit of every charger: source, reason, event, and how far it is proven",
        answers={200: list[LimitBody]},
    ),
    Operation(
        method="get",
        path="/outcomes",
        summary="What events came to, by meter",
        answers={200: list[OutcomeBody], 400: ProblemBody, 404: ProblemBody},
        query=(
            ("eventID", "Only this event's, at every charger; without it a page of all, latest start first"),
            ("limit", "Rows a page, 1 to 10000; 1000 if absent"),
            ("cursor", "From the Link header (rel=next) of the page before"),
        ),
    ),
    Operation(
        method="get",
        path="/overrides",
        summary="Overrides in force",
        answers={200: list[OverrideBody]},
    ),
    Operation(
        method="post",
        path="/overrides",
        summary="Let a charger leave an event; acts at the charger first and is reported upstream after",
        body=OverrideRequest,
        answers={201: OverrideBody, 400: ProblemBody, 404: ProblemBody, 409: ProblemBody},
    ),
    Operation(
        method="delete",
        path="/overrides/{id}",
        summary="End an override; the event counts again",
        answers={204: None, 404: ProblemBody},
    ),
    Operation(
        method="get",
        path="/standing",
        summary="Standing limits that operators set, in force or to come",
        answers={200: list[StandingBody]},
    ),
    Operation(
        method="post",
        path="/standing",
        summary="Set a limit on a resource or a group that is no event's; holds over restarts",
        body=StandingRequest,
        answers={201: StandingBody, 400: ProblemBody, 404: ProblemBody},
    ),
    Operation(
        method="delete",
        path="/standing/{id}",
        summary="Take a standing limit back",
        answers={204: None, 404: ProblemBody},
    ),
    *(
        operation
        for path, what in (
            ("/opt-schedules", "opt schedule: out of every event that may be left, told upstream by oadrCreateOpt"),
            ("/suspensions", "suspension: limits cleared, then nothing sent; telemetry goes on"),
        )
        for operation in (
            Operation(method="get", path=path, summary=f"Every {what}", answers={200: list[AheadBody]}),
            Operation(
                method="post",
                path=path,
                summary=f"Make an {what}" if what.startswith("o") else f"Make a {what}",
                body=AheadRequest,
                answers={201: AheadBody, 400: ProblemBody, 404: ProblemBody, 409: ProblemBody},
            ),
            Operation(method="delete", path=f"{path}/{{id}}", summary="End it", answers={204: None, 404: ProblemBody}),
        )
    ),
    Operation(
        method="get",
        path="/ledger",
        summary="Who contracted, asked, allowed and drew what in each interval of each event; JSON or CSV",
        answers={200: list[LedgerBody], 400: ProblemBody},
        query=(
            ("eventID", "Only this event's"),
            ("limit", "Rows a page, 1 to 10000; 1000 if absent"),
            ("cursor", "From the Link header (rel=next) of the page before"),
            ("format", "csv for CSV, as Accept: text/csv"),
        ),
    ),
    Operation(
        method="get",
        path="/vtn",
        summary="How the bridge stands with its VTN: registered, heard when, clock, what is still owed",
        answers={200: VtnBody, 404: ProblemBody},
        query=(("name", "Which VTN of [[vtns]]; without it the one of [ven]"),),
    ),
    Operation(
        method="put",
        path="/vtn/registration",
        summary="Register with the VTN again after leaving it",
        answers={200: VtnBody, 404: ProblemBody},
        query=(("name", "Which VTN of [[vtns]]; without it the one of [ven]"),),
    ),
    Operation(
        method="delete",
        path="/vtn/registration",
        summary="Leave the VTN for good: the registration is cancelled, its events end, nothing is sent until PUT",
        answers={200: VtnBody, 404: ProblemBody},
        query=(("name", "Which VTN of [[vtns]]; without it the one of [ven]"),),
    ),
    Operation(
        method="get",
        path="/limits/history",
        summary="Why a resource was limited: every change of its effective limit, newest first",
        answers={200: list[NoteBody], 400: ProblemBody, 404: ProblemBody},
        query=(("resourceID", "Which resource"), ("limit", "Rows, 1 to 10000; 1000 if absent")),
    ),
)


def document(version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    shapes = [*_BODIES, *(answer for each in OPERATIONS for answer in each.answers.values() if answer is not None)]
    schemas, components = msgspec.json.schema_components(shapes, ref_template="#/components/schemas/{name}")
    by_shape = {id_of(shape): schema for shape, schema in zip(shapes, schemas, strict=True)}
    paths: dict[str, Any] = {}
    for each in OPERATIONS:
        paths.setdefault(f"{PREFIX}{each.path}", {})[each.method] = _operation(each, by_shape)
    return {
        "openapi": "3.1.0",
        "info": {"title": "OpenADR Gateway: bridge", "version": version},
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    }


def id_of(shape: Any) -> str:
    """Return a name for a body type or a list of one."""
    return str(shape)


def _operation(each: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    answers = {**each.answers, 401: ProblemBody}
    described: dict[str, Any] = {
        "summary": each.summary,
        "responses": {str(status): _answer(status, shape, schemas) for status, shape in sorted(answers.items())},
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "query", "required": False, "description": words, "schema": {"type": "string"}}
        for name, words in each.query
    ]
    if "{id}" in each.path:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}})
    if parameters:
        described["parameters"] = parameters
    if each.body is not None:
        content = {"application/json": {"schema": schemas[id_of(each.body)]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _answer(status: int, shape: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    if shape is None:
        return {"description": "done"}
    kind = "application/problem+json" if shape is ProblemBody else "application/json"
    words = "refused" if shape is ProblemBody else "answered"
    return {"description": words, "content": {kind: {"schema": schemas[id_of(shape)]}}}
