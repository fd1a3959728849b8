"""The OpenAPI description of the operator API, made from the same types that answer; a plain value.

Rule: one row of ``OPERATIONS`` for each route; the schemas come from the bodies, so that they cannot drift.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from bridge.api.arbitration_bodies import AheadBody, AheadRequest, LedgerBody, NoteBody, StandingBody, StandingRequest
from bridge.api.bodies import (
    PREFIX,
    ChargerBody,
    ConfirmBody,
    LimitBody,
    OutcomeBody,
    OverrideBody,
    OverrideRequest,
    ProblemBody,
)
from bridge.api.customers import NeedBody, NeedRequest, ServiceBody, SiteReadingRequest, SiteSupplyBody
from bridge.api.devices import CtaDeviceBody
from bridge.api.energy import EnergyBody
from bridge.api.enrolment_bodies import ANSWERED
from bridge.api.enrolment_bodies import ROUTES as ENROLMENT
from bridge.api.overview_bodies import AlertBody, AvailabilityBody, FiguresBody, GroupBody, StatusBody
from bridge.api.stations import KindBody, MessageBody, MessageRequest, NoticeBody, SelfTestBody
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
    AlertBody,
    AvailabilityBody,
    EnergyBody,
    FiguresBody,
    GroupBody,
    StatusBody,
    CtaDeviceBody,
    KindBody,
    MessageBody,
    MessageRequest,
    NoticeBody,
    SelfTestBody,
    NeedBody,
    NeedRequest,
    ServiceBody,
    SiteReadingRequest,
    SiteSupplyBody,
    *ANSWERED,
    ConfirmBody,
)

_WINDOW = (
    ("start", "Instant with its offset; a day before the end if absent"),
    ("end", "Instant with its offset; now if absent"),
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
        answers={201: OverrideBody, 202: ConfirmBody, 400: ProblemBody, 404: ProblemBody, 409: ProblemBody},
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
        path="/needs",
        summary="What drivers and cars need by when, and whether the limits let it happen",
        answers={200: list[NeedBody]},
    ),
    Operation(
        method="put",
        path="/needs",
        summary="Say what a driver needs by when; with mustRun, events that stand in its way are left if they may be",
        body=NeedRequest,
        answers={200: NeedBody, 400: ProblemBody, 404: ProblemBody},
    ),
    Operation(
        method="delete",
        path="/needs/{id}",
        summary="Take a need back; the id is the resourceID",
        answers={204: None, 404: ProblemBody},
    ),
    Operation(
        method="get",
        path="/service",
        summary="What customers were promised, what the last 7 days were, and where plug-ins have dropped",
        answers={200: list[ServiceBody]},
    ),
    *(
        Operation(
            method=method,
            path=path,
            summary=summary,
            answers=answers if method == "get" and not query else {**answers, 400: ProblemBody, 404: ProblemBody},
            body=body,
            query=query,
        )
        for method, path, summary, answers, body, query in ENROLMENT
    ),
    Operation(
        method="put",
        path="/sites/{id}/meter",
        summary="A reading of a site's meter; what the site supplies itself comes on top of limits at the grid",
        body=SiteReadingRequest,
        answers={200: SiteSupplyBody, 400: ProblemBody, 404: ProblemBody},
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
        path="/cta-devices",
        summary="Every CTA-2045 device: what it is, was told, says and measured",
        answers={200: list[CtaDeviceBody]},
    ),
    Operation(
        method="get",
        path="/cta-devices/{id}",
        summary="One CTA-2045 device",
        answers={200: CtaDeviceBody, 404: ProblemBody},
    ),
    Operation(
        method="get",
        path="/groups",
        summary="Power now of all resources ('') and of each group, feeder and site: drawn, curtailable, behind limits",
        answers={200: list[GroupBody]},
    ),
    Operation(
        method="get",
        path="/status",
        summary="Status cards: operating status, power, events, override, communication failure, price, limits and why",
        answers={200: list[StatusBody], 400: ProblemBody, 404: ProblemBody},
        query=(
            ("resourceID", "Only this resource"),
            ("groupID", "Only the resources of this group, site or feeder"),
            ("limit", "Rows a page, 1 to 10000; 1000 if absent"),
            ("after", "resourceID that the page before ended with; the Link header (rel=next) has it"),
        ),
    ),
    Operation(
        method="get",
        path="/figures",
        summary="What events came to: reduction against the baseline, rates of opt-out and override, energy withheld",
        answers={200: FiguresBody, 400: ProblemBody},
        query=_WINDOW,
    ),
    Operation(
        method="get",
        path="/availability",
        summary="How available each resource was: hours online, plugged in, overridden; how quickly it responds",
        answers={200: list[AvailabilityBody], 400: ProblemBody},
        query=_WINDOW,
    ),
    Operation(
        method="get",
        path="/energy",
        summary="Energy of each resource by its own meter, its cost and carbon by the table of rates",
        answers={200: list[EnergyBody], 400: ProblemBody, 404: ProblemBody, 503: ProblemBody},
        query=(*_WINDOW, ("resourceID", "Only this resource")),
    ),
    Operation(
        method="get",
        path="/alerts",
        summary="Alerts, the latest first",
        answers={200: list[AlertBody], 400: ProblemBody},
        query=(("open", "true: only those that are not over"), ("limit", "Rows, 1 to 10000; 1000 if absent")),
    ),
    Operation(
        method="get",
        path="/chargers/{id}/kind",
        summary="What is known of an OCPP charger's kind: knobs of quirk files and probes, whether it takes limits",
        answers={200: KindBody, 404: ProblemBody},
    ),
    Operation(
        method="get",
        path="/chargers/{id}/notices",
        summary="What a charger reported: security events, transfers of firmware, diagnostics and logs; newest first",
        answers={200: list[NoticeBody], 404: ProblemBody},
    ),
    Operation(
        method="post",
        path="/chargers/{id}/messages",
        summary="Send a message of OCPP to a charger as it is (firmware, logs, configuration...); never a profile",
        body=MessageRequest,
        answers={200: MessageBody, 400: ProblemBody, 404: ProblemBody, 409: ProblemBody},
    ),
    Operation(
        method="get",
        path="/chargers/{id}/self-tests",
        summary="Commissioning self-tests of a charger with their signed evidence, newest first",
        answers={200: list[SelfTestBody], 404: ProblemBody},
    ),
    Operation(
        method="post",
        path="/chargers/{id}/self-tests",
        summary="Begin a self-test: half the load, none, and back, read from the meter",
        answers={202: SelfTestBody, 404: ProblemBody, 409: ProblemBody},
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
