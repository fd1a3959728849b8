"""Our VTN with a watch on its event loop: ``python -m benchmarks.ours_vtn CONFIG RESULT``; SIGUSR1 starts and ends it.

While watched the loop is asked for a turn every millisecond; when the watch ends, how late it came goes to RESULT as
JSON: the longest and the 99th percentile, in milliseconds. Unwatched it costs nothing.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

from runtime import lifecycle, logs
from runtime.clock import SystemClock
from vtn.app import build
from vtn.settings import load_settings

TURN_S = 0.001


class Watch:
    """Measures how late the event loop comes."""

    def __init__(self, result: Path) -> None:
        self._result = result
        self._task: asyncio.Task[None] | None = None
        self._late: list[float] = []

    def toggle(self) -> None:
        """Begin, or end and write."""
        if self._task is None:
            self._late = []
            self._task = asyncio.create_task(self._run())
            return
        self._task.cancel()
        self._task = None
        late = sorted(self._late) or [0.0]
        found = {"max_ms": late[-1] * 1e3, "p99_ms": late[int(len(late) * 0.99)] * 1e3, "turns": len(late)}
        part = self._result.with_suffix(".part")
        part.write_text(json.dumps(found))
        part.replace(self._result)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TURN_S
            await asyncio.sleep(TURN_S)
            self._late.append(loop.time() - due)


def main() -> int:
    """Serve until SIGTERM, as ``oadr-vtn serve`` does."""
    settings = load_settings(Path(sys.argv[1]))
    logs.configure(settings.log.level, settings.log.json_lines)

    async def run() -> int:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, Watch(Path(sys.argv[2])).toggle)
        application = build(settings, SystemClock())
        try:
            return await lifecycle.run([lifecycle.held("vtn", application.start, application.stop)])
        finally:
            await application.stop()

    return lifecycle.run_process(run)


if __name__ == "__main__":
    sys.exit(main())
