"""Watches the programme files and takes over what has changed, without a restart (OPS-03).

Rule: a file that cannot be used changes nothing: the programmes in force stay, and the log says why, once. What is
taken over counts at once, for events under way as well; the version in every reason tells old decisions from new ones.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from bridge.program import ProgrammeError, Programmes
from bridge.programmes import load, path_of
from runtime.clock import Clock
from runtime.logs import get_logger

log = get_logger(__name__)

Stamp = tuple[int, int] | None
"""Time of the last change in ns and size; ``None`` for a file that cannot be looked at."""


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


class ProgrammeWatch:
    """The programme files of one bridge; ``use`` is called with the new programmes."""

    def __init__(
        self,
        *,
        files: Iterable[str],
        base: Path | None,
        current: Programmes,
        use: Callable[[Programmes], None],
        clock: Clock,
        every_s: float,
    ) -> None:
        self._files, self._base, self.current = tuple(files), base, current
        self._use, self._clock, self._every_s = use, clock, every_s
        self._stamps = self._look()

    def _look(self) -> tuple[Stamp, ...]:
        return tuple(_stamp(path_of(name, self._base)) for name in self._files)

    def check(self) -> bool:
        """Read the files anew if one has changed; True if the programmes did."""
        stamps = self._look()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        try:
            new = load(self._files, self._base)
            new.succeed(self.current)
        except ProgrammeError as error:
            log.error("programme file not taken over, the old one stays in force", fault=str(error))
            return False
        if new == self.current:
            return False
        before = {programme.label for programme in self.current.by_context.values()}
        after = {programme.label for programme in new.by_context.values()}
        log.info("programmes taken over", new=sorted(after - before), old=sorted(before - after))
        self.current = new
        self._use(new)
        return True

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await self._clock.sleep(self._every_s)
            self.check()
