"""Long lists go into statements in parts, so that no database binds more values than it can."""

from bridge.store.statements import in_parts


def test_every_item_is_in_one_part_and_in_its_order() -> None:
    items = tuple(range(1001))
    parts = list(in_parts(items))
    assert [len(part) for part in parts] == [500, 500, 1]
    assert tuple(each for part in parts for each in part) == items
    assert list(in_parts(())) == []
