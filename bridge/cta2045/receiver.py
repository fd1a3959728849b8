"""From bytes as they arrive to frames: partial reads, several frames in a read, noise, endless frames; sans-I/O.

Rule: a run of bytes that is no frame is rejected whole, up to the next silence, and once: one NAK and never a storm.
The buffer never holds more than one frame. After a silence inside an incomplete frame, a whole frame with a right
checksum that begins there replaces it: the sender gave up and began again.
"""

from bridge.cta2045.frames import ACK_BYTE, NAK_BYTE, OVERHEAD, Damaged, Frame, Message, NakReason, parse
from bridge.cta2045.timing import Timing

Rejection = NakReason | None
"""The NAK for a rejected run, ``None`` if it may not be answered."""


class Receiver:
    """One direction of a line. Times are seconds of any clock that does not go back."""

    def __init__(self, timing: Timing, max_payload: int) -> None:
        self._timing = timing
        self._max_payload = max_payload
        self._buffer = bytearray()
        self._since = 0.0  # when the first byte of the buffer came
        self._last = float("-inf")  # when the last byte came
        self._seam = 0  # where in the buffer a frame may have begun anew
        self._bad: Damaged | None = None  # the rejected run that still goes on
        self._run = 0  # its bytes so far
        self._over: list[Rejection] = []

    def feed(self, data: bytes, now: float) -> list[Frame]:
        """Take what arrived; return the frames that are complete now."""
        self._end_runs(now)
        silence, self._last = now - self._last, now
        if self._bad is not None:
            self._run += len(data)
            return []
        if not self._buffer:
            self._since, self._seam = now, 0
        elif silence >= self._timing.seam_s:
            self._seam = len(self._buffer)
        self._buffer += data
        return self._cut(now)

    def rejected(self, now: float) -> list[Rejection]:
        """Return, once, the runs that were rejected and are over."""
        self._end_runs(now)
        over, self._over = self._over, []
        return over

    def due(self) -> float | None:
        """Return when ``rejected`` has something to say if nothing arrives before."""
        if self._bad is not None:
            return self._last + self._timing.quiet_s
        return self._since + self._timing.message_s if self._buffer else None

    def busy(self, now: float) -> bool:
        """Tell whether the other side seems to be in the middle of something."""
        return (self._bad is not None or bool(self._buffer)) and now < self._last + self._timing.seam_s

    def drop(self) -> None:
        """Forget an unfinished frame: we are about to speak, and what comes then is an answer to that."""
        self._buffer.clear()
        self._bad = None

    @property
    def held(self) -> int:
        """Bytes kept."""
        return len(self._buffer)

    def _cut(self, now: float) -> list[Frame]:
        frames: list[Frame] = []
        while self._buffer:
            read = parse(self._buffer, self._max_payload)
            if isinstance(read, tuple):
                frames.append(read[0])
                self._consume(read[1], now)
            elif (anew := self._anew()) is not None:
                frames.append(anew)
                self._buffer.clear()
            elif read is None:
                break
            else:
                self._reject(read)
        return frames

    def _consume(self, size: int, now: float) -> None:
        del self._buffer[:size]
        self._since, self._seam = now, 0

    def _anew(self) -> Message | None:
        """Return the message that begins at the seam and ends with the buffer, if there is one."""
        if not self._seam:
            return None
        with memoryview(self._buffer) as view, view[self._seam :] as rest:
            match parse(rest, self._max_payload):
                case (Message() as message, size) if size == len(rest):
                    return message
                case _:
                    return None

    def _reject(self, bad: Damaged) -> None:
        self._bad, self._run = bad, len(self._buffer)
        self._buffer.clear()

    def _end_runs(self, now: float) -> None:
        if self._buffer and now >= self._since + self._timing.message_s:
            short = self._buffer[0] in (ACK_BYTE, NAK_BYTE)  # half an ACK is not answered
            self._reject(Damaged(why="incomplete", nak=None if short else NakReason.TIMEOUT))
        if self._bad is not None and now >= self._last + self._timing.quiet_s:
            self._over.append(_verdict(self._bad, self._run))
            self._bad = None


def _verdict(bad: Damaged, run: int) -> Rejection:
    """A length that the run does not bear out is damage, no long message: only NAK 03 makes a sender try again."""
    if bad.nak is NakReason.INVALID_LENGTH and run < bad.claimed:
        return NakReason.CHECKSUM
    return bad.nak


def room(max_payload: int) -> int:
    """Return the most bytes that a receiver for such payloads holds between two reads."""
    return OVERHEAD + max_payload - 1
