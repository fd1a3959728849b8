"""The operator API's view of OCPP chargers: what their kind takes, what they report, messages to them, self-tests.

Rule: as in the other routes: read, check, copy. A self-test answers at once and runs on; its evidence is read later.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web

from bridge.api.bodies import PREFIX, Body
from bridge.ocpp.central import CentralSystem
from bridge.ocpp.passing import NotPassed
from bridge.resources import Resource
from bridge.selftest import SelfTester, SelfTestRefused
from bridge.store import BridgeStore
from runtime.http import Problem, json_body, json_response

_ROWS = 100  # notices and self-tests shown


class KindBody(Body, frozen=True):
    """What is known of a charger's kind: knobs of quirk files and probes, and whether it takes part in limits."""

    charger_id: str
    vendor: str
    model: str
    firmware: str
    protocol: str | None
    enrolled: bool
    probed: bool
    knobs: dict[str, Any]


class NoticeBody(Body, frozen=True):
    """What a charger reported: ``kind`` is security or transfer."""

    at: datetime
    kind: str
    name: str
    detail: str


class MessageRequest(Body, frozen=True):
    """A message of OCPP for a charger, as the standard spells it."""

    action: str
    payload: dict[str, Any] = msgspec.field(default_factory=dict)


class MessageBody(Body, frozen=True):
    """How it ended: accepted means answered; what the answer says is in ``answer``."""

    outcome: str
    answer: dict[str, Any]
    detail: str


class SelfTestBody(Body, frozen=True):
    """A self-test: ``state`` is running or done; ``evidence`` is the signed text, ``signature`` base64 over it."""

    test_id: str
    state: str
    at: datetime | None = None
    passed: bool | None = None
    evidence: str = ""
    signature: str = ""


class StationsApi:
    """Handlers of what is asked of single chargers."""

    def __init__(
        self,
        *,
        central: CentralSystem | None,
        tester: SelfTester | None,
        store: BridgeStore,
        by_charger: Mapping[str, Resource],
    ) -> None:
        self._central, self._tester, self._store, self._by_charger = central, tester, store, by_charger

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        one = f"{PREFIX}/chargers/{{id}}"
        return [
            web.get(f"{one}/kind", self.kind),
            web.get(f"{one}/notices", self.notices),
            web.post(f"{one}/messages", self.message),
            web.get(f"{one}/self-tests", self.self_tests),
            web.post(f"{one}/self-tests", self.start_self_test),
        ]

    async def kind(self, request: web.Request) -> web.Response:
        """GET /chargers/{id}/kind."""
        identity = self._identity(request)
        central = self._ocpp(identity)
        knobs, probed = central.knobs(identity)
        status = central.status(identity)
        return json_response(
            KindBody(
                charger_id=identity,
                vendor=status.vendor if status else "",
                model=status.model if status else "",
                firmware=status.firmware if status else "",
                protocol=status.protocol if status else None,
                enrolled=status.enrolled if status else True,
                probed=probed,
                knobs=knobs.model_dump(exclude_none=True),
            )
        )

    async def notices(self, request: web.Request) -> web.Response:
        """GET /chargers/{id}/notices."""
        found = await self._store.charger_notices(self._identity(request), _ROWS)
        return json_response(
            [NoticeBody(at=each.at, kind=each.kind, name=each.name, detail=each.detail) for each in found]
        )

    async def message(self, request: web.Request) -> web.Response:
        """POST /chargers/{id}/messages."""
        identity = self._identity(request)
        central = self._ocpp(identity)
        asked = await json_body(request, MessageRequest)
        try:
            found = await central.pass_on(identity, asked.action, asked.payload)
        except NotPassed as error:
            raise Problem(409, str(error), title="Not passed on") from None
        body = MessageBody(outcome=found.outcome.value, answer=dict(found.answer), detail=found.detail)
        return json_response(body)

    async def self_tests(self, request: web.Request) -> web.Response:
        """GET /chargers/{id}/self-tests, newest first."""
        identity = self._identity(request)
        found = [
            SelfTestBody(
                test_id=each.test_id,
                state="done",
                at=each.at,
                passed=each.passed,
                evidence=each.evidence,
                signature=each.signature,
            )
            for each in await self._store.self_tests(identity, _ROWS)
        ]
        running = self._tester.running(self._by_charger[identity].resource_id) if self._tester else None
        if running is not None and all(each.test_id != running for each in found):
            found.insert(0, SelfTestBody(test_id=running, state="running"))
        return json_response(found)

    async def start_self_test(self, request: web.Request) -> web.Response:
        """POST /chargers/{id}/self-tests."""
        identity = self._identity(request)
        if self._tester is None:
            raise Problem(409, "no self-tests here", title="Self-test refused")
        try:
            test_id = await self._tester.start(self._by_charger[identity].resource_id)
        except SelfTestRefused as error:
            raise Problem(409, str(error), title="Self-test refused") from None
        return json_response(SelfTestBody(test_id=test_id, state="running"), 202)

    def _identity(self, request: web.Request) -> str:
        identity = request.match_info["id"]
        if identity not in self._by_charger:
            raise Problem(404, f"charger {identity} is not known here", title="Unknown charger")
        return identity

    def _ocpp(self, identity: str) -> CentralSystem:
        if self._central is None or not self._central.knows(identity):
            raise Problem(404, f"{identity} is no OCPP charger", title="Unknown charger")
        return self._central
