"""What tests of report requests share: a VEN's side of the exchanges and the operator's."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from openadr.messages import CancelReport, CreatedReport, CreateReport, EiResponse, Message, Response
from openadr.model import EiTarget, ReportInterval, ReportPayload
from openadr.model import energy_real as wh
from openadr.times import Duration
from runtime.metrics import new_registry
from tests.vtn.services.test_reports import POWER, offer
from tests.vtn.world import START, Party, World
from vtn.metrics import ReportMetrics
from vtn.reporting import Reporting
from vtn.services import reportask
from vtn.services.context import ReportPolicy
from vtn.services.reportask import Draft
from vtn.store.rows import StoredRequest

SILENT = ReportPolicy(names=())  # asks for nothing by itself
OFFERING = ReportPolicy(names=("TELEMETRY_USAGE",), offer=("TELEMETRY_USAGE", "HISTORY_USAGE"))
MINUTE, QUARTER = Duration(seconds=60), Duration(seconds=900)
ENERGY = replace(POWER, r_id="rid-e", item_base=wh(scale="k"), report_data_source=EiTarget(resource_ids=("r2",)))
USAGE = offer("TELEMETRY_USAGE", "spec-1", POWER, replace(POWER, r_id="rid-2"), seconds=7200)
HISTORY = offer("HISTORY_USAGE", "spec-h", replace(POWER, sampling_rate=None))


def with_policy(world: World, policy: ReportPolicy) -> World:
    world.desk = replace(world.desk, reports=policy)
    return world


async def ask(world: World, **draft: Any) -> StoredRequest:
    wanted = Draft(**{"ven_id": "ven-a", "report_specifier_id": "spec-1", **draft})
    async with world.store.write() as tx:
        return await reportask.ask(tx, wanted, world.clock.now(), world.desk, "operator")


async def cancel(world: World, row: StoredRequest, *, to_follow: bool = False) -> StoredRequest | None:
    async with world.store.write() as tx:
        return await reportask.cancel(
            tx, row.report_request_id, world.clock.now(), world.desk, to_follow=to_follow, reason=None
        )


async def shown(world: World, row: StoredRequest) -> StoredRequest:
    async with world.store.read() as tx:
        found = await tx.reports.request(row.report_request_id)
    assert found is not None
    return found


async def fetch(party: Party, kind: type[Message]) -> Any:
    """Poll, passing over what is of another kind, and return the first of ``kind``."""
    for _ in range(10):
        found = await party.poll()
        if isinstance(found, kind):
            return found
        assert not isinstance(found, Response), f"no {kind.__name__} waits"
    raise AssertionError(f"no {kind.__name__} among the first ten")


def accept(message: CreateReport, ven_id: str = "ven-a", code: int = 200, text: str | None = None) -> CreatedReport:
    return CreatedReport(
        response=EiResponse(request_id=message.request_id, response_code=code, response_description=text),
        pending_reports=tuple(each.report_request_id for each in message.report_requests) if code == 200 else (),
        ven_id=ven_id,
    )


def one_cancel(*names: str, to_follow: bool = False) -> CancelReport:
    return CancelReport(request_id="req-x", report_request_ids=names, report_to_follow=to_follow, ven_id="ven-a")


def value(at: datetime, number: float, r_id: str = "rid-1", length: Duration | None = None) -> ReportInterval:
    return ReportInterval(dtstart=at, duration=length, payloads=(ReportPayload(r_id=r_id, value=number),))


def series(*numbers: float, step_s: int = 60, r_id: str = "rid-1") -> tuple[ReportInterval, ...]:
    return tuple(value(START + timedelta(seconds=step_s * n), each, r_id) for n, each in enumerate(numbers))


def reporting(world: World, since: datetime | None = None) -> Reporting:
    return Reporting(world.store, world.desk, ReportMetrics(new_registry()), since)
