"""What the central system knows of kinds of chargers: the quirk files, and what probes have learnt, kept on disk.

Rule: a kind is probed once, by one charger at a time; what it learnt is written before it counts. A probe that ended
without a clear answer leaves nothing.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from bridge.ocpp.quirks import Kind, Knobs, Quirk, QuirkError, knobs_of, parse

SHIPPED = "quirks.toml"
Keep = Callable[[Kind, Knobs], Awaitable[None]]
"""Writes what was learnt of a kind."""


async def _nowhere(kind: Kind, knobs: Knobs) -> None:
    """Keep nothing: what is learnt lasts as long as the process."""


class Knowledge:
    """Knobs by kind of charger."""

    def __init__(self, quirks: Iterable[Quirk] = (), keep: Keep = _nowhere) -> None:
        self.quirks = tuple(quirks)
        self.learnt: dict[Kind, Knobs] = {}
        self._keep = keep
        self._probing: set[Kind] = set()
        self._of = lru_cache(maxsize=4096)(self._work_out)  # asked for with every limit

    def take_up(self, learnt: Mapping[Kind, Knobs]) -> None:
        """Know what was learnt before the restart."""
        self.learnt |= learnt
        self._of.cache_clear()

    def of(self, kind: Kind) -> Knobs:
        """Return all that is known of a kind."""
        return self._of(kind)

    def unknown(self, kind: Kind) -> bool:
        """Tell whether a charger of this kind is to be probed."""
        return bool(kind.vendor) and kind not in self.learnt and kind not in self._probing

    @contextmanager
    def probing(self, kind: Kind) -> Iterator[None]:
        """Keep others of its kind from being probed meanwhile."""
        self._probing.add(kind)
        try:
            yield
        finally:
            self._probing.discard(kind)

    async def learn(self, kind: Kind, knobs: Knobs) -> None:
        """Keep what a probe found."""
        await self._keep(kind, knobs)
        self.learnt[kind] = knobs
        self._of.cache_clear()

    def _work_out(self, kind: Kind) -> Knobs:
        return knobs_of(kind, self.quirks, self.learnt.get(kind))


def load(paths: Iterable[Path] = ()) -> tuple[Quirk, ...]:
    """Read the shipped quirks and an operator's own files after them. Raises ``QuirkError`` naming the file."""
    found = parse((files("bridge.ocpp") / SHIPPED).read_text(encoding="utf-8"), SHIPPED)
    for path in paths:
        try:
            found += parse(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise QuirkError(f"{path}: cannot be read ({error})") from error
    return found
