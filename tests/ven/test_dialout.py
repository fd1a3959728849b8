"""VEN-05: a VEN in a home dials out only, listens nowhere, says little, comes back with patience, counts once."""

import asyncio
import os
from pathlib import Path

import pytest
from aiohttp import web

from openadr import wire
from openadr.messages import CreatedEvent, Poll, Response
from tests.databases import open_engine
from tests.ven.conftest import Pki
from tests.ven.fake_vtn import FakeVtn
from tests.ven.support import OK, VEN_ID, Bench, distribute, event, rules
from tests.ven.test_client import Site, reached, running
from ven.model import Failure
from ven.state import VenStore

_LISTENS = "0A"  # TCP_LISTEN in /proc/net/tcp
SMALL = 2000  # bytes of an empty poll or its answer, before any compression


def listening() -> int:
    """Return how many sockets of this process listen."""
    mine = set()
    for handle in Path("/proc/self/fd").iterdir():
        try:
            mine.add(os.readlink(handle))
        except OSError:  # closed since it was listed
            continue
    found = 0
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        rows = [line.split() for line in Path(table).read_text().splitlines()[1:]] if Path(table).exists() else []
        found += sum(row[3] == _LISTENS and f"socket:[{row[9]}]" in mine for row in rows)
    return found


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="needs Linux' /proc")
async def test_ven_05_a_polling_ven_only_dials_out_and_listens_nowhere(vtn: FakeVtn, pki: Pki, sqlite_url: str) -> None:
    site = Site(vtn=vtn, pki=pki)
    vtn.clock, before = site.clock.now, listening()
    assert before > 0  # the VTN of this test
    async with open_engine(sqlite_url) as engine:
        client = site.client(await VenStore.open(engine))
        async with running(client):
            await reached(lambda: vtn.got(Poll), site.clock)
            assert client.status.registered
            assert listening() <= before
        await client.close()


async def test_ven_05_an_answer_that_takes_long_is_waited_for_and_nothing_is_sent_twice(
    vtn: FakeVtn, pki: Pki, sqlite_url: str
) -> None:
    site, answered = Site(vtn=vtn, pki=pki), asyncio.Event()
    vtn.clock = site.clock.now

    async def slow() -> web.StreamResponse:
        await answered.wait()
        return web.Response(body=wire.encode(Response(response=OK, ven_id=VEN_ID)), content_type="application/xml")

    async with open_engine(sqlite_url) as engine:
        client = site.client(await VenStore.open(engine))
        await client.poll_once()
        vtn.faults[Poll].append(slow)
        already = len(vtn.got(Poll))
        async with running(client):
            await reached(lambda: len(vtn.got(Poll)) == already + 1, site.clock)
            site.clock.advance(300)
            for _ in range(50):
                await asyncio.sleep(0)
            assert len(vtn.got(Poll)) == already + 1
            answered.set()
            await reached(lambda: len(vtn.got(Poll)) > already + 1, site.clock)
        assert client.status.last_failure is None
        await client.close()


def test_ven_05_messages_of_every_day_are_small() -> None:
    assert len(wire.encode(Poll(ven_id=VEN_ID))) < SMALL
    assert len(wire.encode(Response(response=OK, ven_id=VEN_ID))) < SMALL


@pytest.mark.parametrize("failure", list(Failure))
def test_ven_05_a_fleet_comes_back_with_growing_pauses_that_differ_from_home_to_home(failure: Failure) -> None:
    homes = []
    for draw in (0.0, 0.5, 0.999):
        bench = Bench(rules=rules(draw=lambda draw=draw: draw)).register()
        bench.clock.advance(60)
        pauses = []
        for _ in range(8):
            bench.fail(Poll, failure)
            pauses.append(bench.waits_s())
            bench.clock.advance(pauses[-1] + 0.001)
        homes.append(pauses)
    for pauses in homes:
        assert pauses[:4] == sorted(pauses[:4])
        assert max(pauses) <= 66.1  # the longest pause and its jitter
    assert len({pauses[3] for pauses in homes}) == 3


def test_ven_05_the_same_event_again_is_one_event_and_one_answer() -> None:
    bench = Bench().register()
    bench.poll(distribute(event()))
    bench.exchange(CreatedEvent, Response(response=OK))
    bench.exchange(Poll, Response(response=OK))
    bench.clock.advance(10)
    bench.poll(distribute(event(), request_id="dist-2"))
    [known] = bench.state.events.values()
    assert known.request_id == "dist-2"
    assert [note.what for note in bench.notes].count("event_taken") == 1
