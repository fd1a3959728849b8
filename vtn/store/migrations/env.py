"""Alembic environment of the VTN's tables: runs the revisions on the connection that ``upgrade`` hands over."""

from runtime.database import run_env
from vtn.store import metadata

run_env(metadata)
