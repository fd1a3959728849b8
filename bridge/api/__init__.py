"""The operator API of the bridge: chargers, limits with source and reason, outcomes by meter, overrides."""

from bridge.api.routes import Api, build_api

__all__ = ["Api", "build_api"]
