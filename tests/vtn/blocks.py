"""Single values as the store takes them: blocks of one report each, rIDs of one meaning, in the order given."""

from collections.abc import Iterable

from vtn.store.rows import Point, Telemetry
from vtn.store.telemetry import COLUMNS, COMMON, Block


def blocks_of_rows(rows: Iterable[Telemetry]) -> list[Block]:
    """Return a block for all the rows of one report that come together."""
    found: dict[tuple[object, ...], list[Telemetry]] = {}
    for row in rows:
        meaning = (row.resource_id, row.unit)
        found.setdefault((*(getattr(row, name) for name in COMMON), meaning), []).append(row)
    return [
        Block(
            **dict(zip(COMMON, common, strict=True)),  # type: ignore[arg-type]
            points={row.r_id: Point(resource_id=row.resource_id, unit=row.unit) for row in together},
            **{name: [getattr(row, name) for row in together] for name in COLUMNS},  # type: ignore[arg-type]
        )
        for (*common, _), together in found.items()
    ]
