"""Fixtures of the bridge's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.bridge.parts import database


@pytest.fixture
async def bridge_db(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """A migrated SQLite file."""
    async with database(tmp_path) as found:
        yield found
