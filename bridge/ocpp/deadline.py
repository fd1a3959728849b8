"""How long one charger is given to answer: learnt from its answers, from 30 s on (OCP-09); pure.

Rule: the smoothed time to answer plus four times its spread (as TCP does, RFC 6298), within bounds around the start
value; each call without an answer doubles it until one comes.
"""

_NEEDED = 4  # answers before the start value is left
_FLOOR, _CEILING = 1 / 3, 4.0  # of the start value: 10 s and 120 s with the usual 30 s
_GAIN, _SPREAD_GAIN = 1 / 8, 1 / 4  # RFC 6298, 2.3
_SPREADS = 4.0


class Deadline:
    """The deadline of one charger; outlives its connections."""

    __slots__ = ("_answers", "_mean_s", "_misses", "_spread_s", "_start_s")

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._mean_s = 0.0
        self._spread_s = 0.0
        self._answers = 0
        self._misses = 0

    @property
    def seconds(self) -> float:
        """What the next call is given."""
        learnt = self._start_s
        if self._answers >= _NEEDED:
            learnt = max(self._mean_s + _SPREADS * self._spread_s, self._start_s * _FLOOR)
        return min(learnt * 2.0 ** min(self._misses, 8), self._start_s * _CEILING)

    @property
    def misses(self) -> int:
        """Calls without an answer since the last one."""
        return self._misses

    def answered(self, seconds: float) -> None:
        """Learn from an answer, in time or late."""
        self._misses = 0
        if self._answers == 0:
            self._mean_s, self._spread_s = seconds, seconds / 2
        else:
            self._spread_s += _SPREAD_GAIN * (abs(seconds - self._mean_s) - self._spread_s)
            self._mean_s += _GAIN * (seconds - self._mean_s)
        self._answers += 1

    def missed(self) -> None:
        """Learn that no answer came."""
        self._misses += 1
