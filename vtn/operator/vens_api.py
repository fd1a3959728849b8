"""VENs in the operator API: list, show, enrol, change, suspend, remove.

Rule: handlers carry no rule of the protocol.
"""

from datetime import datetime

from aiohttp import web
from pydantic import BaseModel

from runtime.http import Problem
from vtn.operator import vens_present
from vtn.operator.handling import Handling, Route, cursor, json, next_cursor
from vtn.operator.requests import Page
from vtn.operator.vens_models import (
    CertificateIn,
    NothingIn,
    ReasonIn,
    RemovedView,
    VenIn,
    VenPage,
    VenPatch,
    VenView,
)
from vtn.services import administration, enrolment
from vtn.store.rows import Ven
from vtn.store.store import Tx

_VENS, _VEN = "/api/v1/vens", "/api/v1/vens/{venID}"
_VALUES_AT_ONCE = 5_000  # of telemetry deleted in one transaction: others wait some 50 ms

ROUTES: tuple[Route, ...] = (
    Route(method="GET", path=_VENS, handler="get_vens", summary="List VENs", answer=VenPage, query=Page),
    Route(method="POST", path=_VENS, handler="post_ven", summary="Enrol a VEN", answer=VenView, status=201, body=VenIn),
    Route(method="GET", path=_VEN, handler="get_ven", summary="Show a VEN", answer=VenView),
    Route(
        method="PATCH",
        path=_VEN,
        handler="patch_ven",
        summary="Change name, poll interval, resources or attributes of a VEN",
        answer=VenView,
        body=VenPatch,
    ),
    Route(
        method="DELETE",
        path=_VEN,
        handler="delete_ven",
        summary="Remove a VEN that is suspended or not registered, with everything about it",
        answer=RemovedView,
    ),
    Route(
        method="PUT",
        path=f"{_VEN}/certificate",
        handler="put_certificate",
        summary="Give a VEN another certificate",
        answer=VenView,
        body=CertificateIn,
    ),
    Route(
        method="POST",
        path=f"{_VEN}/suspend",
        handler="suspend_ven",
        summary="Refuse the messages of a VEN (463) and keep everything about it",
        answer=VenView,
        body=ReasonIn,
    ),
    Route(
        method="POST",
        path=f"{_VEN}/resume",
        handler="resume_ven",
        summary="Let a suspended VEN in again",
        answer=VenView,
        body=NothingIn,
    ),
)


async def known(tx: Tx, request: web.Request, *, locked: bool = False) -> Ven:
    """Return the VEN of the path. Raises ``Problem`` (404)."""
    ven_id = request.match_info["venID"]
    found = await (tx.vens.for_change(ven_id) if locked else tx.vens.get(ven_id))
    if found is None:
        raise Problem(404, "no VEN has that venID", field="venID")
    return found


class VensApi:
    """The handlers of ``ROUTES``."""

    def __init__(self, handling: Handling) -> None:
        self._with = handling

    async def _view(self, tx: Tx, row: Ven, now: datetime) -> VenView:
        resources = await tx.vens.resources(ven_ids=(row.ven_id,))
        return vens_present.ven(row, resources, await tx.targets.of_vens((row.ven_id,)), now, self._with.desk)

    async def get_vens(self, request: web.Request) -> web.StreamResponse:
        """List VENs by venID."""
        page = Page.model_validate(dict(request.query))
        await self._with.flush()
        now = self._with.clock.now()
        async with self._with.store.read() as tx:
            rows = await tx.vens.page(after=cursor(page.cursor, str) or "", limit=page.limit)
            ven_ids = [row.ven_id for row in rows]
            resources = await tx.vens.resources(ven_ids=ven_ids)
            attributes = await tx.targets.of_vens(ven_ids)
        last = rows[-1].ven_id if len(rows) == page.limit else None
        desk = self._with.desk
        views = vens_present.vens(rows, resources, attributes, now, desk)
        return json(VenPage(vens=views, next=next_cursor(last)))

    async def get_ven(self, request: web.Request) -> web.StreamResponse:
        """Show a VEN."""
        await self._with.flush()
        async with self._with.store.read() as tx:
            return json(await self._view(tx, await known(tx, request), self._with.clock.now()))

    async def post_ven(self, request: web.Request) -> web.StreamResponse:
        """Enrol a VEN."""

        async def act(tx: Tx, body: VenIn, now: datetime) -> tuple[int, BaseModel]:
            row = await enrolment.enrol(tx, body.enrolment(), now)
            return 201, await self._view(tx, await administration.change(tx, row, body.rest()), now)

        return await self._with.change(request, VenIn, act)

    async def patch_ven(self, request: web.Request) -> web.StreamResponse:
        """Change a VEN."""

        async def act(tx: Tx, body: VenPatch, now: datetime) -> tuple[int, BaseModel]:
            row = await known(tx, request, locked=True)
            held = vens_present.belongings(row.ven_id, await tx.targets.of_vens((row.ven_id,)))
            return 200, await self._view(tx, await administration.change(tx, row, body.change(held)), now)

        return await self._with.change(request, VenPatch, act)

    async def delete_ven(self, request: web.Request) -> web.StreamResponse:
        """Remove a VEN, its telemetry first and in parts, so that others need not wait."""
        deleted = 0
        while True:
            async with self._with.store.write() as tx:
                row = await known(tx, request, locked=True)
                administration.check_removable(row)
                some = await tx.vens.drop_telemetry(row.ven_id, _VALUES_AT_ONCE)
                deleted += some
                if some < _VALUES_AT_ONCE:
                    await tx.vens.remove(row.ven_id)
                    return json(RemovedView(venID=row.ven_id, telemetry=deleted))

    async def put_certificate(self, request: web.Request) -> web.StreamResponse:
        """Give a VEN another certificate."""

        async def act(tx: Tx, body: CertificateIn, now: datetime) -> tuple[int, BaseModel]:
            row = await known(tx, request, locked=True)
            changed = await administration.replace_certificate(tx, row, body.fingerprint, now, body.until)
            return 200, await self._view(tx, changed, now)

        return await self._with.change(request, CertificateIn, act)

    async def suspend_ven(self, request: web.Request) -> web.StreamResponse:
        """Shut a VEN out."""

        async def act(tx: Tx, body: ReasonIn, now: datetime) -> tuple[int, BaseModel]:
            row = await known(tx, request, locked=True)
            return 200, await self._view(tx, await administration.suspend(tx, row, now, body.reason), now)

        return await self._with.change(request, ReasonIn, act)

    async def resume_ven(self, request: web.Request) -> web.StreamResponse:
        """Let a VEN in again."""

        async def act(tx: Tx, _body: NothingIn, now: datetime) -> tuple[int, BaseModel]:
            row = await known(tx, request, locked=True)
            return 200, await self._view(tx, await administration.resume(tx, row, now), now)

        return await self._with.change(request, NothingIn, act)
