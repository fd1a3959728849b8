"""Fixtures of the push tests: a world that offers push, and a certificate that a VEN may listen with."""

from collections.abc import AsyncIterator

import pytest

from certs.authority import Issued, Profile
from runtime.clock import SystemClock
from tests.databases import open_engine
from tests.vtn.push.kit import push_desk
from tests.vtn.server import Pki
from tests.vtn.world import World
from vtn.store.store import Store


@pytest.fixture
async def world(sqlite_url: str) -> AsyncIterator[World]:
    """Return a world on a fresh SQLite file whose VTN offers push."""
    async with open_engine(sqlite_url) as opened:
        yield World(Store(opened), desk=push_desk())


@pytest.fixture(scope="session")
def listening(pki: Pki) -> Issued:
    """Return the certificate of a VEN with a push listener."""
    names = ("127.0.0.1", "localhost")
    return pki.authority.issue(Profile.OPENADR_VEN, "ven-push", names, now=SystemClock().now())
