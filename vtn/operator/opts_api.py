"""Opts in the operator API: as they came, and what they come to for every resource.

Rule: handlers carry no rule of the protocol.
"""

from aiohttp import web

from runtime.http import Problem
from vtn.operator import opts_present
from vtn.operator.fields import utc
from vtn.operator.handling import Handling, Route, cursor, json, next_cursor
from vtn.operator.opts_models import AvailabilityPage, AvailabilityQuery, OptPage, OptQuery
from vtn.services.availability import at
from vtn.services.subjects import read_subjects

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/opts",
        handler="get_opts",
        summary="List opts, newest first",
        answer=OptPage,
        query=OptQuery,
    ),
    Route(
        method="GET",
        path="/api/v1/availability",
        handler="get_availability",
        summary="Show which resources have opted in or out for a time",
        answer=AvailabilityPage,
        query=AvailabilityQuery,
    ),
)


class OptsApi:
    """The handlers of ``ROUTES``."""

    def __init__(self, handling: Handling) -> None:
        self._with = handling

    async def get_opts(self, request: web.Request) -> web.StreamResponse:
        """List opts, newest first."""
        query = OptQuery.model_validate(dict(request.query))
        now = self._with.clock.now()
        async with self._with.store.read() as tx:
            rows = await tx.opts.page(
                ven_id=query.venID, event_id=query.eventID, after=cursor(query.cursor, int), limit=query.limit
            )
        last = rows[-1].row_id if len(rows) == query.limit else None
        return json(OptPage(opts=tuple(opts_present.opt(row, now) for row in rows), next=next_cursor(last)))

    async def get_availability(self, request: web.Request) -> web.StreamResponse:
        """Show what the schedules in force come to, VEN by VEN; ``limit`` counts VENs."""
        query = AvailabilityQuery.model_validate(dict(request.query))
        now = self._with.clock.now()
        instant = utc(query.at) or now
        if instant < now:
            raise Problem(422, "at: lies in the past; schedules in force tell of the future", field="at")
        async with self._with.store.read() as tx:
            if query.venID is not None:
                rows = [found] if (found := await tx.vens.get(query.venID)) is not None else []
            else:
                rows = list(await tx.vens.page(after=cursor(query.cursor, str) or "", limit=query.limit))
            ven_ids = [row.ven_id for row in rows]
            schedules = await tx.opts.schedules_of(ven_ids, instant)
            subjects = await read_subjects(tx, ven_ids)
            programme = None if query.marketContext is None else await tx.programmes.get(query.marketContext)
        rules = None if programme is None else programme.terms.opts
        views = tuple(
            opts_present.availability(
                ven_id,
                subject.resource_id,
                query.marketContext,
                at(schedules.get(ven_id, ()), subject, query.marketContext, rules, instant),
            )
            for ven_id in ven_ids
            for subject in subjects.all_of(ven_id)
            if query.resourceID in (None, subject.resource_id)
        )
        last = ven_ids[-1] if query.venID is None and len(ven_ids) == query.limit else None
        return json(AvailabilityPage(availability=views, next=next_cursor(last)))
