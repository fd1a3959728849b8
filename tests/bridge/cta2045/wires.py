"""Two link ends on a simulated line: time is a number that jumps to the next thing that happens."""

import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count

from bridge.cta2045.link import Action, Finished, Link, Received, Result, SetBitRate, Write

BYTE_S = 10 / 19200
Wire = Callable[[bytes], list[tuple[float, bytes]]]
"""What becomes of bytes on the way: (delay, bytes) pieces."""


def plain(data: bytes) -> list[tuple[float, bytes]]:
    """All at once, when the last byte is there."""
    return [(len(data) * BYTE_S, data)]


def bytewise(data: bytes) -> list[tuple[float, bytes]]:
    """Each byte by itself, 10 ms apart: within tML."""
    return [(index * 0.01, data[index : index + 1]) for index in range(len(data))]


def lossy(seed: int, share: float = 0.25) -> Wire:
    """Some writes lose bytes from the end, some vanish."""
    dice = random.Random(seed)

    def wire(data: bytes) -> list[tuple[float, bytes]]:
        if dice.random() < share:
            data = data[: dice.randrange(len(data))]
        return [(len(data) * BYTE_S, data)]

    return wire


def corrupting(seed: int, share: float = 0.25) -> Wire:
    """Some writes arrive with a wrong bit."""
    dice = random.Random(seed)

    def wire(data: bytes) -> list[tuple[float, bytes]]:
        if dice.random() < share:
            changed = bytearray(data)
            changed[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            data = bytes(changed)
        return [(len(data) * BYTE_S, data)]

    return wire


@dataclass
class End:
    """A link, what it did, and the one that hears it."""

    link: Link
    wire: Wire
    received: list[Received] = field(default_factory=list)
    finished: dict[int, Finished] = field(default_factory=dict)
    written: list[tuple[float, bytes]] = field(default_factory=list)
    rates: list[int] = field(default_factory=list)
    on_received: Callable[["End", Received, float], None] = lambda end, received, now: None

    def results(self) -> list[Result]:
        return [self.finished[ticket].result for ticket in sorted(self.finished)]


class Line:
    """Runs two ends until nothing is due any more."""

    def __init__(self, a: End, b: End, start: float = 1000.0) -> None:
        self.ends = (a, b)
        self.now = start
        self._flying: list[tuple[float, int, int, bytes]] = []
        self._order = count()

    def put(self, to: int, data: bytes, delay: float = 0.0) -> None:
        heapq.heappush(self._flying, (self.now + delay, next(self._order), to, data))

    def act(self, who: int, actions: Iterable[Action]) -> None:
        end = self.ends[who]
        for action in actions:
            match action:
                case Write():
                    end.written.append((self.now, action.data))
                    for delay, piece in end.wire(action.data):
                        self.put(1 - who, piece, delay)
                case Received():
                    end.received.append(action)
                    end.on_received(end, action, self.now)
                    self.act(who, end.link.tick(self.now))
                case Finished():
                    assert action.ticket not in end.finished
                    end.finished[action.ticket] = action
                case SetBitRate():
                    end.rates.append(action.bit_rate)

    def run(self, seconds: float = 60.0, steps: int = 20_000) -> None:
        """Run for so long; a link that wants ``tick`` again and again without end is a failure."""
        until = self.now + seconds
        for who in (0, 1):
            self.act(who, self.ends[who].link.tick(self.now))
        for _ in range(steps):
            dues = [(at, who) for who in (0, 1) if (at := self.ends[who].link.due()) is not None]
            flying = self._flying[0][0] if self._flying else float("inf")
            at, who = min(dues, default=(float("inf"), 0))
            if min(at, flying) > until:
                self.now = until
                return
            if flying <= at:
                self.now, _, to, data = heapq.heappop(self._flying)
                self.act(to, self.ends[to].link.receive(data, self.now))
            else:
                self.now = max(self.now, at)
                self.act(who, self.ends[who].link.tick(self.now))
        raise AssertionError("the line never comes to rest")
