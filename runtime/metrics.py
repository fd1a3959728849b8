"""Metrics of one process: a registry made by the composition root and passed on, never the library's global one.

Rule: rooms declare their counters in a class that takes the registry; names begin with ``oadr_``, units are in the
name.
"""

from prometheus_client import CollectorRegistry, Gauge, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST


def new_registry(program: str = "", version: str = "") -> CollectorRegistry:
    """Return a registry with the process's own figures and, if named, ``oadr_build_info{program,version} 1``."""
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    if program:
        info = Gauge("oadr_build_info", "The program and its version", ("program", "version"), registry=registry)
        info.labels(program=program, version=version).set(1)
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """Return the registry in the Prometheus text format (``CONTENT_TYPE``)."""
    return generate_latest(registry)
