"""Alembic environment of the bridge's tables; run by ``runtime.database.upgrade``."""

from bridge.store import metadata
from runtime.database import run_env

run_env(metadata)
