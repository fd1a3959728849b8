"""Registrations in the operator API: ask a VEN to register again, cancel a registration, look into its queue.

Rule: handlers carry no rule of the protocol.
"""

from datetime import datetime

from aiohttp import web
from pydantic import BaseModel

from runtime.http import Problem
from vtn.operator import vens_present
from vtn.operator.handling import Handling, Route, cursor, json, next_cursor
from vtn.operator.vens_api import known
from vtn.operator.vens_models import NothingIn, PurgedView, QueuedView, QueuePage, QueueQuery
from vtn.services import farewell
from vtn.store.store import Tx

_VEN = "/api/v1/vens/{venID}"

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=f"{_VEN}/reregister",
        handler="post_reregister",
        summary="Ask a VEN to register again (oadrRequestReregistration)",
        answer=QueuedView,
        status=202,
        body=NothingIn,
    ),
    Route(
        method="POST",
        path=f"{_VEN}/cancel-registration",
        handler="post_cancel_registration",
        summary="Cancel the registration of a VEN (oadrCancelPartyRegistration)",
        answer=QueuedView,
        status=202,
        body=NothingIn,
    ),
    Route(
        method="GET",
        path=f"{_VEN}/queue",
        handler="get_queue",
        summary="Show what waits for a VEN and what became of what did",
        answer=QueuePage,
        query=QueueQuery,
    ),
    Route(
        method="DELETE",
        path=f"{_VEN}/queue",
        handler="delete_queue",
        summary="Drop all payloads that a VEN has not answered",
        answer=PurgedView,
    ),
    Route(
        method="DELETE",
        path=f"{_VEN}/queue/{{id}}",
        handler="delete_queued",
        summary="Drop one payload that a VEN has not answered",
        answer=PurgedView,
    ),
)


class RegistrationsApi:
    """The handlers of ``ROUTES``."""

    def __init__(self, handling: Handling) -> None:
        self._with = handling

    async def post_reregister(self, request: web.Request) -> web.StreamResponse:
        """Ask a VEN to register again."""

        async def act(tx: Tx, _body: NothingIn, now: datetime) -> tuple[int, BaseModel]:
            return 202, vens_present.queued(await farewell.ask_again(tx, await known(tx, request, locked=True), now))

        return await self._with.change(request, NothingIn, act)

    async def post_cancel_registration(self, request: web.Request) -> web.StreamResponse:
        """Cancel a registration."""

        async def act(tx: Tx, _body: NothingIn, now: datetime) -> tuple[int, BaseModel]:
            ven = await known(tx, request, locked=True)
            return 202, vens_present.queued(await farewell.cancel(tx, ven, now, self._with.desk))

        return await self._with.change(request, NothingIn, act)

    async def get_queue(self, request: web.Request) -> web.StreamResponse:
        """Show the queue of a VEN."""
        query = QueueQuery.model_validate(dict(request.query))
        await self._with.flush()
        now = self._with.clock.now()
        async with self._with.store.read() as tx:
            ven = await known(tx, request)
            rows = await tx.queue.entries(ven.ven_id, after=cursor(query.cursor, int) or 0, limit=query.limit)
            events = await tx.events.of_ven(ven.ven_id, now)
        due = tuple(each.stored.event_id for each in events if (at := each.due) is not None and at <= now)
        last = rows[-1].row_id if len(rows) == query.limit else None
        queue = tuple(vens_present.queued(row) for row in rows)
        return json(QueuePage(queue=queue, eventsDue=due, next=next_cursor(last)))

    async def delete_queue(self, request: web.Request) -> web.StreamResponse:
        """Drop all payloads that have no answer."""
        async with self._with.store.write() as tx:
            return json(PurgedView(purged=await farewell.purge(tx, await known(tx, request, locked=True))))

    async def delete_queued(self, request: web.Request) -> web.StreamResponse:
        """Drop one payload that has no answer."""
        text = request.match_info["id"]
        row_id = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1
        async with self._with.store.write() as tx:
            purged = await farewell.purge(tx, await known(tx, request, locked=True), row_id)
        if not purged:
            raise Problem(404, "no payload without answer has that id", field="id")
        return json(PurgedView(purged=purged))
