"""Takes our own bytes out of what a two-wire adapter hears; sans-I/O, opt-in.

Rule: only a whole, exact copy of what was written is taken out, in the order of writing. Anything else is the other
side speaking (or a collision), and is passed on untouched: replies contain the bytes of their requests.
"""

from collections import deque

_WAITING = 8  # writes whose echo may still come


class EchoFilter:
    """Give it what is written and what is read."""

    def __init__(self) -> None:
        self._written: deque[bytes] = deque(maxlen=_WAITING)
        self._held = b""

    def wrote(self, data: bytes) -> None:
        """Remember what the adapter will repeat."""
        self._written.append(data)

    def heard(self, data: bytes) -> bytes:
        """Return what of ``data``, and of what was held back before, the other side said."""
        data, self._held = self._held + data, b""
        while self._written:
            echo = self._written[0]
            if data.startswith(echo):
                data = data[len(echo) :]
                self._written.popleft()
            elif echo.startswith(data):  # the beginning of our echo, or nothing: wait for the rest
                self._held = data
                return b""
            else:
                self._written.popleft()
        return data

    def silence(self) -> bytes:
        """The echo that was waited for does not come: return what was held back for it."""
        held, self._held = self._held, b""
        if held:
            self._written.clear()
        return held
