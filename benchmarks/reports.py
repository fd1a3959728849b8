"""``report_1000``: server CPU an oadrUpdateReport of 1,000 intervals beside openleadr's; ours is on disk by then.

A handful of VENs offer one data point, are asked for it, and send reports one after the other, each report of a later
time than the one before. The peer gives each report to a callback that does nothing. Then more reports are sent while
our event loop is watched: how late it came at worst is printed and written to the log of the run, not to the ratio.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.harness import Benchmark, cpu_seconds, pin
from benchmarks.load import Pki, Ven, make_pki
from benchmarks.polls import Server, ours, peer
from openadr import wire
from openadr.messages import CreatePartyRegistration, RegisteredReport, RegisterReport, UpdateReport
from openadr.model import EiTarget, Report, ReportDescription, ReportInterval, ReportPayload, SamplingRate, power_real
from openadr.times import Duration

VENS = 4
INTERVALS = 1_000
WARM_UP = 2  # reports a VEN before the measurement
MEASURED = 10  # reports a VEN
WATCHED = 5  # reports a VEN while the loop is watched
STEP = Duration(seconds=60)
START = datetime(2026, 1, 1, tzinfo=UTC)
R_ID = "evse-power"
SPECIFIER = "spec-usage"


def offer(ven_id: str) -> RegisterReport:
    """METADATA with one data point."""
    point = ReportDescription(
        r_id=R_ID,
        report_type="usage",
        reading_type="Direct Read",
        report_data_source=EiTarget(resource_ids=(f"evse-{ven_id}",)),
        item_base=power_real(),
        sampling_rate=SamplingRate(min_period=STEP, max_period=STEP),
    )
    report = Report(
        report_request_id="0",
        report_specifier_id=SPECIFIER,
        created_date_time=START,
        report_name="METADATA_TELEMETRY_USAGE",
        duration=Duration(seconds=86_400),
        descriptions=(point,),
    )
    return RegisterReport(request_id="req-offer", reports=(report,), ven_id=ven_id)


def report(ven_id: str, report_request_id: str, number: int) -> bytes:
    """The ``number``-th report of a VEN."""
    first = START + timedelta(seconds=STEP.seconds * INTERVALS * number)
    intervals = tuple(
        ReportInterval(
            dtstart=first + timedelta(seconds=STEP.seconds * index),
            duration=STEP,
            uid=index,
            payloads=(ReportPayload(r_id=R_ID, value=7_000.5 + index, confidence=100, accuracy=0.5),),
        )
        for index in range(INTERVALS)
    )
    made = Report(
        report_request_id=report_request_id,
        report_specifier_id=SPECIFIER,
        created_date_time=START,
        report_name="TELEMETRY_USAGE",
        dtstart=first,
        intervals=intervals,
    )
    return wire.encode(UpdateReport(request_id=f"req-{number}", reports=(made,), ven_id=ven_id))


async def asked(ven: Ven, *, register: bool) -> str:
    """Register, offer the report, and return the reportRequestID of the VTN's request."""
    if register:
        await ven.send("EiRegisterParty", CreatePartyRegistration(request_id="r1", ven_name=ven.ven_id))
    reply = wire.decode(await ven.send("EiReport", offer(ven.ven_id)))
    if not isinstance(reply, RegisteredReport) or not reply.report_requests:
        raise RuntimeError(f"no report was asked for: {reply}")
    return reply.report_requests[0].report_request_id


async def _send(vens: list[Ven], reports: list[list[bytes]]) -> None:
    async def one(ven: Ven, mine: list[bytes]) -> None:
        for each in mine:
            answer = await ven.post("EiReport", each)
            if b"oadrUpdatedReport" not in answer or b">200<" not in answer:
                raise RuntimeError(f"not taken: {answer[:500]!r}")

    await asyncio.gather(*(one(ven, mine) for ven, mine in zip(vens, reports, strict=True)))


async def _cost(server: Server, pki: Pki, watch: Path | None) -> float:
    """Return the CPU ms a report of the server; ``watch``: where our server writes how late its loop came."""
    pin(server.pid, 0)
    pin(os.getpid(), 1)
    vens = [Ven(ven_id, pki, server.base) for ven_id in pki.vens]
    try:
        names = [await asked(ven, register=watch is not None) for ven in vens]

        def batch(first: int, count: int) -> list[list[bytes]]:
            return [
                [report(ven.ven_id, name, first + index) for index in range(count)]
                for ven, name in zip(vens, names, strict=True)
            ]

        await _send(vens, batch(0, WARM_UP))
        measured = batch(WARM_UP, MEASURED)
        before = cpu_seconds(server.pid)
        await _send(vens, measured)
        cost = (cpu_seconds(server.pid) - before) / (MEASURED * len(vens)) * 1e3
        if watch is not None:
            later = batch(WARM_UP + MEASURED, WATCHED)
            os.kill(server.pid, signal.SIGUSR1)
            await _send(vens, later)
            os.kill(server.pid, signal.SIGUSR1)
            while not watch.exists():
                await asyncio.sleep(0.05)
            late = json.loads(watch.read_text())
            watch.unlink()
            print(
                f"report_1000: loop late by at most {late['max_ms']:.1f} ms, 99 % of {late['turns']} turns by less "
                f"than {late['p99_ms']:.1f} ms, with {len(vens)} VENs sending at once",
                file=sys.stderr,
            )
        return cost
    finally:
        for ven in vens:
            await ven.close()


async def _run(quick: bool) -> list[tuple[float, float]]:
    rounds = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pki = make_pki(folder / "pki", VENS)
        for _ in range(2 if quick else 7):
            watch = folder / "late.json"
            async with ours(folder, pki, watch=watch) as server:
                mine = await _cost(server, pki, watch)
            async with peer(pki) as server:
                theirs = await _cost(server, pki, None)
            rounds.append((mine, theirs))
    return rounds


BENCHMARKS = (Benchmark(name="report_1000", unit="CPU ms a report", peer="openleadr 0.5.36 VTN", run=_run),)
