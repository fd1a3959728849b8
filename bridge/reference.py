"""Which dynamic references are to be taken, and when: the mean power before the start, once, then kept; pure.

Rule (MAP-05): a reference is taken when the event begins at its resource and never moves while the event runs, nor by
a restart, nor by a modification. Only a modification that puts the start off anew gets a new one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.asks import Reference

Key = tuple[str, str]
"""(eventID, resourceID)."""

References = Mapping[Key, Reference]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A reference that an event needs: the mean over the ``window_s`` before ``at``.

    ``running``: the present modification was learnt after the begin, so that what was taken before it stays.
    """

    event_id: str
    resource_id: str
    at: datetime
    window_s: int
    running: bool

    @property
    def key(self) -> Key:
        """(eventID, resourceID)."""
        return self.event_id, self.resource_id

    @property
    def since(self) -> datetime:
        """Where the mean begins."""
        return self.at - timedelta(seconds=self.window_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """``valid`` counts now, ``due`` is to be taken now, ``next_at`` is when the next one is, ``None`` for never."""

    valid: References
    due: tuple[Wanted, ...]
    next_at: datetime | None


def agenda(wanted: Iterable[Wanted], taken: References, now: datetime) -> Agenda:
    """Compare what is needed with what was taken."""
    valid: dict[Key, Reference] = {}
    due: list[Wanted] = []
    later: list[datetime] = []
    for each in wanted:
        reference = taken.get(each.key)
        if reference is not None and (each.running or reference.at >= each.at):
            valid[each.key] = reference
        elif now >= each.at:
            due.append(each)
        else:
            later.append(each.at)
    return Agenda(valid=valid, due=tuple(due), next_at=min(later, default=None))
