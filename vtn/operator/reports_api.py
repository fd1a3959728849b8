"""Reported data in the operator API: pages, buckets, newest values, CSV, Green Button documents.

Rule: handlers carry no rule of the protocol. A long export is many short reads: nobody waits for it.
"""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath

from aiohttp import web

from openadr.times import format_instant
from runtime.http import Problem
from vtn.operator import present, reports_present
from vtn.operator.handling import Handling, Route, cursor, json, next_cursor
from vtn.operator.reports_models import (
    CsvQuery,
    DocumentPage,
    DocumentQuery,
    LatestQuery,
    LatestView,
    ReportPage,
    ReportQuery,
    whole_seconds,
)
from vtn.store.rows import Telemetry

CSV_ROWS = 5_000  # read at a time, some 10 ms
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would calculate such a text
_COLUMNS = (
    "venID",
    "resourceID",
    "reportName",
    "reportRequestID",
    "rID",
    "dtstart",
    "durationSeconds",
    "value",
    "unit",
    "online",
    "manualOverride",
    "dataQuality",
    "receivedDateTime",
)

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/reports",
        handler="get_reports",
        summary="List telemetry, or its figures in buckets of time",
        answer=ReportPage,
        query=ReportQuery,
    ),
    Route(
        method="GET",
        path="/api/v1/reports/latest",
        handler="get_latest",
        summary="Show the newest values of a VEN",
        answer=LatestView,
        query=LatestQuery,
    ),
    Route(
        method="GET",
        path="/api/v1/reports.csv",
        handler="get_csv",
        summary="Export telemetry, oldest first",
        media="text/csv",
        query=CsvQuery,
    ),
    Route(
        method="GET",
        path="/api/v1/report-documents",
        handler="get_documents",
        summary="List Green Button documents, newest first",
        answer=DocumentPage,
        query=DocumentQuery,
    ),
    Route(
        method="GET",
        path="/api/v1/report-documents/{documentID}",
        handler="get_document",
        summary="Download a Green Button document as it came",
        media="application/atom+xml",
    ),
)


class ReportsApi:
    """The handlers of ``ROUTES``."""

    def __init__(self, handling: Handling) -> None:
        self._with = handling

    async def get_reports(self, request: web.Request) -> web.StreamResponse:
        """List telemetry, or its figures in buckets of time."""
        query = ReportQuery.model_validate(dict(request.query))
        if query.resolution is not None:
            return json(await self._buckets(query, whole_seconds(query.resolution)))
        newest = query.order == "newest"
        async with self._with.store.read() as tx:
            after = cursor(query.cursor, tuple[datetime, int])
            rows = await tx.readings.page(query.selection(), after=after, newest_first=newest, limit=query.limit)
        last = (rows[-1].dtstart, rows[-1].row_id) if len(rows) == query.limit else None
        return json(ReportPage(reports=tuple(map(present.telemetry, rows)), next=next_cursor(last)))

    async def _buckets(self, query: ReportQuery, seconds: int) -> ReportPage:
        after = cursor(query.cursor, tuple[datetime, str, str, str, str, str])
        async with self._with.store.read() as tx:
            rows = await tx.readings.buckets(query.selection(), seconds, after=after, limit=query.limit)
        last = None
        if len(rows) == query.limit:
            end = rows[-1]
            last = (end.start, end.ven_id, end.resource_id or "", end.report_name, end.r_id, end.unit or "")
        views = tuple(reports_present.bucket(row, seconds, query.aggregate) for row in rows)
        return ReportPage(reports=(), buckets=views, next=next_cursor(last))

    async def get_latest(self, request: web.Request) -> web.StreamResponse:
        """Show the newest values of a VEN."""
        query = LatestQuery.model_validate(dict(request.query))
        async with self._with.store.read() as tx:
            rows = await tx.reports.latest((query.venID,), query.resourceID, query.reportName)
        return json(LatestView(reports=tuple(map(present.telemetry, rows))))

    async def get_csv(self, request: web.Request) -> web.StreamResponse:
        """Export telemetry, oldest first."""
        which = CsvQuery.model_validate(dict(request.query)).selection()
        answer = web.StreamResponse(headers={"Content-Disposition": 'attachment; filename="telemetry.csv"'})
        answer.content_type, answer.charset = "text/csv", "utf-8"
        await answer.prepare(request)
        await answer.write(_lines([_COLUMNS]))
        after: tuple[datetime, int] | None = None
        while True:
            async with self._with.store.read() as tx:
                rows = await tx.readings.page(which, after=after, limit=CSV_ROWS)
            await answer.write(_lines([_line(row) for row in rows]))
            if len(rows) < CSV_ROWS:
                break
            after = (rows[-1].dtstart, rows[-1].row_id or 0)
        await answer.write_eof()
        return answer

    async def get_documents(self, request: web.Request) -> web.StreamResponse:
        """List Green Button documents, newest first."""
        query = DocumentQuery.model_validate(dict(request.query))
        async with self._with.store.read() as tx:
            rows = await tx.readings.documents(ven_id=query.venID, after=cursor(query.cursor, int), limit=query.limit)
        last = rows[-1].row_id if len(rows) == query.limit else None
        return json(DocumentPage(documents=tuple(map(reports_present.document, rows)), next=next_cursor(last)))

    async def get_document(self, request: web.Request) -> web.StreamResponse:
        """Download a Green Button document as it came."""
        name = PurePosixPath(request.match_info["documentID"]).name
        row = None
        if name.isascii() and name.isdigit() and len(name) <= 18:
            async with self._with.store.read() as tx:
                row = await tx.readings.document(int(name))
        if row is None:
            raise Problem(404, "no document has that documentID", field="documentID")
        headers = {
            "Content-Disposition": f'attachment; filename="greenbutton-{row.row_id}.xml"',
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(
            body=row.body.encode(), content_type="application/atom+xml", charset="utf-8", headers=headers
        )


def _line(row: Telemetry) -> Sequence[object]:
    return (
        *map(_text, (row.ven_id, row.resource_id, row.report_name, row.report_request_id, row.r_id)),
        format_instant(row.dtstart),
        row.duration_s,
        row.value,
        _text(row.unit),
        row.online,
        row.manual_override,
        _text(row.data_quality),
        format_instant(row.received_at),
    )


def _text(text: str | None) -> str:
    """Return a text that a spreadsheet takes as one."""
    if text is None:
        return ""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\r\n").writerows(rows)  # RFC 4180
    return lines.getvalue().encode()
