"""Who must be looked at now: those something has happened to, and those whose time has come; pure.

Rule: ten thousand resources cost nothing while nothing happens to them. An earlier appointment replaces a later one;
whoever is looked at gives the next one.
"""

import heapq
from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Generic, TypeVar

Name = TypeVar("Name", str, tuple[str, str])


class Agenda(Generic[Name]):
    """A set of names to look at, and one appointment for each name."""

    def __init__(self) -> None:
        self._touched: dict[Name, None] = {}
        self._due: dict[Name, datetime] = {}
        self._heap: list[tuple[datetime, Name]] = []

    def touch(self, names: Iterable[Name]) -> None:
        """Look at these the next time."""
        self._touched.update(dict.fromkeys(names))

    def appoint(self, name: Name, at: datetime) -> None:
        """Look at ``name`` at ``at``, unless an earlier time is set."""
        known = self._due.get(name)
        if known is None or at < known:
            self._due[name] = at
            heapq.heappush(self._heap, (at, name))

    def take(self, now: datetime, most: int | None = None) -> tuple[Name, ...]:
        """Return and forget whom to look at now, each once, the longest waiting first; the rest stays."""
        names, self._touched = self._touched, {}
        while self._heap and self._heap[0][0] <= now:
            at, name = heapq.heappop(self._heap)
            if self._due.get(name) == at:
                del self._due[name]
                names[name] = None
        taken = tuple(names) if most is None else tuple(islice(names, most))
        self._touched = {} if len(taken) == len(names) else dict.fromkeys(islice(names, len(taken), None))
        return taken

    def clear(self) -> None:
        """Forget every appointment (the clock was set back)."""
        self._due.clear()
        self._heap.clear()
