"""Many VENs at once over mutual TLS on a SQLite file: each is answered, and an event reaches each and counts once.

The number is small enough for every run; ``MANY_VENS=2000 pytest tests/vtn/test_many.py`` is the whole of it, a few
minutes on two cores, most of them for certificates and handshakes.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import select

from certs.authority import Profile
from openadr.messages import (
    CreatedEvent,
    CreatePartyRegistration,
    DistributeEvent,
    EiResponse,
    EventResponse,
    Message,
    RegisteredReport,
    RegisterReport,
    Response,
)
from openadr.model import OptType
from openadr.tls import client_context
from runtime.clock import SystemClock
from tests.vtn.server import Pki, Running, VenSide, running
from tests.vtn.test_chain import publish
from vtn.store.tables import event_ven, handout

MANY = int(os.environ.get("MANY_VENS", "100"))
pytestmark = pytest.mark.timeout(60 + MANY)


@asynccontextmanager
async def crowd(vtn: Running, count: int) -> AsyncIterator[list[VenSide]]:
    """So many VENs with a certificate and a connection each, registered and with nothing waiting for them."""
    now = SystemClock().now()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60 + count)) as session:
        vens: list[VenSide] = []
        for number in range(count):
            issued = vtn.pki.authority.issue(Profile.OPENADR_VEN, f"many-{number}", now=now)
            body = {
                "venID": f"many-{number}",
                "fingerprint": issued.fingerprint,
                "resources": [{"resourceID": f"r-{number}", "groupIDs": ["everybody"]}],
            }
            status, answer = await vtn.operator.call("POST", "/api/v1/vens", body)
            assert status == 201, answer
            context = client_context(ca=vtn.pki.trust, cert_chain=issued.chain)
            vens.append(VenSide(session, f"https://127.0.0.1:{vtn.app.port}", context, f"many-{number}"))
        await asyncio.gather(*map(settled, vens))
        yield vens


async def settled(ven: VenSide) -> None:
    """Register, offer nothing, and answer what greets it."""
    await ven.send(CreatePartyRegistration(request_id="req-r", ven_name=ven.ven_id))
    await ven.send(RegisterReport(request_id="req-m", ven_id=ven.ven_id))
    while isinstance(offer := await ven.poll(), RegisterReport):
        await ven.send(RegisteredReport(response=EiResponse(request_id=offer.request_id), ven_id=ven.ven_id))


def answered(ven: VenSide, payload: Message) -> CreatedEvent:
    assert isinstance(payload, DistributeEvent), payload
    given = tuple(
        EventResponse(
            request_id=payload.request_id,
            event_id=each.descriptor.event_id,
            modification_number=each.descriptor.modification_number,
            opt_type=OptType.OPT_IN,
        )
        for each in payload.events
    )
    return CreatedEvent(response=EiResponse(), ven_id=ven.ven_id, event_responses=given)


async def test_an_event_reaches_every_ven_of_a_crowd_and_counts_once(pki: Pki, tmp_path: Path) -> None:
    commits: list[frozenset[str]] = []
    async with (
        running(pki, f"sqlite+aiosqlite:///{tmp_path}/many.sqlite3") as vtn,
        crowd(vtn, MANY) as vens,
    ):
        event_id = await publish(vtn, targets={"groupID": ["everybody"]})
        payloads = await asyncio.gather(*(ven.poll() for ven in vens))
        assert Counter(
            tuple(each.descriptor.event_id for each in payload.events) if isinstance(payload, DistributeEvent) else ()
            for payload in payloads
        ) == {(event_id,): MANY}

        vtn.app.store.listen(commits.append)
        replies = await asyncio.gather(
            *(ven.send(answered(ven, payload)) for ven, payload in zip(vens, payloads, strict=True))
        )
        assert Counter(each.response.response_code for each in replies if isinstance(each, Response)) == {200: MANY}
        assert sum(map(len, commits)) == MANY  # each answer is committed once,
        assert len(commits) < MANY / 3  # and many together

        polls = await asyncio.gather(*(ven.poll() for ven in vens for _ in range(3)))
        assert {type(each) for each in polls} == {Response}
        await vtn.app.outbox.flush()
        async with vtn.app.store.read() as tx:
            query = select(event_ven.c.ven_id, event_ven.c.answer, event_ven.c.due_at)
            states = (await tx.connection.execute(query.where(event_ven.c.event_id == event_id))).all()
            handed = (await tx.connection.execute(select(handout.c.ven_id))).scalars().all()
        names = {ven.ven_id for ven in vens}
        assert {row.ven_id for row in states} == names == set(handed)
        assert {(row.answer, row.due_at) for row in states} == {("optIn", None)}
        assert len(handed) == MANY
