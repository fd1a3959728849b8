"""Metrics: a registry of its own for each process, in the text format."""

from prometheus_client import Counter

from runtime.metrics import CONTENT_TYPE, new_registry, render


def test_registries_do_not_share_anything() -> None:
    first, second = new_registry("oadr-vtn", "1.2.3"), new_registry()
    Counter("oadr_polls", "Polls answered", registry=first).inc(3)
    Counter("oadr_polls", "Polls answered", registry=second)
    assert b"oadr_polls_total 3.0" in render(first)
    assert b"oadr_polls_total 0.0" in render(second)
    assert b'oadr_build_info{program="oadr-vtn",version="1.2.3"} 1.0' in render(first)
    assert b"oadr_build_info" not in render(second)
    assert CONTENT_TYPE.startswith("text/plain")
