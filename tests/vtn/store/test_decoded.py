"""The memory of decoded events: bounded, the oldest go first."""

from tests.vtn.world import START, simple_event, stored
from vtn.store.decoded import Decoded


def test_the_oldest_gives_way() -> None:
    decoded = Decoded(size=2)
    rows = {name: stored(simple_event(name)) for name in ("evt-a", "evt-b", "evt-c")}
    for name, row in rows.items():
        decoded.keep((name, 0, START), row)
    assert len(decoded) == 2
    assert [decoded.get((name, 0, START)) for name in rows] == [None, rows["evt-b"], rows["evt-c"]]
    assert decoded.get(("evt-c", 1, START)) is None
