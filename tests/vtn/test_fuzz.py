"""Fuzz target of the listener: whatever a registered VEN posts, it gets an answer in the protocol's form, never a 500.

The VTN has an event and a request for reports, so that mutated answers, opts and reports find something. Longer runs:
``FUZZ_EXAMPLES=20000 pytest tests/vtn/test_fuzz.py``.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lxml import etree

from openadr.exchange import PATH, Service
from openadr.messages import RegisteredReport, RequestEvent
from openadr.wire import decode, encode
from tests.openadr.wire.mutation import documents, own, tree
from tests.openadr.wire.test_hostile import BROKEN, DOCTYPES, INVALID, UNKNOWN, poll
from tests.vtn.server import Pki, Running, VenSide, running
from tests.vtn.test_chain import metadata, publish, ready
from tests.vtn.test_endpoints import counts

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "400"))
PATHS = [PATH.format(service=each.value) for each in Service]


class Site:
    """A running VTN with a VEN, driven from a test that is not a coroutine."""

    def __init__(self, runner: asyncio.Runner, pki: Pki, url: str) -> None:
        self._runner = runner
        self._stack = AsyncExitStack()
        self.vtn: Running = runner.run(self._stack.enter_async_context(running(pki, url)))
        self.ven: VenSide = runner.run(ready(self.vtn))
        self.event_id = runner.run(publish(self.vtn))
        offered = runner.run(self.ven.send(metadata()))
        assert isinstance(offered, RegisteredReport)
        self.report_request_id = offered.report_requests[0].report_request_id
        self.statuses: Counter[int] = Counter()

    def post(self, path: str, data: bytes) -> int:
        """Post; the answer is in the protocol's form."""
        status, headers, body = self._runner.run(self.ven.post(path, data))
        self.statuses[status] += 1
        assert headers["X-Reference-Id"]
        if status == 200:
            decode(body)
        else:
            assert status in (403, 406, 413), (status, body[:300])  # 403: a signature that is none
            assert 0 < len(body) < 1_000
        return status

    def still_serves(self) -> None:
        """A message as it should be is taken; the VEN may have promised signatures or taken its leave by now."""
        service = PATH.format(service=Service.EI_EVENT.value)
        assert self.post(service, encode(RequestEvent(request_id="req-1", ven_id="ven-a"))) in (200, 403)

    def counts(self) -> dict[str, int]:
        return self._runner.run(counts(self.vtn))

    def close(self) -> None:
        self._runner.run(self._stack.aclose())


@pytest.fixture
def site(pki: Pki, tmp_path: Path) -> Iterator[Site]:
    with asyncio.Runner() as runner:
        made = Site(runner, pki, f"sqlite+aiosqlite:///{tmp_path}/fuzz.sqlite3")
        try:
            yield made
        finally:
            made.close()


def test_sec_30_the_listener_answers_every_mutated_message(site: Site) -> None:
    def known(data: bytes) -> bytes:
        """Let the message speak of what the VTN knows."""
        root = tree(data)
        own(root, "ven-a")
        for name, value in (("eventID", site.event_id), ("reportRequestID", site.report_request_id)):
            for element in root.iter("{*}" + name):
                element.text = value
        return etree.tostring(root)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),  # the VTN remembers: an example is not the same a second time
        suppress_health_check=list(HealthCheck),
    )
    @given(documents(), st.booleans())
    def fuzz(case: tuple[str, bytes], to_its_service: bool) -> None:
        name, data = case
        data = known(data)
        path = PATH.format(service=name)
        site.post(path if to_its_service else PATHS[len(data) % len(PATHS)], data)

    fuzz()
    assert site.statuses[200] > EXAMPLES // 10
    site.still_serves()


def test_sec_30_the_hostile_corpus_is_refused_at_every_service_and_changes_nothing(site: Site) -> None:
    before = site.counts()
    hostile = [poll(ven_id, before=text).encode() for text in DOCTYPES.values() for ven_id in ("ven-a", "&x;")]
    hostile += BROKEN.values()
    hostile += (text.encode() for text in (*UNKNOWN.values(), *INVALID.values()))
    for data in hostile:
        assert site.post(PATHS[len(data) % len(PATHS)], data) in (406, 413), data[:200]
    assert site.counts() == before
