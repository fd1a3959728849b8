"""The VTN's database: the only place that says SQL."""

from pathlib import Path

from vtn.store import report_tables, tables

MIGRATIONS = Path(__file__).parent / "migrations"
TABLES = (tables, report_tables)  # the modules that have some
metadata = tables.metadata  # complete, for each of them is loaded by now
