"""Candidates in the operator API: who asks to be enrolled; approve, reject, forget.

Rule: handlers carry no rule of the protocol.
"""

from datetime import datetime

from aiohttp import web
from pydantic import BaseModel

from openadr.errors import InvalidData, InvalidId
from runtime.http import Problem
from vtn.operator import vens_present
from vtn.operator.handling import Handling, Route, cursor, json, next_cursor
from vtn.operator.vens_models import (
    ApproveIn,
    CandidatePage,
    CandidateQuery,
    CandidateView,
    NothingIn,
    VenView,
)
from vtn.services import administration, candidates
from vtn.store.store import Tx

_ALL, _ONE = "/api/v1/candidates", "/api/v1/candidates/{fingerprint}"

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path=_ALL,
        handler="get_candidates",
        summary="List certificates that have tried to register and are not enrolled",
        answer=CandidatePage,
        query=CandidateQuery,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/approve",
        handler="approve_candidate",
        summary="Enrol a candidate; its next try succeeds",
        answer=VenView,
        status=201,
        body=ApproveIn,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/reject",
        handler="reject_candidate",
        summary="Keep a candidate out of the list of those who wait",
        answer=CandidateView,
        body=NothingIn,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        handler="delete_candidate",
        summary="Forget a candidate; its next try makes it one again",
        answer=CandidateView,
    ),
)


class CandidatesApi:
    """The handlers of ``ROUTES``."""

    def __init__(self, handling: Handling) -> None:
        self._with = handling

    async def get_candidates(self, request: web.Request) -> web.StreamResponse:
        """List candidates, first seen first."""
        query = CandidateQuery.model_validate(dict(request.query))
        after = cursor(query.cursor, tuple[datetime, str])
        async with self._with.store.read() as tx:
            rows = await tx.candidates.page(state=query.state, after=after, limit=query.limit)
        last = (rows[-1].first_seen, rows[-1].fingerprint) if len(rows) == query.limit else None
        return json(CandidatePage(candidates=tuple(map(vens_present.candidate, rows)), next=next_cursor(last)))

    async def approve_candidate(self, request: web.Request) -> web.StreamResponse:
        """Enrol a candidate."""

        async def act(tx: Tx, body: ApproveIn, now: datetime) -> tuple[int, BaseModel]:
            await _found(tx, request)
            row = await candidates.approve(tx, body.enrolment_of(request.match_info["fingerprint"]), now)
            row = await administration.change(tx, row, body.rest())
            resources = await tx.vens.resources(ven_ids=(row.ven_id,))
            attributes = await tx.targets.of_vens((row.ven_id,))
            return 201, vens_present.ven(row, resources, attributes, now, self._with.desk)

        return await self._with.change(request, ApproveIn, act)

    async def reject_candidate(self, request: web.Request) -> web.StreamResponse:
        """Reject a candidate."""

        async def act(tx: Tx, _body: NothingIn, _now: datetime) -> tuple[int, BaseModel]:
            return 200, vens_present.candidate(await candidates.reject(tx, await _found(tx, request)))

        return await self._with.change(request, NothingIn, act)

    async def delete_candidate(self, request: web.Request) -> web.StreamResponse:
        """Forget a candidate."""
        async with self._with.store.write() as tx:
            return json(vens_present.candidate(await candidates.forget(tx, await _found(tx, request))))


async def _found(tx: Tx, request: web.Request) -> str:
    """Return the fingerprint of the path, one of a candidate. Raises ``Problem`` (404)."""
    try:
        return (await candidates.one(tx, request.match_info["fingerprint"])).fingerprint
    except (InvalidId, InvalidData):
        raise Problem(404, "no candidate has that fingerprint", field="fingerprint") from None
