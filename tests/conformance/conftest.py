"""The fixtures of the VTN's and the bridge's tests, for the rules that are proven with them here."""

from tests.bridge.conftest import bridge_db
from tests.vtn.conftest import migrated_sqlite, pki, sqlite_url, vtn, world

__all__ = ["bridge_db", "migrated_sqlite", "pki", "sqlite_url", "vtn", "world"]
