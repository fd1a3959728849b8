"""Single values as the store takes them: blocks of one report each, in the order given."""

from collections.abc import Iterable

from vtn.store.rows import Telemetry
from vtn.store.telemetry import COLUMNS, COMMON, Block


def blocks_of_rows(rows: Iterable[Telemetry]) -> list[Block]:
    """Return a block for all the rows of one report that come together."""
    found: dict[tuple[object, ...], list[Telemetry]] = {}
    for row in rows:
        found.setdefault(tuple(getattr(row, name) for name in COMMON), []).append(row)
    return [
        Block(
            **dict(zip(COMMON, common, strict=True)),  # type: ignore[arg-type]
            **{name: [getattr(row, name) for row in together] for name in COLUMNS},  # type: ignore[arg-type]
        )
        for common, together in found.items()
    ]
