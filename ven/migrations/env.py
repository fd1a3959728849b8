"""Alembic environment of the VEN's tables; run by ``runtime.database.upgrade``."""

from runtime.database import run_env
from ven.tables import metadata

run_env(metadata)
