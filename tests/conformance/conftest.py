"""The fixtures of the VTN's and the bridge's tests, for the rules that are proven with them here."""

from tests.bridge.conftest import bridge_db
from tests.vtn.conftest import pki, vtn, world

__all__ = ["bridge_db", "pki", "vtn", "world"]
