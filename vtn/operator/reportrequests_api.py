"""Report requests in the operator API: what VENs offer, what they are asked for, what they ask of this VTN.

Rule: handlers carry no rule of the protocol.
"""

from datetime import datetime

from aiohttp import web
from pydantic import BaseModel

from runtime.http import ACTOR, Problem
from vtn.operator import reports_present as present
from vtn.operator.handling import Handling, Route, cursor, json, next_cursor
from vtn.operator.reports_models import (
    DeliveryPage,
    DocumentQuery,
    OfferPage,
    OfferQuery,
    RequestCancelIn,
    RequestIn,
    RequestPage,
    RequestQuery,
    RequestView,
)
from vtn.services import reportask
from vtn.store.rows import StoredRequest
from vtn.store.store import Tx

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/report-offers",
        handler="get_offers",
        summary="List the reports that VENs offer",
        answer=OfferPage,
        query=OfferQuery,
    ),
    Route(
        method="GET",
        path="/api/v1/report-requests",
        handler="get_requests",
        summary="List report requests, newest first",
        answer=RequestPage,
        query=RequestQuery,
    ),
    Route(
        method="POST",
        path="/api/v1/report-requests",
        handler="post_request",
        summary="Ask a VEN for a report or for its METADATA",
        answer=RequestView,
        status=201,
        body=RequestIn,
    ),
    Route(
        method="GET",
        path="/api/v1/report-requests/{reportRequestID}",
        handler="get_request",
        summary="Show a report request",
        answer=RequestView,
    ),
    Route(
        method="POST",
        path="/api/v1/report-requests/{reportRequestID}/cancel",
        handler="cancel_request",
        summary="Cancel a report request",
        answer=RequestView,
        body=RequestCancelIn,
    ),
    Route(
        method="GET",
        path="/api/v1/report-deliveries",
        handler="get_deliveries",
        summary="List the reports that VENs have asked of this VTN",
        answer=DeliveryPage,
        query=DocumentQuery,
    ),
)


class ReportRequestsApi:
    """The handlers of ``ROUTES``."""

    def __init__(self, handling: Handling) -> None:
        self._with = handling

    async def get_offers(self, request: web.Request) -> web.StreamResponse:
        """List the reports that VENs offer."""
        query = OfferQuery.model_validate(dict(request.query))
        async with self._with.store.read() as tx:
            rows = await tx.reports.offers(
                ven_id=query.venID,
                report_name=query.reportName,
                after=cursor(query.cursor, tuple[str, str]),
                limit=query.limit,
            )
        last = (rows[-1].ven_id, rows[-1].report_specifier_id) if len(rows) == query.limit else None
        return json(OfferPage(offers=tuple(map(present.offer, rows)), next=next_cursor(last)))

    async def get_requests(self, request: web.Request) -> web.StreamResponse:
        """List report requests, newest first."""
        query = RequestQuery.model_validate(dict(request.query))
        async with self._with.store.read() as tx:
            rows = await tx.reports.page_requests(
                ven_id=query.venID,
                state=query.state,
                after=cursor(query.cursor, tuple[datetime, str]),
                limit=query.limit,
            )
        last = (rows[-1].created_at, rows[-1].report_request_id) if len(rows) == query.limit else None
        return json(RequestPage(requests=tuple(map(present.request, rows)), next=next_cursor(last)))

    async def post_request(self, request: web.Request) -> web.StreamResponse:
        """Ask a VEN for a report or for its METADATA."""

        async def act(tx: Tx, body: RequestIn, now: datetime) -> tuple[int, BaseModel]:
            row = await reportask.ask(tx, body.draft(), now, self._with.desk, request[ACTOR])
            return 201, present.request(row)

        return await self._with.change(request, RequestIn, act)

    async def get_request(self, request: web.Request) -> web.StreamResponse:
        """Show a report request."""
        async with self._with.store.read() as tx:
            row = await tx.reports.request(request.match_info["reportRequestID"])
        return json(present.request(_found(row)))

    async def cancel_request(self, request: web.Request) -> web.StreamResponse:
        """Cancel a report request."""

        async def act(tx: Tx, body: RequestCancelIn, now: datetime) -> tuple[int, BaseModel]:
            row = await reportask.cancel(
                tx,
                request.match_info["reportRequestID"],
                now,
                self._with.desk,
                to_follow=body.reportToFollow,
                reason=body.reason,
            )
            return 200, present.request(_found(row))

        return await self._with.change(request, RequestCancelIn, act)

    async def get_deliveries(self, request: web.Request) -> web.StreamResponse:
        """List the reports that VENs have asked of this VTN."""
        query = DocumentQuery.model_validate(dict(request.query))
        async with self._with.store.read() as tx:
            after = cursor(query.cursor, tuple[str, str])
            rows = await tx.own_reports.page(ven_id=query.venID, after=after, limit=query.limit)
        last = (rows[-1].ven_id, rows[-1].report_request_id) if len(rows) == query.limit else None
        return json(DeliveryPage(deliveries=tuple(map(present.delivery, rows)), next=next_cursor(last)))


def _found(row: StoredRequest | None) -> StoredRequest:
    if row is None:
        raise Problem(404, "no report request has that reportRequestID", field="reportRequestID")
    return row
