"""The VTN's database: the only place that says SQL."""

from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"
