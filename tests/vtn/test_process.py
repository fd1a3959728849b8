"""The VTN as a process: killed without warning in mid-event, it goes on where it was."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from openadr.messages import DistributeEvent, EiResponse, RegisteredReport, RegisterReport, Response
from openadr.model import OptType
from openadr.times import format_instant
from openadr.tls import client_context
from runtime.clock import SystemClock
from tests.vtn.server import Operator, Pki, VenSide
from tests.vtn.test_chain import answers, event_body
from tests.vtn.test_settings import config

TOKEN = "0123456789abcdef"


class Process:
    """A running ``oadr-vtn serve``."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, operator_port: int) -> None:
        self.process = process
        self.port = port
        self.operator_port = operator_port

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode


async def start(path: Path) -> Process:
    """Start the VTN and wait until it listens."""
    ports = {"OADR_VTN__SERVER__PORT": "0", "OADR_VTN__OPERATOR__PORT": "0", "OADR_VTN__SERVER__HOST": "127.0.0.1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "vtn",
        "serve",
        "--config",
        str(path),
        env={**os.environ, **ports},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(30):
        while line := (await process.stderr.readline()).decode():
            if '"listening"' in line:
                found = {name: int(value) for name, value in re.findall(r'"(port|operator_port)": (\d+)', line)}
                return Process(process, found["port"], found["operator_port"])
    raise AssertionError("the VTN ended before it listened")


@pytest.mark.process
async def test_kill_9_in_mid_event_loses_nothing(pki: Pki, tmp_path: Path) -> None:
    path = config(pki, tmp_path)
    context = client_context(ca=pki.trust, cert_chain=pki.ven_a.chain)
    async with aiohttp.ClientSession() as session:
        first = await start(path)
        operator = Operator(session, f"http://127.0.0.1:{first.operator_port}", TOKEN)
        ven = VenSide(session, f"https://127.0.0.1:{first.port}", context, "ven-a")
        enrolment = {"venID": "ven-a", "fingerprint": pki.ven_a.fingerprint, "resources": [{"resourceID": "r1"}]}
        assert (await operator.call("POST", "/api/v1/vens", enrolment))[0] == 201
        await ven.register()
        offer = await ven.poll()
        assert isinstance(offer, RegisterReport)
        await ven.send(RegisteredReport(response=EiResponse(request_id=offer.request_id), ven_id="ven-a"))
        body = event_body(dtstart=format_instant(SystemClock().now()), targets={"venID": ["ven-a"]})
        status, event = await operator.call("POST", "/api/v1/events", body)
        assert status == 201
        assert await first.end(signal.SIGKILL) == -signal.SIGKILL

        second = await start(path)
        ven = VenSide(session, f"https://127.0.0.1:{second.port}", context, "ven-a")
        payload = await ven.poll()
        assert isinstance(payload, DistributeEvent)
        assert payload.events[0].descriptor.event_id == event["eventID"]
        await ven.send(answers(payload, OptType.OPT_OUT))
        assert await second.end(signal.SIGKILL) == -signal.SIGKILL

        third = await start(path)
        operator = Operator(session, f"http://127.0.0.1:{third.operator_port}", TOKEN)
        ven = VenSide(session, f"https://127.0.0.1:{third.port}", context, "ven-a")
        assert isinstance(await ven.poll(), Response)
        _, seen = await operator.call("GET", f"/api/v1/events/{event['eventID']}")
        assert (seen["vens"][0]["state"], seen["vens"][0]["optType"]) == ("acknowledged", "optOut")
        assert await third.end(signal.SIGTERM) == 0
